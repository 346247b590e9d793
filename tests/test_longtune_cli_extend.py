"""`longtune extend`: flags, recipes and `--set` become one recipe; mistakes are one line."""

from __future__ import annotations

from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from training_made import CTX, write_model, write_rows
from typer.testing import CliRunner, Result

from longdata.errors import UserError
from longtune.cli import app
from longtune.cli_recipe import HELP, recipe_of
from longtune.config import Recipe, from_dict

GIVEN = {"model": "m", "data": "d", "out": "o"}


def filled(recipe: str | None = None, *changes: str, **given: Any) -> Recipe:
    return recipe_of("extend", {**GIVEN, **given}, recipe=recipe, changes=changes)


def test_every_setting_has_a_flag_and_a_line_of_help() -> None:
    assert set(HELP) == {field.name for field in fields(Recipe)} - {"task"}
    shown = CliRunner().invoke(app, ["extend", "--help"], terminal_width=200).output
    for name in set(HELP) - {"template", "packing"}:  # of sft
        assert f"--{name.replace('_', '-')}" in shown
    assert "--template" not in shown


def test_a_flag_goes_before_set_and_that_before_the_recipe() -> None:
    assert filled("llama2-7b-32k").beta2 == 0.95
    assert filled("llama2-7b-32k", "beta2=0.9").beta2 == 0.9
    assert filled("llama2-7b-32k", "beta2=0.9", beta2="0.8").beta2 == 0.8
    assert filled(None, "batch-size=3", ctx="64").batch_size == 3


def test_what_a_flag_makes_pointless_in_a_recipe_goes() -> None:
    assert filled("llama2-7b-32k").group_size == 8192
    other = filled("llama2-7b-32k", ctx="16384")
    assert (other.group_size, other.rope_factor, other.group) == (None, None, 4096)
    assert filled("llama2-7b-32k", attention="full").group_size is None
    assert filled("llama2-7b-32k", rope="theta", rope_theta="5e5").rope_factor is None
    assert filled("llama2-7b-32k", ctx="16384", group_size="2048").group == 2048


@pytest.mark.parametrize(
    ("recipe", "changes", "said"),
    [
        ("longalpaca-7b-16k", [], "one of longtune sft"),
        ("llama2-7b-33k", [], "llama2-7b"),
        (None, ["seed"], "--set seed=1"),
        (None, ["sed=1"], "seed?"),
    ],
)
def test_mistakes_are_one_line(recipe: str | None, changes: list[str], said: str) -> None:
    with pytest.raises(UserError, match="fix: ") as raised:
        recipe_of("extend", {**GIVEN, "ctx": "64"}, recipe=recipe, changes=changes)
    assert said in str(raised.value)


def longtune(*arguments: object) -> Result:
    """In this process: importing transformers takes longer than a test."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("peft", reason="peft is not installed")
    folder = tmp_path_factory.mktemp("work")
    write_model(folder / "model")
    write_rows(folder / "packed" / f"ctx-{CTX}")
    return folder


def test_the_command_trains_says_what_it_does_and_goes_on(work: Path) -> None:
    flags = ["--model", work / "model", "--data", work / "packed", "--ctx", CTX, "--out"]
    size = ["--steps", 2, "--batch-size", 2, "--accumulation", 1, "--set", "warmup_steps=0"]
    first = longtune("extend", *flags, work / "run", *size)
    assert first.exit_code == 0, first.stderr
    assert "group_size:" in first.stderr
    assert "rope: linear, factor 4, theta 10,000, 32 tokens (originally 8)" in first.stderr
    assert "LoRA" in first.stderr
    assert "step 2 of 2 · loss" in first.stderr
    assert first.stdout.startswith(f"{work / 'run' / 'model'}: loss ")
    saved = yaml.safe_load((work / "run" / "recipe.yaml").read_text(encoding="utf-8"))
    assert from_dict(saved).steps == 2
    again = longtune("extend", "--recipe", work / "run" / "recipe.yaml")
    assert (again.exit_code, again.stdout) == (0, first.stdout)


def without(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(module) is not None, reason=f"{module} is installed")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("--ctx", 64), "allowed: 32, which it holds"),
        (("--data", "nowhere"), "holds no packed rows"),
        (("--model", "nowhere"), "cannot be loaded"),
        (("--rope", "keep"), "rope=linear, or ctx=8"),
        (("--lora-targets", "w_proj"), "without w_proj"),
        pytest.param(("--method", "qlora"), "bitsandbytes", marks=without("bitsandbytes")),
        pytest.param(("--optimizer", "adamw_8bit"), "bitsandbytes", marks=without("bitsandbytes")),
        pytest.param(("--loss", "liger"), "install liger-kernel", marks=without("liger_kernel")),
        pytest.param(("--report-to", "wandb"), "pip install wandb", marks=without("wandb")),
        (("--steps", "many"), "a whole number"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    work: Path, changes: tuple[object, object], said: str
) -> None:
    flags: dict[object, object] = {
        "--model": work / "model",
        "--data": work / "packed",
        "--ctx": CTX,
        "--out": work / "refused",
    }
    flags |= dict([changes])
    result = longtune("extend", "--quiet", *(part for pair in flags.items() for part in pair))
    assert isinstance(result.exception, UserError)
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)
