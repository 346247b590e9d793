"""Recipes: the published settings, value by value, and one line for each mistake in a file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from longdata.errors import UserError
from longtune import recipes
from longtune.cli import app
from longtune.config import Recipe, from_dict, to_dict
from longtune.groups import default_group_size

RESEARCH = {  # LongLoRA v3: Tables 3, 4 and 12; its README's table of models
    # name: (billions of the model, context, method, released as)
    "llama2-7b-8k": (7, 8192, "lora", "Llama-2-7b-longlora-8k"),
    "llama2-7b-8k-ft": (7, 8192, "full", "Llama-2-7b-longlora-8k-ft"),
    "llama2-7b-16k": (7, 16384, "lora", "Llama-2-7b-longlora-16k"),
    "llama2-7b-16k-ft": (7, 16384, "full", "Llama-2-7b-longlora-16k-ft"),
    "llama2-7b-32k": (7, 32768, "lora", "Llama-2-7b-longlora-32k"),
    "llama2-7b-32k-ft": (7, 32768, "full", "Llama-2-7b-longlora-32k-ft"),
    "llama2-7b-100k": (7, 100_000, "full", "Llama-2-7b-longlora-100k-ft"),
    "llama2-13b-8k": (13, 8192, "lora", "Llama-2-13b-longlora-8k"),
    "llama2-13b-8k-ft": (13, 8192, "full", "Llama-2-13b-longlora-8k-ft"),
    "llama2-13b-16k": (13, 16384, "lora", "Llama-2-13b-longlora-16k"),
    "llama2-13b-16k-ft": (13, 16384, "full", "Llama-2-13b-longlora-16k-ft"),
    "llama2-13b-32k": (13, 32768, "lora", "Llama-2-13b-longlora-32k"),
    "llama2-13b-32k-ft": (13, 32768, "full", "Llama-2-13b-longlora-32k-ft"),
    "llama2-13b-64k": (13, 65536, "lora", "Llama-2-13b-longlora-64k"),
    "llama2-70b-32k": (70, 32768, "lora", "Llama-2-70b-longlora-32k"),
    "llama2-70b-chat-32k": (70, 32768, "lora", "Llama-2-70b-chat-longlora-32k"),
    "longalpaca-7b": (7, 32768, "full", "LongAlpaca-7B"),
    "longalpaca-13b": (13, 32768, "full", "LongAlpaca-13B"),
    "longalpaca-70b": (70, 32768, "lora", "LongAlpaca-70B"),
    "longalpaca-7b-16k": (7, 16384, "lora", "LongAlpaca-7B-16k"),
    "longalpaca-13b-16k": (13, 16384, "lora", "LongAlpaca-13B-16k"),
    "longalpaca-70b-16k": (70, 16384, "lora", "LongAlpaca-70B-16k"),
    "llama2-13b-sft": (13, 32768, "lora", "Llama-2-13b-chat-longlora-32k-sft"),
    "llama2-70b-sft": (70, 32768, "lora", "Llama-2-70b-chat-longlora-32k-sft"),
}
GROUP_SIZES = {8192: 2048, 16384: 4096, 32768: 8192, 65536: 16384, 100_000: 25_000}
TODAY = ("llama3.1-8b-256k", "qwen3-8b-128k", "llama3.1-8b-sft-32k", "qwen3-8b-sft-32k")


def recipe_of(name: str) -> Recipe:
    return from_dict({"data": "rows", **recipes.load(name), "out": "out"})


def test_every_released_model_has_its_recipe_and_nothing_else_is_listed() -> None:
    own = {*TODAY, *(name for name in recipes.names() if name.endswith("-zero3"))}
    assert set(recipes.names()) - own == set(RESEARCH)
    assert {f"{name}-zero3" for name in TODAY} < own


@pytest.mark.parametrize("name", RESEARCH)
def test_a_published_recipe_has_the_papers_hyperparameters(name: str) -> None:
    billions, ctx, method, released = RESEARCH[name]
    recipe = recipe_of(name)
    assert f"-{billions}b-" in recipe.model and recipe.model.startswith("meta-llama/Llama-2-")
    assert (recipe.ctx, recipe.group_size, recipe.group) == (ctx, GROUP_SIZES[ctx], ctx // 4)
    assert (recipe.attention, recipe.exact_last) == ("s2", 0)
    assert (recipe.rope, recipe.rope_factor) == ("linear", math.ceil(ctx / 4096))
    assert (recipe.method, recipes.read(name).released) == (method, f"Yukang/{released}")
    assert recipe.learning_rate == (1e-5 if billions == 70 else 2e-5)
    assert (recipe.optimizer, recipe.beta1, recipe.beta2) == ("adamw_torch", 0.9, 0.95)
    assert (recipe.weight_decay, recipe.warmup_steps) == (0, 20)
    assert recipe.schedule == "constant_with_warmup"
    assert (recipe.dtype, recipe.checkpointing) == ("bfloat16", True)
    assert "beta2 at 0.999" in recipe.notes, "the released script differs, and it is said"
    if method == "lora":
        assert (recipe.lora_r, recipe.lora_alpha, recipe.lora_dropout) == (8, 16, 0)
        assert recipe.lora_targets == ("q_proj", "k_proj", "v_proj", "o_proj")
        assert recipe.train_embeddings and recipe.train_norms


@pytest.mark.parametrize("name", [n for n in RESEARCH if not n.startswith("longalpaca")])
def test_context_is_extended_in_a_thousand_steps_of_64_rows_that_see_each_other(name: str) -> None:
    recipe = recipe_of(name)
    if recipe.task == "sft":  # the paper's first version
        assert (recipe.epochs, recipe.accumulation, recipe.save_steps) == (3, 1, 98)
    else:
        assert (recipe.steps, recipe.epochs) == (1000, None)
        assert recipe.batch_size == 1 and recipe.rows_per_step(8) == 64
        assert (recipe.documents, recipe.positions) == ("ignore", "continue")


@pytest.mark.parametrize("name", [n for n in RESEARCH if n.startswith("longalpaca")])
def test_longalpaca_is_five_epochs_of_its_published_rows(name: str) -> None:
    recipe = recipe_of(name)
    assert (recipe.task, recipe.epochs, recipe.save_steps) == ("sft", 5, 98)
    assert recipe.rows_per_step(8) == 64 and not recipe.packing
    length = "16k-length" if recipe.ctx == 16384 else "12k"
    assert recipe.data == f"Yukang/LongAlpaca-{length}" and "-chat-hf" in recipe.model


@pytest.mark.parametrize("name", TODAY)
def test_a_recipe_of_today_has_the_papers_optimizer_and_documents_apart(name: str) -> None:
    recipe, paper = recipe_of(name), recipe_of("llama2-7b-32k")
    for setting in ("learning_rate", "beta1", "beta2", "weight_decay", "warmup_steps", "lora_r"):
        assert getattr(recipe, setting) == getattr(paper, setting)
    assert recipe.rows_per_step(8) == 64
    assert (recipe.sharding, recipe.documents) == ("fsdp2", "mask")
    assert recipe.group == default_group_size(recipe.ctx)


@pytest.mark.parametrize("name", [n for n in recipes.names() if n.endswith("-zero3")])
def test_a_variant_for_deepspeed_differs_in_its_sharding_alone(name: str) -> None:
    of_deepspeed, of_torch = recipes.load(name), recipes.load(name.removesuffix("-zero3"))
    differing = {key for key, value in of_deepspeed.items() if of_torch[key] != value}
    assert differing - {"notes"} == {"sharding"}
    assert (of_deepspeed["sharding"], of_torch["sharding"]) == ("zero3", "fsdp2")


@pytest.mark.parametrize("name", recipes.names())
def test_a_file_fills_every_setting_but_paths(name: str) -> None:
    settings = recipes.load(name)
    left = {
        "data", "out", "adapter", "revision", "trust_remote_code", "report_to", "log_steps",
        "keep_checkpoints", "original_ctx", "rope_theta", "rope_factor", "steps", "epochs",
        "template", "packing",
    }  # fmt: skip
    if settings["method"] == "full":
        left |= {n for n in Recipe.__dataclass_fields__ if n.startswith(("lora_", "train_"))}
        left.add("untie_embeddings")
    assert set(Recipe.__dataclass_fields__) - set(settings) <= left
    assert ("steps" in settings) != ("epochs" in settings)
    text = recipes.read(name).text
    assert text.startswith("# ") and len(max(text.splitlines(), key=len)) <= 100


def test_what_a_run_saves_of_its_recipe_is_a_recipe(tmp_path: Path) -> None:
    recipe = recipe_of("longalpaca-70b-16k")
    path = own(tmp_path, yaml.safe_dump(to_dict(recipe), allow_unicode=True))
    assert from_dict(recipes.load(path)) == recipe


def own(folder: Path, text: str) -> str:
    path = folder / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_of_ones_own_may_hold_any_settings(tmp_path: Path) -> None:
    text = "model: gpt\nctx: 4096\nlearning_rate: 2e-5\nlora_targets: [a, b]\ngroup_size: null\n"
    assert recipes.load(own(tmp_path, text)) == {
        "model": "gpt",
        "ctx": 4096,
        "learning_rate": 2e-5,  # a text to YAML 1.1
        "lora_targets": ("a", "b"),
        "group_size": None,
    }
    assert recipes.load(own(tmp_path, "")) == {}
    assert recipes.load(own(tmp_path, "# nothing\n")) == {}


BOMB = "lora_targets: [&a [x,x,x,x,x,x,x,x], &b [*a,*a,*a,*a,*a,*a,*a,*a], [*b,*b,*b,*b,*b,*b]]"
MISTAKES: dict[str, str] = {
    "learning_rat: 1": r"got learning_rat, which is no setting; allowed: task, .*learning_rate\?",
    "ctx: many": r"got ctx 'many'; allowed: a whole number",
    "ctx: 8192.5": r"got ctx 8192\.5; allowed: a whole number",
    "checkpointing: 3": r"got checkpointing 3; allowed: true or false",
    "attention: s3": r"got attention 's3'; allowed: s2, full",
    "lora_targets: 7": r"got lora_targets 7; allowed: names",
    "ctx: 1\nctx: 2": r"got ctx twice, again in line 2",
    "about: {hardware: 3}": r"got about .*; allowed: texts for hardware",
    "about: new": r"got about 'new'",
    "ctx: [1": r"no YAML in line 1",
    "- ctx": r"no YAML in line 1",
    "1: 2": r"got 1, which is no setting",
    "a: &x {b: 1}\nc: *x": r"no YAML in line 1",
    BOMB: r"no YAML in line 1",
    "[" * 5000: r"no YAML",
    "model: !!python/object/apply:os.system [ls]": r"no YAML in line 1",
}


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: text[:20])
def test_a_mistake_in_a_file_is_one_line_that_names_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=MISTAKES[text]) as raised:
        recipes.load(own(tmp_path, text))
    said = str(raised.value)
    assert "own.yaml" in said and "\n" not in said and len(said) < 1500


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"llama2-7b-100.*fix: --recipe llama2-7b-100k\?"):
        recipes.load("llama2-7b-100")
    with pytest.raises(UserError, match=r"got --recipe .*none\.yaml; allowed: a name that"):
        recipes.load(str(tmp_path / "none.yaml"))
    with pytest.raises(UserError, match=r"with more than 65,536 bytes"):
        recipes.load(own(tmp_path, "#" * (64 << 10) + "\n"))
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is no text"):
        recipes.load(str(path))


def test_the_command_lists_all_on_a_line_each() -> None:
    said = CliRunner().invoke(app, ["recipes"])
    assert said.exit_code == 0, said.output
    lines = [line for line in said.output.splitlines() if line.startswith(recipes.names())]
    assert len(lines) == len(recipes.names()) and all("…" not in line for line in lines)
    (line,) = (line for line in lines if line.startswith("llama2-7b-100k "))
    for part in ("Llama-2-7b-hf", "100,000", "full", "8 × A100-80", "paper, Table 4"):
        assert part in line


def test_the_command_prints_a_recipe_as_it_is() -> None:
    said = CliRunner().invoke(app, ["recipes", "llama2-7b-8k"])
    assert said.output == recipes.read("llama2-7b-8k").text
    values: dict[str, Any] = yaml.safe_load(said.output)
    assert values["ctx"] == 8192 and values["about"]["source"] == "paper, Table 3"
