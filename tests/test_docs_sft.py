"""The pages on answering, recipes and several GPUs: their commands, names and numbers are so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import sft_tokenizers
import typer
import yaml

from longtune import cli as longtune_cli
from longtune import recipes, sharding
from longtune.cli_recipe import HELP, recipe_of
from longtune.config import Recipe, from_dict
from longtune.sft_rows import Row, row_of

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = {name: (DOCS / f"{name}.md").read_text("utf-8") for name in ("sft", "recipes", "sharding")}


def blocks(page: str, language: str = "") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.DOTALL)


def lines() -> list[str]:
    return [line for page in PAGES for block in blocks(page) for line in block.splitlines()]


def table(page: str, heading: str) -> list[list[str]]:
    """The rows below the line that begins a table."""
    after = PAGES[page].split(heading, 1)[1].splitlines()[2:]
    rows = after[: next(i for i, t in enumerate(after) if not t.startswith("|"))]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.mark.parametrize("line", [text for text in lines() if "longtune" in text])
def test_every_command_is_understood(line: str) -> None:
    name, *words = shlex.split(line.partition(" > ")[0].partition("longtune ")[2])
    commands: Any = typer.main.get_command(longtune_cli.app)
    given = commands.commands[name].make_context(name, list(words)).params
    if name in ("extend", "sft"):
        flags = {key: given[key] for key in HELP if key in given}
        assert recipe_of(name, flags, recipe=given["recipe"], changes=()).out  # type: ignore[arg-type]
    if name == "recipes" and given["name"]:
        assert given["name"] in recipes.names()


def test_the_table_of_recipes_is_what_comes_with_the_package() -> None:
    rows = table("recipes", "| recipes | what | from |")
    named = [name for row in rows for name in re.findall(r"`([\w.-]+)`", row[0])]
    assert sorted(named) == sorted(n for n in recipes.names() if not n.endswith("-zero3"))
    for row in rows:
        for name in re.findall(r"`([\w.-]+)`", row[0]):
            source = recipes.read(name).source.removeprefix("paper, ")
            says = {"longtune": "longtune plan", "v1": "version 1"}.get(source, source)
            assert says in row[2] or ("Table" in source and "Table" in row[2]), (name, source)


def test_the_papers_settings_are_those_of_a_recipe() -> None:
    recipe = from_dict({"data": "d", "out": "o", **recipes.load("llama2-7b-32k")})
    said = " ".join(PAGES["recipes"].split())
    for number in (
        f"β {recipe.beta1} and {recipe.beta2}",
        f"linear warm-up of {recipe.warmup_steps} steps",
        f"= {recipe.rows_per_step(8)} rows a step, {recipe.steps:,} steps",
        f"rank {recipe.lora_r} and α {recipe.lora_alpha}",
        f"`documents: {recipe.documents}` and `positions: {recipe.positions}`",
    ):
        assert number in said, number


def test_the_recipe_of_ones_own_is_one(tmp_path: Path) -> None:
    (text,) = blocks("recipes", "yaml")
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    recipe = from_dict({"data": "d", "out": "o", **recipes.load(str(path))})
    assert recipe.steps == yaml.safe_load(text)["steps"] == 400


FORMS: dict[str, dict[str, Any]] = {
    "LongAlpaca, Alpaca": {"instruction": "Q", "output": "A"},
    "`messages`": {
        "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    },
    "`conversations`": {
        "conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
    },
    "`prompt` and `completion`": {"prompt": "Q", "completion": "A"},
}


def test_every_form_of_the_table_is_read() -> None:
    named = [row[0] for row in table("sft", "| what `--data` names | read as |")]
    assert named[1:] == list(FORMS) and named[0] == "a folder of `longqa build`"
    for value in FORMS.values():
        row = row_of(value, "1")
        assert isinstance(row, Row) and [turn.text for turn in row.turns] == ["Q", "A"]


def test_the_snippet_gives_the_prompt_that_was_trained() -> None:
    (snippet,) = blocks("sft", "python")
    tokenizer = sft_tokenizers.byte_level()
    names: dict[str, Any] = {"tokenizer": tokenizer}
    exec(snippet, names)
    assert tokenizer.decode(names["ids"]) == "Who left the quay?\nAnswer:"


def test_the_ways_to_divide_are_all_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    named = [row[0] for row in table("sharding", "| setting | each process holds | by |")]
    assert named == [
        "`sharding: none`",
        "`sharding: fsdp2`",
        "`sharding: zero3`",
        "`sequence_parallel: N`",
    ]
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setattr(sharding, "_has_gpus", lambda: True)
    monkeypatch.setattr(sharding, "_has_deepspeed", lambda: True)
    for name in named[:3]:
        kind = name.strip("`").partition(": ")[2]
        sharding.trainer_arguments(
            from_dict(
                {"task": "sft", "model": "m", "data": "d", "ctx": 64, "out": "o", "sharding": kind}
            )
        )
    launched = [line for line in lines() if "nproc" in line or "num_processes" in line]
    words = ["extend", "--recipe", "llama2-7b-32k", "--data", "packed", "--out", "run"]
    assert sharding.launch(words, processes=8) in launched
    assert sharding.launch(words, processes=8, accelerate=True) in launched


def test_settings_that_pages_name_exist() -> None:
    for page, text in PAGES.items():
        for flag in re.findall(r"`--([a-z-]+)", text):
            name = flag.removeprefix("no-").replace("-", "_")
            assert name in Recipe.__dataclass_fields__ or name in ("recipe", "set"), (page, flag)
