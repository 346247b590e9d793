"""Lines in reading order → blocks: headings, paragraphs, captions, references, code, tables.

    blocks_of(lines)[3]  -> Block("2.1 Sorting networks", role="heading", level=2, number="2.1", …)

Headings differ from the body in size, weight or font; their numbers give their level, and headings
without a number take the level of those that look like them. A paragraph that goes on in the next
column or on the next page is one block: what stood between (figures, footnotes) follows it.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence

from longdata.documents import Block
from longdata.readers.pdf_group import CAPTION, Group, plain_text
from longdata.readers.pdf_grouping import groups_of
from longdata.readers.pdf_headings import (
    is_heading,
    keep_front_plain,
    keep_true_numbers,
    name_heading,
    run_in_length,
    set_levels,
    split_run_in,
    title_of,
)
from longdata.readers.pdf_lines import Line
from longdata.readers.pdf_look import Look, family, is_code, look_of, looks_like_heading
from longdata.readers.pdf_page import SOFT_HYPHEN
from longdata.readers.pdf_paragraphs import joined_paragraphs, margin_moved, with_references
from longdata.readers.pdf_words import Words


def blocks_of(lines: Sequence[Line]) -> list[Block]:
    """The document's blocks in reading order."""
    if not lines:
        return []
    look = look_of(lines)
    words = Words(line.text for line in lines)
    groups = groups_of(lines, look)
    groups = [part for group in groups for part in _classified(group, look)]
    _keep_footnotes_whole(groups)
    keep_true_numbers(groups)
    keep_front_plain(groups)
    set_levels(groups)
    groups = with_references(groups, look)
    groups = joined_paragraphs(groups, look)
    groups = margin_moved(groups)
    return [_block(group, words) for group in groups]


def _classified(group: Group, look: Look) -> list[Group]:
    """The group with its kind; a run-in heading becomes a group of its own."""
    text = plain_text(group)
    first = group.first
    if first.margin:
        group.aside = True
        return [group]
    if group.kind == "table":
        group.aside = True
        return [group]
    caption = CAPTION.match(text)
    if caption and _is_caption(group, caption, look):
        word = caption["word"].rstrip(".").title()
        word = {"Fig": "Figure", "Tab": "Table"}.get(word, word)
        group.kind, group.aside = "caption", True
        group.label = f"{word} {caption['number']}"
        return [group]
    if all(is_code(line) for line in group.lines) and not looks_like_heading(first, look):
        group.kind = "code"
        return [group]
    if is_heading(group, text, look):
        name_heading(group, text)
        return [group]
    split = run_in_length(first, look)
    if split:
        return split_run_in(group, split)
    if first.size < 0.94 * look.size:
        group.aside = True
    return [group]


def _is_caption(group: Group, match: re.Match[str], look: Look) -> bool:
    first = group.first
    label = first.pieces[0]
    if abs(first.size - look.size) > 0.05 * look.size or label.font.bold:
        return bool(match["mark"]) or label.font.bold or first.size < 0.95 * look.size
    if family(label.font.name) != look.family and not label.font.mono:
        return True
    # In the body's own size only what cannot be a sentence that begins with "Figure 1".
    return match["mark"] in (":", "|", "—", "–") or (
        match["mark"] == "." and first.x0 > first.column[0] + look.size
    )


def _keep_footnotes_whole(groups: list[Group]) -> None:
    """What follows a footnote in its column belongs to the footnotes, formulas included."""
    flow = -1
    for group in groups:
        if group.aside and re.match(r"[⁰¹²³⁴⁵⁶⁷⁸⁹*†‡]", group.first.text):
            flow = group.first.flow
        elif group.first.flow == flow and group.kind == "text":
            group.aside = True


def _block(group: Group, words: Words) -> Block:
    if group.kind in ("code", "table"):
        left = min(line.x0 for line in group.lines)
        if group.kind == "table":
            return Block("\n".join("  ".join(line.cells) for line in group.lines), role="table")
        wide = max(len(line.text) for line in group.lines)
        step = statistics.median(
            (line.x1 - line.x0) / max(len(line.text), 1)
            for line in group.lines
            if len(line.text) > wide // 3
        )
        indents = [round((line.x0 - left) / max(step, 1.0)) for line in group.lines]
        code = [
            " " * n + line.text.replace(SOFT_HYPHEN, "-")
            for n, line in zip(indents, group.lines, strict=True)
        ]
        return Block("\n".join(code), role="code")
    text = words.join([line.text for line in group.lines])
    if group.kind == "heading":
        text = re.sub(r"\s*[—–]\s*$", "", text)
        if group.run_in:
            text = re.sub(r"(?<=\w)[.:]$", "", text)
        title = words.join([group.title]) if len(group.lines) == 1 else title_of(text, group)
        return Block(
            text,
            role="heading",
            level=group.level,
            number=group.number,
            title=title,
            kind=group.section,
        )
    if group.kind == "caption":
        return Block(text, role="caption", label=group.label)
    if group.kind == "reference":
        return Block(text, role="reference")
    return Block(text)
