"""Program text in PDFs: its grid of equal steps says where the spaces are.

"i n p u t _ 0 = x"  ->  "input_0 = x"
"""

from __future__ import annotations

import itertools
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from longdata.documents import Dropped
from longdata.readers.pdf_furniture import same_row, segment_text
from longdata.readers.pdf_lines import Segment
from longdata.readers.pdf_page import Run


def set_listings(segments: list[Segment]) -> None:
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


def drop_line_numbers(segments: list[Segment]) -> tuple[list[Segment], list[Dropped]]:
    """Numbers that stand in a column to the left of program text."""
    numbers = [s for s in segments if re.fullmatch(r"\d{1,4}", segment_text(s))]
    code = [s for s in segments if s.runs[0].font.mono]
    beside = Counter[int]()
    for number in numbers:
        if any(0 < s.x0 - number.x1 < 40 and same_row(s, number) for s in code):
            beside[round(number.x1 / 2)] += 1
    gone = {
        id(s)
        for s in numbers
        if sum(beside[round(s.x1 / 2) + d] for d in (-1, 0, 1)) >= 2
        and any(abs(s.baseline - c.baseline) < 30 and 0 < c.x0 - s.x1 < 200 for c in code)
    }
    text = "\n".join(segment_text(s) for s in segments if id(s) in gone)
    drops = [Dropped(reason="line number", text=text)] if gone else []
    return [s for s in segments if id(s) not in gone], drops
