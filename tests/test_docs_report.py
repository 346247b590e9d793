"""docs/report.md says what the command does; what it shows of Python runs."""

from __future__ import annotations

import csv
import io
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from longeval_runs import perplexity_run, topics_run

from longeval import cli
from longeval.cli_report import FORMATS
from longeval.paper import NAMES, published
from longeval.report import table_text
from longeval.report_page import HEADINGS

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "report.md").read_text("utf-8")
COMMANDS = re.findall(r"(?m)^longeval .+$", PAGE)
KNOWN: Any = typer.main.get_command(cli.app).commands["report"]  # type: ignore[attr-defined]


def first_cells(head: str) -> list[str]:
    table = PAGE.split(f"\n| {head} |", 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_on_the_page_can_be_given(line: str) -> None:
    _, command, *rest = shlex.split(line)
    assert command == "report"
    with KNOWN.make_context(command, rest) as context:
        assert context.params["runs"]


def test_the_tables_have_every_option_section_and_column(tmp_path: Path) -> None:
    options = {name for parameter in KNOWN.params for name in parameter.opts if name[0] == "-"}
    assert {cell.strip("`") for cell in first_cells("option")} == options
    named = set(re.findall(r"--[a-z-]+", PAGE.replace("|---", "")))
    assert named <= options
    assert first_cells("section") == [*HEADINGS.values(), "Comparison", "Settings"]
    text = table_text([perplexity_run(tmp_path / "ppl")], "csv")
    columns = [name for cell in first_cells("column") for name in re.findall(r"`(\w+)`", cell)]
    assert columns == next(csv.reader(io.StringIO(text)))
    for format in FORMATS:
        assert f"`{format}`" in PAGE


def test_every_published_table_is_named() -> None:
    for name in NAMES:
        for table in {curve.table for curve in published(name).curves}:
            kind, number = table.split()
            assert re.search(rf"{kind}s?(?: \d+ and)? {number}\b", PAGE), table


def test_the_python_on_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    perplexity_run(tmp_path / "ppl")
    topics_run(tmp_path / "topics")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/report.md", "exec"), {})
    assert (tmp_path / "report.html").is_file()
    assert r"\begin{table}" in capsys.readouterr().out
