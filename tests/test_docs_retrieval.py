"""docs/retrieval.md says what the retrieval commands do."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from longeval import cli
from longeval.longchat_files import PUBLISHED
from longeval.passkey_formats import FORMATS
from longeval.qa import METRICS
from longeval.stats import wilson
from longeval.templates import CHAT, WRITTEN
from longeval.topics import RULES

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "retrieval.md").read_text("utf-8")
COMMANDS = re.findall(r"(?m)^longeval .+$", PAGE)
KNOWN = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]


def cells(heading: str, head: str) -> list[str]:
    """The first cells of the first table below a heading whose head begins with `head`."""
    table = PAGE.split(f"\n## {heading}\n", 1)[1].split(f"\n| {head}", 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_on_the_page_can_be_given(line: str) -> None:
    _, command, *rest = shlex.split(line)
    with KNOWN[command].make_context(command, rest) as context:
        assert context.params


def test_every_option_on_the_page_exists() -> None:
    options = {
        name for c in KNOWN.values() for p in c.params for name in (*p.opts, *p.secondary_opts)
    }
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE))
    assert named <= options, named - options


def test_the_tables_have_every_rule_format_and_number() -> None:
    rules = {cell.strip("`") for cell in cells("Topics", "rule ")}
    assert rules == {*RULES, "judge", "lists_topics"}
    assert [cell.strip("`") for cell in cells("Passkeys", "`--format` ")] == list(FORMATS)
    named = re.findall(r"`(\w+)`", " ".join(cells("Questions of a dataset", "number ")))
    assert sorted(named) == sorted(METRICS)
    for name in (CHAT, *WRITTEN):
        assert f"`{name}`" in PAGE
    for sizes in PUBLISHED.values():
        assert ",".join(map(str, sizes)) in PAGE


def test_the_figures_on_the_page_are_those_of_the_code() -> None:
    for right, interval in ((47, "[.84, .98]"), (45, "[.79, .96]")):
        low, high = wilson(right, 50)
        assert f"[{low:.2f}, {high:.2f}]".replace("0.", ".") == interval and interval in PAGE
    for name, kind in FORMATS.items():
        (row,) = re.findall(rf"(?m)^\| `{name}` .*$", PAGE)
        assert row.split("|")[-2].strip() == str(kind.tests)
        assert f"1 to {kind.largest:,}" in row
        assert ("tokens are those of the key" in row) == kind.exact
