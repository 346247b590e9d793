"""longqa.checks: which questions become rows, and why the others do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from longqa_documents import story

from longdata.documents import Span
from longdata.prompt_template import CHAT_MARKUP_TOKENS, prompt
from longdata.tokenizers import Ruler, Tokenizer
from longqa.checks import CHECKS, Counter, check, contains_words
from longqa.phrasings import wording_sha
from longqa.records import Cut, Example, Material, Question

TOKENIZER = Tokenizer.load(None)
DOCUMENT = story()
WHOLE = Material(document=DOCUMENT, ctx=2048, start=0, end=len(DOCUMENT.text))


def span(words: str) -> Span:
    at = DOCUMENT.text.index(words)
    return Span(start=at, end=at + len(words))


def question(**changes: object) -> Question:
    made = Question(
        kind="speaker",
        about="The tide will not wait",
        text="Who says this? “The tide will not wait”",
        answer="Mr. Harrow.",
        evidence=(span("The tide will not wait"),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def checked(asked: Question, material: Material = WHOLE) -> Example | str:
    return check(asked, material, Counter(Ruler(TOKENIZER, DOCUMENT.text)))


def kept(asked: Question, material: Material = WHOLE) -> Example:
    example = checked(asked, material)
    assert isinstance(example, Example), example
    return example


def test_a_good_question_becomes_a_row_with_everything_in_it() -> None:
    example = kept(question())
    (evidence,) = example.evidence
    assert example.context == DOCUMENT.text
    assert evidence.text == "The tide will not wait"
    assert example.context[evidence.start : evidence.end] == evidence.text
    middle = (evidence.start + evidence.end) / 2 / len(example.context)
    assert evidence.depth == pytest.approx(middle, abs=1e-4)
    assert example.generator.prompt_sha == wording_sha("speaker")
    assert example.sources[0].title == "The Firth"
    assert example.checks == CHECKS


@pytest.mark.parametrize("changes", [{"text": " "}, {"answer": ""}, {"answer": "\n"}])
def test_an_empty_part_is_refused(changes: dict[str, str]) -> None:
    assert checked(question(**changes)) == "empty"


@pytest.mark.parametrize(
    "text", ["What does Mr. Harrow say?", "what does MR HARROW say", "“Mr. Harrow” – who says it?"]
)
def test_a_question_that_contains_its_answer_is_refused(text: str) -> None:
    assert checked(question(text=text)) == "the question contains its answer"


def test_evidence_outside_the_window_is_refused() -> None:
    later = DOCUMENT.sections[1].start
    material = replace_window(start=later, end=len(DOCUMENT.text))
    assert checked(question(), material) == "evidence outside the context"
    end = span("The tide").end
    assert checked(question(), replace_window(start=0, end=end)) == "evidence outside the context"


def replace_window(*, start: int, end: int, ctx: int = 2048) -> Material:
    return Material(document=DOCUMENT, ctx=ctx, start=start, end=end)


def test_evidence_of_which_something_was_cut_is_refused() -> None:
    inside = span("will not")
    cuts = (Cut(start=inside.start, end=inside.end),)
    assert checked(question(cuts=cuts)) == "evidence outside the context"


def test_empty_evidence_is_refused() -> None:
    assert checked(question(evidence=(Span(start=5, end=5),))) == "evidence outside the context"


def test_evidence_behind_a_cut_moves_with_the_text() -> None:
    heading = DOCUMENT.sections[0]
    cuts = (Cut(start=heading.start, end=heading.body, replacement="[Section 1]\n\n"),)
    example = kept(question(cuts=cuts))
    assert example.context.startswith("[Section 1]\n\nOn the 3rd of March")
    (evidence,) = example.evidence
    assert example.context[evidence.start : evidence.end] == "The tide will not wait"


def removed(words: str, answer: str) -> Example | str:
    cut = span(words)
    return checked(
        question(
            text="What is missing?",
            answer=answer,
            cuts=(Cut(start=cut.start, end=cut.end),),
            evidence=(span("The keeper of the lighthouse"),),
        )
    )


def test_a_removed_answer_that_stands_elsewhere_is_refused() -> None:
    leak = "the removed answer stands elsewhere in the context"
    gone = "Odile nodded. Odile Marsh had paid the ferryman forty shillings for the passage over"
    assert isinstance(removed(gone, gone), Example)
    assert removed("Odile nodded. ", gone.removeprefix("Odile nodded. ")) == leak


@pytest.mark.parametrize("offset", range(0, 400, 37))
def test_a_long_piece_of_a_removed_answer_is_found_wherever_it_stands(offset: int) -> None:
    other = DOCUMENT.sections[2]
    passage = " ".join(DOCUMENT.text[other.body : other.end].split())[:190]
    before = "".join(f"word{i} " for i in range(100))[:offset]
    after = "".join(f"end{i} " for i in range(100))[: 400 - offset]
    answer = f"{before} {passage} {after}"
    assert removed("Odile nodded. ", answer) == "the removed answer stands elsewhere in the context"


def test_the_budget_is_held_to_the_token() -> None:
    example = kept(question())
    needed = example.row_tokens + CHAT_MARKUP_TOKENS
    row = prompt(
        context=example.context,
        question=example.question,
        title="The Firth",
        author=None,
        kind="book",
        is_whole=True,
    )
    assert example.row_tokens == TOKENIZER.count(f"{row} {example.answer}") + 2
    exact = replace_window(start=0, end=len(DOCUMENT.text), ctx=needed)
    assert isinstance(checked(question(), exact), Example)
    short = replace_window(start=0, end=len(DOCUMENT.text), ctx=needed - 1)
    assert checked(question(), short) == "over the token budget"


def test_an_answer_that_does_not_fit_is_refused_not_cut() -> None:
    long = replace_window(start=0, end=len(DOCUMENT.text), ctx=1024)
    assert checked(question(answer="word " * 3000), long) == "over the token budget"


WORD = st.text(alphabet="abcé", min_size=1, max_size=4)


@given(st.lists(WORD, min_size=1, max_size=8), st.data())
def test_words_in_a_row_are_found_whatever_case_and_punctuation(
    words: list[str], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    answer = ", ".join(words[first : last + 1]).upper() + "!"
    assert contains_words(f"So: “{' '.join(words)}”?", answer)


@given(st.lists(WORD, min_size=1, max_size=8), st.lists(WORD, min_size=1, max_size=3))
def test_only_whole_words_in_a_row_are_found(words: list[str], answer: list[str]) -> None:
    runs = [words[i : i + len(answer)] for i in range(len(words))]
    assert contains_words(" ".join(words), " ".join(answer)) == (answer in runs)


def test_punctuation_alone_is_contained_in_nothing() -> None:
    assert not contains_words("What … is this?", "…")
