"""Documents → stretches of text that fit a token budget, cut where a reader would pause.

    materials = cut_materials(document, ruler, ctx=(8192, 16384), shares=(0.5, 0.5), questions=80)

A stretch starts at a section or a paragraph and ends at the end of a section, else of a paragraph,
else of a sentence. It is as long as the budget allows: `ctx` less the template, BOS and EOS, the
room for a chat template's markers and ANSWER_ROOM for question and answer, counted exactly with
the target tokenizer. A document that fits whole is kept whole, once, at the smallest such `ctx`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from longdata.documents import Document
from longdata.prompt_template import CHAT_MARKUP_TOKENS, head, tail
from longdata.tokenizers import Ruler
from longqa.reading import Reading
from longqa.records import Material

QUESTIONS_PER_MATERIAL = 6  # how many share a context: more is smaller on disk, less is more varied
# Tokens of a row outside template, context, question and answer: BOS, EOS, a chat model's markers.
FRAME_TOKENS = 2 + CHAT_MARKUP_TOKENS
_MARGIN = 0.85  # a section border is preferred when it keeps this share of the room
_BREAK = re.compile(r"\n\n+")


def answer_room(ctx: int) -> int:
    """Tokens kept free for question and answer when a context is cut; rows are checked exactly."""
    return min(640, ctx // 6)


def cut_materials(
    reading: Reading,
    ruler: Ruler,
    *,
    ctx: Sequence[int],
    shares: Sequence[float],
    questions: int,
    per_material: int = QUESTIONS_PER_MATERIAL,
) -> list[tuple[Material, int]]:
    """Materials of all lengths, each with its number of questions; the numbers sum to `questions`.

    `ctx` ascends; `shares` says how the questions divide over the lengths. Lengths above the one
    at which the document is whole would repeat it: their share goes to that one.
    """
    document = reading.document
    used: list[tuple[list[Material], float]] = []
    for index, (length, share) in enumerate(zip(ctx, shares, strict=True)):
        room = length - FRAME_TOKENS - answer_room(length)
        whole = Material(document=document, ctx=length, start=0, end=len(document.text))
        if _tokens(ruler, whole) <= room:
            used.append(([whole], sum(shares[index:])))
            break
        tiles = _tile(reading, ruler, length, room)
        if tiles:
            used.append((tiles, share))
    total = sum(share for _, share in used)
    cumulative = 0.0
    given = 0
    result: list[tuple[Material, int]] = []
    for tiles, share in used:
        cumulative += share
        count = round(questions * cumulative / total) - given
        given += count
        chosen = _spread(tiles, -(-count // per_material))
        for position, material in enumerate(chosen):
            part = count * (position + 1) // len(chosen) - count * position // len(chosen)
            result.append((material, part))
    return result


def opening(material: Material) -> str:
    """The template's words before this material's context."""
    document = material.document
    return head(
        title=document.title,
        author=document.author,
        kind=document.kind,
        is_whole=material.is_whole,
    )


def _tokens(ruler: Ruler, material: Material) -> int:
    return ruler.count([opening(material), *material.parts, tail("")])


def _spread(tiles: list[Material], wanted: int) -> list[Material]:
    """`wanted` of the tiles (or all), evenly over the document."""
    if wanted >= len(tiles):
        return tiles
    return [tiles[(2 * i + 1) * len(tiles) // (2 * wanted)] for i in range(wanted)]


def _tile(reading: Reading, ruler: Ruler, ctx: int, room: int) -> list[Material]:
    """The document in consecutive materials; the last one reaches back to be full as well."""
    document = reading.document
    ends = [m.start() for m in _BREAK.finditer(document.text)] + [len(document.text)]
    starts = [0] + [m.end() for m in _BREAK.finditer(document.text)]
    sentence_ends = [sentence.end for sentence in reading.sentences]
    section_ends = sorted({section.end for section in document.sections})
    part = Material(document=document, ctx=ctx, start=0, end=0)  # for its opening: not whole
    before, after = opening(part), tail("")
    tiles: list[Material] = []
    at = 0
    while at < len(document.text):
        end = _furthest(ruler, at, ends, room, before, after)
        if end is None:
            end = _furthest(ruler, at, sentence_ends, room, before, after)
        if end is None:  # not even one sentence fits: go on behind it
            at = _next_start(at, sentence_ends, starts, document)
            continue
        least = at + int((end - at) * _MARGIN)
        borders = section_ends[bisect_left(section_ends, least) : bisect_right(section_ends, end)]
        if borders and end < len(document.text):
            end = borders[-1]
        tiles.append(Material(document=document, ctx=ctx, start=at, end=end))
        at = end + len(document.text[end : end + 64]) - len(document.text[end : end + 64].lstrip())
    if len(tiles) >= 2:
        last = tiles[-1]
        low, high = bisect_right(starts, tiles[-2].start), bisect_left(starts, last.start)
        while low < high:  # the earliest start from which the end can be reached
            middle = (low + high) // 2
            if ruler.count([before, (starts[middle], last.end), after]) <= room:
                high = middle
            else:
                low = middle + 1
        start = starts[low] if low < len(starts) else last.start
        if start < last.start and ruler.count([before, (start, last.end), after]) <= room:
            tiles[-1] = Material(document=document, ctx=ctx, start=start, end=last.end)
    return tiles


def _furthest(
    ruler: Ruler, start: int, ends: Sequence[int], room: int, before: str, after: str
) -> int | None:
    candidates = ends[bisect_right(ends, start) :]
    index = ruler.longest_end(start, candidates, room, before, after) if candidates else None
    return None if index is None else candidates[index]


def _next_start(at: int, sentence_ends: Sequence[int], starts: Sequence[int], doc: Document) -> int:
    """Where to go on when the sentence at `at` is longer than any row."""
    index = bisect_right(sentence_ends, at)
    behind = sentence_ends[index] if index < len(sentence_ends) else len(doc.text)
    index = bisect_left(starts, at + 1)
    block = starts[index] if index < len(starts) else len(doc.text)
    text = doc.text
    while behind < len(text) and text[behind].isspace():
        behind += 1
    return min(max(behind, at + 1), max(block, at + 1))
