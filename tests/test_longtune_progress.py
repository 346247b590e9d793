"""What a run says: all of its settings, what is trained, and lines that are not too many."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from longtune.adapters import Group
from longtune.config import Recipe
from longtune.progress import Terminal
from longtune.rope import Rope

RECIPE = Recipe(task="extend", model="books", data="packed", ctx=4096, out="run")
GROUPS = [
    Group(name="LoRA", modules=("q_proj",), tensors=2, parameters=8_388_608, share=0.001245),
    Group(name="norms", modules=("norm",), tensors=65, parameters=266_240, share=0.0000395),
]
ROPE = Rope(
    parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0},
    ctx=4096,
    original_ctx=1024,
    rotary_dim=24,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def terminal(*, is_terminal: bool = False) -> tuple[Terminal, StringIO, Clock]:
    out, clock = StringIO(), Clock()
    console = Console(file=out, width=200, force_terminal=is_terminal)
    return Terminal(console, clock), out, clock


def line(step: int) -> dict[str, Any]:
    return {
        "step": step,
        "loss": 2.9137,
        "learning_rate": 2e-5,
        "tokens_per_second": 7812.4,
        "memory_bytes": 812_000_000,
    }


def test_settings_data_rope_and_trained_groups_are_said_before_the_first_step() -> None:
    said, out, _ = terminal()
    said.recipe(RECIPE, {"examples": 1248, "fingerprint": "ab12"}, 8)
    said.model(ROPE, GROUPS)
    text = out.getvalue()
    assert "learning_rate:     2e-05" in text
    assert "examples 1,248" in text
    assert "ab12" not in text
    assert "64 rows of up to 4,096 tokens (1 × 8 accumulated, by 8 processes)" in text
    assert "data read 51.3 times" in text
    assert "rope: linear, factor 4, theta 10,000, 4,096 tokens (originally 1,024)" in text
    assert "0.1245 %" in text
    assert "0.00395 %" in text
    assert "8,654,848" in text  # together


def test_a_log_gets_the_first_line_the_last_and_one_every_few_seconds() -> None:
    said, out, clock = terminal()
    said.begin(steps=100, done=0)
    for step in range(1, 101):
        clock.now += 0.5
        said.step(line(step))
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("step 1 of 100 · loss 2.9137 · lr 2.00e-05 · 7,812 tokens/s")
    assert lines[0].endswith("0.81 GB · 50 s left")
    assert lines[-1].startswith("step 100 of 100")
    assert 10 <= len(lines) <= 12


def test_a_terminal_gets_a_bar_that_ends() -> None:
    said, out, _ = terminal(is_terminal=True)
    said.begin(steps=10, done=4)
    said.step(line(5))
    said.end()
    said.end()
    assert "goes on after step 4" in out.getvalue()
    assert "step 5 of 10" in out.getvalue()


def test_a_name_with_brackets_is_no_markup() -> None:
    said, out, _ = terminal()
    said.saved(Path("run[bold]"))
    assert "run[bold]" in out.getvalue()


@pytest.mark.parametrize(("seconds", "shown"), [(5, "5 s"), (300, "5 min"), (9000, "2.5 h")])
def test_time_that_is_left_is_told_in_its_unit(seconds: float, shown: str) -> None:
    said, out, clock = terminal()
    said.begin(steps=2, done=0)
    clock.now = seconds
    said.step(line(1))
    assert f"{shown} left" in out.getvalue()
