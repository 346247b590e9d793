"""The page on extending: its table is the settings, its commands are commands."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from longtune import cli as longtune_cli
from longtune.cli_recipe import HELP
from longtune.config import Recipe, from_dict

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "extend.md").read_text(encoding="utf-8")
NEEDED = {"task", "model", "data", "ctx", "out"}
ELSEWHERE = {"template", "packing", "notes"}  # of sft, and a remark


def rows() -> list[list[str]]:
    table = PAGE.split("\n## Settings\n", 1)[1]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_table_has_every_setting_with_its_text() -> None:
    named = [row[0].strip("| `") for row in rows()]
    assert named == [f.name for f in fields(Recipe) if f.name not in NEEDED | ELSEWHERE]
    assert [row[2] for row in rows()] == [HELP[name] for name in named]


def test_the_defaults_of_the_table_are_the_defaults() -> None:
    needed: dict[str, Any] = {"task": "extend", "model": "m", "data": "d", "ctx": 64, "out": "o"}
    shown = {row[0].strip("| `"): row[1] for row in rows()}
    assert from_dict({**needed, **shown}) == from_dict(needed)


def commands() -> list[str]:
    blocks = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if "longtune extend" in line]


@pytest.mark.parametrize("line", commands())
def test_every_command_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(line.partition("longtune extend")[2])
    if "my.yaml" in words:
        words[words.index("my.yaml")] = "llama2-7b-32k"
    (command,) = (
        found
        for name, found in typer.main.get_command(longtune_cli.app).commands.items()  # type: ignore[attr-defined]
        if name == "extend"
    )
    given = command.make_context("extend", list(words)).params
    from longtune.cli_recipe import recipe_of

    flags = {name: given[name] for name in HELP if name in given}
    recipe = recipe_of("extend", flags, recipe=given["recipe"], changes=given["changes"] or ())
    assert recipe.out == words[words.index("--out") + 1]
