"""What the pictures of a report show, as data: lines over lengths, and heat maps.

    chart = charts_of(load("runs/a", "runs/b"))[0]
    chart.name, chart.title, chart.series[0].label     -> "perplexity-1", "Perplexity: pg19", …
    chart.series[0].points[0]                          -> Point(x=2048, y=8.31, low=8.02, high=8.6)

report_plots.py draws them. A model has one colour in all of them: `colour` counts models, and is
None where a curve was published by others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longeval.paper import Published, caution, drawn
from longeval.tables import Record, paper_of, records

if TYPE_CHECKING:
    from longeval.results import Frames

_FEWEST = 50  # tokens of a mean loss that is drawn
_MARGIN = 0.05  # that a point of a share is not cut in two at 0 and 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A line. `style` tells the lines of one model apart (protocols, places asked for)."""

    label: str
    colour: int | None
    style: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A chart of lines. `log`: lengths double from tick to tick."""

    name: str
    kind: str
    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    note: str = ""
    log: bool = True
    log_y: bool = False
    y_range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """A share for each length (left to right) and depth (downwards); None where there is none."""

    name: str
    kind: str
    title: str
    lengths: tuple[int, ...]
    depths: tuple[float, ...]
    values: tuple[tuple[float | None, ...], ...]
    note: str = ""


Chart = Lines | Heat


def charts_of(frames: Frames, *, beside: str | None = None) -> list[Chart]:
    """All pictures of these runs, in the order of the kinds of evaluation; named one by one."""
    colours = _Colours()
    found: list[Chart] = []
    for kind, make in _MAKERS.items():
        rows = records(frames, kind)
        colours.add(rows)
        for data in dict.fromkeys(row["data"] for row in rows):
            of_data = [row for row in rows if row["data"] == data]
            found += make(data, of_data, paper_of(kind, data, beside), colours)
    return [
        dataclasses.replace(chart, name=f"{chart.name}-{number}")
        for number, chart in enumerate(found, start=1)
    ]


class _Colours:
    """Models in the order in which they come."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}

    def add(self, rows: Iterable[Record]) -> None:
        for row in rows:
            self._number.setdefault(row["label"], len(self._number))

    def __getitem__(self, label: str) -> int:
        return self._number[label]


def _perplexity(
    data: str, rows: Sequence[Record], paper: Published | None, colours: _Colours
) -> list[Chart]:
    ours = _series(
        [row for row in rows if row["name"] in ("perplexity", "estimated_perplexity")],
        colours,
        style=lambda row: (
            str(row.get("protocol", "")) + (" ≈" if row["name"].startswith("estimated") else "")
        ),
        x="ctx",
    )
    curves = [
        row
        for row in rows
        if row["name"].endswith("mean_nll_at")
        and {"context_from", "context_to"} <= row.keys()
        and row.get("n", 0) >= _FEWEST
    ]
    longest: dict[tuple[str, str], int] = {}
    for row in curves:
        key = (row["label"], str(row.get("protocol")))
        longest[key] = max(longest.get(key, 0), row.get("ctx", 0))
    at = _series(
        [
            {**row, "context": max(1.0, (row["context_from"] + row["context_to"] - 1) / 2)}
            for row in curves
            if row.get("ctx", 0) == longest[row["label"], str(row.get("protocol"))]
        ],
        colours,
        style=lambda row: f"{row.get('protocol', '')}, ctx {row.get('ctx', 0):,}",
        x="context",
    )
    theirs = _published(paper)
    found: list[Chart] = []
    if ours:
        found.append(
            Lines(
                name="perplexity",
                kind="perplexity",
                title=f"Perplexity: {data}",
                x="context (tokens)",
                y="perplexity",
                series=(*theirs, *ours),
                note="" if paper is None else caution(paper, data),
                log_y=_is_wide([*theirs, *ours]),
            )
        )
    if at:
        found.append(
            Lines(
                name="loss",
                kind="perplexity",
                title=f"Loss by what stands before: {data}",
                x="tokens before the one that is scored",
                y="mean loss (nats)",
                series=tuple(at),
                note="Mean loss of the tokens that have so many tokens of context, in the longest "
                f"context of each run; means of fewer than {_FEWEST} tokens are left out. Where a "
                "line falls, what is far away helps; where it rises, it harms.",
            )
        )
    return found


def _topics(
    data: str, rows: Sequence[Record], paper: Published | None, colours: _Colours
) -> list[Chart]:
    asked = {row.get("asked") for row in rows}
    ours = _series(
        [row for row in rows if row["name"] == "accuracy" and row.get("rule") == "nearest"],
        colours,
        style=lambda row: "" if len(asked) == 1 else f"{row.get('asked', '')} topic",
        x="ctx",
    )
    title = f"Topic accuracy: {data}"
    return _shares("topics", title, data, ours, paper)


def _lines(
    data: str, rows: Sequence[Record], paper: Published | None, colours: _Colours
) -> list[Chart]:
    ours = _series([row for row in rows if "depth" not in row], colours, style=_one, x="ctx")
    return _shares("lines", f"Line accuracy: {data}", data, ours, None)


def _passkey(
    data: str, rows: Sequence[Record], paper: Published | None, colours: _Colours
) -> list[Chart]:
    found = [row for row in rows if row["name"] == "accuracy"]
    ours = _series([row for row in found if "depth" not in row], colours, style=_one, x="ctx")
    title = f"Passkeys found: {data}"
    charts = _shares("passkey", title, data, ours, paper)
    cells = [row for row in found if "depth" in row and "value" in row]
    for label in dict.fromkeys(row["label"] for row in cells):
        of_label = {(r["ctx"], r["depth"]): r["value"] for r in cells if r["label"] == label}
        lengths = sorted({ctx for ctx, _ in of_label})
        depths = sorted({depth for _, depth in of_label})
        charts.append(
            Heat(
                name="passkey-grid",
                kind="passkey",
                title=f"{label}: {data}",
                lengths=tuple(lengths),
                depths=tuple(depths),
                values=tuple(tuple(of_label.get((c, d)) for c in lengths) for d in depths),
                note="Share of keys found at each depth: 0 % is the beginning of the text.",
            )
        )
    return charts


def _qa(
    data: str, rows: Sequence[Record], paper: Published | None, colours: _Colours
) -> list[Chart]:
    ours = _series(
        [row for row in rows if row["name"] == "f1" and "depth" in row],
        colours,
        style=_one,
        x="depth",
    )
    if not ours:
        return []
    return [
        Lines(
            name="qa",
            kind="qa",
            title=f"F1 by place of the evidence: {data}",
            x="place of the evidence, 0 the beginning",
            y="F1",
            series=tuple(ours),
            note="Bars are intervals of 95 % over documents, where there are two or more.",
            log=False,
            y_range=(-_MARGIN, 1 + _MARGIN),
        )
    ]


_Maker = Callable[[str, Sequence[Record], Published | None, _Colours], list[Chart]]
_MAKERS: Mapping[str, _Maker] = {
    "perplexity": _perplexity,
    "topics": _topics,
    "lines": _lines,
    "passkey": _passkey,
    "qa": _qa,
}


def _shares(
    kind: str, title: str, data: str, ours: Sequence[Series], paper: Published | None
) -> list[Chart]:
    """A chart of shares of right answers, with Wilson's intervals."""
    if not ours:
        return []
    note = "Bars are Wilson's intervals of 95 %."
    return [
        Lines(
            name=kind,
            kind=kind,
            title=title,
            x="length of the prompt (tokens)",
            y="share of right answers",
            series=(*_published(paper), *ours),
            note=note if paper is None else f"{note} {caution(paper, data)}",
            y_range=(-_MARGIN, 1 + _MARGIN),
        )
    ]


def _series(
    rows: Iterable[Record], colours: _Colours, *, style: Callable[[Record], str], x: str
) -> list[Series]:
    """One line for each model and style, its points from left to right."""
    found: dict[tuple[str, str], list[Point]] = {}
    for row in rows:
        if x in row and "value" in row:
            point = Point(x=row[x], y=row["value"], low=row.get("low"), high=row.get("high"))
            found.setdefault((row["label"], style(row)), []).append(point)
    styles = list(dict.fromkeys(named for _, named in found))
    return [
        Series(
            label=", ".join(part for part in (label, named) if part),
            colour=colours[label],
            style=styles.index(named),
            points=tuple(sorted(points, key=lambda point: point.x)),
        )
        for (label, named), points in found.items()
    ]


def _published(paper: Published | None) -> list[Series]:
    if paper is None:
        return []
    return [
        Series(
            label=f"{curve.label} ({curve.table})",
            colour=None,
            style=number,
            points=tuple(Point(x=ctx, y=value) for ctx, value in curve.points),
        )
        for number, curve in enumerate(drawn(paper))
    ]


def _is_wide(series: Iterable[Series]) -> bool:
    """Whether values are so far apart that the small ones would lie on one line."""
    values = [point.y for one in series for point in one.points]
    return min(values) > 0 and max(values) > 4 * min(values)


def _one(row: Record) -> str:
    return ""
