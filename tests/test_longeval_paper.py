"""Published numbers are those of the paper, with their source; other data is called other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from longdata.errors import UserError
from longeval.paper import NAMES, behind, caution, drawn, is_same, published

FACTS = Path(__file__).resolve().parents[2] / "shared" / "research" / "paper_tables.json"


def values(name: str, table: str) -> list[tuple[str, int | None, tuple[tuple[int, float], ...]]]:
    return [
        (curve.model, curve.trained_ctx, curve.points)
        for curve in published(name).curves
        if curve.table == table
    ]


@pytest.mark.parametrize("name", NAMES)
def test_each_file_names_its_source_and_has_lengths_in_order(name: str) -> None:
    found = published(name)
    assert "LongLoRA" in found.source and "2309.12307" in found.source and found.measured
    for curve in found.curves:
        lengths = [ctx for ctx, _ in curve.points]
        assert lengths == sorted(set(lengths)) and curve.table.startswith(("Table ", "Figure "))
        assert all(
            0 <= value <= (10 if found.kind == "perplexity" else 1) for _, value in curve.points
        )


def test_labels_tell_the_curves_of_a_file_apart() -> None:
    for name in NAMES:
        labels = [(curve.label, curve.table) for curve in published(name).curves]
        assert len(set(labels)) == len(labels)
    assert published("pg19").curves[6].label == "Llama2 7B, 32k, S²-Attn, LoRA+"
    assert published("topics").curves[-1].label == "LongLoRA 13B, 18k"


def test_numbers_that_everybody_quotes() -> None:
    by_label = {curve.label: dict(curve.points) for curve in published("pg19").curves}
    assert by_label["Llama2 7B, 32k, S²-Attn, LoRA+"][4096] == 7.83
    assert by_label["Llama2 7B, 100k, longest on 8 GPUs"][100_000] == 7.04
    pile = {curve.label: dict(curve.points) for curve in published("proof-pile").curves}
    assert pile["Llama2 7B, 32k, S²-Attn, LoRA+"][32_768] == 2.5
    keys = {curve.label: dict(curve.points) for curve in published("passkey").curves}
    assert keys["LongLoRA 7B, 32k"][33_000] == 0.8 and keys["LongLoRA 7B, 32k"][34_000] == 0


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("pg19", {"Table 14": "v3-T14", "Table 15": "v3-T15"}),
        ("proof-pile", {"Table 3": "v3-T3", "Table 4": "v3-T4"}),
    ],
)
def test_every_cell_of_the_tables_is_there(name: str, tables: dict[str, str]) -> None:
    if not FACTS.is_file():
        pytest.skip("no transcription of the paper beside the checkout")
    known = {table["id"]: table for table in json.loads(FACTS.read_text("utf-8"))["tables"]}
    for table, id in tables.items():
        columns, rows = known[id]["columns"], known[id]["rows"]
        head = columns.index("2048")
        assert values(name, table) == [
            (
                f"Llama2 {row[0]}",
                row[1],
                tuple(
                    (int(column), value)
                    for column, value in zip(columns[head:], row[head:], strict=True)
                    if value is not None
                ),
            )
            for row in rows
        ]


def test_what_stands_behind_a_run_is_of_its_kind_and_said_to_be_other_data() -> None:
    pg19, pile = published("pg19"), published("proof-pile")
    assert behind("perplexity", "pg19 test") == pg19 == behind("perplexity", "my books")
    assert behind("perplexity", "proof_pile") == pile and behind("topics", "x") is not None
    assert behind("lines", "longchat lines") is None and behind("qa", "x") is None
    assert is_same(pg19, "pg19") and not is_same(pg19, "my books")
    topics = published("topics")
    assert is_same(topics, "longchat topics")
    assert not is_same(topics, "longchat topics, made cases")
    assert "Other data than my books" in caution(pg19, "my books")
    assert "Other data" not in caution(pile, "proof-pile")


def test_few_perplexities_are_drawn_and_all_of_the_rest() -> None:
    assert len(drawn(published("pg19"))) == 5 and len(published("pg19").curves) == 17
    assert len(drawn(published("topics"))) == 5


def test_a_name_that_is_not_there_is_one_line() -> None:
    with pytest.raises(UserError, match=r"allowed: pg19, proof-pile"):
        published("../../etc/passwd")
