"""longqa.llm.taxonomy: what must hold between the parts of every kind."""

from __future__ import annotations

import re

import pytest

from longqa.llm.taxonomy import ALL_KINDS, MODEL_KINDS
from longqa.questions import ALL, KINDS

NAMES = list(MODEL_KINDS)


def test_there_are_as_many_kinds_as_readers_deserve() -> None:
    assert len(MODEL_KINDS) >= 18
    for of in ("book", "paper", "other"):
        assert sum(of in kind.of for kind in MODEL_KINDS.values()) >= 8
    assert [name for name, kind in MODEL_KINDS.items() if kind.of == {"papers"}] == ["comparison"]
    assert not any("papers" in kind.of and kind.of != {"papers"} for kind in MODEL_KINDS.values())


@pytest.mark.parametrize("name", NAMES)
def test_its_name_is_a_word_for_a_file_and_an_option(name: str) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)


@pytest.mark.parametrize("name", NAMES)
def test_its_bounds_can_be_kept(name: str) -> None:
    kind = MODEL_KINDS[name]
    assert 1 <= kind.words[0] < kind.words[1] <= 1000
    assert 0 <= kind.quotes[0] <= kind.quotes[1] <= 12
    assert 0 <= kind.spread <= 0.5 and kind.most >= 1 and kind.weight >= 0
    if kind.spread:
        assert kind.quotes[0] >= 2  # one quote is not spread over anything
    if kind.needs_whole:
        assert kind.most == 1


@pytest.mark.parametrize("name", NAMES)
def test_its_task_reads_as_sentences_and_stands_in_no_other(name: str) -> None:
    task = MODEL_KINDS[name].task
    assert task.startswith("Ask ") and task.endswith(".")
    assert "  " not in task and "\n" not in task
    assert [other for other in NAMES if MODEL_KINDS[other].task in task] == [name]


def test_only_what_is_not_in_the_text_has_no_quotes() -> None:
    without = [name for name, kind in MODEL_KINDS.items() if kind.quotes == (0, 0)]
    assert without == ["unanswerable"]
    for name, kind in MODEL_KINDS.items():
        assert (kind.quotes[0] == 0) == (name == "unanswerable")
        assert (kind.basis == "not in the text") == (name == "unanswerable")
        assert (kind.weight == 0) == (name == "unanswerable")
        assert kind.closed_book == (name != "unanswerable")


def test_a_text_must_prove_that_two_places_are_needed() -> None:
    needing = [name for name, kind in MODEL_KINDS.items() if kind.one_passage_must_fail]
    assert needing == ["multi_hop"]
    assert MODEL_KINDS["multi_hop"].focus == "two stretches"
    assert MODEL_KINDS["multi_hop"].quotes[0] >= 2


def test_every_kind_of_a_dataset_is_known_once() -> None:
    assert set(ALL_KINDS) == set(KINDS) | set(MODEL_KINDS)
    assert set(KINDS) & set(MODEL_KINDS) <= {"unanswerable"}
    assert all(ALL_KINDS[name] is kind for name, kind in KINDS.items())


@pytest.mark.parametrize("name", NAMES)
def test_it_is_of_documents_that_there_are(name: str) -> None:
    assert MODEL_KINDS[name].of
    assert set(MODEL_KINDS[name].of) <= {*ALL, "papers"}
