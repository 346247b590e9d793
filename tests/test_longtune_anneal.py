"""Which steps have full attention, and that the model really has it then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_made import CTX, data_of, made

from longtune import metrics
from longtune.anneal import Anneal
from longtune.config import Recipe


def anneal(**settings: Any) -> Anneal:
    steps = settings.pop("steps", 1000)
    recipe = Recipe(task="extend", model="m", data="d", out="o", ctx=4096, **settings)
    return Anneal.of(recipe, steps)


@given(steps=st.integers(1, 2000), share=st.floats(0, 0.99))
def test_the_last_share_of_the_steps_and_no_other_is_exact(steps: int, share: float) -> None:
    schedule = anneal(steps=steps, exact_last=share)
    exact = [step for step in range(steps) if schedule.is_exact(step)]
    assert len(exact) == round(share * steps)
    assert exact == list(range(steps - len(exact), steps))


def test_groups_are_those_of_the_recipe_and_then_none() -> None:
    schedule = anneal(exact_last=0.1)
    assert schedule.group_size_at(899) == 1024
    assert schedule.group_size_at(900) == 4096
    assert anneal(attention="full").group_size_at(0) == 4096
    assert anneal().group_size_at(999) == 1024


def test_the_losses_are_those_of_full_attention_from_that_step_on(tmp_path: Path) -> None:
    """At a rate of nearly 0 the model stays as it is: then only attention makes a difference."""
    pytest.importorskip("peft", reason="peft is not installed")
    from longtune.train import run

    found = {}
    settings: dict[str, dict[str, Any]] = {
        "s2": {},
        "full": {"attention": "full"},
        "annealed": {"exact_last": 0.5},
    }
    for name, changes in settings.items():
        recipe = made(tmp_path, out=str(tmp_path / name), learning_rate=1e-12, **changes)
        run(recipe, data_of(recipe))
        found[name] = metrics.read(tmp_path / name / metrics.NAME)
    losses = {name: [line["loss"] for line in lines] for name, lines in found.items()}
    assert losses["annealed"] == pytest.approx(losses["s2"][:2] + losses["full"][2:], abs=1e-7)
    assert losses["s2"] != pytest.approx(losses["full"], abs=1e-4)
    assert [line["attention"] for line in found["annealed"]] == ["s2", "s2", "full", "full"]
    assert {line["attention"] for line in found["full"]} == {"full"}
    assert data_of(recipe).ctx == CTX
