"""longqa.llm.wording: the document first, its bytes the same in every call."""

from __future__ import annotations

import json

import pytest
from longqa_documents import paper, story

from longqa.llm import wording
from longqa.llm.forms import Attempted, Compared, Judged, Looked, Written
from longqa.llm.pairs import join
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.records import Material


def whole(document=None) -> Material:
    document = document or story()
    return Material(document=document, ctx=4096, start=0, end=len(document.text))


def test_the_shared_part_holds_the_text_and_nothing_of_a_question() -> None:
    material = whole()
    shared = wording.shared(material)
    assert material.context in shared and "The Firth" in shared
    assert shared.index("<text>") < shared.index(material.context) < shared.index("</text>")
    assert shared == wording.shared(whole())
    part = Material(document=story(), ctx=512, start=0, end=300)
    assert "a part of the book" in wording.shared(part)
    assert "a part of" not in shared.split("<text>")[0]


def test_two_papers_are_called_by_both_titles() -> None:
    joined, _ = join(paper(), story())
    said = wording.work_of(whole(joined))
    assert said.startswith("the two papers “") and "” and “" in said


@pytest.mark.parametrize("name", MODEL_KINDS)
def test_every_kind_says_how_many_what_and_in_which_form(name: str) -> None:
    kind = MODEL_KINDS[name]
    asked = wording.write(name, places=("The stretch …", ""), asked=(), language="German")
    assert asked.startswith("Write 2 questions about this text")
    assert kind.task in asked and "in German" in asked
    assert str(kind.words[1]) in asked and str(kind.quotes[1] or "empty") in asked
    assert "1. The stretch …" in asked
    form = json.loads(asked[asked.rindex("Answer with JSON like this: ") + 28 :])
    assert Written.model_validate(form).items


def test_what_was_asked_before_is_named_only_then() -> None:
    before = wording.write("detail", places=("",), asked=("Who rowed?",), language=None)
    assert "- Who rowed?" in before
    fresh = wording.write("detail", places=("",), asked=(), language=None)
    assert "Ask nothing" not in fresh and "Where to look" not in fresh
    assert "in the language of the text" in fresh


@pytest.mark.parametrize(
    ("asked", "form"),
    [
        (wording.look("Q?"), Looked),
        (wording.closed_book("Q?", whole()), Attempted),
        (wording.passage("Q?", whole(), "one passage"), Attempted),
        (wording.compare("Q?", "A", "B"), Compared),
        (wording.judge("Q?", "A", ["q1", "q2"]), Judged),
    ],
)
def test_every_form_is_shown_as_it_is_read(asked: str, form: type) -> None:
    shape = json.loads(asked[asked.rindex("Answer with JSON like this: ") + 28 :])
    assert set(form.model_validate(shape).model_dump()) == set(form.model_fields)
    assert "Q?" in asked


def test_a_closed_book_has_no_word_of_the_text() -> None:
    asked = wording.closed_book("Who rowed?", whole())
    assert "The Firth" in asked and "ferry" not in asked


def test_a_judge_is_given_no_field_for_text() -> None:
    kinds = {field.annotation for field in Judged.model_fields.values()}
    assert all("str" not in str(kind) for kind in kinds)


def test_the_hash_of_a_kind_changes_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    before = {name: wording.wording_sha(name) for name in MODEL_KINDS}
    assert len(set(before.values())) == len(MODEL_KINDS)
    changed = replace(MODEL_KINDS["motive"], task="Ask why.")
    monkeypatch.setitem(MODEL_KINDS, "motive", changed)
    wording.wording_sha.cache_clear()
    after = {name: wording.wording_sha(name) for name in MODEL_KINDS}
    assert {name for name in before if before[name] != after[name]} == {"motive"}
    wording.wording_sha.cache_clear()
