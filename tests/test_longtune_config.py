"""A recipe: what it takes, what it refuses in one line, and that a file holds all of it."""

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
import yaml

from longdata.errors import UserError
from longtune.config import Recipe, from_dict, lines_of, to_dict

BASE: dict[str, Any] = {
    "task": "extend",
    "model": "books",
    "data": "packed",
    "ctx": 4096,
    "out": "run",
}


def test_the_defaults_are_those_of_the_paper() -> None:
    recipe = Recipe(**BASE)
    assert (recipe.learning_rate, recipe.beta1, recipe.beta2) == (2e-5, 0.9, 0.95)
    assert (recipe.warmup_steps, recipe.weight_decay, recipe.steps) == (20, 0, 1000)
    assert (recipe.lora_r, recipe.lora_alpha, recipe.lora_dropout) == (8, 16, 0)
    assert recipe.group == 1024
    assert recipe.rows_per_step(num_processes=8) == 64


def test_a_recipe_survives_yaml_with_all_its_settings() -> None:
    recipe = Recipe(**BASE, lora_targets=("q_proj",), rope="theta", rope_theta=5e5, notes="a: b")
    text = yaml.safe_dump(to_dict(recipe), sort_keys=False)
    assert from_dict(yaml.safe_load(text)) == recipe
    assert list(yaml.safe_load(text)) == [field.name for field in fields(Recipe)]


def test_what_is_printed_at_the_start_names_every_setting_once() -> None:
    names = [line.partition(":")[0] for line in lines_of(Recipe(**BASE))]
    assert names == [field.name for field in fields(Recipe)]


def test_it_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Recipe(**BASE).ctx = 8192  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("learning_rate", "2e-5", 2e-5),
        ("steps", "1_000", 1000),
        ("checkpointing", "False", False),
        ("group_size", "none", None),
        ("group_size", "512", 512),
        ("epochs", "0.5", 0.5),
        ("lora_targets", "q_proj, v_proj", ("q_proj", "v_proj")),
        ("attention", "s2", "s2"),
        ("notes", "", ""),
        ("notes", "none", "none"),
        ("revision", "none", None),
        ("revision", "main", "main"),
        ("report_to", "none", ()),
    ],
)
def test_texts_of_flags_become_what_their_setting_wants(
    name: str, text: str, value: object
) -> None:
    found = getattr(from_dict({**BASE, name: text}), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"attention": "s3"}, "allowed: s2, full"),
        ({"atention": "s2"}, "attention?"),
        ({"ctx": None}, "fix: --ctx"),
        ({"steps": 0}, "1 or more"),
        ({"steps": 1.5}, "a whole number"),
        ({"steps": True}, "a whole number"),
        ({"checkpointing": "perhaps"}, "true or false"),
        ({"learning_rate": 0}, "more than 0"),
        ({"learning_rate": float("nan")}, "more than 0"),
        ({"beta2": 1.0}, "below 1"),
        ({"group_size": 1023}, "an even number"),
        ({"group_size": 8192}, "to the context"),
        ({"attention": "full", "group_size": 1024}, "no groups"),
        ({"attention": "full", "exact_last": 0.1}, "no groups"),
        ({"rope": "ntk", "rope_factor": 4.0}, "with rope linear"),
        ({"rope": "theta"}, "both or neither"),
        ({"rope_theta": 5e5}, "both or neither"),
        ({"offload": True, "checkpointing": False}, "checkpointing=true"),
        ({"lora_targets": []}, "names of layers"),
        ({"lora_targets": [1]}, "names with commas"),
        ({"untie_embeddings": True, "train_embeddings": False}, "untie"),
        ({"report_to": "mlflow"}, "tensorboard, wandb"),
        ({"model": ""}, "--model NAME"),
    ],
)
def test_what_cannot_be_is_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match="fix: ") as raised:
        from_dict({**BASE, **changes})
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
