"""loss.png: drawn for no line, one line and many, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from longtune.loss_plot import _smooth, draw

FULL, S2 = "full", "s2"


def lines(num: int, exact: int = 0) -> list[dict[str, Any]]:
    return [
        {"step": s, "loss": 4 + 1 / s, "attention": FULL if s > num - exact else S2}
        for s in range(1, num + 1)
    ]


def colours(path: Path) -> set[tuple[int, ...]]:
    image = Image.open(path).convert("RGB")
    return {colour for _, colour in image.getcolors(1 << 24)}


@pytest.mark.parametrize("num", [0, 1, 2, 200])
def test_any_number_of_steps_is_drawn(tmp_path: Path, num: int) -> None:
    draw(lines(num), tmp_path / "loss.png", title="books at 4,096 tokens")
    assert Image.open(tmp_path / "loss.png").size == (960, 540)
    assert [path.name for path in tmp_path.iterdir()] == ["loss.png"]
    assert ((0x8A, 0xA4, 0xC8) in colours(tmp_path / "loss.png")) == (num > 0)


def test_steps_with_full_attention_are_shaded_where_there_were_others(tmp_path: Path) -> None:
    shade = (0xF0, 0xE2, 0xB6)
    draw(lines(100, exact=10), tmp_path / "some.png", title="")
    draw(lines(100, exact=100), tmp_path / "all.png", title="")
    assert shade in colours(tmp_path / "some.png")
    assert shade not in colours(tmp_path / "all.png")


def test_the_line_is_a_mean_of_what_came_before() -> None:
    assert _smooth([2.0, 4.0, 6.0, 8.0], 2) == [2.0, 3.0, 5.0, 7.0]
