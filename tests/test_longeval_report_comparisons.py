"""Pairs of runs: which are compared, by which test, and why others are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from longeval_runs import all_runs, perplexity_run, topics_run

from longeval.report_comparisons import Comparisons, comparisons
from longeval.results import load


def of(*paths: Path) -> Comparisons:
    return comparisons(list(paths), load(*paths))


def test_every_evaluation_of_two_models_is_compared(tmp_path: Path) -> None:
    found = of(*all_runs(tmp_path))
    kinds = ["perplexity", "topics", "lines", "passkey", "qa"]
    assert [table.title for table in found.tables] == [f"ours and theirs: {kind}" for kind in kinds]
    assert found.left_out == ()


def test_answers_are_tested_by_mcnemar_on_the_cases_that_differ(tmp_path: Path) -> None:
    first = topics_run(tmp_path / "a", right=(50, 50, 50, 50, 45))
    second = topics_run(tmp_path / "b", model="theirs", right=(50, 50, 50, 50, 40))
    (table,) = of(first, second).tables
    row = table.rows[4]
    assert row.heads == ("topics 25 asked first", "right", "McNemar")
    shown = {column: cell.value for column, cell in row.cells.items()}
    assert shown["first"] == 0.9 and shown["second"] == 0.8
    assert shown["only first"] == 5 and shown["only second"] == 0
    assert shown["p"] == pytest.approx(2 / 2**5) and shown["p (Holm)"] == pytest.approx(10 / 2**5)


def test_losses_are_paired_so_that_hard_texts_do_not_hide_a_difference(tmp_path: Path) -> None:
    first = perplexity_run(tmp_path / "a", at={1024: 8.0})
    second = perplexity_run(tmp_path / "b", model="theirs", at={1024: 8.2}, seed=1)
    (table,) = of(first, second).tables
    (row,) = table.rows
    assert row.heads == ("longlora", "1,024")
    apart = row.cells["second − first"]
    assert apart.value == pytest.approx(0.0247, abs=0.006)  # log 8.2 - log 8.0
    assert apart.low is not None and apart.low > 0 and row.cells["p"].value < 1e-3
    assert row.cells["n"].value == 20  # blocks of two windows, not forty windows


def test_a_model_against_itself_differs_by_nothing(tmp_path: Path) -> None:
    first = perplexity_run(tmp_path / "a")
    second = perplexity_run(tmp_path / "b")
    (table,) = of(first, second).tables
    for row in table.rows:
        assert row.cells["second − first"].value == 0 and row.cells["p"].value == 1


def test_pairs_that_have_nothing_in_common_are_named_with_the_reason(tmp_path: Path) -> None:
    first = perplexity_run(tmp_path / "a", at={1024: 8.0})
    second = perplexity_run(tmp_path / "b", model="theirs", at={2048: 8.0})
    found = of(first, second)
    assert not found.tables and "no window in common" in found.left_out[0]
    assert found.left_out[0].startswith("ours and theirs, perplexity: ")


@pytest.mark.parametrize(
    ("change", "why"),
    [({"tokens": "other tokens"}, "read other tokens"), ({"scored": 2}, "no window in common")],
)
def test_losses_of_other_tokens_are_not_compared(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    first = perplexity_run(tmp_path / "a")
    second = perplexity_run(tmp_path / "b", model="theirs", **change)
    found = of(first, second)
    assert not found.tables and why in found.left_out[0]


def test_runs_on_other_data_or_of_other_kinds_are_no_pair(tmp_path: Path) -> None:
    found = of(
        perplexity_run(tmp_path / "a"),
        perplexity_run(tmp_path / "b", data="other"),
        topics_run(tmp_path / "c"),
    )
    assert found.tables == () and found.left_out == ()
