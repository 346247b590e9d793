"""Runs on a page → lines in reading order: columns, margin notes, running heads, figure text.

    lines, dropped = read_lines(pages)
    [line.text for line in lines]  -> ["1. Introduction", "Sorting has enjoyed an important", …]

How the order is found, page by page:

1. runs that follow each other on one baseline become segments;
2. segments at the edge of the page that other pages repeat at the same place are running heads;
3. a gutter is an x that prose keeps free on both sides at once. Segments that cross it (titles,
   wide figures) cut the page into bands; in each band the left column is read before the right
   one, and each column may have columns again. Regions are never sorted by (y, x);
4. in a column, segments on one baseline make a line.

Everything here is pure: boxes in, lines out.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from longdata.documents import Dropped
from longdata.readers.pdf_furniture import drop_furniture, same_row, without_figure_text
from longdata.readers.pdf_lines import Line, Segment, lines_of, segments_of
from longdata.readers.pdf_listings import drop_line_numbers, set_listings
from longdata.readers.pdf_page import Page


def read_lines(pages: Iterable[Page]) -> tuple[list[Line], list[Dropped]]:
    """All pages' lines in reading order, and what was left out with the reason."""
    kept: list[list[Segment]] = []
    sizes: list[tuple[float, float]] = []
    dropped: list[Dropped] = []
    for page in pages:
        segments = segments_of(page.runs)
        segments, figure_text = without_figure_text(segments, page)
        set_listings(segments)
        line_numbers: list[Dropped] = []
        if len(segments) <= MAX_SEGMENTS:
            segments, line_numbers = drop_line_numbers(segments)
        dropped += figure_text + line_numbers
        if page.unmapped:
            dropped.append(Dropped(reason="unreadable glyphs", text=str(page.unmapped)))
        kept.append(segments)
        sizes.append((page.width, page.height))
    dropped += drop_furniture(kept, [height for _, height in sizes])
    body = _body_size(kept)
    left = _text_left(kept, body)
    for segments in kept:
        _mark_margin(segments, left, body)
    gutters = [find_gutter([s for s in segments if not s.margin]) for segments in kept]
    usual = _usual_gutter(gutters)
    if usual is None:  # a document in one column: what looks like two is mostly a table
        gutters = [
            gutter and find_gutter([s for s in segments if not s.margin], least=0.7)
            for gutter, segments in zip(gutters, kept, strict=True)
        ]
    lines: list[Line] = []
    flow = 0
    for number, (segments, gutter) in enumerate(zip(kept, gutters, strict=True)):
        margin = [s for s in segments if s.margin]
        main = [s for s in segments if not s.margin]
        small = len(main) <= MAX_SEGMENTS
        if gutter is None and usual is not None and small and _fits(main, usual):
            gutter = usual
        for column in [*columns_of(main, gutter), *([margin] if margin else [])]:
            flow += 1
            lines += lines_of(column, page=number, flow=flow)
    return lines, dropped


def _body_size(pages: list[list[Segment]]) -> float:
    weights = Counter[float]()
    for segments in pages:
        for segment in segments:
            weights[round(segment.size, 1)] += sum(len(run.text) for run in segment.runs)
    return max(weights, key=lambda size: (weights[size], size), default=10.0)


def _text_left(pages: list[list[Segment]], body: float) -> float:
    """Where most lines of prose begin, over all pages: the left edge of the text."""
    edges = Counter[int]()
    for segments in pages:
        for segment in segments:
            if abs(segment.size - body) < 0.6 and segment.x1 - segment.x0 > 15 * body:
                edges[round(segment.x0 / 3)] += 1
    if not edges:
        return 0.0
    most = max(edges.values())
    return 3.0 * min(edge for edge, count in edges.items() if count >= 0.25 * most)


def _mark_margin(segments: list[Segment], left: float, body: float) -> None:
    """Small text wholly to the left of where the text begins is a margin note."""
    for segment in segments:
        if (
            segment.x1 < left - 3
            and segment.size < body * 0.98
            and segment.x1 - segment.x0 < 0.8 * left
        ):
            segment.margin = True


# A dense page has some hundred segments; a page with more than this is a drawing, read as one
# column: what looks for columns compares segments with each other.
MAX_SEGMENTS = 5_000
_BIN = 2.0  # points: the resolution at which the page is looked at for gutters


def find_gutter(segments: Sequence[Segment], *, least: float = 0.25) -> float | None:
    """The x between two columns of prose, or None. Both columns must be filled side by side.

    `least` is the share of the page's height with text that must have two columns.
    """
    if not 12 <= len(segments) <= MAX_SEGMENTS:
        return None
    x0 = np.array([s.x0 for s in segments])
    x1 = np.array([s.x1 for s in segments])
    top = np.array([s.top for s in segments])
    bottom = np.array([s.bottom for s in segments])
    low, high = float(np.quantile(x0, 0.02)), float(np.quantile(x1, 0.98))
    width = high - low
    if width < 120:
        return None
    bins = int((bottom.max() - top.min()) / _BIN) + 2
    first = np.clip(((top - top.min()) / _BIN).astype(int), 0, bins - 1)
    last = np.clip(((bottom - top.min()) / _BIN).astype(int) + 1, 1, bins)

    def rows(
        chosen: np.ndarray[tuple[int], np.dtype[np.bool_]],
    ) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        steps = np.zeros(bins + 1, dtype=np.int64)
        np.add.at(steps, first[chosen], 1)
        np.add.at(steps, last[chosen], -1)
        return np.cumsum(steps)[:bins] > 0

    best: tuple[int, float] = (0, 0.0)
    scores: dict[float, int] = {}
    for x in np.arange(low + 0.2 * width, high - 0.2 * width, _BIN):
        crossing = rows((x0 < x - 1) & (x1 > x + 1))
        both = rows(x1 <= x + 1) & rows(x0 >= x - 1) & ~crossing
        score = int(both.sum())
        scores[float(x)] = score
        if score > best[0]:
            best = (score, float(x))
    score, _ = best
    if score * _BIN < 50:
        return None
    good = [x for x, value in scores.items() if value >= 0.97 * score]
    gutter = _middle_of_longest_streak(good)
    left = [s for s in segments if s.x1 <= gutter + 1]
    right = [s for s in segments if s.x0 >= gutter - 1]
    crossing_rows = rows((x0 < gutter - 1) & (x1 > gutter + 1))
    if score < least * (score + int(crossing_rows.sum())):
        return None
    return gutter if _filled(left) and _filled(right) else None


def _middle_of_longest_streak(xs: list[float]) -> float:
    streaks: list[list[float]] = [[]]
    for x in xs:
        if streaks[-1] and x - streaks[-1][-1] > _BIN * 1.5:
            streaks.append([])
        streaks[-1].append(x)
    longest = max(streaks, key=len)
    return (longest[0] + longest[-1]) / 2


def _filled(segments: Sequence[Segment]) -> bool:
    """Whether most rows of these segments fill the width they share, as prose does."""
    if len(segments) < 5:
        return False
    low, high = min(s.x0 for s in segments), max(s.x1 for s in segments)
    if high - low < 8 * statistics.median(s.size for s in segments):
        return False
    rows: dict[int, float] = defaultdict(float)
    for segment in segments:
        rows[round(segment.baseline / 3)] += segment.x1 - segment.x0
    filled = sum(width > 0.55 * (high - low) for width in rows.values())
    return filled >= 4 and filled >= 0.35 * len(rows)


def _usual_gutter(gutters: Sequence[float | None]) -> float | None:
    """The gutter that at least two pages in five have at the same place."""
    found = [gutter for gutter in gutters if gutter is not None]
    if not found:
        return None
    middle = statistics.median_low(found)
    agreeing = sum(abs(gutter - middle) < 9 for gutter in found)
    return middle if agreeing >= max(1, 0.4 * len(gutters)) else None


def _fits(segments: Sequence[Segment], gutter: float) -> bool:
    """Whether a page without a gutter of its own can be read with the document's usual one."""
    crossing = sum(s.x0 < gutter - 4 and s.x1 > gutter + 4 for s in segments)
    return crossing < 0.3 * len(segments)


def columns_of(
    segments: Sequence[Segment], gutter: float | None, depth: int = 0
) -> list[list[Segment]]:
    """The page's columns in reading order: each band's left column before its right one."""
    if gutter is None:
        return [list(segments)] if segments else []
    wide = [s for s in segments if _spans(s, gutter, segments)]
    spanning = {id(s) for s in wide}
    narrow = [s for s in segments if id(s) not in spanning]
    ordered = sorted(wide, key=lambda s: s.baseline)
    columns: list[list[Segment]] = []

    def read_band(top: float, bottom: float) -> None:
        band = [s for s in narrow if top <= (s.top + s.bottom) / 2 < bottom]
        for side in (
            [s for s in band if (s.x0 + s.x1) / 2 < gutter or s.x0 < gutter - 12],
            [s for s in band if not ((s.x0 + s.x1) / 2 < gutter or s.x0 < gutter - 12)],
        ):
            inner = find_gutter(side) if depth < 2 else None
            columns.extend(columns_of(side, inner, depth + 1))

    at = float("-inf")
    group: list[Segment] = []
    for segment in ordered:
        middle = (segment.top + segment.bottom) / 2
        between = [s for s in narrow if at <= (s.top + s.bottom) / 2 < middle]
        beside = [s for s in between if not same_row(s, segment)]
        if beside and group and max(s.bottom for s in beside) > group[-1].bottom:
            columns.append(group)
            group = []
        if beside and not group:
            read_band(at, segment.top)
            at = segment.top
        group.append(segment)
    if group:
        columns.append(group)
        at = max(at, group[-1].top)
    read_band(at, float("inf"))
    return [column for column in columns if column]


def _spans(segment: Segment, gutter: float, segments: Sequence[Segment]) -> bool:
    """A segment that crosses the gutter and is no overlong line of the left column."""
    if not (segment.x0 < gutter - 6 and segment.x1 > gutter + 6):
        return False
    beside = (s for s in segments if s is not segment and same_row(s, segment))
    return not any(s.x0 > gutter - 6 and s.x0 > segment.x0 for s in beside)
