"""How a document's body text looks, and which lines look like something else.

look = look_of(lines)
look.size, look.family               -> (9.0, "NimbusRomNo9L")
looks_like_heading(line, look)       -> True for bold, bigger or differently set lines
"""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from longdata.readers.pdf_group import match_number
from longdata.readers.pdf_lines import Line


@dataclass(frozen=True, slots=True)
class Look:
    """How the document's body text looks."""

    size: float
    fonts: frozenset[str]  # of the body, whatever the slant
    family: str
    leading: dict[float, float]  # size → usual distance of baselines
    indents: bool  # paragraphs begin with an indent
    justified: bool

    def step(self, line: Line) -> float:
        return self.leading.get(round(line.size), 1.2 * line.size)


def body_size(lines: Sequence[Line]) -> float:
    """The size most of the text is set in."""
    weights = Counter[float]()
    for line in lines:
        weights[round(line.size, 1)] += len(line.text)
    return max(weights, key=lambda size: (weights[size], size), default=10.0)


def family(font: str) -> str:
    """A font's name without weight and slant: "SourceSerifPro-LightIt" → "SourceSerifPro"."""
    name = re.split(r"[-,]", font)[0]
    return re.sub(r"\d+$", "", name)


def look_of(lines: Sequence[Line]) -> Look:
    size = body_size(lines)
    fonts = Counter[str]()
    steps: dict[float, list[float]] = defaultdict(list)
    indented = plain = ragged = full = 0
    for before, line in zip([None, *lines], lines, strict=False):
        if abs(line.size - size) < 0.3:
            for piece in line.pieces:
                fonts[piece.font.name] += len(piece.text)
        if before is None or before.flow != line.flow:
            continue
        step = line.baseline - before.baseline
        if 0.9 * line.size < step < 2.2 * line.size and abs(line.size - before.size) < 0.3:
            steps[round(line.size)].append(step)
        if abs(line.size - size) < 0.3:
            inset = line.x0 - line.column[0]
            if before.x1 < line.column[1] - 3 * size and before.text.endswith((".", ":", "?")):
                indented += 0.7 * size < inset < 4 * size
                plain += inset < 0.5 * size
            if len(line.text) > 40:
                full += line.x1 > line.column[1] - 0.8 * size
                ragged += line.x1 <= line.column[1] - 0.8 * size
    common = [name for name, count in fonts.items() if count > 0.15 * sum(fonts.values())]
    return Look(
        size=size,
        fonts=frozenset(common),
        family=family(max(fonts, key=lambda name: (fonts[name], name), default="")),
        leading={at: statistics.median_low(values) for at, values in steps.items()},
        indents=indented > plain,
        justified=full > ragged,
    )


def style_of(line: Line) -> tuple[float, bool, bool, str]:
    return (
        round(line.size * 2) / 2,
        line.bold,
        line.italic,
        "mono" if line.mono else family(line.font),
    )


def is_code(line: Line) -> bool:
    letters = sum(len(p.text.strip()) for p in line.pieces)
    mono = sum(len(p.text.strip()) for p in line.pieces if p.font.mono)
    return mono > 0.95 * letters and not re.match(
        r"\S*(https?://|www\.)\S*$", line.text.strip()[:300]
    )


def is_formula(line: Line) -> bool:
    """Whether a line is part of a displayed formula: letters in a formula's font, and signs."""
    letters = any(
        _FORMULA_FONT.match(piece.font.name) and any(char.isalpha() for char in piece.text)
        for piece in line.pieces
    )
    return letters and re.search(r"[=∂∫∏∑⇔⇒≤≥]", line.text) is not None


def mostly_math(line: Line) -> bool:
    return len(re.findall(r"[A-Za-z]{3,}", line.text)) < 2


_FORMULA_FONT = re.compile(r"(CM(R|MI|SY|EX|BX|MIB|BSY)|MS[AB]M|EU[FRSX]|RSFS)\d|.*Math", re.I)


def looks_like_heading(line: Line, look: Look) -> bool:
    """Whether a line looks different from the body in the way headings do."""
    words = [p for p in line.pieces if re.search(r"[^\W\d_]{3}", p.text)]
    if not words or (
        not _FORMULA_FONT.match(look.family + "0")
        and all(_FORMULA_FONT.match(p.font.name) for p in words)
    ):
        return False
    if line.size < 0.94 * look.size or _mostly_symbols(line.text):
        return False
    if line.size > 1.06 * look.size and not line.mono:
        return True
    if line.bold:
        return True
    if line.size > 1.06 * look.size and match_number(line.text):
        return True
    return (
        line.size > 0.98 * look.size
        and family(line.font) != look.family
        and line.font not in look.fonts
        and not line.mono
        and not line.italic
        and all(family(p.font.name) != look.family for p in line.pieces if p.text.strip())
    )


def _mostly_symbols(text: str) -> bool:
    letters = sum(char.isalpha() for char in text)
    return letters < 3 or letters < 0.5 * len(text.replace(" ", ""))
