"""The sections of a paper, found in its plain text.

    paragraphs = [… "Abstract", "We measure …", "1. Introduction", …, "References", …]
    for heading in find_sections(paragraphs): heading.block
    -> Block("Abstract", role="heading", …), Block("1. Introduction", number="1", …), …

A text is taken for a paper when a line of its own says "Abstract" or "References" and no run of
chapters is found; otherwise the answer is []. Numbered headings must run: 1, 1.1, 1.2, 2, …
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from longdata.documents import section_kind
from longdata.headings import title_like
from longdata.marked import marked_heading
from longdata.paragraphs import Paragraph
from longdata.titles import Heading

_COMMON = frozenset(
    (
        "introduction",
        "background",
        "related work",
        "preliminaries",
        "methods",
        "method",
        "methodology",
        "materials and methods",
        "experiments",
        "experimental setup",
        "evaluation",
        "results",
        "results and discussion",
        "analysis",
        "discussion",
        "limitations",
        "future work",
        "implementation",
    )
)
_LONGEST = 120  # characters
_CHAPTER = re.compile(r"\s*(?:chapter|book|part)\s+\w+", re.I)
_FEWEST = 3


def find_sections(paragraphs: Sequence[Paragraph]) -> list[Heading]:
    """The section headings in text order; [] for a text that is no paper. Linear."""
    headings: list[Heading] = []
    numbers: list[int] = []  # of the last numbered heading: [2, 1] is 2.1
    telling = chapters = 0
    for index, paragraph in enumerate(paragraphs):
        line = paragraph.lines[0].strip()
        if not line or len(line) > _LONGEST:
            continue
        chapters += bool(_CHAPTER.match(line)) and len(paragraph.lines) == 1
        block = marked_heading(line, 1)
        kind = section_kind(block.title)
        known = kind != "section" or block.title.casefold().strip(" .:") in _COMMON
        if block.number:
            parts = _numbers(block.number)
            if not parts or not title_like(block.title) or not _follows(parts, numbers):
                continue
            numbers = parts
        elif not known or not line[0].isupper() or len(line.split()) > 8:
            continue
        elif len(paragraph.lines) > 1 and title_like(paragraph.lines[1]):
            continue  # a line of a table, or of a title page
        telling += kind in ("abstract", "references")
        level = max(1, len(numbers)) if block.number else 1
        headings.append(
            Heading(
                block=replace(block, level=level),
                start=index,
                stop=index + 1,
                rest=len(paragraph.lines) - 1,
            )
        )
    if not telling or chapters >= _FEWEST or len(headings) < _FEWEST:
        return []
    return headings


def _numbers(number: str) -> list[int]:
    parts = number.split(".")
    return [int(part) for part in parts] if all(part.isdigit() for part in parts) else []


def _follows(parts: list[int], last: list[int]) -> bool:
    """2.1 follows 2 and 1.4; 3 follows 2 and 2.7; one number may be missing."""
    if not last:
        return parts in ([1], [0])
    if len(parts) > len(last):
        return parts[:-1] == last and parts[-1] in (0, 1)
    head, tail = parts[:-1], parts[-1]
    return head == last[: len(head)] and last[len(head)] < tail <= last[len(head)] + 2
