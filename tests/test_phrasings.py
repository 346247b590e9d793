"""longqa.phrasings: the wording of questions and answers."""

from __future__ import annotations

import random
import string

import pytest

from longqa.phrasings import PHRASINGS, ask, wording_sha
from longqa.questions import KINDS

FIELDS = {
    key: {name for _, name, _, _ in string.Formatter().parse(wordings[0]) if name}
    for key, wordings in PHRASINGS.items()
}
ALL = [(key, wording) for key, wordings in PHRASINGS.items() for wording in wordings]


@pytest.mark.parametrize(("key", "wording"), ALL)
def test_a_wording_is_a_clean_sentence_with_the_fields_of_its_key(key: str, wording: str) -> None:
    fields = {name for _, name, _, _ in string.Formatter().parse(wording) if name}
    assert fields == FIELDS[key]
    assert wording == wording.strip() and "  " not in wording
    assert wording[0].isupper() or wording[0] in "“{"
    assert wording[-1] in ".?”"
    assert wording.count("“") == wording.count("”")
    assert '"' not in wording


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_several_wordings(kind: str) -> None:
    wordings = [w for key, w in ALL if key.split(".")[0] == kind]
    assert len(set(wordings)) == len(wordings) >= 2


def test_a_question_is_filled_in_and_follows_the_seed() -> None:
    asked = [ask("speaker", random.Random(seed), quote="Non {sense}") for seed in range(30)]
    assert all("“Non {sense}”" in question for question in asked)
    assert len(set(asked)) == len(PHRASINGS["speaker"])
    assert asked == [ask("speaker", random.Random(s), quote="Non {sense}") for s in range(30)]


def test_a_missing_field_is_an_error() -> None:
    with pytest.raises(KeyError):
        ask("speaker", random.Random(0))


def test_the_hash_of_a_wording_changes_with_that_wording_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {kind: wording_sha(kind) for kind in KINDS}
    assert len(set(before.values())) == len(KINDS)
    monkeypatch.setitem(PHRASINGS, "place.section", ("In which section is “{sentence}”?",))
    after = {kind: wording_sha(kind) for kind in KINDS}
    assert {kind for kind in KINDS if before[kind] != after[kind]} == {"place"}
