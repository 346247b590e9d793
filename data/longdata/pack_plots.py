"""How long the documents of packed rows are: one picture for a card, the same bytes from the same
facts.

    length_histogram([facts_8192, facts_32768], folder / "images" / "lengths.png")

A row of bars for each source, over lengths that double, each with a scale of its own: a million web
pages would otherwise hide a thousand books. Dashed lines stand where documents get longer than a
row. Of many sources the largest are shown one by one and the rest together.
"""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from longdata.atomic import write_file

MOST_SOURCES = 8
_INK, _PALE, _LINE = "#1f2933", "#d9dee3", "#b3261e"
_COLOURS = ("#0072b2", "#009e73", "#e69f00", "#56b4e9", "#cc79a7", "#d55e00", "#8c6d31", "#5b6770")
_STYLE = {
    "font.family": "DejaVu Sans",  # comes with the library, so that all machines draw the same
    "font.size": 10,
    "text.parse_math": False,  # names of sources are no formulas
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def length_histogram(facts: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the documents used, of all `ctx` that were packed from one store, as a .png."""
    sources = _sources(facts[0]["lengths"])
    contexts = sorted({int(one["ctx"]) for one in facts})
    powers = [power for bins in sources.values() for power in bins]
    low, high = min(powers, default=9), max(powers, default=9)
    import matplotlib as mpl

    plain = {key: value for key, value in mpl.rcParamsDefault.items() if key != "backend"}
    style: Any = {**plain, **_STYLE}  # whatever a matplotlibrc of this machine says
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*missing from font")  # they become boxes
        write_file(path, _drawn(sources, contexts, range(low, high + 1)))


def _drawn(
    sources: Mapping[str, Mapping[int, int]], contexts: Sequence[int], powers: range
) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = max(1, len(sources))
    height = 1.0 + 0.85 * rows
    figure = Figure(figsize=(8, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    grid: Any = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=0.22, right=0.97, top=1 - 0.55 / height, bottom=0.55 / height, hspace=0.18
    )
    figure.text(0.02, 1 - 0.28 / height, "Documents by length", fontsize=13, weight="bold")
    for axes, (name, bins), colour in zip(grid, sources.items(), _cycled(rows), strict=False):
        _bars(axes, name, bins, powers, colour)
    for axes in grid:
        for ctx in contexts:
            place = _place(ctx)
            if powers.start <= place <= powers.stop:
                axes.axvline(place, color=_LINE, linewidth=1, linestyle=(0, (4, 3)), zorder=3)
    _label_contexts(grid[0], [c for c in contexts if powers.start <= _place(c) <= powers.stop])
    last = grid[-1]
    step = max(1, -(-len(powers) // 10))
    ticks = list(range(powers.start, powers.stop + 1, step))
    last.set_xticks(ticks, [_short(1 << power) for power in ticks])
    last.set_xlim(powers.start - 0.15, powers.stop + 0.15)
    last.set_xlabel("tokens of a document, BOS and EOS counted")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _bars(axes: Any, name: str, bins: Mapping[int, int], powers: range, colour: str) -> None:
    counts = [bins.get(power, 0) for power in powers]
    middles = [power + 0.5 for power in powers]
    most = max(counts, default=0) or 1
    shown = [max(count, 0.02 * most) if count else 0 for count in counts]  # one is seen, too
    axes.bar(middles, shown, width=0.92, color=colour, zorder=2)
    axes.set_ylim(0, 1.35 * most)
    axes.set_yticks([])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_PALE)
    axes.tick_params(axis="x", length=3, color=_PALE)
    total = sum(counts)
    said = f"{_cut(name)}\n{total:,} document{'' if total == 1 else 's'}"
    axes.text(-0.02, 0.42, said, transform=axes.transAxes, ha="right", va="center", fontsize=9)
    for middle, count in zip(middles, counts, strict=True):
        if count:
            axes.text(
                middle, count + 0.1 * most, _short(count), ha="center", fontsize=7, zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0, "alpha": 0.85},
            )  # fmt: skip


def _label_contexts(axes: Any, contexts: Sequence[int]) -> None:
    """Names the lines; of lines that stand too close the later one is named alone."""
    last = float("inf")
    for ctx in reversed(contexts):
        place = _place(ctx)
        if last - place > 0.9:
            axes.text(
                place, 1.06, f"ctx {_short(ctx)}", transform=axes.get_xaxis_transform(),
                ha="center", fontsize=8, color=_LINE,
            )  # fmt: skip
            last = place


def _sources(lengths: Mapping[str, Mapping[str, int]]) -> dict[str, dict[int, int]]:
    """Documents by power of two, the largest sources first."""
    bins = {
        name: {int(low).bit_length() - 1: int(count) for low, count in found.items()}
        for name, found in lengths.items()
        if found
    }
    ordered = sorted(bins, key=lambda name: (-sum(bins[name].values()), name))
    if len(ordered) <= MOST_SOURCES:
        return {name: bins[name] for name in ordered}
    shown = {name: bins[name] for name in ordered[: MOST_SOURCES - 1]}
    rest: Counter[int] = Counter()
    for name in ordered[MOST_SOURCES - 1 :]:
        rest.update(bins[name])
    return {**shown, f"{len(ordered) - len(shown)} others": dict(rest)}


def _cycled(count: int) -> list[str]:
    return [_COLOURS[number % len(_COLOURS)] for number in range(count)]


def _place(ctx: int) -> float:
    """Where a length stands among bars that double: inside its bar in proportion."""
    power = ctx.bit_length() - 1
    return power + (ctx - (1 << power)) / (1 << power)


def _cut(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"


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
