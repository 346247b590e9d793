"""The numbers of a dataset agree with its rows, and are shown without trusting them."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path

import pytest
import synthetic
from rich.console import Console

from longdata.errors import UserError
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.overview import Lengths, about, document_key, gather, in_order, inspect_dataset, spark
from longqa.questions import KINDS


def printed(folder: Path) -> str:
    """What `longqa inspect` shows on a terminal of 120 columns."""
    out = StringIO()
    inspect_dataset(folder, Console(file=out, width=120))
    return out.getvalue()


def write_with_facts(folder: Path, num_documents: int = 8) -> None:
    rows = list(synthetic.rows(num_documents))
    synthetic.write(folder, rows)
    (folder / "build.json").write_text(json.dumps(synthetic.facts_of(rows)), encoding="utf-8")


def test_every_row_is_counted_once_in_every_division() -> None:
    found = gather(synthetic.rows(8))
    assert found.num_rows == 48
    divisions = (found.by_kind, found.by_material, found.by_ctx, found.by_split, found.by_license)
    for counts in (*divisions, found.by_kind_and_split):
        assert counts.total() == 48
    assert found.by_ctx == {8192: 24, 16384: 24}
    assert (len(found.documents), found.documents_of("train")) == (8, 4)
    assert sum(found.depth.bins) == pytest.approx(48)
    assert sum(found.spread.bins) == 16  # every third row has two passages
    assert found.unanswerable_share == found.by_kind["unanswerable"] / 48


def test_depth_counts_a_row_once_however_many_passages_it_has() -> None:
    text = "x" * 100
    made = synthetic.example(
        context=text, question="?", passages=[(0, 2), (30, 32), (98, 100), (99, 100)]
    )
    found = gather([{**made.row(), "split": "train"}])
    assert found.depth.bins == [0.25, 0, 0, 0.25, 0, 0, 0, 0, 0, 0.5]
    assert found.depth_by_kind["order"].bins == found.depth.bins
    assert found.spread.bins[9] == 1


def test_a_row_without_evidence_is_counted_as_such() -> None:
    made = synthetic.example(context="x", question="?", passages=[], kind="unanswerable")
    found = gather([{**made.row(), "split": "test"}])
    assert (found.num_without_evidence, sum(found.depth.bins)) == (1, 0)
    assert found.unanswerable_share == 1


def test_lengths_give_quantiles_and_buckets() -> None:
    lengths = Lengths()
    for value in (100, 1024, 1025, 5000, 200_000):
        lengths.add(value)
    assert (lengths.quantile(0.5), lengths.quantile(0.6), lengths.quantile(0.61)) == (
        1025,
        1025,
        5000,
    )
    assert lengths.largest == 200_000
    assert lengths.buckets() == [
        ("≤ 1,024", 2),
        ("≤ 2,048", 1),
        ("≤ 4,096", 0),
        ("≤ 8,192", 1),
        ("≤ 16,384", 0),
        ("≤ 32,768", 0),
        ("≤ 65,536", 0),
        ("≤ 131,072", 0),
        ("longer", 1),
    ]
    assert (Lengths().quantile(0.5), Lengths().mean, Lengths().buckets()) == (0, 0, [])


def test_bars_of_text_show_even_the_smallest_value() -> None:
    assert spark([0, 1, 400, 800]) == " ▁▄█"
    assert spark([0, 0]) == "  "


def test_inspect_shows_what_was_made_and_what_was_not(tmp_path: Path) -> None:
    write_with_facts(tmp_path)
    shown = printed(tmp_path)
    assert "48 examples from 8 documents" in shown
    for expected in ("validation", "unanswerable", "16,384", "CC0-1.0", "too few events"):
        assert expected in shown
    assert "1 damaged" in shown


def test_inspect_prints_licences_as_they_are_and_not_as_markup(tmp_path: Path) -> None:
    made = synthetic.example(
        context="x" * 50, question="?", passages=[(0, 5)], license="[red]mine[/red]"
    )
    rows = [{**made.row(), "split": "train"}]
    synthetic.write(tmp_path, rows)
    (tmp_path / "build.json").write_text(json.dumps(synthetic.facts_of(rows)), encoding="utf-8")
    assert "[red]mine[/red]" in printed(tmp_path)


def test_inspect_refuses_a_dataset_that_is_not_the_one_described(tmp_path: Path) -> None:
    write_with_facts(tmp_path)
    (tmp_path / "data" / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(UserError, match=r"counts 48 rows and data/ holds 36"):
        printed(tmp_path)
    with pytest.raises(UserError, match=r"no build\.json"):
        printed(tmp_path / "data")


def test_short_rows_are_counted_apart_and_dilute_nothing() -> None:
    alone = gather(synthetic.rows(8))
    found = gather([*synthetic.rows(8), *synthetic.short_rows(6)])
    assert (found.num_rows, found.num_long, found.num_short) == (54, 48, 6)
    assert (alone.num_short, alone.short_share, alone.short_sources) == (0, 0, {})
    for name in (
        "unanswerable_share",
        "row_tokens",
        "context_tokens",
        "answer_words",
        "depth",
        "depth_by_kind",
        "by_ctx",
        "documents",
        "num_without_evidence",
        "num_whole",
        "num_long",
    ):
        assert getattr(found, name) == getattr(alone, name), name
    assert found.by_kind == {**alone.by_kind, "short": 6}
    assert found.by_license == {"CC0-1.0": 48, "not stated": 6}
    assert found.short_share == 6 / 30
    assert found.short_tokens.mean == 22.5
    assert [source["title"] for source in found.short_sources.values()] == ["short.jsonl"]


def test_a_pair_of_papers_is_no_third_document() -> None:
    made = synthetic.example(
        context="x" * 99, question="?", passages=[(0, 5)], title="On Groups", license="CC-BY-4.0"
    )
    pairs = synthetic.pair_rows()
    found = gather([{**made.row(), "split": "train"}, *pairs])
    keys = [document_key(source["title"], source["sha256"]) for source in pairs[0]["sources"]]
    assert list(found.documents) == keys
    assert found.by_pair == dict.fromkeys(keys, 2)
    assert found.by_license == {"CC-BY-4.0": 3, "CC0-1.0": 2}
    same = synthetic.pair_rows(second=synthetic.paper("On Rivers", license="CC-BY-4.0"))
    assert gather(same).by_license == {"CC-BY-4.0": 2}  # of two rows, not of four sources
    assert found.passed == {"evidence_exact": 2, "closed_book_failed": 2}


def test_kinds_are_listed_as_the_taxonomy_has_them_and_short_ones_last() -> None:
    kinds = ["short", "zebra", "comparison", "unanswerable", "multi_hop", "order", "anything"]
    assert in_order(kinds) == [
        "order",
        "unanswerable",
        "multi_hop",
        "comparison",
        "anything",
        "zebra",
        "short",
    ]


def test_what_is_said_of_a_kind_is_what_its_generator_does() -> None:
    assert about("unanswerable", has_model=False)[0] == KINDS["unanswerable"].asks
    assert about("unanswerable", has_model=True)[0] == MODEL_KINDS["unanswerable"].asks
    assert about("order", has_model=True)[0] == KINDS["order"].asks
    assert about("short", has_model=False)[1] == "mixed in"
    assert about("zebra", has_model=True) == ("", "")


def test_inspect_shows_short_rows_on_lines_of_their_own(tmp_path: Path) -> None:
    rows = [*synthetic.rows(8), *synthetic.pair_rows(), *synthetic.short_rows(6)]
    synthetic.write(tmp_path, rows)
    (tmp_path / "build.json").write_text(json.dumps(synthetic.facts_of(rows)), encoding="utf-8")
    lines = [" ".join(line.split()) for line in printed(tmp_path).splitlines()]
    assert lines[0].startswith("50 examples from 10 documents; ")
    assert lines[1] == "6 short instructions mixed in, 18.8 % of train; 22 tokens a row on average"
    kinds = [
        line.split()[0] for line in lines if "written by a model" in line or "mixed in" in line
    ]
    assert kinds == ["6", "comparison", "short"]
    assert any(re.match(r"all 52 50 100 %", line) for line in lines)
    assert "short mixed in 6 6" in lines
    assert any(line.startswith("train 6 32") for line in lines)
