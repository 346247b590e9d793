"""docs/merge.md says what the commands take and which checkpoints are known."""

from __future__ import annotations

import math
import re
import shlex
from pathlib import Path

import typer

from longtune.cli import app
from longtune.longlora_checkpoint import PUBLISHED

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "merge.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    lines = PAGE.split(f"\n## {heading}\n", 1)[1].splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return rows


def test_every_command_on_the_page_is_one_that_longtune_takes() -> None:
    commands = getattr(typer.main.get_command(app), "commands")  # noqa: B009
    shown = [shlex.split(line) for line in re.findall(r"(?m)^longtune .*$", PAGE)]
    assert {words[1] for words in shown} == {"merge", "load-check", "import"}
    for _, name, *arguments in shown:
        commands[name].make_context(name, arguments)


def test_the_table_of_options_is_complete() -> None:
    commands = getattr(typer.main.get_command(app), "commands")  # noqa: B009
    options = {option for p in commands["merge"].params for option in p.opts}
    assert {row[0] for row in table("Merging")} == options


def test_the_table_of_published_checkpoints_is_the_one_in_the_code() -> None:
    adapters = {
        name: entry
        for name, entry in PUBLISHED.items()
        if not name.endswith("-ft") and not re.fullmatch(r"LongAlpaca-\d+B(-16k)?", name)
    }
    assert table("LongLoRA's published checkpoints") == [
        [name, str(entry.ctx), str(math.ceil(entry.ctx / 4096)), entry.base]
        for name, entry in adapters.items()
    ]
