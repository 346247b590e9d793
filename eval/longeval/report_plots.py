"""Charts of a report → PNGs, for a light and a dark page, for a wide and a narrow one.

    draw(chart, LIGHT)                     -> b"\\x89PNG…"
    draw(chart, DARK, is_narrow=True)      the same for a phone at night

Published curves are grey and behind; each of our models has a colour and a marker of its own in all
charts. Colours are those of Okabe and Ito, which people with any colour vision tell apart; a grid
of shares is in viridis, with its number in each cell.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longeval.report_series import Chart, Heat, Lines, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

DPI = 160
_MARKERS = "osD^vPX*"
_PUBLISHED_MARKERS = "ovs^Dd"
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
_MOST_NUMBERS = 220  # cells of a grid that still have room for a number


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    paper: str
    ink: str
    soft: str
    line: str
    published: tuple[str, ...]
    colours: tuple[str, ...]


LIGHT = Theme(
    paper="#ffffff",
    ink="#23201b",
    soft="#655f55",
    line="#e4dfd5",
    published=("#8d877c", "#aaa499", "#bdb7ac", "#78736a", "#c4bfb5"),
    colours=("#0072b2", "#d55e00", "#009e73", "#b0568d", "#b07d00", "#3a93c9", "#5b5b5b"),
)
DARK = Theme(
    paper="#211f1b",
    ink="#e9e4da",
    soft="#a69f92",
    line="#37332c",
    published=("#8f887c", "#756f65", "#686259", "#a29b8f", "#5e5950"),
    colours=("#56b4e9", "#f0894a", "#35c39a", "#e39bc6", "#e6b84c", "#8fb8ff", "#c9c3b8"),
)


def draw(chart: Chart, theme: Theme, *, is_narrow: bool = False) -> bytes:
    """The PNG of a chart. Nothing in it depends on the clock."""
    from matplotlib import rc_context

    settings: dict[Any, Any] = {
        "font.family": "sans-serif",
        "font.size": 9.5 if is_narrow else 10,
        "text.color": theme.ink,
        "axes.labelcolor": theme.soft,
        "axes.edgecolor": theme.line,
        "xtick.color": theme.soft,
        "ytick.color": theme.soft,
        "text.parse_math": False,  # a model may be called $x$
    }
    with rc_context(settings):
        if isinstance(chart, Heat):
            figure = _heat(chart, theme, is_narrow)
        else:
            figure = _lines(chart, theme, is_narrow)
        stream = io.BytesIO()
        figure.savefig(
            stream, format="png", dpi=DPI, facecolor=theme.paper, metadata={"Software": None}
        )
    return stream.getvalue()


def _figure(width: float, height: float, title: str, theme: Theme) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot(facecolor=theme.paper)
    shown = _cut(title, int(width * 10.5))
    figure.suptitle(shown, fontsize=11, x=0.02, ha="left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(which="both", length=0)
    return figure, axes


def _lines(chart: Lines, theme: Theme, is_narrow: bool) -> Figure:
    most = 46 if is_narrow else 96
    ours = [one for one in chart.series if one.colour is not None]
    listed = [*ours, *(one for one in chart.series if one.colour is None)]
    labels = [_cut(one.label, most) for one in listed]
    is_double = not is_narrow and max(map(len, labels)) <= 46
    height = (3.3 if is_narrow else 3.5) + 0.2 * -(-len(labels) // (2 if is_double else 1))
    figure, axes = _figure(3.9 if is_narrow else 7.2, height, chart.title, theme)
    axes.grid(color=theme.line, linewidth=0.8)
    axes.set_axisbelow(True)
    handles = [_line(axes, one, theme) for one in listed]
    axes.set_xlabel(chart.x)
    axes.set_ylabel(chart.y)
    if chart.log:
        _lengths(axes, chart, is_narrow)
    if chart.y_range is not None:
        axes.set_ylim(*chart.y_range)
    elif chart.log_y:
        _log_values(axes)
    legend = figure.legend(
        handles,
        labels,
        loc="outside lower left",
        ncols=2 if is_double else 1,
        fontsize=8 if is_narrow else 8.5,
        frameon=False,
        handlelength=3.6,
    )
    for text in legend.get_texts():
        text.set_color(theme.soft)
    return figure


def _line(axes: Axes, one: Series, theme: Theme) -> Line2D:
    xs = [point.x for point in one.points]
    ys = [point.y for point in one.points]
    if one.colour is None:
        (line,) = axes.plot(
            xs,
            ys,
            color=theme.published[one.style % len(theme.published)],
            linewidth=1.2,
            marker=_PUBLISHED_MARKERS[one.style % len(_PUBLISHED_MARKERS)],
            markersize=3.5,
            markevery=max(1, len(xs) // 12),
            zorder=2,
        )
        return line
    colour = theme.colours[one.colour % len(theme.colours)]
    (line,) = axes.plot(
        xs,
        ys,
        color=colour,
        linestyle=_DASHES[one.style % len(_DASHES)],
        linewidth=1.9,
        marker=_MARKERS[one.colour % len(_MARKERS)],
        markersize=4.5,
        zorder=4,
    )
    for point in one.points:
        if point.low is not None and point.high is not None:
            ends = [point.low, point.high]
            axes.plot([point.x] * 2, ends, color=colour, linewidth=1, alpha=0.6, zorder=3)
    return line


def _lengths(axes: Axes, chart: Lines, is_narrow: bool) -> None:
    """Lengths by their logarithm, with a tick at powers of two, few enough to be read."""
    values = [point.x for one in chart.series for point in one.points]
    low, high = min(values), max(values)
    axes.set_xscale("log", base=2)
    powers = [2**power for power in range(40) if low / 1.5 <= 2**power <= high * 1.5]
    step = -(-len(powers) // (6 if is_narrow else 11))
    ticks = powers[::-1][::step][::-1]
    axes.set_xticks(ticks, [_short(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(low / 1.15, high * 1.15)


def _log_values(axes: Axes) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    axes.set_yscale("log")
    axes.tick_params(which="both", length=0)
    ticks = [digit * 10.0**power for power in range(-2, 7) for digit in (1, 2, 5)]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _heat(chart: Heat, theme: Theme, is_narrow: bool) -> Figure:
    import numpy as np

    columns, rows = len(chart.lengths), len(chart.depths)
    width = 3.9 if is_narrow else min(7.2, max(4.6, 2.4 + 0.62 * columns))
    figure, axes = _figure(width, 1.7 + 0.3 * max(3, rows), chart.title, theme)
    values = np.array(
        [[np.nan if value is None else value for value in row] for row in chart.values]
    )
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    axes.set_facecolor(theme.line)
    few = max(1, -(-columns // (6 if is_narrow else 16)))
    axes.set_xticks(range(0, columns, few), [_short(ctx) for ctx in chart.lengths[::few]])
    axes.set_yticks(range(rows), [f"{depth:.0%}" for depth in chart.depths])
    axes.set_xlabel("context (tokens)")
    axes.set_ylabel("depth of the key")
    if columns * rows <= _MOST_NUMBERS and columns <= (9 if is_narrow else 16):
        for row in range(rows):
            for column in range(columns):
                value = chart.values[row][column]
                said = "–" if value is None else f"{value:.2f}".removeprefix("0")
                said = {".00": "0", "1.00": "1"}.get(said, said)
                colour = theme.ink if value is None else "#ffffff" if value <= 0.6 else "#000000"
                axes.text(column, row, said, ha="center", va="center", fontsize=8, color=colour)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label("share of keys found")
    bar.outline.set_visible(False)
    return figure


def _short(length: float) -> str:
    whole = round(length)
    return f"{whole // 1024}k" if whole >= 1024 and whole % 1024 == 0 else f"{whole:,}"


def _cut(text: str, most: int) -> str:
    """One line of so many signs, none of them a control character."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"
