"""Groups → whole paragraphs and reference entries.

A paragraph that goes on in the next column or on the next page is one group: what stood between
(figures, footnotes) follows it. Under "References" each entry is a group of its own, found by its
mark ("[7]", "7.") or its hanging indent.
"""

from __future__ import annotations

import re
from collections import defaultdict

from longdata.documents import section_kind
from longdata.readers.pdf_group import BULLET, ENUMERATOR, Group
from longdata.readers.pdf_lines import Line
from longdata.readers.pdf_look import Look, is_code
from longdata.readers.pdf_page import SOFT_HYPHEN

_ENTRY = re.compile(
    r"\s*(?:\[(?P<key>[\w+&.,’'-]{1,30}(?: et al\.,? \d{4}\w?)?)\]|(?P<number>\d{1,3})\.)\s*\S"
)


def with_references(groups: list[Group], look: Look) -> list[Group]:
    """Splits what stands under "References" into one group per entry."""
    result: list[Group] = []
    index = 0
    while index < len(groups):
        group = groups[index]
        result.append(group)
        index += 1
        if group.kind != "heading" or section_kind(group.title) != "references":
            continue
        section: list[Group] = []
        while index < len(groups) and not (
            groups[index].kind == "heading" and not groups[index].run_in
        ):
            section.append(groups[index])
            index += 1
        asides = [g for g in section if g.kind == "caption" or g.first.margin]
        hidden = {id(g) for g in asides}
        lines = [line for g in section if id(g) not in hidden for line in g.lines]
        result += [Group(entry, kind="reference") for entry in _entries(lines, look)]
        result += asides
    return result


def _entries(lines: list[Line], look: Look) -> list[list[Line]]:
    marked = [_ENTRY.match(line.text) for line in lines]
    numbered = sum(m is not None for m in marked) >= max(2, len(lines) // 12)
    entries: list[list[Line]] = []
    expected = 1
    hangs = _hanging(lines)
    for position, (line, mark) in enumerate(zip(lines, marked, strict=True)):
        before = lines[position - 1] if position else None
        if numbered:
            value = mark and (mark["number"] or mark["key"])
            begins = mark is not None and (
                not str(value).isdigit() or expected <= int(str(value)) <= expected + 2
            )
            if begins and str(value).isdigit():
                expected = int(str(value)) + 1
        elif hangs:
            begins = line.x0 < line.column[0] + 3
        else:
            begins = (
                before is None
                or (
                    before.flow == line.flow
                    and line.baseline - before.baseline > 1.25 * look.step(line)
                )
                or (before.flow != line.flow and before.text.endswith("."))
            )
        if begins or not entries:
            entries.append([])
        entries[-1].append(line)
    return entries


def _hanging(lines: list[Line]) -> bool:
    inset = [line.x0 > line.column[0] + 3 for line in lines]
    return sum(inset) >= 0.25 * len(inset)


def joined_paragraphs(groups: list[Group], look: Look) -> list[Group]:
    result: list[Group] = []
    open_one: Group | None = None  # the last paragraph of running text
    plain_between = True  # nothing but asides of another column since
    for group in groups:
        if group.kind == "text" and not group.aside:
            if open_one is not None and _goes_on(open_one, group, look, plain_between):
                open_one.lines += group.lines
                plain_between = True
                continue
            open_one = group
            plain_between = True
        elif group.kind in ("heading", "reference"):
            open_one = None
        elif group.kind == "code" and open_one and group.first.flow == open_one.last.flow:
            plain_between = False
        result.append(group)
    return result


def _goes_on(open_one: Group, group: Group, look: Look, plain_between: bool) -> bool:
    last, first = open_one.last, group.first
    ended = re.search(r"[.!?][\"”’')\]⁰¹²³⁴⁵⁶⁷⁸⁹]*$", last.text[-20:]) is not None
    new_flow = last.flow != first.flow
    if last.text.endswith(SOFT_HYPHEN) and first.text[:1].isalpha():
        return True
    if not plain_between or BULLET.match(first.text):
        return False
    if last.text.endswith("-") and new_flow:
        return True
    full = last.x1 > last.column[1] - 1.5 * look.size
    inset = first.x0 > first.column[0] + 0.7 * look.size
    if not new_flow:
        formula = _formula(group)
        if formula:
            return not ended
        return not ended and not last.text.endswith(":") and first.text[:1].islower()
    if ENUMERATOR.match(first.text):
        return False
    if not ended:
        return first.text[:1].islower() or (full and not inset and not last.text.endswith(":"))
    return look.indents and full and not inset and first.text[:1] not in "•"


def _formula(group: Group) -> bool:
    """A displayed equation: set in, and hardly any words."""
    words = sum(len(re.findall(r"\b[a-z]{4,}\b", line.text)) for line in group.lines)
    inset = group.first.x0 > group.first.column[0] + group.first.size
    return inset and words <= 2 * len(group.lines) and not all(is_code(x) for x in group.lines)


def margin_moved(groups: list[Group]) -> list[Group]:
    """Margin notes stand before the first heading of their page, or behind the page's text."""
    margin = [g for g in groups if g.first.margin]
    if not margin:
        return groups
    rest = [g for g in groups if not g.first.margin]
    opening = groups[0].first.page
    notes: dict[int, list[Group]] = defaultdict(list)
    for group in margin:
        notes[group.first.page].append(group)
    result: list[Group] = []
    waiting = sorted(notes)
    for group in rest:
        heads = group.kind == "heading" and group.first.page == opening
        while waiting and (waiting[0] < group.first.page or (heads and waiting[0] == opening)):
            result += notes[waiting.pop(0)]
        result.append(group)
    for page in waiting:
        result += notes[page]
    return result
