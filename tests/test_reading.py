"""longqa.reading: paragraphs, sentences and sections of a document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from longqa_documents import paper

from longdata.documents import Block, assemble
from longqa.reading import Reading, is_balanced


def reading_of(*paragraphs: str) -> Reading:
    blocks = [Block(p) for p in paragraphs]
    return Reading(assemble(blocks, title="T", kind="book", source="t", sha256="0"))


def sentences(reading: Reading) -> list[str]:
    return [reading.text(s) for s in reading.sentences]


def test_a_speaker_is_not_cut_from_the_line_before_the_quotation_mark() -> None:
    found = sentences(reading_of("“Poor Ogilvy!” I said. “To think he may be lying dead there!”"))
    assert found[0] == "“Poor Ogilvy!” I said."


def test_titles_and_initials_do_not_end_a_sentence() -> None:
    found = sentences(
        reading_of("Mr. Hall saw Dr. J. Kemp on the stairs. Kemp said nothing at all.")
    )
    assert found == ["Mr. Hall saw Dr. J. Kemp on the stairs.", "Kemp said nothing at all."]


def test_no_sentence_reaches_over_a_paragraph_border() -> None:
    found = sentences(reading_of("A line without a full stop", "Another paragraph begins here."))
    assert found == ["A line without a full stop", "Another paragraph begins here."]


def test_headings_captions_and_references_are_no_paragraphs() -> None:
    reading = Reading(paper())
    texts = [reading.text(p) for p in reading.paragraphs]
    assert not any(t.startswith(("1 Intro", "Figure 1:", "[1] E. Hu", "Abstract")) for t in texts)
    assert any(t.startswith("We study how readers") for t in texts)


def test_a_window_holds_only_what_lies_wholly_inside() -> None:
    reading = reading_of("One is the first sentence. Two is the second. Three is the third.")
    second = reading.sentences[1]
    assert list(reading.within(second.start, second.end)) == [second]
    assert list(reading.within(second.start, second.end - 1)) == []
    assert list(reading.within(second.start + 1, second.end)) == []


def test_a_spoken_sentence_without_its_marks_is_not_plain() -> None:
    reading = reading_of(
        "“The harbour is closed to every one of us tonight. The ferry will not cross the water "
        "before the morning comes,” he said. The keeper went slowly up the stairs to his lamp."
    )
    plain = {reading.text(s) for s in reading.plain}
    assert plain == {"The keeper went slowly up the stairs to his lamp."}


@pytest.mark.parametrize(
    "text",
    [
        "Biophysics Program, Stanford University, Stanford, CA 1.17.",
        "They could be found after a change in R. One of the figures, however, could not be found.",
        "The products become sums. which are much more efficient to compute on any machine.",
    ],
)
def test_addresses_and_sentences_run_together_are_not_complete(text: str) -> None:
    reading = reading_of(text)
    assert not any(
        reading.is_complete(s) and s.end - s.start == len(text) for s in reading.sentences
    )


def test_a_spoken_sentence_is_complete() -> None:
    reading = reading_of("“There is nobody here,” said Mr. J. Holmes, “but you and I.”")
    assert reading.is_complete(reading.sentences[0])


@pytest.mark.parametrize("text", ["“open", "(open", '"open', "closed)"])
def test_open_quotations_and_brackets_are_unbalanced(text: str) -> None:
    assert not is_balanced(text)


def test_other_forms_of_a_name_are_found() -> None:
    reading = reading_of("KEMP met Kemp and the Kemps of Kempshire in London yesterday morning.")
    assert sorted(reading.other_forms("Kemp")) == ["KEMP", "Kemps", "Kempshire"]


@given(st.lists(st.text(alphabet="Ab .!?“”\"'’é\U0001f600", min_size=1), min_size=1, max_size=6))
def test_sentences_tile_their_paragraphs_in_order(paragraphs: list[str]) -> None:
    reading = reading_of(*paragraphs)
    text = reading.document.text
    at = 0
    for sentence in reading.sentences:
        paragraph = reading.paragraphs[sentence.paragraph]
        assert paragraph.start <= sentence.start < sentence.end <= paragraph.end
        assert sentence.start >= at and text[at : sentence.start].strip() == ""
        assert reading.text(sentence) == reading.text(sentence).strip()
        at = sentence.end
    assert text[at:].strip() == ""
