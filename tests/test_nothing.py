"""longqa.nothing: one line for a build that no question came out of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from longdata.sources import Skip
from longqa.accounting import ReadDocument
from longqa.harvest import Harvest
from longqa.nothing import nothing
from longqa.work import WorkedDocument


def document(
    *, missing: Mapping[tuple[str, str], int] = {}, rejected: Mapping[tuple[str, str], int] = {}
) -> ReadDocument:
    accounts = {
        "requested": {"detail": 2},
        "missing": [[*key, count] for key, count in missing.items()],
        "rejected": [[*key, count] for key, count in rejected.items()],
        "dropped": {},
        "overlap": None,
    }
    said = WorkedDocument(
        units=Path("units"),
        file="unit.arrow",
        batch=0,
        id="0" * 16,
        title="The Firth",
        author=None,
        year=None,
        license=None,
        language=None,
        url=None,
        sha256="0" * 64,
        kind="book",
        tokens=100,
        counted_by="full",
        num_examples=0,
        accounts=json.dumps(accounts),
    )
    return ReadDocument(source="firth.txt", said=said)


def said(
    documents: list[ReadDocument],
    *,
    has_model: bool = True,
    skips: tuple[Skip, ...] = (),
    **harvest: Any,
) -> str:
    made = Harvest(
        documents=documents,
        skips=list(skips),
        repeated=[],
        units=set(),
        num_read=len(documents),
        num_worked=0,
        **harvest,
    )
    line = str(nothing(made, skips, has_model=has_model))
    assert "\n" not in line and "; allowed: " in line and "; fix: " in line
    return line


@pytest.mark.parametrize("has_model", [True, False])
def test_without_a_document_the_losses_are_named(has_model: bool) -> None:
    skips = (
        Skip("a.pdf", "damaged", ""),
        Skip("b.pdf", "damaged", ""),
        Skip("c.txt", "empty", ""),
        Skip("d.txt", "duplicate", "of c.txt"),  # no loss
    )
    line = said([], has_model=has_model, skips=skips)
    assert "no document that can be used (2 damaged, 1 empty)" in line
    assert "duplicate" not in line


def test_without_anything_at_all_that_is_said() -> None:
    assert "(none found)" in said([])


def test_with_a_model_the_checks_that_refused_most_are_named() -> None:
    rejected = {
        ("detail", "a quote is not in the text"): 5,
        ("motive", "a quote is not in the text"): 4,
        ("detail", "empty"): 3,
        ("detail", "too few quotes"): 2,
        ("detail", "the question is too long"): 1,
    }
    missing = {("detail", "every further candidate was refused by a check"): 4}
    line = said([document(rejected=rejected, missing=missing), document()])
    assert "2 documents and no question that passed every check: " in line
    assert "9 × a quote is not in the text, 3 × empty, 2 × too few quotes;" in line
    assert "too long" not in line and "every further candidate" not in line
    assert "choose a stronger model" in line and "longqa ledger DIR" in line


def test_where_no_candidate_came_the_reasons_for_what_is_missing_are_named() -> None:
    line = said(
        [document(missing={("detail", "not the JSON asked for"): 3, ("motive", "refused"): 1})],
        stopped="calls failed (3 not the JSON asked for)",
    )
    assert "3 × not the JSON asked for, 1 × refused; calls failed (3 not" in line


def test_where_nothing_was_asked_that_is_said() -> None:
    line = said([document()], stopped="the budget is spent")
    assert "nothing was asked; the budget is spent;" in line


def test_offline_it_is_the_length_of_the_documents() -> None:
    missing = {("order", "the document holds no stretch that fits the budget"): 4}
    line = said([document(missing=missing)], has_model=False)
    assert "1 documents that gave no question (the document holds no stretch" in line
    assert "lower --ctx" in line and "model" not in line
    assert "(too little text)" in said([document()], has_model=False)
