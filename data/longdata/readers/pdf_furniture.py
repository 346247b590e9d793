"""What is printed on a page but is no text of the document: dropped, with the reason.

"figure text"                    labels inside drawings, turned text
"running head", "running foot"   what other pages repeat at the same place
"page number"                    numbers that count the pages, at the same place
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from longdata.documents import Dropped
from longdata.readers.pdf_lines import Segment
from longdata.readers.pdf_page import Page

_ORNAMENT = re.compile(r"[\s\u2706\u260e\u271d\u271e]+")  # corners of frames, drawn as letters
_PROSE = re.compile(r"(?:\b[a-z]{2,}\b[ ,]+){4}")
_LONG_PROSE = re.compile(r"(?:\b[A-Za-z’'-]+\b[ ,.;:]+){8}")


def without_figure_text(segments: list[Segment], page: Page) -> tuple[list[Segment], list[Dropped]]:
    """Drops labels inside drawings and turned text; sentences inside a drawing stay."""
    kept: list[Segment] = []
    lost: list[str] = []
    ornaments: list[str] = []
    nested = [segment_text(s) for s in segments if s.runs[0].nested]
    has_prose = sum(_LONG_PROSE.search(text[:2000]) is not None for text in nested) >= 2
    for segment in segments:
        text = "".join(run.text for run in segment.runs).strip()
        turned = segment.runs[0].angle != 0
        if not turned and _ORNAMENT.fullmatch(text):
            ornaments.append(text)
        elif turned or (segment.runs[0].nested and not (has_prose and _PROSE.search(text[:2000]))):
            lost.append(text)
        else:
            kept.append(segment)
    outside = (s for s in kept if not (-5 <= s.x0 <= page.width and -5 <= s.top <= page.height))
    hidden = {id(s) for s in outside}
    drops = [Dropped(reason="figure text", text="\n".join(lost))] if lost else []
    if ornaments:
        drops.append(Dropped(reason="ornament", text="\n".join(ornaments)))
    if hidden:
        text = "\n".join("".join(r.text for r in s.runs) for s in kept if id(s) in hidden)
        drops.append(Dropped(reason="outside the page", text=text))
    return [s for s in kept if id(s) not in hidden], drops


def drop_furniture(pages: list[list[Segment]], heights: list[float]) -> list[Dropped]:
    """Removes running heads, footers and page numbers from `pages`; returns them."""
    rows_of = [
        _edge_rows(segments, height) for segments, height in zip(pages, heights, strict=True)
    ]
    seen: dict[tuple[str, int], set[int]] = defaultdict(set)
    offsets = Counter[tuple[int, int]]()  # (page number - page index, height on the page) → pages
    for number, rows in enumerate(rows_of):
        for row in rows:
            for segment in row:
                text = segment_text(segment)
                place = round(segment.baseline / 4)
                seen[_pattern(text), place].add(number)
                value = _page_number(text)
                if value is not None:
                    offsets[value - number, place] += 1
    enough = 2 if len(pages) < 8 else 3
    dropped: list[Dropped] = []
    for number, rows in enumerate(rows_of):
        gone: set[int] = set()
        for row in rows:
            for segment in row:
                text = segment_text(segment)
                place = round(segment.baseline / 4)
                near = [place - 1, place, place + 1]
                value = _page_number(text)
                if value is not None and sum(offsets[value - number, p] for p in near) >= enough:
                    reason = "page number"
                elif _on_pages([seen[_pattern(text), p] for p in near], enough):
                    head = segment.baseline < heights[number] / 2
                    reason = "running head" if head else "running foot"
                else:
                    continue
                gone.add(id(segment))
                dropped.append(Dropped(reason=reason, text=text))
            # A head that changes from page to page stands beside the page number.
            numbered = any(id(s) in gone and _page_number(segment_text(s)) is not None for s in row)
            for segment in row:
                if numbered and id(segment) not in gone and len(segment_text(segment)) < 100:
                    gone.add(id(segment))
                    dropped.append(Dropped(reason="running head", text=segment_text(segment)))
        pages[number] = [s for s in pages[number] if id(s) not in gone]
    return dropped


def _on_pages(pages: list[set[int]], enough: int) -> bool:
    """Whether the sets hold `enough` pages together; without joining long ones."""
    return any(len(found) >= enough for found in pages) or len(set().union(*pages)) >= enough


def _edge_rows(segments: list[Segment], height: float) -> list[list[Segment]]:
    """The first and the last three rows of a page, if they stand in its outer fifths."""
    rows: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda s: s.baseline):
        if rows and segment.baseline - rows[-1][0].baseline < 4:
            rows[-1].append(segment)
        else:
            rows.append([segment])
    edge = rows[:3] + rows[3:][-3:]
    return [r for r in edge if r[0].baseline < height * 0.14 or r[0].baseline > height * 0.86]


def segment_text(segment: Segment) -> str:
    return " ".join("".join(run.text for run in segment.runs).split())


def _pattern(text: str) -> str:
    return re.sub(r"\d+", "#", text)


_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


def _page_number(text: str) -> int | None:
    text = re.sub(r"^(page|p\.|[-–—|])\s*|\s*([-–—|]|(of|/)\s*\d+)$", "", text.strip(), flags=re.I)
    if re.fullmatch(r"\d{1,5}", text):
        return int(text)
    if re.fullmatch(r"[ivxlc]{1,7}", text):
        values = [_ROMAN[char] for char in text]
        return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
    return None


def same_row(a: Segment, b: Segment) -> bool:
    return min(a.bottom, b.bottom) - max(a.top, b.top) > 0.5 * min(a.height, b.height)
