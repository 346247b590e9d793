"""Charts as HTML that needs no script: bars with their numbers, and columns over 0 to 1.

    bars([Bar(label="order", value=212), Bar(label="speaker", value=180)])
    columns([30.0, 28.5, …], caption="where the evidence lies")

Sizes are attributes of SVG rectangles, because a page that forbids inline styles may hold them.
Every number a chart shows is also there as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar. With `filters`, such as ("kind", "order"), it is a button that sets that filter."""

    label: str
    value: float
    note: str = ""
    filters: tuple[str, str] | None = None


def bars(rows: Sequence[Bar]) -> str:
    """Horizontal bars, the longest as wide as the chart, with value and share of the sum."""
    total = sum(row.value for row in rows) or 1
    top = max((row.value for row in rows), default=0) or 1
    return f'<ul class="bars">{"".join(_bar(row, top, total) for row in rows)}</ul>'


def _bar(row: Bar, top: float, total: float) -> str:
    width = 100 * row.value / top
    inside = (
        f'<span class="label">{escape(row.label)}</span>'
        f'<svg aria-hidden="true"><rect class="track" width="100%" height="100%"/>'
        f'<rect class="fill" width="{width:.2f}%" height="100%"/></svg>'
        f'<span class="value">{row.value:,.0f}</span>'
        f'<span class="share">{100 * row.value / total:.1f} %</span>'
    )
    if row.note:
        inside += f'<span class="note">{escape(row.note)}</span>'
    if row.filters is None:
        return f'<li><span class="bar">{inside}</span></li>'
    name, value = row.filters
    return (
        f'<li><button class="bar" type="button" data-filter="{escape(name)}" '
        f'data-value="{escape(value)}">{inside}</button></li>'
    )


def columns(values: Sequence[float], *, caption: str) -> str:
    """Upright columns over equal parts of 0 to 1, with a line at the value of an even spread."""
    top = max(values, default=0) or 1
    total = sum(values) or 1
    width, gap, height = 100 / max(1, len(values)), 1.2, 100.0
    drawn = []
    for index, value in enumerate(values):
        tall = height * value / top
        low, high = 100 * index / len(values), 100 * (index + 1) / len(values)
        title = f"{low:.0f}–{high:.0f} %: {value:,.0f} ({100 * value / total:.1f} %)"
        drawn.append(
            f'<rect class="fill" x="{index * width + gap / 2:.2f}" y="{height - tall:.2f}" '
            f'width="{width - gap:.2f}" height="{tall:.2f}"><title>{escape(title)}</title></rect>'
        )
    even = height - height * (total / max(1, len(values))) / top
    said = ", ".join(f"{value:,.0f}" for value in values)
    return (
        f'<figure class="columns"><svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(caption)}: {said}">{"".join(drawn)}'
        f'<line class="even" x1="0" x2="100" y1="{even:.2f}" y2="{even:.2f}"/></svg>'
        '<div class="axis" aria-hidden="true"><span>beginning</span><span>middle</span>'
        f"<span>end</span></div><figcaption>{escape(caption)}</figcaption></figure>"
    )
