"""longdata.documents: blocks become one text with offsets that hold."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.documents import Block, Document, Role, Span, assemble, normal_form, section_kind

LETTERS = st.text(alphabet="ab É\u0301é\t\n\r\x0b\x0c\u2028\u00a0.漢\U0001f600", max_size=20)
ROLES: tuple[Role, ...] = (
    "heading",
    "paragraph",
    "caption",
    "reference",
    "code",
    "table",
    "verse",
)
BLOCKS = st.lists(
    st.builds(
        Block,
        text=LETTERS,
        role=st.sampled_from(ROLES),
        level=st.integers(1, 3),
        title=st.sampled_from(["", "A title"]),
        label=st.sampled_from(["", "Figure 1"]),
    ),
    max_size=12,
)


def made(*blocks: Block, title: str = "T") -> Document:
    return assemble(blocks, title=title, kind="other", source="t", sha256="0")


def kept(block: Block) -> str:
    return normal_form(block.text, keep_lines=block.role in ("code", "table", "verse"))


@given(BLOCKS)
def test_the_text_is_its_blocks_between_single_blank_lines(blocks: list[Block]) -> None:
    document = made(*blocks)
    assert document.text == "\n\n".join(t for t in map(kept, blocks) if t)
    assert "\n\n\n" not in document.text
    assert document.text == unicodedata.normalize("NFC", document.text)


@given(BLOCKS)
def test_every_offset_points_at_its_block(blocks: list[Block]) -> None:
    document = made(*blocks)
    by_role = {role: [t for b in blocks if b.role == role and (t := kept(b))] for role in ROLES}
    text = document.text
    assert [text[s.start : s.body].strip() for s in document.sections] == by_role["heading"]
    assert [text[c.start : c.end] for c in document.captions] == by_role["caption"]
    assert [text[r.start : r.end] for r in document.references] == by_role["reference"]
    lines = [t for b in blocks if b.role in ("code", "table", "verse") and (t := kept(b))]
    assert [text[v.start : v.end] for v in document.verbatim] == lines


@given(BLOCKS)
def test_a_section_ends_where_the_next_of_its_level_or_above_begins(blocks: list[Block]) -> None:
    document = made(*blocks)
    for index, section in enumerate(document.sections):
        followers = [s for s in document.sections[index + 1 :] if s.level <= section.level]
        behind = document.text[section.end : followers[0].start if followers else None]
        assert behind == ("\n\n" if followers else "")
        assert section.start < section.body <= section.end


@given(LETTERS, st.booleans())
def test_the_normal_form_of_a_normal_form_is_itself(text: str, keep_lines: bool) -> None:
    once = normal_form(text, keep_lines=keep_lines)
    assert normal_form(once, keep_lines=keep_lines) == once


@pytest.mark.parametrize(
    ("text", "keep_lines", "expected"),
    [
        ("  two\r\nlines\t here ", False, "two lines here"),
        ("two \r\n\r\n\tlines\r", True, "two\n    lines"),
        ("e\u0301", False, "é"),
        (
            "soft\u00adhyphen zero\u200bwidth \ufeffmark nul\x00",
            False,
            "softhyphen zerowidth mark nul",
        ),
        ("lone \ud800 surrogate", False, "lone surrogate"),
        ("\u00a0 \t\n", False, ""),
        (" \n \n", True, ""),
    ],
)
def test_white_space_and_invisible_characters(text: str, keep_lines: bool, expected: str) -> None:
    assert normal_form(text, keep_lines=keep_lines) == expected


def test_the_example_of_the_docstring_holds() -> None:
    document = made(
        Block("CHAPTER I", role="heading", level=1, number="I", kind="chapter"),
        Block("It was a bright cold day."),
    )
    (section,) = document.sections
    assert document.text == "CHAPTER I\n\nIt was a bright cold day."
    assert (section.number, section.kind, section.start, section.body) == ("I", "chapter", 0, 11)
    assert document.text[section.body : section.end] == "It was a bright cold day."


def test_the_id_depends_on_title_and_text_alone() -> None:
    block = Block("Words.")
    first = assemble([block], title="T", kind="book", source="a", sha256="0", author="A")
    other = assemble([block], title=" T ", kind="paper", source="b", sha256="1", year=1887)
    assert first.id == other.id
    assert first.id != made(Block("Words!")).id
    assert first.id != made(block, title="U").id


def test_a_heading_is_read_on_one_line_and_children_are_one_level_down() -> None:
    headings = [("One", 1), ("One A", 2), ("deep", 3), ("One B", 2), ("Two", 1)]
    document = made(*(Block(t, role="heading", level=n, title=t) for t, n in headings))
    one = document.sections[0]
    assert document.heading(one) == "One"
    assert [s.title for s in document.children(one)] == ["One A", "One B"]


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Abstract", "abstract"),
        ("EXTENDED ABSTRACT", "abstract"),
        ("Conclusion", "conclusion"),
        ("Conclusions and Future Work", "conclusion"),
        ("Discussion and Conclusions", "conclusion"),
        ("Concluding remarks.", "conclusion"),
        ("References", "references"),
        ("Literature Cited", "references"),
        ("Appendix A: Proofs", "appendix"),
        ("Table of Contents", "front"),
        ("Acknowledgements", "back"),
        ("Acknowledgments", "back"),
        ("Abstract algebra", "section"),
        ("Indexing", "section"),
        ("Related work", "section"),
        ("", "section"),
    ],
)
def test_a_title_announces_its_kind(title: str, kind: str) -> None:
    assert section_kind(title) == kind


def test_the_first_section_of_a_kind_is_found() -> None:
    titles = ["Introduction", "Abstract", "Abstract"]
    document = made(*(Block(t, role="heading", title=t) for t in titles))
    assert document.section_of("abstract") is document.sections[1]
    assert document.section_of("references") is None


@given(st.text(alphabet="ab \n\t", max_size=12), st.integers(0, 12), st.integers(0, 12))
def test_a_clipped_span_has_no_white_space_at_its_ends(text: str, a: int, b: int) -> None:
    span = Span(start=min(a, b, len(text)), end=min(max(a, b), len(text)))
    clipped = span.clipped(text)
    assert text[clipped.start : clipped.end] == text[span.start : span.end].strip()
    assert span.start <= clipped.start <= clipped.end
