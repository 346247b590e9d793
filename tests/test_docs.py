"""The pages in docs/ and the README say what the code does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import synthetic
import typer

from longdata import cli as longdata_cli
from longdata.prompt_template import prompt_of
from longdata.readers import READERS
from longeval import cli as longeval_cli
from longqa.cli import app
from longqa.dataset import CHECKS, FEATURES, SCHEMA
from longqa.facts import BuildFacts
from longqa.questions import ALL, BOOKS, KINDS
from longtune import cli as longtune_cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]


def _table(page: str, heading: str) -> Iterator[list[str]]:
    """The cells of the first table below a heading, without its head."""
    text = (ROOT / page).read_text(encoding="utf-8").split(f"\n{heading}\n", 1)[1]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows
    first = text.splitlines().index(rows[0])
    for line in text.splitlines()[first + 2 :]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_of_kinds_is_the_taxonomy() -> None:
    of = {ALL: "all", BOOKS: "books"}
    expected = [
        [f"`{name}`", kind.asks, kind.basis, of.get(kind.of, "papers")]
        for name, kind in KINDS.items()
    ]
    assert list(_table("docs/build.md", "## Question kinds")) == expected


def test_the_table_of_columns_is_the_schema() -> None:
    rows = list(_table("docs/formats.md", "## A row"))
    assert [row[0].strip("`") for row in rows] == SCHEMA.names
    words = {"list of structs": "list", "struct of bools": "struct", "float64": "double"}
    for (name, kind, _), field in zip(rows, SCHEMA, strict=True):
        assert str(field.type).startswith(words.get(kind, kind)), name


def test_the_row_in_the_readme_has_the_columns_of_the_schema() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    row = json.loads(text.split("```json\n", 1)[1].split("```", 1)[0])
    assert list(row) == SCHEMA.names
    for name in ("evidence", "sources"):
        assert all(list(item) == list(FEATURES[name][0]) for item in row[name])
    assert list(row["checks"]) == list(FEATURES["checks"])


def test_the_table_of_build_json_has_every_key() -> None:
    rows = _table("docs/formats.md", "## build.json")
    named = [key for row in rows for key in re.findall(r"`(\w+)`", row[0])]
    assert named == list(get_type_hints(BuildFacts))


def test_the_table_of_checks_is_that_of_the_schema() -> None:
    rows = _table("docs/formats.md", "### Checks")
    assert tuple(row[0].strip("`") for row in rows) == CHECKS


def test_the_snippet_that_builds_a_training_row_runs_for_every_kind_of_row() -> None:
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    rows = [*synthetic.rows(1), *synthetic.pair_rows(), *synthetic.short_rows(2)]
    for row in rows:
        names: dict[str, Any] = {"row": row}
        exec(snippet, names)
        assert names["training_row"] == f"{names['text']} {row['answer']}"
        assert names["text"] == prompt_of(row)
        assert names["text"].count(row["question"]) == 1


def test_every_format_that_is_read_has_its_line() -> None:
    text = (ROOT / "docs" / "readers.md").read_text(encoding="utf-8")
    assert [suffix for suffix in READERS if f"`{suffix}`" not in text] == []


def test_every_reason_has_its_place_on_the_page_about_readers() -> None:
    text = (ROOT / "docs" / "readers.md").read_text(encoding="utf-8")
    told = {cell for line in text.splitlines() if line.startswith("|") for cell in _reasons(line)}
    prepare = (ROOT / "docs" / "prepare.md").read_text(encoding="utf-8")
    told |= set(re.findall(r"`([^`\n]+)`", prepare))
    said = re.compile(r"(?:SourceError\(|Dropped\(reason=|drops\.add\()\s*\"([^\"]+)\"")
    for path in (ROOT / "data" / "longdata").rglob("*.py"):
        if path.name == "errors.py":  # its examples are no reasons of this version
            continue
        found = {r for r in said.findall(path.read_text(encoding="utf-8")) if "…" not in r}
        assert found <= told, path.name


def _reasons(row: str) -> list[str]:
    return [reason.strip() for reason in row.strip("|").split("|")[0].split(",")]


@pytest.mark.parametrize("page", PAGES)
def test_every_option_and_command_on_a_page_exists(page: str) -> None:
    options = {"--help"}
    for one in (longdata_cli.app, longeval_cli.app, longtune_cli.app, app):
        command = typer.main.get_command(one)
        commands = getattr(command, "commands", {"": command})  # click's group, not typed here
        parameters = [p for c in commands.values() for p in c.params]
        options |= {o for p in parameters for o in (*p.opts, *p.secondary_opts)}
    text = (ROOT / page).read_text(encoding="utf-8")
    for line in re.findall(r"longqa (?:build|inspect|read|kinds)\b[^\n`]*", text):
        assert set(re.findall(r"(?<=\s)--[a-z-]+", line)) <= options, line
    for code in re.findall(r"`(--[a-z-]+)[^`]*`", text):
        assert code in options, code
    assert set(re.findall(r"\n(?:longqa|    longqa) (\w+)", text)) <= set(commands)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#]+)[^)]*\)", text):
        assert ((ROOT / page).parent / target).exists(), target


def test_every_target_of_make_on_a_page_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?m)^([a-z]+):", makefile))
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        named = " ".join(re.findall(r"(?:^|`)make ([a-z ]+?)(?=[`#\n]|  )", text, re.MULTILINE))
        assert set(named.split()) <= targets, page
