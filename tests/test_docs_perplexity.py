"""docs/perplexity.md says what the command does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from longeval import cli
from longeval.protocols import PROTOCOLS

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "perplexity.md").read_text("utf-8")
COMMANDS = re.findall(r"(?m)^(?:torchrun .+ -m )?(longeval perplexity .+)$", PAGE)
KNOWN: Any = typer.main.get_command(cli.app).commands["perplexity"]  # type: ignore[attr-defined]


def first_cells(head: str) -> list[str]:
    table = PAGE.split(f"\n| {head}", 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_on_the_page_can_be_given(line: str) -> None:
    _, command, *rest = shlex.split(line)
    with KNOWN.make_context(command, rest) as context:
        assert context.params["data"] and context.params["ctx"]


def test_the_table_of_options_has_all_of_them_and_their_defaults() -> None:
    shown = {name for cell in first_cells("option |") for name in re.findall(r"--[a-z-]+", cell)}
    options = {name for parameter in KNOWN.params for name in parameter.opts}
    assert shown == options
    named = set(re.findall(r"`(--[a-z][a-z-]+)", PAGE))
    elsewhere = {"--nproc-per-node", "--truncate"}  # of torchrun and of YaRN's script
    assert named - elsewhere <= options
    assert f"| `--stride` | {_default('stride')} |" in PAGE
    assert f"| `--protocol` | `{_default('protocol')}` |" in PAGE


def test_the_tables_have_every_protocol_and_number() -> None:
    assert [cell.strip("`") for cell in first_cells("`--protocol` |")] == list(PROTOCOLS)
    source = Path(__file__).resolve().parents[1] / "eval" / "longeval" / "perplexity_result.py"
    code = source.read_text("utf-8")
    made = set(re.findall(r'number\("(\w+)"', code)) | set(re.findall(r"\{prefix\}(\w+)", code))
    shown = {name for cell in first_cells("name |") for name in re.findall(r"`(\w+)`", cell)}
    assert shown == made


def _default(name: str) -> Any:
    (found,) = (parameter.default for parameter in KNOWN.params if parameter.name == name)
    return found
