"""The lines of a plain text → its paragraphs, and whether a paragraph is prose, verse or a table.

    lines = ["It was the best of times, it was the worst", "of times.", "", "",
             "    Tiger, tiger,", "    burning"]
    first, second = split_paragraphs(lines, layout_of(lines))
    first.lines, first.gap    -> ("It was the best …", "of times."), 0
    second.lines, second.gap  -> ("    Tiger, tiger,", "    burning"), 2      (two blank lines)

A text is *wrapped* when its lines are filled up to a margin, so that a line end is only a space;
otherwise each line is a paragraph, as word processors save it, or a verse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

Shape = Literal["paragraph", "verse", "table"]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Some lines without a blank line in between; `gap` blank lines stand before them."""

    lines: tuple[str, ...]
    gap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a text is set: `margin` is the usual length of a full line, 0 if lines are not filled."""

    margin: int
    indented: bool = False  # paragraphs begin with an indented line instead of after a blank one
    line_paragraphs: bool = False  # every line is a paragraph

    @property
    def wrapped(self) -> bool:
        """True where a line end within a paragraph means no more than a space."""
        return self.margin > 0


_SAMPLED_LINES = 20_000
_LONG = 120  # characters: longer lines are not typed by hand or filled by a program


def layout_of(lines: Sequence[str]) -> Layout:
    """Looks at up to 20,000 lines, spread over the text."""
    step = max(1, len(lines) // _SAMPLED_LINES)
    pairs = [(lines[i].rstrip(), lines[i + 1]) for i in range(0, len(lines) - 1, step)]
    sampled = [line for line, _ in pairs if line] or [line for line in lines if line.strip()]
    inner = [(line, after) for line, after in pairs if line and after.strip()]
    long_chars = sum(len(line) for line in sampled if len(line) > _LONG)
    if 2 * long_chars > sum(map(len, sampled)):
        return Layout(margin=0, line_paragraphs=True)
    if not inner:
        return Layout(margin=0)
    lengths = sorted(len(line) for line, _ in inner)
    margin = lengths[int(0.8 * (len(lengths) - 1))]
    full = [len(line) for line, after in inner if _room_used(line, after) > 0.88 * margin]
    going_on = sum(after.lstrip()[:1].islower() for _, after in inner)
    if margin < 30 or (2 * len(full) < len(inner) and 2 * going_on < len(inner)):
        return Layout(margin=0)
    typical = int(median(full or lengths))
    blank = sum(not line for line, _ in pairs)
    return Layout(margin=max(typical, 30), indented=30 * blank < len(pairs))


def _room_used(line: str, after: str) -> int:
    """How long the line would be if it also held the next line's first word."""
    return len(line) + 1 + len(_first_word(after))


def _first_word(line: str) -> str:
    return line.split(maxsplit=1)[0] if line.strip() else ""


def split_paragraphs(lines: Sequence[str], layout: Layout) -> Iterator[Paragraph]:
    """Paragraphs in order. Linear."""
    group: list[str] = []
    gap = blanks = 0
    for line in lines:
        line = line.rstrip()
        if not line:
            blanks += 1
            if group:
                yield from _within(group, gap, layout)
                group = []
                blanks = 1
            continue
        if not group:
            gap, blanks = blanks, 0
        if layout.line_paragraphs:
            yield Paragraph(lines=(line,), gap=gap)
            gap = 0
            continue
        group.append(line)
    if group:
        yield from _within(group, gap, layout)


def _within(group: list[str], gap: int, layout: Layout) -> Iterator[Paragraph]:
    """One paragraph, or several where only an indented line shows that a new one begins."""
    starts = [0]
    if layout.indented:
        starts += [i for i in range(1, len(group)) if _begins_indented(group, i)]
    for begin, end in zip(starts, [*starts[1:], len(group)], strict=True):
        yield Paragraph(lines=tuple(group[begin:end]), gap=gap if begin == 0 else 0)


def _begins_indented(group: list[str], i: int) -> bool:
    indent = _indent(group[i])
    return (
        1 < indent <= 12
        and _indent(group[i - 1]) < indent
        and (i + 1 == len(group) or _indent(group[i + 1]) <= indent)
    )


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


_OPENING = " \t\"'“‘«([*_-—"


def shape_of(lines: Sequence[str], layout: Layout) -> Shape:
    """Whether the lines of a wrapped text can be joined ("paragraph") or must stay lines."""
    if len(lines) == 1:
        return "paragraph"
    if len(lines) >= 3 and 2 * sum(map(_has_columns, lines)) > len(lines):
        return "table"
    if not layout.wrapped:
        return "verse"
    limit = 0.85 * layout.margin
    if sum(len(line) > limit for line in lines[:-1]) > 0.4 * (len(lines) - 1):
        return "paragraph"
    breaks = list(pairwise(lines))
    early = sum(_room_used(line, after) <= limit for line, after in breaks)
    if early < 0.6 * len(breaks):
        return "paragraph"
    widest = max(map(len, lines))
    ragged = sum(_room_used(line, after) < widest for line, after in breaks)
    capitals = sum(_starts_high(after) for _, after in breaks)
    if capitals >= 0.75 * len(breaks):
        return "verse"
    set_in = min(map(_indent, lines)) > 3
    if ragged >= 0.35 * len(breaks) and (capitals >= 0.3 * len(breaks) or set_in):
        return "verse"
    return "paragraph"


def _has_columns(line: str) -> bool:
    text = line.strip()
    return "   " in text or "\t" in text or ". . . . " in text or "......" in text


def _starts_high(line: str) -> bool:
    first = line.lstrip(_OPENING)[:1]
    return bool(first) and not first.islower()
