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

import itertools
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from longdata.documents import Dropped
from longdata.readers.pdf_chars import SOFT_HYPHEN, Font, Page, Run


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a line in one style."""

    text: str
    size: float
    font: Font


@dataclass(slots=True)
class Segment:
    """Runs that stand next to each other on one baseline."""

    runs: list[Run]
    x0: float
    top: float
    x1: float
    bottom: float
    baseline: float
    size: float
    margin: bool = False

    @property
    def height(self) -> float:
        return max(self.bottom - self.top, 1.0)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one column. `cells` are its parts that stand apart from each other."""

    pieces: tuple[Piece, ...]
    x0: float
    top: float
    x1: float
    bottom: float
    baseline: float
    size: float
    page: int
    column: tuple[float, float]  # where the column's text begins and ends
    cells: tuple[str, ...]
    margin: bool = False
    flow: int = 0  # grows by one at each new column, band or page
    text: str = field(default="")

    @property
    def bold(self) -> bool:
        return self._share("bold") > 0.8

    @property
    def italic(self) -> bool:
        return self._share("italic") > 0.8

    @property
    def mono(self) -> bool:
        return self._share("mono") > 0.7

    @property
    def font(self) -> str:
        weights = Counter[str]()
        for piece in self.pieces:
            weights[piece.font.name] += len(piece.text)
        return max(weights, key=lambda name: (weights[name], name))

    def _share(self, trait: Literal["bold", "italic", "mono"]) -> float:
        total = sum(len(p.text.strip()) for p in self.pieces)
        so = sum(len(p.text.strip()) for p in self.pieces if getattr(p.font, trait))
        return so / max(total, 1)


def read_lines(pages: Iterable[Page]) -> tuple[list[Line], list[Dropped]]:
    """All pages' lines in reading order, and what was left out with the reason."""
    kept: list[list[Segment]] = []
    sizes: list[tuple[float, float]] = []
    dropped: list[Dropped] = []
    for page in pages:
        segments = segments_of(page.runs)
        segments, figure_text = _without_figure_text(segments, page)
        _set_listings(segments)
        segments, line_numbers = _drop_line_numbers(segments)
        dropped += figure_text + line_numbers
        if page.unmapped:
            dropped.append(Dropped(reason="unreadable glyphs", text=str(page.unmapped)))
        kept.append(segments)
        sizes.append((page.width, page.height))
    dropped += _drop_furniture(kept, [height for _, height in sizes])
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
        if gutter is None and usual is not None and _fits(main, usual):
            gutter = usual
        for column in [*columns_of(main, gutter), *([margin] if margin else [])]:
            flow += 1
            lines += lines_of(column, page=number, flow=flow)
    return lines, dropped


# ---- segments -------------------------------------------------------------------------------


def segments_of(runs: Sequence[Run]) -> list[Segment]:
    """Joins runs in drawing order while they go on to the right on the same baseline."""
    segments: list[Segment] = []
    for run in runs:
        last = segments[-1] if segments else None
        if run.angle != 0:
            segments.append(_segment(run))
            continue
        if last and run.text.strip() == "ID" and run.size < 0.7 * last.size:
            continue  # the ORCID badge
        if last and last.runs[-1].angle == 0 and _continues(last, run):
            last.runs.append(run)
            last.x0, last.x1 = min(last.x0, run.x0), max(last.x1, run.x1)
            last.top, last.bottom = min(last.top, run.top), max(last.bottom, run.bottom)
            if run.size > last.size * 1.05:  # began with a raised mark
                last.size, last.baseline = run.size, run.baseline
        else:
            segments.append(_segment(run))
    return segments


def _segment(run: Run) -> Segment:
    return Segment([run], run.x0, run.top, run.x1, run.bottom, run.baseline, run.size)


def _continues(segment: Segment, run: Run) -> bool:
    size = max(segment.size, run.size)
    gap = run.x0 - segment.x1
    if not -0.7 * size < gap < 1.3 * size or run.nested != segment.runs[-1].nested:
        return False
    shift = abs(run.baseline - segment.baseline)
    number = len(segment.runs) == 1 and segment.runs[0].text.strip().isdigit()
    if number and segment.size < 0.75 * run.size and shift < 0.1 * size:
        return False  # a listing's line number
    if shift < 0.15 * size:
        return True
    if 0.9 < run.size / segment.size < 1.1 and shift > 0.3 * size:
        return False
    overlap = min(run.bottom, segment.bottom) - max(run.top, segment.top)
    return shift < 0.6 * size and overlap > 0.2 * min(run.bottom - run.top, segment.height)


def _pieces(segments: Sequence[Segment]) -> tuple[list[Piece], list[str]]:
    """The text of segments on one line, from left to right, and its cells."""
    pieces: list[Piece] = []
    cells: list[str] = []
    edge: float | None = None
    for segment in segments:
        runs = segment.runs
        cell: list[Piece] = []
        for before, run in zip([None, *runs], runs, strict=False):
            text = _script(run, segment)
            if (
                before
                and cell
                and not cell[-1].text.endswith((" ", SOFT_HYPHEN))
                and run.x0 - before.x1 > 0.22 * max(run.size, before.size)
            ):
                text = " " + text
            cell.append(Piece(text, run.size, run.font))
        words = "".join(p.text for p in cell).strip()
        if not words:
            continue
        if edge is not None:
            apart = segment.x0 - edge > 1.3 * segment.size
            last = pieces[-1]
            if apart or (
                segment.x0 - edge > 0.2 * segment.size and not last.text.endswith(SOFT_HYPHEN)
            ):
                pieces[-1] = replace(
                    last, text=last.text.rstrip(" ") + (" " if not apart else "  ")
                )
            if apart:
                cells.append(words)
            else:
                cells[-1] += " " + words
        else:
            cells.append(words)
        pieces += cell
        edge = segment.x1
    return pieces, cells


_RAISED = str.maketrans("0123456789+-−()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁽⁾ⁿ")
_LOWERED = str.maketrans("0123456789+-−()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₍₎")


def _script(run: Run, segment: Segment) -> str:
    """Raised or lowered digits as such ("10⁶", "x₂", footnote marks); other text as it is."""
    bare = run.text.strip()
    if run.size > 0.88 * segment.size or not re.fullmatch(r"[0-9+\-−(), ]+", bare):
        return run.text
    if run.baseline < segment.baseline - 0.15 * segment.size:
        return run.text.translate(_RAISED)
    if run.baseline > segment.baseline + 0.05 * segment.size:
        return run.text.translate(_LOWERED)
    return run.text


# ---- program text ---------------------------------------------------------------------------


def _set_listings(segments: list[Segment]) -> None:
    """Program text on its grid of equal steps, which says where the spaces are.

    Listings are often set with letters further apart than the font's, so that PDFium sees spaces
    where there are none ("i n p u t _ 0"). Proportional fonts on such a grid count as monospaced.
    """
    steps: dict[tuple[str, float], list[float]] = defaultdict(list)
    for segment in segments:
        if len(segment.runs) > 2 or segment.runs[0].font.mono or _spread(segment):
            step = _step(segment)
            if step and (_spread(segment) or segment.runs[0].font.mono):
                steps[_face(segment)].append(step)
    usual = {face: statistics.median(found) for face, found in steps.items()}
    spread = Counter(_face(segment) for segment in segments if _spread(segment))
    for segment in segments:
        face = _face(segment)
        if face not in usual or not (segment.runs[0].font.mono or spread[face] >= 2):
            continue
        others = [run for run in segment.runs if not run.font.mono and run.font.name != face[0]]
        if any(char.isalpha() for run in others for char in run.text):
            continue  # a sentence that begins with a word of code
        text = _on_grid(segment.runs, usual[face], least=0.5 if _spread(segment) else 0.85)
        if text is not None:
            first = segment.runs[0]
            font = replace(first.font, mono=True)
            segment.runs = [replace(first, text=text, x1=segment.x1, font=font)]


def _face(segment: Segment) -> tuple[str, float]:
    return segment.runs[0].font.name, round(segment.size, 1)


def _spread(segment: Segment) -> bool:
    """Whether words fall apart into letters."""
    words = "".join(run.text for run in segment.runs).split()
    return len(words) >= 5 and sum(len(word) == 1 for word in words) > 0.6 * len(words)


def _letters(runs: Sequence[Run]) -> list[tuple[float, str]]:
    return [
        pair for run in runs for pair in zip(run.centres, run.text.replace(" ", ""), strict=False)
    ]


def _step(segment: Segment) -> float:
    """The usual distance of neighbouring letters."""
    letters = _letters(segment.runs)
    steps = sorted(b[0] - a[0] for a, b in itertools.pairwise(letters))
    return statistics.median(steps[: len(steps) * 2 // 3]) if len(steps) > 5 else 0.0


def _on_grid(runs: Sequence[Run], step: float, *, least: float) -> str | None:
    letters = _letters(runs)
    if not letters or step <= 0.1:
        return None
    steps = [b[0] - a[0] for a, b in itertools.pairwise(letters)]
    on_grid = sum(abs(s / step - round(s / step)) < 0.3 for s in steps)
    if on_grid < least * len(steps):
        return None
    text = letters[0][1]
    for s, (_, char) in zip(steps, letters[1:], strict=True):
        text += " " * max(0, round(s / step) - 1) + char
    return text


def _drop_line_numbers(segments: list[Segment]) -> tuple[list[Segment], list[Dropped]]:
    """Numbers that stand in a column to the left of program text."""
    numbers = [s for s in segments if re.fullmatch(r"\d{1,4}", _text(s))]
    code = [s for s in segments if s.runs[0].font.mono]
    beside = Counter[int]()
    for number in numbers:
        if any(0 < s.x0 - number.x1 < 40 and _same_row(s, number) for s in code):
            beside[round(number.x1 / 2)] += 1
    gone = {
        id(s)
        for s in numbers
        if sum(beside[round(s.x1 / 2) + d] for d in (-1, 0, 1)) >= 2
        and any(abs(s.baseline - c.baseline) < 30 and 0 < c.x0 - s.x1 < 200 for c in code)
    }
    text = "\n".join(_text(s) for s in segments if id(s) in gone)
    drops = [Dropped(reason="line number", text=text)] if gone else []
    return [s for s in segments if id(s) not in gone], drops


# ---- what is not text -----------------------------------------------------------------------

_ORNAMENT = re.compile(r"[\s\u2706\u260e\u271d\u271e]+")  # corners of frames, drawn as letters
_PROSE = re.compile(r"(?:\b[a-z]{2,}\b[ ,]+){4}")
_LONG_PROSE = re.compile(r"(?:\b[A-Za-z’'-]+\b[ ,.;:]+){8}")


def _without_figure_text(
    segments: list[Segment], page: Page
) -> tuple[list[Segment], list[Dropped]]:
    """Drops labels inside drawings and turned text; sentences inside a drawing stay."""
    kept: list[Segment] = []
    lost: list[str] = []
    ornaments: list[str] = []
    nested = [_text(s) for s in segments if s.runs[0].nested]
    has_prose = sum(_LONG_PROSE.search(text) is not None for text in nested) >= 2
    for segment in segments:
        text = "".join(run.text for run in segment.runs).strip()
        turned = segment.runs[0].angle != 0
        if not turned and _ORNAMENT.fullmatch(text):
            ornaments.append(text)
        elif turned or (segment.runs[0].nested and not (has_prose and _PROSE.search(text))):
            lost.append(text)
        else:
            kept.append(segment)
    outside = (s for s in kept if not (-5 <= s.x0 <= page.width and -5 <= s.top <= page.height))
    hidden = {id(s) for s in outside}
    drops = [Dropped(reason="figure text", text="\n".join(lost))] if lost else []
    if ornaments:
        drops.append(Dropped(reason="ornament", text="\n".join(ornaments)))
    if hidden:
        text = "\n".join("".join(r.text for r in s.runs) for s in kept if id(s) in hidden)
        drops.append(Dropped(reason="outside the page", text=text))
    return [s for s in kept if id(s) not in hidden], drops


def _drop_furniture(pages: list[list[Segment]], heights: list[float]) -> list[Dropped]:
    """Removes running heads, footers and page numbers from `pages`; returns them."""
    rows_of = [
        _edge_rows(segments, height) for segments, height in zip(pages, heights, strict=True)
    ]
    seen: dict[tuple[str, int], set[int]] = defaultdict(set)
    offsets = Counter[tuple[int, int]]()  # (page number - page index, height on the page) → pages
    for number, rows in enumerate(rows_of):
        for row in rows:
            for segment in row:
                text = _text(segment)
                place = round(segment.baseline / 4)
                seen[_pattern(text), place].add(number)
                value = _page_number(text)
                if value is not None:
                    offsets[value - number, place] += 1
    enough = 2 if len(pages) < 8 else 3
    dropped: list[Dropped] = []
    for number, rows in enumerate(rows_of):
        gone: set[int] = set()
        for row in rows:
            for segment in row:
                text = _text(segment)
                place = round(segment.baseline / 4)
                near = [place - 1, place, place + 1]
                value = _page_number(text)
                if value is not None and sum(offsets[value - number, p] for p in near) >= enough:
                    reason = "page number"
                elif len(set().union(*(seen[_pattern(text), p] for p in near))) >= enough:
                    head = segment.baseline < heights[number] / 2
                    reason = "running head" if head else "running foot"
                else:
                    continue
                gone.add(id(segment))
                dropped.append(Dropped(reason=reason, text=text))
            # A head that changes from page to page stands beside the page number.
            numbered = any(id(s) in gone and _page_number(_text(s)) is not None for s in row)
            for segment in row:
                if numbered and id(segment) not in gone and len(_text(segment)) < 100:
                    gone.add(id(segment))
                    dropped.append(Dropped(reason="running head", text=_text(segment)))
        pages[number] = [s for s in pages[number] if id(s) not in gone]
    return dropped


def _edge_rows(segments: list[Segment], height: float) -> list[list[Segment]]:
    """The first and the last three rows of a page, if they stand in its outer fifths."""
    rows: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda s: s.baseline):
        if rows and segment.baseline - rows[-1][0].baseline < 4:
            rows[-1].append(segment)
        else:
            rows.append([segment])
    edge = rows[:3] + rows[3:][-3:]
    return [r for r in edge if r[0].baseline < height * 0.14 or r[0].baseline > height * 0.86]


def _text(segment: Segment) -> str:
    return " ".join("".join(run.text for run in segment.runs).split())


def _pattern(text: str) -> str:
    return re.sub(r"\d+", "#", text)


_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


def _page_number(text: str) -> int | None:
    text = re.sub(r"^(page|p\.|[-–—|])\s*|\s*([-–—|]|(of|/)\s*\d+)$", "", text.strip(), flags=re.I)
    if re.fullmatch(r"\d{1,5}", text):
        return int(text)
    if re.fullmatch(r"[ivxlc]{1,7}", text):
        values = [_ROMAN[char] for char in text]
        return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
    return None


# ---- columns --------------------------------------------------------------------------------


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


_BIN = 2.0  # points: the resolution at which the page is looked at for gutters


def find_gutter(segments: Sequence[Segment], *, least: float = 0.25) -> float | None:
    """The x between two columns of prose, or None. Both columns must be filled side by side.

    `least` is the share of the page's height with text that must have two columns.
    """
    if len(segments) < 12:
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
        beside = [s for s in between if not _same_row(s, segment)]
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


def _same_row(a: Segment, b: Segment) -> bool:
    return min(a.bottom, b.bottom) - max(a.top, b.top) > 0.5 * min(a.height, b.height)


def _spans(segment: Segment, gutter: float, segments: Sequence[Segment]) -> bool:
    """A segment that crosses the gutter and is no overlong line of the left column."""
    if not (segment.x0 < gutter - 6 and segment.x1 > gutter + 6):
        return False
    beside = (s for s in segments if s is not segment and _same_row(s, segment))
    return not any(s.x0 > gutter - 6 and s.x0 > segment.x0 for s in beside)


# ---- lines ----------------------------------------------------------------------------------


def lines_of(column: Sequence[Segment], *, page: int, flow: int) -> list[Line]:
    """One column's segments → its lines from top to bottom."""
    rows: list[list[Segment]] = []
    for segment in sorted(column, key=lambda s: (s.baseline, s.x0)):
        row = rows[-1] if rows else None
        if row and _on_row(segment, row):
            row.append(segment)
        else:
            rows.append([segment])
    edges = _column_edges(rows)
    return [_line(sorted(row, key=lambda s: s.x0), page, flow, edges) for row in rows]


def _on_row(segment: Segment, row: list[Segment]) -> bool:
    main = max(row, key=lambda s: s.size)
    size = max(main.size, segment.size)
    for other in row:
        shared = min(other.x1, segment.x1) - max(other.x0, segment.x0)
        narrow = min(other.x1 - other.x0, segment.x1 - segment.x0)
        level = abs(other.baseline - segment.baseline) < 0.12 * size
        if shared > (0.5 * narrow if level else 2):
            return False  # one stands above the other
    raised = min(main.size, segment.size) < 0.8 * size  # an index or exponent drawn on its own
    return abs(main.baseline - segment.baseline) < (0.6 if raised else 0.3) * size


def _column_edges(rows: list[list[Segment]]) -> tuple[float, float]:
    """Where the column's text begins and ends, one stray line aside."""
    left = sorted(min(s.x0 for s in row) for row in rows)
    right = sorted(max(s.x1 for s in row) for row in rows)
    return left[len(left) // 10], right[-1 - len(right) // 10]


def _line(row: list[Segment], page: int, flow: int, column: tuple[float, float]) -> Line:
    pieces, cells = _pieces(row)
    pieces = [replace(piece, text=_clean(piece.text)) for piece in pieces]
    weights = Counter[float]()
    plain = [p for p in pieces if not p.font.mono]  # program text in a sentence has its own size
    if sum(len(p.text.strip()) for p in plain) < 3:
        plain = pieces
    for piece in plain:
        weights[round(piece.size, 1)] += len(piece.text.strip())
    main = max(row, key=lambda s: (sum(len(r.text) for r in s.runs), s.size))
    return Line(
        pieces=tuple(pieces),
        x0=row[0].x0,
        top=min(s.top for s in row),
        x1=max(s.x1 for s in row),
        bottom=max(s.bottom for s in row),
        baseline=main.baseline,
        size=max(weights, key=lambda size: (weights[size], size), default=main.size),
        page=page,
        column=column,
        cells=tuple(_clean(cell) for cell in cells),
        margin=any(s.margin for s in row),
        flow=flow,
        text=re.sub(r"(?<=\S) {3,}(?=\S)", "  ", "".join(p.text for p in pieces)).rstrip(),
    )


# Ligatures, and letters in the styles of formulas (𝑥, 𝐀), are letters.
_STYLED = re.compile("[\ufb00-\ufb06\U0001d400-\U0001d7ff\u00a0\u2000-\u200a\u202f]")


def _clean(text: str) -> str:
    return _STYLED.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)
