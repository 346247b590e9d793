"""Tables: each number in its cell, runs told apart, text that cannot break its format."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from longeval_runs import (
    all_runs,
    lines_run,
    passkey_run,
    perplexity_run,
    qa_run,
    result,
    topics_run,
)

from longeval.report import table_text
from longeval.results import load
from longeval.table_cells import Cell, Row, Table
from longeval.table_text import as_csv, as_text
from longeval.tables import labels_of, tables_of


def of(path: Path, title: str, *, beside: str | None = None) -> Table:
    (found,) = [t for t in tables_of(load(path), beside=beside) if t.title.startswith(title)]
    return found


def test_perplexities_are_by_context_with_the_papers_rows_beneath(tmp_path: Path) -> None:
    table = of(perplexity_run(tmp_path / "ppl"), "Perplexity")
    assert table.heads == ("model", "protocol")
    assert table.columns[:3] == ("2,048", "4,096", "8,192") and table.columns[-1] == "100,000"
    ours, *theirs = table.rows
    assert ours.heads == ("ours", "longlora") and not ours.source
    assert ours.cells["4,096"].value == 7.9 and ours.cells["4,096"].interval == "[7.66, 8.14]"
    assert len(theirs) == 17 and theirs[0].source == "Table 14"
    assert theirs[0].cells["8,192"].value == 6.98


def test_estimates_are_never_shown_as_the_number(tmp_path: Path) -> None:
    table = of(perplexity_run(tmp_path / "ppl", prefix="estimated_"), "Perplexity")
    assert table.rows[0].cells["2,048"].said == "≈ 8.40"
    assert any("not the number" in note for note in table.notes)


def test_other_data_has_its_own_table_and_the_papers_rows_are_called_other(tmp_path: Path) -> None:
    paths = [
        perplexity_run(tmp_path / "a"),
        perplexity_run(tmp_path / "b", data="my books"),
        perplexity_run(tmp_path / "c", data="proof-pile"),
    ]
    found = [t for t in tables_of(load(*paths)) if t.title.startswith("Perplexity")]
    assert [table.title for table in found] == [
        "Perplexity: pg19",
        "Perplexity: my books",
        "Perplexity: proof-pile",
    ]
    said = [" ".join(table.notes) for table in found]
    assert ["Other data" in words for words in said] == [False, True, False]
    assert found[2].rows[-1].source == "Table 4"
    assert len(of(paths[1], "Perplexity", beside="none").rows) == 1
    assert of(paths[1], "Perplexity", beside="proof-pile").rows[-1].source == "Table 4"


def test_topics_are_by_number_of_topics_as_in_the_paper(tmp_path: Path) -> None:
    table = of(topics_run(tmp_path / "topics"), "Topic accuracy")
    assert table.columns == tuple(f"{count} topics" for count in (5, 10, 15, 20, 25))
    nearest = table.rows[0]
    assert nearest.heads == ("ours", "first", "nearest")
    assert nearest.cells["25 topics"].said == "0.94"
    assert nearest.cells["25 topics"].interval == "[0.84, 0.98]"
    glm = next(row for row in table.rows if row.heads[0].startswith("ChatGLM2"))
    assert [cell.value for cell in glm.cells.values()] == [0.88, 0.46, 0.02, 0.02, 0.02]


def test_lines_and_passkeys_are_by_length_and_leave_depths_to_the_picture(tmp_path: Path) -> None:
    lines = of(lines_run(tmp_path / "lines"), "Line accuracy")
    assert lines.columns == ("200 lines", "400 lines", "680 lines")
    assert lines.rows[0].cells["400 lines"].value == 0.8
    keys = of(passkey_run(tmp_path / "passkey"), "Passkeys")
    assert keys.columns == ("2,048", "4,096", "8,192", "16,384", "24,576", "32,768")
    assert len(keys.rows) == 1  # no length of the paper's is one of these


def test_answers_have_a_row_for_each_part_and_each_kind(tmp_path: Path) -> None:
    path = qa_run(tmp_path / "qa")
    parts = of(path, "Answers:")
    assert [row.heads[1] for row in parts.rows] == ["with the text", "without the text", "gap"]
    gap = parts.rows[2].cells["f1"].value
    assert gap == pytest.approx(parts.rows[0].cells["f1"].value - parts.rows[1].cells["f1"].value)
    kinds = of(path, "Answers by kind")
    assert [row.heads[1] for row in kinds.rows] == ["order", "list_all", "speaker"]


def test_runs_of_one_model_are_told_apart_only_where_they_must_be(tmp_path: Path) -> None:
    first = perplexity_run(tmp_path / "one")
    second = perplexity_run(tmp_path / "two", at={2048: 9.0})
    other = topics_run(tmp_path / "three")
    assert set(labels_of(load(first, other)).values()) == {"ours"}
    assert labels_of(load(first, second)) == {"one": "ours (one)", "two": "ours (two)"}
    table = next(iter(tables_of(load(first, second))))
    assert [row.heads[0] for row in table.rows[:2]] == ["ours (one)", "ours (two)"]
    assert [row.cells["2,048"].value for row in table.rows[:2]] == [8.4, 9.0]


def test_models_of_one_name_and_other_weights_are_told_apart(tmp_path: Path) -> None:
    first = perplexity_run(tmp_path / "one")
    second = result(
        tmp_path / "two", kind="lines", model="ours", data="x", numbers=[], fingerprint="others"
    )
    assert labels_of(load(first, second)) == {"one": "ours (one)", "two": "ours (two)"}


def test_a_run_without_a_number_has_no_table(tmp_path: Path) -> None:
    path = result(tmp_path / "x", kind="harness", model="m", data="d", numbers=[])
    assert tables_of(load(path)) == []


def test_tasks_of_lm_eval_are_rows(tmp_path: Path) -> None:
    numbers = [
        {"name": "acc", "task": "hellaswag", "value": 0.5, "interval": [0.4, 0.6], "n": 100},
        {"name": "acc_norm", "task": "hellaswag", "value": 0.6, "interval": None, "n": 100},
        {"name": "acc", "task": "arc", "value": 0.3, "interval": None, "n": 10},
    ]
    table = of(result(tmp_path / "x", kind="harness", model="m", data="d", numbers=numbers), "lm-")
    assert [row.heads for row in table.rows] == [("hellaswag", "m"), ("arc", "m")]
    assert table.columns == ("acc", "acc norm") and "acc norm" not in table.rows[1].cells


def test_markdown_escapes_what_would_be_a_column_or_a_tag(tmp_path: Path) -> None:
    path = perplexity_run(tmp_path / "ppl", model="a|b <i>*x*\n[c]")
    text = as_text([of(path, "Perplexity")], "md")
    line = next(line for line in text.splitlines() if "longlora |" in line)
    assert line.startswith("| a\\|b \\<i\\>\\*x\\* \\[c\\] | longlora | 8.40 [8.15, 8.65] |")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {10}
    assert "*Llama2 7B, 32k, S²-Attn, LoRA+ (Table 14)*" in text


def test_latex_escapes_and_has_as_many_cells_as_columns(tmp_path: Path) -> None:
    path = perplexity_run(tmp_path / "ppl", model=r"a_b & 50% \input{/etc/passwd} $x^2~")
    text = as_text([of(path, "Perplexity")], "latex")
    assert r"a\_b \& 50\% \textbackslash{}input\{/etc/passwd\} \$x\textasciicircum{}2" in text
    assert r"\begin{tabular}{llrrrrrrr}" in text and text.count(r"\midrule") == 2
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in lines} == {8} and len(lines) == 19


def test_latex_has_no_sign_that_its_engine_may_not_know(tmp_path: Path) -> None:
    text = table_text(all_runs(tmp_path), "latex")
    assert "second $-$ first" in text and r"S\textsuperscript{2}-Attn" in text
    assert text.isascii(), {sign for sign in text if not sign.isascii()}


def test_csv_has_one_line_for_each_cell_at_full_precision(tmp_path: Path) -> None:
    path = perplexity_run(tmp_path / "ppl", model="=cmd()", at={2048: 8.123456789})
    rows = list(csv.DictReader(io.StringIO(as_csv([of(path, "Perplexity")]))))
    assert rows[0]["row"] == "'=cmd() / longlora" and rows[0]["column"] == "2048"
    assert float(rows[0]["value"]) == 8.123456789 and rows[0]["source"] == ""
    assert rows[1]["source"] == "Table 14" and rows[1]["low"] == ""


def test_small_chances_are_not_called_zero_and_large_numbers_have_no_digits_to_spare() -> None:
    assert Cell(value=1e-9, digits=3, is_p=True).said == "< 0.001"
    assert Cell(value=0.04, digits=3, is_p=True).said == "0.040"
    assert Cell(value=12_345.678, digits=4).said == "12,346"
    assert Cell(value=1.0, low=0.9).interval == ""


def test_a_cell_that_is_missing_is_empty() -> None:
    table = Table(
        title="t",
        kind="x",
        heads=("model",),
        columns=("a", "b"),
        rows=(Row(heads=("m",), cells={"b": Cell(value=1)}),),
    )
    assert "| m |  | 1.00 |" in as_text([table], "md")
    assert r"m & -- & 1.00 \\" in as_text([table], "latex")


def test_all_kinds_together_are_tables_in_their_order(tmp_path: Path) -> None:
    kinds = [table.kind for table in tables_of(load(*all_runs(tmp_path)))]
    assert list(dict.fromkeys(kinds)) == ["perplexity", "topics", "lines", "passkey", "qa"]
