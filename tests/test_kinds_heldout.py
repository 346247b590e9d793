"""longqa.kinds.heldout: what the author wrote, removed and asked for."""

from __future__ import annotations

import random

import pytest
from longqa_documents import ABSTRACT, paper, view_of

from longdata.documents import Block, Document, assemble
from longdata.tokenizers import Ruler, Tokenizer
from longqa.checks import Counter, check
from longqa.kinds.heldout import caption, chapter_titles, conclusion, outline, summary
from longqa.records import Example, Question
from longqa.view import View

TOKENIZER = Tokenizer.load(None)
RNG = random.Random(0)


def row(view: View, question: Question) -> Example | str:
    return check(question, view.material, Counter(Ruler(TOKENIZER, view.document.text)))


def kept(view: View, question: Question) -> Example:
    example = row(view, question)
    assert isinstance(example, Example), example
    return example


def with_blocks(*more: Block) -> Document:
    """The paper with blocks of its own before the references."""
    made = paper()
    blocks = []
    for section in made.sections:
        heading = made.heading(section)
        if section.kind == "references":
            blocks += more
        blocks.append(
            Block(heading, role="heading", level=1, number=section.number, title=section.title)
        )
        blocks += [Block(p) for p in made.text[section.body : section.end].split("\n\n")]
    return assemble(blocks, title="On Groups", kind="paper", source="p", sha256="1" * 64)


def test_the_abstract_is_asked_for_and_gone() -> None:
    view = view_of(paper())
    (question,) = summary(view, RNG)
    assert question.answer == ABSTRACT
    example = kept(view, question)
    assert "We study how readers" not in example.context
    assert "Abstract" not in example.context
    assert example.context.startswith("1 Introduction\n\n")
    assert "\n\n\n" not in example.context


def test_the_conclusion_is_asked_for_and_gone_with_its_heading() -> None:
    view = view_of(paper())
    (question,) = conclusion(view, RNG)
    assert question.answer.startswith("A connection between neighbouring groups")
    example = kept(view, question)
    assert "4 Conclusion" not in example.context
    assert "full attention from then on" not in " ".join(example.context.split())
    assert "\n\n\n" not in example.context


def test_the_evidence_for_a_summary_says_what_the_summary_says() -> None:
    view = view_of(paper())
    (question,) = summary(view, RNG)
    shown = [view.quote(span) for span in question.evidence]
    assert any(
        s.startswith("Readers of long documents lose the thread of an argument") for s in shown
    )
    assert not any(s in ABSTRACT for s in shown)


@pytest.mark.parametrize("piece", [slice(0, 200), slice(130, 320), slice(-190, None)])
def test_an_abstract_of_which_a_piece_stands_elsewhere_is_refused(piece: slice) -> None:
    document = with_blocks(Block("As we said in the beginning. " + ABSTRACT[piece]))
    view = view_of(document)
    (question,) = summary(view, RNG)
    assert row(view, question) == "the removed answer stands elsewhere in the context"


def test_a_window_on_a_part_is_not_asked_for_a_summary_of_the_whole() -> None:
    document = paper()
    half = document.text.index("3 Results")
    assert list(summary(view_of(document, end=len(document.text) // 2), RNG)) == []
    assert list(conclusion(view_of(document, start=half), RNG)) == []


def test_a_conclusion_of_a_few_words_is_not_asked_for() -> None:
    blocks = [
        Block("Conclusion", role="heading", title="Conclusion"),
        Block("It works well. " * 5),
        Block("Other words of the paper that stand here and there. " * 20),
    ]
    document = assemble(blocks, title="T", kind="paper", source="p", sha256="0")
    assert list(conclusion(view_of(document), RNG)) == []


WORDS = "Groups of the first and of the second half of the network"


def figures(*captions: tuple[str, str], mention: str) -> View:
    blocks = [Block(mention)]
    blocks += [Block(text, role="caption", label=label) for label, text in captions]
    return view_of(assemble(blocks, title="T", kind="paper", source="p", sha256="0"))


@pytest.mark.parametrize(
    ("label", "text", "mention"),
    [
        ("Figure 3", f"Figure 3: {WORDS}.", "As Figure 3 shows, the groups overlap each other."),
        ("Figure 3", f"Fig. 3. {WORDS}.", "The groups overlap each other (see Fig. 3)."),
        ("Figure 3", f"FIG 3 – {WORDS}.", "The groups overlap each other, as Fig. 3a shows."),
        ("Table 1", f"Table 1: {WORDS}.", "The groups of Table 1 overlap each other."),
        ("Table 1", f"TABLE 1. {WORDS}.", "The groups overlap each other, see Table 1a."),
        ("Figure 2.1", f"Figure 2.1: {WORDS}.", "The groups of Figure 2.1 overlap each other."),
        ("Figure 3", f"{WORDS}.", "As Figure 3 shows, the groups overlap each other."),
    ],
)
def test_a_caption_is_asked_for_without_its_label(label: str, text: str, mention: str) -> None:
    view = figures((label, text), mention=mention)
    (question,) = caption(view, RNG)
    assert question.answer == f"{WORDS}."
    assert label in question.text
    example = kept(view, question)
    assert WORDS not in example.context
    assert [e.text for e in example.evidence] == [mention]


@pytest.mark.parametrize(
    "mention",
    [
        "As Figure 31 shows, the groups overlap each other.",
        "As Figure 3.2 shows, the groups overlap each other.",
        "As Table 3 shows, the groups overlap each other.",
        "Nothing is said of it anywhere in the whole paper.",
    ],
)
def test_a_figure_that_the_text_does_not_mention_is_not_asked_for(mention: str) -> None:
    assert list(caption(figures(("Figure 3", f"Figure 3: {WORDS}."), mention=mention), RNG)) == []


@pytest.mark.parametrize(
    "text",
    [
        "Figure 3: Groups of the first and of the",
        "Figure 3: Groups of the first half, the second,",
        "Figure 3: Groups of halves.",
        "Figure 3: The groups of the first half stand here. The second half of",
    ],
)
def test_a_caption_whose_end_is_lost_or_that_says_nothing_is_not_asked_for(text: str) -> None:
    mention = "As Figure 3 shows, the groups overlap each other."
    assert list(caption(figures(("Figure 3", text), mention=mention), RNG)) == []


def test_all_captions_are_removed_not_only_the_one_asked_for() -> None:
    other = "Costs of all the layers of the network in hours"
    view = figures(
        ("Figure 1", f"Figure 1: {WORDS}."),
        ("Figure 2", f"Figure 2: {other}."),
        mention="As Figure 1 shows, the groups overlap each other.",
    )
    (question,) = caption(view, RNG)
    context = kept(view, question).context
    assert WORDS not in context and other not in context


def test_a_caption_that_the_text_repeats_is_refused() -> None:
    view = figures(
        ("Figure 3", f"Figure 3: {WORDS}."), mention=f"As Figure 3 shows. {WORDS}. They overlap."
    )
    for question in caption(view, RNG):
        assert row(view, question) == "the removed answer stands elsewhere in the context"


def test_two_figures_of_one_label_are_not_asked_for() -> None:
    view = figures(
        ("Figure 3", f"Figure 3: {WORDS}."),
        ("Figure 3", f"Figure 3: {WORDS}, again."),
        mention="As Figure 3 shows, the groups overlap each other.",
    )
    assert list(caption(view, RNG)) == []


def test_an_outline_is_the_headings_in_order_and_they_are_gone() -> None:
    view = view_of(paper())
    (question,) = outline(view, RNG)
    assert question.answer == "1. Introduction\n2. Method\n3. Results\n4. Conclusion"
    assert " 4 sections" in question.text
    context = kept(view, question).context
    assert [f"[Section {i}]\n\n" in context for i in (1, 2, 3, 4, 5)] == [True] * 4 + [False]
    assert not any(title in context for title in ("Introduction", "3 Results", "4 Conclusion"))
    assert "References" in context


def test_the_headings_of_subsections_are_gone_as_well() -> None:
    blocks = []
    for title, level in [("One", 1), ("Alpha", 1), ("Beta inside", 2), ("Gamma", 1), ("Delta", 1)]:
        blocks.append(Block(title, role="heading", level=level, title=title))
        blocks.append(Block("The section says a few words and then a few words more."))
    view = view_of(assemble(blocks, title="T", kind="paper", source="p", sha256="0"))
    (question,) = outline(view, RNG)
    context = kept(view, question).context
    assert "Beta inside" not in context and "Beta" not in question.answer


@pytest.mark.parametrize(
    "contents",
    [
        ["1 Introduction 2 2 Method 5 3 Results 9 4 Conclusion 12"],
        ["1 Introduction ..... 2", "2. Method ..... 5", "3 Results ..... 9"],
        ["Introduction", "Method", "Results", "Conclusion"],
    ],
)
def test_a_table_of_contents_in_the_window_forbids_the_outline(contents: list[str]) -> None:
    made = paper()
    blocks = [Block(line) for line in contents]
    for section in made.sections:
        blocks.append(
            Block(
                made.heading(section),
                role="heading",
                level=1,
                number=section.number,
                title=section.title,
            )
        )
        blocks.append(Block(made.text[section.body : section.end]))
    document = assemble(blocks, title="On Groups", kind="paper", source="p", sha256="0")
    assert list(outline(view_of(document), RNG)) == []
    without = document.text.index("Abstract\n\n")
    assert len(list(outline(view_of(document, start=without), RNG))) == 1


TITLES = ["The Water", "The Lamp", "The Letter", "An Ending"]


def novel(*front: Block, numbers: tuple[str, ...] = ("I", "II", "III", "IV")) -> Document:
    blocks = list(front)
    for number, title in zip(numbers, TITLES, strict=True):
        blocks.append(
            Block(
                f"CHAPTER {number}. {title}",
                role="heading",
                number=number,
                title=title,
                kind="chapter",
            )
        )
        blocks.append(Block(f"Odile walked on for {number} hours. The keeper said nothing to her."))
    return assemble(blocks, title="T", kind="book", source="b", sha256="0")


def test_chapter_titles_are_offered_in_another_order_and_gone_from_the_text() -> None:
    view = view_of(novel())
    (question,) = chapter_titles(view, RNG)
    offered = question.text.split(": ", 1)[1]
    assert [offered.index(t) for t in sorted(TITLES)] == sorted(offered.index(t) for t in TITLES)
    assert question.answer.split("\n") == [
        f"Chapter {n}: “{t}”" for n, t in zip(("I", "II", "III", "IV"), TITLES, strict=True)
    ]
    context = kept(view, question).context
    assert not any(title in context for title in TITLES)
    assert context.count("Chapter I\n\n") == context.count("Chapter IV\n\n") == 1


def test_a_table_of_contents_in_the_window_forbids_the_chapter_titles() -> None:
    document = novel(Block("CONTENTS. I. The Water. II. The Lamp. III. The Letter. IV. An Ending."))
    assert list(chapter_titles(view_of(document), RNG)) == []
    after = view_of(document, start=document.sections[0].start)
    assert len(list(chapter_titles(after, RNG))) == 1


def test_titles_that_stand_in_alphabetical_order_are_not_asked_for() -> None:
    blocks = []
    for number, title in (("I", "Anchor"), ("II", "Boat"), ("III", "Cellar")):
        blocks.append(Block(title, role="heading", number=number, title=title, kind="chapter"))
        blocks.append(Block("Odile walked on for hours. The keeper said nothing to her."))
    view = view_of(assemble(blocks, title="T", kind="book", source="b", sha256="0"))
    assert list(chapter_titles(view, RNG)) == []


def test_chapters_that_share_a_number_are_not_asked_for() -> None:
    document = novel(numbers=("I", "II", "I", "II"))
    assert list(chapter_titles(view_of(document), RNG)) == []
