"""How long the documents of packed rows are: one picture for a card, the same bytes from the same
facts.

    length_histogram([facts_8192, facts_32768], folder / "images" / "lengths.png")

A row of bars for each source, over lengths that double, each with a scale of its own: a million web
pages would otherwise hide a thousand books. Dashed lines stand where documents get longer than a
row. Of many sources the largest are shown one by one and the rest together. Drawn with Pillow,
which is there in a tenth of the time that larger libraries take: in twice the size, then reduced.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longdata.atomic import write_file

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

MOST_SOURCES = 8
_FINE = 2
_WIDTH, _LEFT, _RIGHT = 1200, 270, 1164  # the picture's, and where bars begin and end
_TOP, _ROW, _BOTTOM = 92, 126, 92  # above the bars, of one source, below them
_TALLEST = 86
_INK, _PALE, _LINE, _PAPER = "#1f2933", "#d9dee3", "#b3261e", "#ffffff"
_COLOURS = ("#0072b2", "#009e73", "#e69f00", "#56b4e9", "#cc79a7", "#d55e00", "#8c6d31", "#5b6770")
_MOST_TICKS = 10


def length_histogram(facts: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the documents used, of all `ctx` that were packed from one store, as a .png."""
    from PIL import Image, ImageDraw

    sources = _sources(facts[0]["lengths"])
    powers = [power for bins in sources.values() for power in bins]
    scale = _Scale(range(min(powers, default=9), max(powers, default=9) + 1))
    size = (_WIDTH, _TOP + _ROW * max(1, len(sources)) + _BOTTOM)
    image = Image.new("RGB", (_FINE * size[0], _FINE * size[1]), _PAPER)
    pen = ImageDraw.Draw(image)
    _text(pen, 30, 24, "Documents by length", size=26, anchor="la")
    grounds = [_TOP + _ROW * number for number in range(1, len(sources) + 1)]
    contexts = [ctx for ctx in sorted({int(one["ctx"]) for one in facts}) if scale.holds(ctx)]
    for number, (ground, bins) in enumerate(zip(grounds, sources.values(), strict=True)):
        _bars(pen, scale, ground, bins, _COLOURS[number % len(_COLOURS)])
    for ctx in contexts:
        _dashed(pen, scale.x(ctx), _TOP, size[1] - _BOTTOM)
    for ground, (name, bins) in zip(grounds, sources.items(), strict=True):
        _name_row(pen, scale, ground, name, bins)
    _name_lines(pen, scale, contexts)
    _axis(pen, scale, size[1] - _BOTTOM)
    stream = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(stream, format="PNG")
    write_file(path, stream.getvalue())


class _Scale:
    """Lengths, by their logarithm, → places from left to right."""

    def __init__(self, powers: range) -> None:
        self.powers = powers
        self.pitch = (_RIGHT - _LEFT) / len(powers)

    def holds(self, ctx: int) -> bool:
        return self.powers.start <= _place(ctx) <= self.powers.stop

    def x(self, ctx: int) -> float:
        """Inside its bar in proportion."""
        return _LEFT + (_place(ctx) - self.powers.start) * self.pitch


def _tall(count: int, bins: Mapping[int, int]) -> float:
    return max(2.0, _TALLEST * count / max(bins.values()))  # one document is seen, too


def _bars(
    pen: ImageDraw, scale: _Scale, ground: float, bins: Mapping[int, int], colour: str
) -> None:
    pen.line([_px(_LEFT), _px(ground), _px(_RIGHT), _px(ground)], fill=_PALE, width=_FINE)
    gap = 0.04 * scale.pitch
    for power, count in bins.items():
        left, top = scale.x(1 << power) + gap, ground - _tall(count, bins)
        right = left + scale.pitch - 2 * gap
        pen.rectangle([_px(left), _px(top), _px(right), _px(ground) - 1], fill=colour)


def _name_row(
    pen: ImageDraw, scale: _Scale, ground: float, name: str, bins: Mapping[int, int]
) -> None:
    total = sum(bins.values())
    said = f"{total:,} document{'' if total == 1 else 's'}"
    _text(pen, _LEFT - 18, ground - 60, _cut(name), size=19, anchor="ra")
    _text(pen, _LEFT - 18, ground - 36, said, size=17, anchor="ra")
    for power, count in bins.items():
        top = ground - _tall(count, bins) - 5
        _text(pen, scale.x(1 << power) + scale.pitch / 2, top, _short(count), size=14, anchor="ms")


def _axis(pen: ImageDraw, scale: _Scale, ground: float) -> None:
    powers = scale.powers
    step = -(-(len(powers) + 1) // _MOST_TICKS)
    for power in range(powers.start, powers.stop + 1, step):
        x = scale.x(1 << power)
        pen.line([_px(x), _px(ground), _px(x), _px(ground + 6)], fill=_INK, width=_FINE)
        _text(pen, x, ground + 12, _short(1 << power), size=17, anchor="ma")
    middle = (_LEFT + _RIGHT) / 2
    said = "tokens of a document, BOS and EOS counted"
    _text(pen, middle, ground + 44, said, size=18, anchor="ma")


def _name_lines(pen: ImageDraw, scale: _Scale, contexts: Sequence[int]) -> None:
    """Of lines that stand too close the longer ctx is named alone."""
    last = float("inf")
    for ctx in reversed(contexts):
        if last - scale.x(ctx) > 78:
            last = scale.x(ctx)
            _text(pen, last, _TOP - 6, f"ctx {_short(ctx)}", size=15, anchor="ms", fill=_LINE)


def _dashed(pen: ImageDraw, x: float, top: float, bottom: float) -> None:
    at = top
    while at < bottom:
        pen.line([_px(x), _px(at), _px(x), _px(min(at + 6, bottom))], fill=_LINE, width=_FINE)
        at += 11


def _text(
    pen: ImageDraw, x: float, y: float, text: str, *, size: int, anchor: str, fill: str = _INK
) -> None:
    from PIL import ImageFont

    font: Any = ImageFont.load_default(size * _FINE)
    at = (_px(x), _px(y))
    pen.text(at, text, fill=fill, font=font, anchor=anchor, stroke_width=4, stroke_fill=_PAPER)


def _px(value: float) -> int:
    return round(value * _FINE)


def _sources(lengths: Mapping[str, Mapping[str, int]]) -> dict[str, dict[int, int]]:
    """Documents by power of two, the largest sources first."""
    bins = {
        name: {int(low).bit_length() - 1: int(count) for low, count in found.items() if count}
        for name, found in lengths.items()
        if any(found.values())
    }
    ordered = sorted(bins, key=lambda name: (-sum(bins[name].values()), name))
    if len(ordered) <= MOST_SOURCES:
        return {name: bins[name] for name in ordered}
    shown = {name: bins[name] for name in ordered[: MOST_SOURCES - 1]}
    rest: Counter[int] = Counter()
    for name in ordered[MOST_SOURCES - 1 :]:
        rest.update(bins[name])
    return {**shown, f"{len(ordered) - len(shown)} others": dict(rest)}


def _place(ctx: int) -> float:
    """Where a length stands among bars that double: inside its bar in proportion."""
    power = ctx.bit_length() - 1
    return power + (ctx - (1 << power)) / (1 << power)


def _cut(name: str) -> str:
    """In one line that fits; what the font cannot show becomes a box."""
    line = "".join(c if c.isprintable() else " " for c in name)
    return line if len(line) <= 20 else f"{line[:19]}…"


def _short(number: int) -> str:
    """512, 8k, 128k, 1M; numbers that are no round ones with their first digits."""
    for size, sign in ((1 << 20, "M"), (1 << 10, "k")):
        if number >= size and number % size == 0:
            return f"{number // size}{sign}"
    for size, sign in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= 10 * size or (number >= size and number % size == 0):
            return f"{number / size:.0f}{sign}"
        if number >= size:
            return f"{number / size:.1f}{sign}"
    return str(number)
