"""Runs → segments (what stands together on one baseline) → lines of one column.

    segments_of(runs)                          -> what goes on to the right without a gap
    lines_of(column, page=0, flow=1)[0].text   -> "10⁶ and x₂"

Raised and lowered digits become such characters; ligatures and formula letters plain ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from longdata.readers.pdf_page import SOFT_HYPHEN, Font, Run


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
    row = row[-40:]  # rows come from left to right; a longer look back would be quadratic
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
