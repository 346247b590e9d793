"""What a PDF page gives: runs of characters with box, baseline, size and font.

    Run(text="1. Introduction", x0=54.0, top=301.2, x1=131.7, bottom=309.0, baseline=307.1, …)

Lengths are in points (1/72 inch); y grows downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

SOFT_HYPHEN = "\x02"  # PDFium's mark for a hyphen at a line's end


@dataclass(frozen=True, slots=True)
class Font:
    """A font as far as reading needs it; `name` has no subset prefix ("ABCDEF+")."""

    name: str
    bold: bool
    italic: bool
    mono: bool


@dataclass(frozen=True, slots=True)
class Run:
    """Characters in one font on one line. `angle` is 0, 90, 180, 270, or -1 for a slanted text."""

    text: str
    x0: float
    top: float
    x1: float
    bottom: float
    baseline: float
    size: float
    font: Font
    angle: int = 0
    nested: bool = False  # inside an embedded drawing (a form XObject), as figures are
    centres: tuple[float, ...] = ()  # x of the middle of each character that is not a space


@dataclass(frozen=True, slots=True)
class Page:
    """One page's runs in the order the file draws them."""

    width: float
    height: float
    runs: tuple[Run, ...]
    unmapped: int = 0  # glyphs whose font does not say which characters they are
