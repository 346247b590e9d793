"""The command `longqa export`: what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
import synthetic
import typer
from typer.testing import CliRunner

from longdata.errors import UserError
from longqa.cli_export import EXAMPLES, export, lines_of
from longqa.export import Exported

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(export)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    synthetic.write(tmp_path / "qa", synthetic.rows(4))
    return tmp_path / "qa"


def test_it_says_what_was_written_and_that_no_answer_is_cut(dataset: Path) -> None:
    found = CliRunner().invoke(app, [str(dataset), "--format", "longalpaca"])
    assert found.exit_code == 0
    lines = found.output.splitlines()
    path = dataset / "export" / "longalpaca-train.json"
    assert lines[0] == f"{path}: 12 rows, {path.stat().st_size / 1000:.0f} kB"
    assert lines[1] == "kinds: place 4, speaker 4, count 2, order 2"
    assert lines[2].startswith("rows fit: every row has at most row_tokens ")
    assert lines[2].endswith(" <= ctx 16,384")
    assert lines[3:] == [
        "a window of 8,192 tokens cuts no answer",
        "a window of 16,384 tokens cuts no answer",
    ]


def test_out_split_and_force_reach_the_export(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.parquet"
    arguments = [str(dataset), "--format", "trl", "--split", "test", "--out", str(out)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, UserError)
    assert CliRunner().invoke(app, [*arguments, "--force"]).exit_code == 0
    assert out.read_bytes()[:4] == b"PAR1"


def test_rows_that_are_cut_or_unclear_are_told() -> None:
    exported = Exported(path=Path("a.jsonl"), num_bytes=2_500_000, num_over=1, num_unclear=2)
    exported.by_kind.update({"order": 2, "short": 1})
    exported.row_tokens.update({300: 2, 600: 1})
    exported.ctx.update({256: 1, 512: 2})
    assert list(lines_of(exported)) == [
        "a.jsonl: 3 rows, 2.5 MB",
        "kinds: order 2, short 1",
        "rows do not fit: 1 row of more tokens than their ctx",
        "a window of 256 tokens cuts the answer of 3 rows",
        "a window of 512 tokens cuts the answer of 1 row",
        "2 rows cannot be taken apart again: the question or title holds strings of the format; "
        "what a model reads is whole",
    ]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_help_are_commands_that_run(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset.rename("my-dataset")
    assert CliRunner().invoke(app, example.split()[2:]).exit_code == 0
