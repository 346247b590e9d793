"""docs/engines.md says what the engines do."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import typer

from longdata import cli as longdata_cli
from longdata.engine_options import _OURS, SlurmOptions
from longdata.engines import Name
from longqa import cli as longqa_cli

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"(?m)^(?:longdata|longqa) .+$", PAGE)


def first_cells(heading: str) -> list[str]:
    """The first cell of each row of the first table below a heading."""
    table = PAGE.split(heading, 1)[1].split("|---", 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1].strip(" `") for line in table.splitlines()[1:]]


def test_the_table_of_engines_has_each_of_them() -> None:
    assert tuple(first_cells("# Engines")) == get_args(Name)


def test_the_table_of_our_options_of_slurm_has_each_and_they_are_allowed() -> None:
    examples = [shlex.split(cell)[0] for cell in first_cells("## Slurm")]
    named = dict(example.split("=", 1) for example in examples)
    assert tuple(named) == _OURS
    assert SlurmOptions.of(named).tasks_per_job == 8


def test_the_script_on_the_page_is_the_one_that_is_written() -> None:
    (script,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    assert script == (ROOT / "tests" / "golden" / "engine.slurm").read_text(encoding="utf-8")


def test_the_lines_after_a_submission_are_those_of_the_command() -> None:
    said = (ROOT / "data" / "longdata" / "cli_engine.py").read_text(encoding="utf-8")
    assert "They are in the queue: squeue -j " in PAGE and "They are in the queue: squeue" in said
    for words in ("When they have left it, run the same command again", "or what failed."):
        assert words in PAGE
        assert words.split()[-1] in said


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_on_the_page_has_its_options(line: str) -> None:
    program, command, *rest = shlex.split(line)
    app = {"longdata": longdata_cli.app, "longqa": longqa_cli.app}[program]
    known = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    with known.make_context(command, rest, resilient_parsing=True) as context:
        assert context.params["engine"] in get_args(Name)


def test_the_snippet_runs(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "squaring.py").write_text(snippet)
    subprocess.run([sys.executable, "squaring.py"], cwd=tmp_path, check=True, timeout=120)
    written = sorted(path.name for path in (tmp_path / "squares").glob("[0-9]"))
    assert written == [str(i) for i in range(8)]
    assert (tmp_path / "squares" / "7").read_text() == "49"
