"""A plan as a picture: memory by part over contexts, and work per token with both attentions.

    draw(plan, Path("plan.png"))
    panels(plan)[0].bars[2]      -> Bar(label="16k", parts={"weights": 1.6, …})

Contexts run from an eighth of the planned one to four times as long. Drawn with Pillow, in twice
the size and then reduced, for smooth edges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longdata.atomic import writing
from longdata.errors import UserError
from longtune.memory import GIB
from longtune.plan import Plan

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_SIZE, _FINE = (1500, 720), 2
_INK, _PALE, _PAPER, _LIMIT = "#222222", "#dddddd", "#ffffff", "#c0392b"
_COLOURS = ("#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#e69f00", "#d55e00", "#999999")
_STEPS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Parts that are stacked."""

    label: str
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Bars side by side, with a line where something ends."""

    title: str
    bars: tuple[Bar, ...]
    limit: float | None = None
    limit_label: str = ""


def check_path(path: Path) -> None:
    """Raise UserError unless a .png can be written there, as far as can be known before."""
    if path.suffix.lower() != ".png" or not path.parent.is_dir():
        raise UserError(
            f"got --plot {path}; allowed: a name that ends in .png, in a folder that is there; "
            "fix: --plot plan.png"
        )


def panels(plan: Plan) -> tuple[Panel, Panel]:
    """What is drawn: the memory of the plan's method, and the work of both attentions."""
    contexts = [max(1024, int(plan.ctx * times)) for times in (0.125, 0.25, 0.5, 1, 2, 4)]
    plans = [plan.at(ctx) for ctx in dict.fromkeys(contexts)]
    memory = tuple(
        Bar(
            label=_short(each.ctx),
            parts={part: size / GIB for part, size in each.bytes_needed().items()},
        )
        for each in plans
    )
    work = []
    for each in plans:
        if each.group_size is not None:
            work.append(_work(each, f"{_short(each.ctx)} S2"))
        work.append(_work(each.fully(), f"{_short(each.ctx)} full"))
    training = plan.training
    return (
        Panel(
            title=f"GiB on each of {training.num_gpus} GPUs ({training.method.title})",
            bars=memory,
            limit=plan.memory / GIB,
            limit_label=f"{plan.memory / GIB:g} GiB",
        ),
        Panel(title="TFLOPs of training per 1,000 tokens", bars=tuple(work)),
    )


def draw(plan: Plan, path: Path) -> None:
    """Write the picture."""
    from PIL import Image, ImageDraw

    width, height = (_FINE * size for size in _SIZE)
    image = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(image)
    heading = f"{plan.shape.name}, {plan.ctx:,} tokens: planned, not measured"
    pen.text((_px(60), _px(24)), heading, fill=_INK, font=_font(26))
    for number, panel in enumerate(panels(plan)):
        left = 60 + number * 720
        _panel(pen, panel, left=left, top=120, right=left + 620, bottom=560)
    with writing(path) as part:
        image.resize(_SIZE, Image.Resampling.LANCZOS).save(part, format="PNG")


def _work(plan: Plan, label: str) -> Bar:
    work = plan.work()
    per_thousand = plan.ctx / 1000 * 1e12
    parts = {"matrices": work.matrices / per_thousand, "attention": work.attention / per_thousand}
    return Bar(label=label, parts=parts)


def _panel(pen: ImageDraw, panel: Panel, *, left: int, top: int, right: int, bottom: int) -> None:
    highest = max(sum(bar.parts.values()) for bar in panel.bars)
    step = _step(max(highest, panel.limit or 0))
    scale = (bottom - top) / (step * 5)
    pen.text((_px(left), _px(top - 44)), panel.title, fill=_INK, font=_font(19))
    for tick in range(6):
        y = bottom - tick * step * scale
        pen.line([_px(left), _px(y), _px(right), _px(y)], fill=_PALE, width=_px(1))
        label = f"{tick * step:,g}"
        pen.text((_px(left - 8), _px(y)), label, fill=_INK, font=_font(14), anchor="rm")
    pitch = (right - left) / len(panel.bars)
    names = list(panel.bars[0].parts)
    for place, bar in enumerate(panel.bars):
        x, y = left + (place + 0.15) * pitch, float(bottom)
        for name, colour in zip(names, _COLOURS, strict=False):
            tall = bar.parts[name] * scale
            box = [_px(x), _px(y - tall), _px(x + 0.7 * pitch), _px(y)]
            if box[1] < box[3]:
                pen.rectangle(box, fill=colour)
            y -= tall
        middle = _px(x + 0.35 * pitch)
        total = _number(sum(bar.parts.values()))
        pen.text((middle, _px(y - 4)), total, fill=_INK, font=_font(13), anchor="ms")
        for line, word in enumerate(bar.label.split()):
            at = (middle, _px(bottom + 8 + 18 * line))
            pen.text(at, word, fill=_INK, font=_font(14), anchor="ma")
    if panel.limit is not None:
        y = bottom - panel.limit * scale
        pen.line([_px(left), _px(y), _px(right), _px(y)], fill=_LIMIT, width=_px(2))
        at = (_px(left + 6), _px(y - 5))
        pen.text(at, panel.limit_label, fill=_LIMIT, font=_font(14), anchor="ls")
    _legend(pen, names, left=left, top=bottom + 56)


def _legend(pen: ImageDraw, names: list[str], *, left: int, top: int) -> None:
    for number, (name, colour) in enumerate(zip(names, _COLOURS, strict=False)):
        x, y = left + 160 * (number % 4), top + 28 * (number // 4)
        pen.rectangle([_px(x), _px(y), _px(x + 14), _px(y + 14)], fill=colour)
        pen.text((_px(x + 20), _px(y + 7)), name, fill=_INK, font=_font(14), anchor="lm")


def _step(highest: float) -> float:
    """A round number, five of which reach above the highest bar with its label."""
    wanted = highest * 1.08 / 5
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(power * step for step in _STEPS if power * step >= wanted)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _short(ctx: int) -> str:
    if ctx % 1024 == 0:
        return f"{ctx // 1024}k"
    return f"{ctx / 1000:g}k"


def _px(value: float) -> int:
    return round(value * _FINE)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size * _FINE)
