"""longqa.records: contexts with parts cut out, and where evidence lands in them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.documents import Block, Document, Span, assemble
from longqa.records import Cut, Evidence, Example, Generator, Material, SourceRecord

TEXT = "".join(f"[{i:03}]" for i in range(40))


def document(text: str = TEXT) -> Document:
    return assemble([Block(text)], title="T", kind="other", source="t", sha256="0")


@st.composite
def materials(draw: st.DrawFn) -> Material:
    """A window of the text with random cuts in order, some with words in their place."""
    start, end = sorted(draw(st.lists(st.integers(0, len(TEXT)), min_size=2, max_size=2)))
    borders = sorted(draw(st.lists(st.integers(start, end), max_size=8)))
    cuts = tuple(
        Cut(start=a, end=b, replacement=draw(st.sampled_from(["", "", "<x>", "[Section 1]\n\n"])))
        for a, b in zip(borders[::2], borders[1::2], strict=False)
        if a < b
    )
    return Material(document=document(), ctx=256, start=start, end=end, cuts=cuts)


def by_definition(material: Material) -> str:
    """The context, made by replacing the cuts from the last to the first."""
    text = TEXT[: material.end]
    for cut in reversed(material.cuts):
        text = text[: cut.start] + cut.replacement + text[cut.end :]
    return text[material.start :]


@given(materials())
def test_the_context_is_the_window_without_its_cuts(material: Material) -> None:
    assert material.context == by_definition(material)


@given(materials(), st.integers(0, len(TEXT)), st.integers(0, len(TEXT)))
def test_a_span_is_found_again_in_the_context_or_was_cut(
    material: Material, a: int, b: int
) -> None:
    span = Span(start=min(a, b), end=max(a, b))
    placed = material.place(span)
    outside = span.start < material.start or span.end > material.end
    touched = any(
        cut.start < span.end and span.start < cut.end for cut in material.cuts
    )  # shares a character with a cut
    if outside or (touched and a != b):
        assert placed is None
    elif a != b:
        assert placed is not None
        assert material.context[placed.start : placed.end] == TEXT[span.start : span.end]


@given(materials())
def test_places_keep_the_order_of_the_text(material: Material) -> None:
    placed = [material.place(Span(start=i, end=i + 1)) for i in range(len(TEXT))]
    starts = [span.start for span in placed if span is not None]
    assert starts == sorted(set(starts))


def test_a_material_is_whole_when_nothing_of_the_document_is_outside() -> None:
    whole = Material(document=document(), ctx=256, start=0, end=len(TEXT))
    assert whole.is_whole
    assert not Material(document=document(), ctx=256, start=1, end=len(TEXT)).is_whole
    assert not Material(document=document(), ctx=256, start=0, end=len(TEXT) - 1).is_whole


EXAMPLE = Example(
    document_id="d",
    question="Who?",
    answer="Tom.",
    context="Tom came.",
    ctx=256,
    context_tokens=3,
    row_tokens=50,
    question_kind="speaker",
    material_kind="book",
    is_whole=True,
    evidence=(Evidence(start=0, end=3, text="Tom", depth=0.1667),),
    sources=(
        SourceRecord(title="T", author=None, year=1887, license="CC0", url=None, sha256="0" * 64),
    ),
    generator=Generator(backend="extractive", model=None, prompt_sha="f" * 64),
    checks={"evidence_exact": True},
)


def test_a_row_holds_every_field_of_the_schema_as_plain_values() -> None:
    assert EXAMPLE.row() == {
        "id": EXAMPLE.id,
        "question": "Who?",
        "answer": "Tom.",
        "context": "Tom came.",
        "ctx": 256,
        "context_tokens": 3,
        "row_tokens": 50,
        "question_kind": "speaker",
        "material_kind": "book",
        "is_whole": True,
        "evidence": [{"start": 0, "end": 3, "text": "Tom", "depth": 0.1667}],
        "spread": 0.0,
        "sources": [
            {
                "title": "T",
                "author": None,
                "year": 1887,
                "license": "CC0",
                "url": None,
                "sha256": "0" * 64,
            }
        ],
        "generator": {"backend": "extractive", "model": None, "prompt_sha": "f" * 64},
        "checks": {"evidence_exact": True},
    }


@pytest.mark.parametrize("field", ["question", "answer", "context", "question_kind"])
def test_the_id_depends_on_what_the_row_says(field: str) -> None:
    changed = replace(EXAMPLE, **{field: "other"})  # type: ignore[arg-type]
    assert changed.id != EXAMPLE.id
    assert len(EXAMPLE.id) == 16 and int(EXAMPLE.id, 16) >= 0


@pytest.mark.parametrize(("field", "value"), [("ctx", 512), ("row_tokens", 51), ("checks", {})])
def test_the_id_depends_on_nothing_else(field: str, value: object) -> None:
    assert replace(EXAMPLE, **{field: value}).id == EXAMPLE.id  # type: ignore[arg-type]


def test_words_that_move_between_question_and_answer_change_the_id() -> None:
    one = replace(EXAMPLE, question="a b", answer="c")
    other = replace(EXAMPLE, question="a", answer="b c")
    assert one.id != other.id


def test_spread_is_the_distance_of_the_outermost_pieces_of_evidence() -> None:
    pieces = tuple(Evidence(start=0, end=1, text="T", depth=depth) for depth in (0.7, 0.2, 0.45))
    assert replace(EXAMPLE, evidence=pieces).spread == 0.5
    assert EXAMPLE.spread == replace(EXAMPLE, evidence=()).spread == 0
