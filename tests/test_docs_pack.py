"""docs/pack.md says what `longdata pack` does."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import typer
from packing_runs import corpus, run, tokenizer_file
from typer.testing import CliRunner

from longdata import cli, corpus_lines, packed
from longdata.corpus_files import source_of_file
from longdata.packed import schema_of

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "pack.md").read_text(encoding="utf-8")
GROUP = typer.main.get_command(cli.app)


def first_cells(head: str) -> list[str]:
    """The first cell of each row of the table with this head."""
    table = PAGE.split(f"| {head} |", 1)[1].split("|---", 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[1:]]


def named(cells: list[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_the_page_has_every_option() -> None:
    assert isinstance(GROUP, typer.core.TyperGroup)
    options = [
        name
        for param in GROUP.commands["pack"].params
        for name in (*param.opts, *param.secondary_opts)
        if name.startswith("--") and name != "--help"
    ]
    assert sorted(named(first_cells("option"))) == sorted(options)


@pytest.mark.parametrize("line", re.findall(r"(?m)^longdata .+$", PAGE))
def test_every_command_on_the_page_is_one(line: str) -> None:
    assert isinstance(GROUP, typer.core.TyperGroup)
    _, command, *arguments = shlex.split(line)
    with GROUP.commands[command].make_context(command, list(arguments), resilient_parsing=False):
        pass


def test_the_columns_are_those_of_a_row() -> None:
    assert named(first_cells("column")) == schema_of(8).names


def test_the_keys_and_files_are_those_that_are_made(tmp_path: Path) -> None:
    out = tmp_path / "packed"
    run(corpus(tmp_path / "data"), out, tokenizer_file(tmp_path), ctx=(8192,))
    facts = json.loads((out / "ctx-8192" / "pack.json").read_text())
    assert sorted(named(first_cells("key"))) == sorted(facts)
    assert facts["format"] in PAGE
    (listing,) = re.findall(r"```\n(packed/README.*?)```", PAGE, re.DOTALL)
    for name in (line.split()[0] for line in listing.splitlines()):
        assert list(tmp_path.glob(name.rstrip("/"))), name
    for code in re.findall(r"```python\n(from pathlib.*?)```", PAGE, re.DOTALL):
        exec(code.replace('"packed/', f'"{tmp_path}/packed/'), {})


def test_every_reason_of_a_row_is_on_the_page() -> None:
    said = Path(corpus_lines.__file__).read_text(encoding="utf-8")
    reasons = set(re.findall(r'Skip\([^()]*?(?:\([^()]*\))?[^()"]*?, "([^"{]+)"', said))
    assert {"not JSON", "no text", "NUL characters", "truncated"} <= reasons
    assert reasons <= set(named(first_cells("reason")))


def test_what_files_belong_to_is_as_the_page_says() -> None:
    for file, source in re.findall(r"`([^`]+)` is\s+`([^`]+)`", PAGE):
        name = file.rsplit("/", 1)[-1]
        assert source in (source_of_file(name), file.split("/")[1] if "/" in file else "")


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    from longdata import byte_ranges, corpus_files
    from longdata.pack_decontamination import SHARE, STRETCH_WORDS
    from longdata.readers import rows

    assert f"{corpus_files.WHOLE >> 20} MiB" in PAGE and corpus_files._BLOCKS == 16
    assert f"{byte_ranges.LONGEST >> 20} MB" in PAGE
    assert f"{rows.MAX_RATIO:,} times" in PAGE
    assert f"{SHARE:.0%}".replace("%", " %") in PAGE and f"{STRETCH_WORDS} words in a row" in PAGE
    assert byte_ranges.range_size(100 * 10**9) * 1000 > 100 * 10**9
    assert packed.FORMAT in PAGE


def test_help_names_the_engines_page_s_options() -> None:
    shown = CliRunner().invoke(cli.app, ["pack", "--help"]).output
    assert "--engine" in shown and "--slurm" in shown
