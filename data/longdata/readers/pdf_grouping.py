"""Lines → groups: where a paragraph, heading, list item, caption or table begins.

A new group begins at a gap, an indent, a change of size or weight, a bullet, or behind a short last
line. Rows of cells that stand apart make a table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from longdata.readers.pdf_group import BULLET, CAPTION, ENUMERATOR, Group, match_number
from longdata.readers.pdf_headings import run_in_length
from longdata.readers.pdf_lines import Line
from longdata.readers.pdf_look import (
    Look,
    is_code,
    is_formula,
    looks_like_heading,
    mostly_math,
    style_of,
)


def groups_of(lines: Sequence[Line], look: Look) -> list[Group]:
    groups: list[Group] = []
    rows = _table_rows(lines, look)
    for line in lines:
        group = groups[-1] if groups else None
        row = id(line) in rows
        if group and (group.kind == "table") == row and (row or not _begins(group, line, look)):
            if row and group.last.flow != line.flow:
                groups.append(Group([line], kind="table"))
            else:
                group.lines.append(line)
        else:
            groups.append(Group([line], kind="table" if row else "text"))
    return groups


def _table_rows(lines: Sequence[Line], look: Look) -> set[int]:
    """Lines of two or more short cells, at least two after each other."""

    def is_row(line: Line) -> bool:
        if len(line.cells) < 2 or line.mono or line.margin:
            return False
        if looks_like_heading(line, look) and (
            match_number(line.text) or line.size > 1.06 * look.size
        ):
            return False
        if re.fullmatch(r"\(\d+[a-z]?\)", line.cells[-1]) or ENUMERATOR.match(line.text):
            return False  # a numbered equation
        if BULLET.match(line.text) or CAPTION.match(line.text) or is_formula(line):
            return False
        return max(len(cell.split()) for cell in line.cells) <= 8

    def wraps(line: Line) -> bool:  # the second line of a cell further right
        inset = line.x0 > line.column[0] + 3 * line.size
        return len(line.cells) == 1 and inset and len(line.text) < 60 and not line.mono

    found: set[int] = set()
    streak: list[Line] = []
    for line in [*lines, None]:
        same = line is not None and (not streak or streak[-1].flow == line.flow)
        if line is not None and same and (is_row(line) or (streak and wraps(line))):
            streak.append(line)
            continue
        while streak and len(streak[-1].cells) == 1:
            streak.pop()
        rows = [x for x in streak if len(x.cells) > 1]
        if len(rows) >= 3 or (len(rows) == 2 and min(len(x.cells) for x in rows) > 2):
            found.update(id(x) for x in streak)
        streak = [line] if line is not None and is_row(line) else []
    return found


def _begins(group: Group, line: Line, look: Look) -> bool:
    """Whether `line` begins something new."""
    before = group.last
    if before.flow != line.flow or before.margin != line.margin:
        return True
    if abs(before.size - line.size) > 0.06 * max(before.size, line.size) and not mostly_math(line):
        return True
    step = line.baseline - before.baseline
    if step > 1.35 * look.step(line) or step < -0.5 * line.size:
        return True
    before_heads, heads = looks_like_heading(before, look), looks_like_heading(line, look)
    if before_heads != heads:
        return True
    if heads and style_of(before) != style_of(line):
        return True
    if heads and match_number(line.text) and before.bold == line.bold:
        return True
    if is_code(before) != is_code(line) and step > 1.1 * look.step(line):
        return True
    if is_code(before) and is_code(line):
        return False
    return _begins_paragraph(group, line, look)


def _begins_paragraph(group: Group, line: Line, look: Look) -> bool:
    before, em = group.last, line.size
    left, right = line.column
    inset = line.x0 - left
    ended = re.search(r"[.!?:;][\"”’')\]⁰¹²³⁴⁵⁶⁷⁸⁹]*$", before.text[-20:]) is not None
    if run_in_length(line, look):
        return True
    dash = line.text[:1] in "-–—"  # at a line's start it may be the sentence's own
    listed = BULLET.match(group.first.text)
    if BULLET.match(line.text) and (not dash or ended or listed or before.x1 < right - 3 * em):
        return True
    listed = ENUMERATOR.match(group.first.text) or BULLET.match(group.first.text)
    if listed:
        if (
            line.x0 < group.first.x0 + 2
            and len(group.lines) > 1
            and group.lines[1].x0 > group.first.x0 + 2
        ):
            return True
        return bool(ENUMERATOR.match(line.text)) and line.x0 < group.first.x0 + 3
    if ENUMERATOR.match(line.text) and ended and before.x1 < right + 1:
        return True
    opens = line.x0 > before.x0 + 0.7 * em and before.x0 < left + 0.5 * em
    if opens and inset < 4 * em and ended:
        return True
    starts = line.text[:1].isupper() or not line.text[:1].isalpha()
    short = before.x1 < right - max(2.5 * em, 0.08 * (right - left))
    return bool(ended and short and starts and look.justified and inset < 0.5 * em)
