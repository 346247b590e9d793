"""Lines in reading order → blocks: headings, paragraphs, captions, references, code, tables.

    blocks_of(lines)[3]  -> Block("2.1 Sorting networks", role="heading", level=2, number="2.1", …)

Headings differ from the body in size, weight or font; their numbers give their level, and headings
without a number take the level of those that look like them. A paragraph that goes on in the next
column or on the next page is one block: what stood between (figures, footnotes) follows it.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from longdata.documents import Block, SectionKind, section_kind
from longdata.readers.pdf_chars import SOFT_HYPHEN
from longdata.readers.pdf_layout import Line
from longdata.readers.pdf_words import Words

_Kind = Literal["text", "heading", "caption", "reference", "code", "table"]


@dataclass(slots=True)
class _Group:
    """Lines that belong together, on the way to a block."""

    lines: list[Line]
    kind: _Kind = "text"
    aside: bool = False  # a float, footnote or margin note: text may go on behind it
    number: str = ""
    title: str = ""
    level: int = 0
    section: SectionKind | None = None
    label: str = ""
    run_in: bool = False  # a heading that opens a paragraph's first line
    style: tuple[float, bool, bool, str] = (0.0, False, False, "")

    @property
    def first(self) -> Line:
        return self.lines[0]

    @property
    def last(self) -> Line:
        return self.lines[-1]


@dataclass(frozen=True, slots=True)
class _Look:
    """How the document's body text looks."""

    size: float
    fonts: frozenset[str]  # of the body, whatever the slant
    family: str
    leading: dict[float, float]  # size → usual distance of baselines
    indents: bool  # paragraphs begin with an indent
    justified: bool

    def step(self, line: Line) -> float:
        return self.leading.get(round(line.size), 1.2 * line.size)


def blocks_of(lines: Sequence[Line]) -> list[Block]:
    """The document's blocks in reading order."""
    if not lines:
        return []
    look = _look(lines)
    words = Words(line.text for line in lines)
    groups = _groups(lines, look)
    groups = [part for group in groups for part in _classified(group, look)]
    _keep_footnotes_whole(groups)
    _keep_true_numbers(groups)
    _keep_front_plain(groups)
    _set_levels(groups)
    groups = _with_references(groups, look)
    groups = _joined(groups, look)
    groups = _margin_moved(groups)
    return [_block(group, words) for group in groups]


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


def _look(lines: Sequence[Line]) -> _Look:
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
    return _Look(
        size=size,
        fonts=frozenset(common),
        family=family(max(fonts, key=lambda name: (fonts[name], name), default="")),
        leading={at: statistics.median_low(values) for at, values in steps.items()},
        indents=indented > plain,
        justified=full > ragged,
    )


# ---- lines to groups ------------------------------------------------------------------------

_BULLET = re.compile(r"([•●◦▪‣∙·*–—]|[–—-] )\s*\S|[-–—] \S")
_ENUMERATOR = re.compile(r"(\(\d{1,2}\)|\(?[a-z]\)|\d{1,2}[.)]|\[\d{1,3}\]|\(?[ivx]{1,4}\))\s+\S")
_CAPTION = re.compile(
    r"(?P<word>(?:Supplementary |Extended Data )?(?:Figure|Fig\.?|Table|Tab\.|"
    r"Listing|Algorithm|Code|Scheme|Plate|Chart|Box|FIGURE|FIG\.?|TABLE))\s*(?P<number>[A-Z]?\.?\d+(?:\.\d+)*[a-z]?|[IVXL]+)\b"
    r"\s*(?P<mark>[.:|—–-]|$)?"
)


def _groups(lines: Sequence[Line], look: _Look) -> list[_Group]:
    groups: list[_Group] = []
    rows = _table_rows(lines, look)
    for line in lines:
        group = groups[-1] if groups else None
        row = id(line) in rows
        if group and (group.kind == "table") == row and (row or not _begins(group, line, look)):
            if row and group.last.flow != line.flow:
                groups.append(_Group([line], kind="table"))
            else:
                group.lines.append(line)
        else:
            groups.append(_Group([line], kind="table" if row else "text"))
    return groups


def _table_rows(lines: Sequence[Line], look: _Look) -> set[int]:
    """Lines of two or more short cells, at least two after each other."""

    def is_row(line: Line) -> bool:
        if len(line.cells) < 2 or line.mono or line.margin:
            return False
        if _heading_style(line, look) and (_numbered(line.text) or line.size > 1.06 * look.size):
            return False
        if re.fullmatch(r"\(\d+[a-z]?\)", line.cells[-1]) or _ENUMERATOR.match(line.text):
            return False  # a numbered equation
        longest = max(len(cell.split()) for cell in line.cells)
        return longest <= 7 and (len(line.cells) > 2 or len(line.text) < 60)

    found: set[int] = set()
    streak: list[Line] = []
    for line in [*lines, None]:
        if line is not None and is_row(line) and (not streak or streak[-1].flow == line.flow):
            streak.append(line)
            continue
        if len(streak) >= 3 or (len(streak) == 2 and min(len(x.cells) for x in streak) > 2):
            found.update(id(x) for x in streak)
        streak = [line] if line is not None and is_row(line) else []
    return found


def _begins(group: _Group, line: Line, look: _Look) -> bool:
    """Whether `line` begins something new."""
    before = group.last
    if before.flow != line.flow or before.margin != line.margin:
        return True
    if abs(before.size - line.size) > 0.06 * max(before.size, line.size) and not _mostly_math(line):
        return True
    step = line.baseline - before.baseline
    if step > 1.35 * look.step(line) or step < -0.5 * line.size:
        return True
    before_heads, heads = _heading_style(before, look), _heading_style(line, look)
    if before_heads != heads:
        return True
    if heads and _style(before) != _style(line):
        return True
    if heads and _numbered(line.text) and before.bold == line.bold:
        return True
    if _code(before) != _code(line) and step > 1.1 * look.step(line):
        return True
    if _code(before) and _code(line):
        return False
    return _begins_paragraph(group, line, look)


def _begins_paragraph(group: _Group, line: Line, look: _Look) -> bool:
    before, em = group.last, line.size
    left, right = line.column
    inset = line.x0 - left
    ended = re.search(r"[.!?:;][\"”’')\]⁰¹²³⁴⁵⁶⁷⁸⁹]*$", before.text) is not None
    if _run_in(line, look):
        return True
    dash = line.text[:1] in "-–—"  # at a line's start it may be the sentence's own
    listed = _BULLET.match(group.first.text)
    if _BULLET.match(line.text) and (not dash or ended or listed or before.x1 < right - 3 * em):
        return True
    listed = _ENUMERATOR.match(group.first.text) or _BULLET.match(group.first.text)
    if listed:
        if (
            line.x0 < group.first.x0 + 2
            and len(group.lines) > 1
            and group.lines[1].x0 > group.first.x0 + 2
        ):
            return True
        return bool(_ENUMERATOR.match(line.text)) and line.x0 < group.first.x0 + 3
    if _ENUMERATOR.match(line.text) and ended and before.x1 < right + 1:
        return True
    opens = line.x0 > before.x0 + 0.7 * em and before.x0 < left + 0.5 * em
    if opens and inset < 4 * em and ended:
        return True
    starts = line.text[:1].isupper() or not line.text[:1].isalpha()
    short = before.x1 < right - max(2.5 * em, 0.08 * (right - left))
    return bool(ended and short and starts and look.justified and inset < 0.5 * em)


def _style(line: Line) -> tuple[float, bool, bool, str]:
    return (
        round(line.size * 2) / 2,
        line.bold,
        line.italic,
        "mono" if line.mono else family(line.font),
    )


def _code(line: Line) -> bool:
    letters = sum(len(p.text.strip()) for p in line.pieces)
    mono = sum(len(p.text.strip()) for p in line.pieces if p.font.mono)
    return mono > 0.95 * letters and not re.match(r"\S*(https?://|www\.)\S*$", line.text.strip())


def _mostly_math(line: Line) -> bool:
    return len(re.findall(r"[A-Za-z]{3,}", line.text)) < 2


_FORMULA_FONT = re.compile(r"(CM(R|MI|SY|EX|BX|MIB|BSY)|MS[AB]M|EU[FRSX]|RSFS)\d|.*Math", re.I)


def _heading_style(line: Line, look: _Look) -> bool:
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
    if line.size > 1.06 * look.size and _numbered(line.text):
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


# ---- what a group is ------------------------------------------------------------------------

_NUMBER = re.compile(
    r"(?P<number>(?:\d{1,2}(?:\.\d{1,2}){0,4}|[A-Z](?:\.\d{1,2}){1,3}|[IVX]{1,5}(?=\.)|[A-Z](?=\.)))"
    r"(?:\.|\))?\s+(?P<title>\S.*)"
)
_NAMED_NUMBER = re.compile(
    r"(?P<word>Appendix|Chapter|Part|Section|APPENDIX|CHAPTER|PART)\s+(?P<number>[A-Z]|\d+|[IVXLC]+)"
    r"\s*[.:—–-]?\s*(?P<title>.*)"
)
_NO_HEADING = re.compile(
    r"(theorem|lemma|proof|definition|remark|example|corollary|proposition|note|claim|figure|fig\.|"
    r"table|listing|algorithm|code|step|case|equation|eq\.)\b",
    re.I,
)


def _numbered(text: str) -> re.Match[str] | None:
    match = _NUMBER.match(text)
    if match and re.match(r"[^\W\d_]|[“\"(]", match["title"]):
        return match
    return None


def _classified(group: _Group, look: _Look) -> list[_Group]:
    """The group with its kind; a run-in heading becomes a group of its own."""
    text = _plain(group)
    first = group.first
    if first.margin:
        group.aside = True
        return [group]
    if group.kind == "table":
        group.aside = True
        return [group]
    caption = _CAPTION.match(text)
    if caption and _is_caption(group, caption, look):
        word = caption["word"].rstrip(".").title()
        word = {"Fig": "Figure", "Tab": "Table"}.get(word, word)
        group.kind, group.aside = "caption", True
        group.label = f"{word} {caption['number']}"
        return [group]
    if all(_code(line) for line in group.lines) and not _heading_style(first, look):
        group.kind = "code"
        return [group]
    if _is_heading(group, text, look):
        _name(group, text)
        return [group]
    split = _run_in(first, look)
    if split:
        return _split_run_in(group, split)
    if first.size < 0.94 * look.size:
        group.aside = True
    return [group]


def _plain(group: _Group) -> str:
    text = " ".join(line.text for line in group.lines)
    return " ".join(text.replace(SOFT_HYPHEN + " ", "").replace(SOFT_HYPHEN, "-").split())


def _is_caption(group: _Group, match: re.Match[str], look: _Look) -> bool:
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


_FORMULA = re.compile(r"[=∈∂∫∑∏≤≥∇⇔⇒⋆∗√∞]")


def _is_heading(group: _Group, text: str, look: _Look) -> bool:
    if (
        len(group.lines) > 4
        or len(text) > 220
        or not all(_heading_style(x, look) for x in group.lines)
    ):
        return False
    if _FORMULA.search(text) or len(re.findall(r"[^\W\d_]{3,}", text)) == 0:
        return False
    if _CAPTION.match(text) or "@" in text or "http" in text or _BULLET.match(text):
        return False
    if _NO_HEADING.match(text) and not _numbered(text) and not group.first.size > 1.06 * look.size:
        return False
    numbered = _numbered(text) or _NAMED_NUMBER.match(text)
    if not numbered and re.search(r"[.,;:]$", text) and group.first.size < 1.15 * look.size:
        return False
    return bool(numbered) or text[:1].isupper() or not text[:1].islower() or text[1:2] == "-"


def _name(group: _Group, text: str) -> None:
    text = re.sub(r"\s*[—–]\s*$", "", text)
    group.kind = "heading"
    group.style = _style(group.first)
    named = _NAMED_NUMBER.match(text)
    numbered = _numbered(text)
    if named:
        group.number, group.title = named["number"], named["title"]
        if named["word"].title() == "Appendix":
            group.section, group.title = "appendix", named["title"] or text
        elif named["word"].title() in ("Chapter", "Part"):
            group.section = "chapter" if named["word"].title() == "Chapter" else "part"
    elif numbered:
        group.number, group.title = numbered["number"], numbered["title"]
    else:
        group.title = text
    if group.title.isupper() and section_kind(group.title) == "abstract":
        group.section = "abstract"


_RUN_IN_END = re.compile(r"[.—–]\s*$")


def _run_in(line: Line, look: _Look) -> int:
    """How many of the line's pieces are a heading that the paragraph goes on behind; else 0."""
    if line.margin or line.size < 0.7 * look.size:
        return 0

    opening, *others = line.pieces
    label = opening.text.casefold().strip(" .:—–")
    if label in ("abstract", "summary") and others and opening.font != others[0].font:
        return 1
    count = 0
    text = ""
    numbered = None
    for piece in line.pieces:
        font = piece.font
        numbered = numbered or re.match(r"\d{1,2}(\.\d{1,2})+\.?\s", text + piece.text)
        other = font.bold or (
            family(font.name) != look.family
            and font.name not in look.fonts
            and not font.mono
            and not font.italic
            and bool(re.search(r"[A-Za-z]{3}", piece.text))
        )
        if piece.text.strip() and not other and not (font.italic and numbered):
            break
        count += 1
        text += piece.text
    bare = text.strip()
    if not 3 <= len(bare) <= 90 or count == len(line.pieces) or not bare[:1].isalnum():
        return 0
    if line.size < 0.85 * look.size:
        return 0
    if (
        not _RUN_IN_END.search(bare)
        or _NO_HEADING.match(bare)
        or not (numbered or bare[:1].isupper())
    ):
        return 0
    return count


def _split_run_in(group: _Group, count: int) -> list[_Group]:
    first = group.first
    head, rest = first.pieces[:count], first.pieces[count:]
    text = "".join(p.text for p in head).strip()
    title_line = replace(first, pieces=head, text=text, cells=(text,))
    remaining = "".join(p.text for p in rest).strip()
    body_line = replace(first, pieces=rest, text=remaining, cells=(remaining,))
    heading = _Group([title_line])
    _name(heading, re.sub(r"\s*[.:]?\s*[—–\s]*$", "", text))
    heading.run_in = True
    heading.style = (round(first.size * 2) / 2, True, False, "run-in")
    body = _Group([body_line, *group.lines[1:]])
    return [heading, body]


_OPENINGS = re.compile(
    r"(introduction|summary|background|overview|preface|foreword|motivation|statement of need)\W*"
)


def _keep_front_plain(groups: list[_Group]) -> None:
    """Before the first section stand title, authors and addresses: no headings."""
    front = [g for g in groups if g.first.page < groups[0].first.page + 3]
    for index, group in enumerate(front):
        if group.kind != "heading":
            continue
        folded = group.title.casefold().strip(" .:")
        known = section_kind(folded) != "section" or folded in _KEYWORDS
        if group.number[:1].isdigit() or group.section or known or _OPENINGS.fullmatch(folded):
            for earlier in front[:index]:
                if earlier.kind == "heading":
                    earlier.kind = "text"
                earlier.aside = True
            return
    biggest = max((g for g in front), key=lambda g: g.first.size)
    if biggest.kind == "heading":
        biggest.kind, biggest.aside = "text", True


def _keep_footnotes_whole(groups: list[_Group]) -> None:
    """What follows a footnote in its column belongs to the footnotes, formulas included."""
    flow = -1
    for group in groups:
        if group.aside and re.match(r"[⁰¹²³⁴⁵⁶⁷⁸⁹*†‡]", group.first.text):
            flow = group.first.flow
        elif group.first.flow == flow and group.kind == "text":
            group.aside = True


def _keep_true_numbers(groups: list[_Group]) -> None:
    """A letter or Roman numeral is a number only if the next one heads a section too."""
    numbers = {g.number for g in groups if g.kind == "heading"}
    for group in groups:
        number = group.number
        if group.kind != "heading" or not number.isalpha() or group.section:
            continue
        near = {"I": "II", "A": "B"}.get(number) or (
            "I" if len(number) > 1 or number in "VX" else "A" if number.isupper() else ""
        )
        if near not in numbers:
            group.number, group.title = "", _plain(group)


_KEYWORDS = {"keywords", "key words", "index terms", "ccs concepts", "keywords and phrases"}


def _set_levels(groups: list[_Group]) -> None:
    headings = [g for g in groups if g.kind == "heading"]
    known: dict[tuple[float, bool, bool, str], Counter[int]] = defaultdict(Counter)
    for group in headings:
        if group.title.casefold().strip(" .:") in _KEYWORDS:
            group.section = "front"
        kind = group.section or section_kind(group.title)
        if kind in ("abstract", "references", "front", "back", "conclusion") and not group.number:
            group.level = 1
        elif group.number and group.section is None:
            group.level = min(6, group.number.count(".") + 1)
            known[group.style][group.level] += 1
        elif group.section in ("part", "chapter", "appendix", "abstract"):
            group.level = 1
            known[group.style][1] += 1
    sizes = sorted({g.style for g in headings if not g.run_in}, key=lambda s: (-s[0], not s[1], s))
    deepest = max([g.level for g in headings], default=0)
    for group in headings:
        if group.level:
            continue
        if group.style in known:
            group.level = known[group.style].most_common(1)[0][0]
        elif group.run_in:
            group.level = max(deepest, min(3, len(sizes))) + 1
        else:
            bigger = [
                known[s].most_common(1)[0][0]
                for s in sizes[: sizes.index(group.style)]
                if s in known
            ]
            group.level = (
                max(bigger, default=0) + 1 if bigger or known else sizes.index(group.style) + 1
            )
        group.level = min(group.level, 6)


# ---- references -----------------------------------------------------------------------------

_ENTRY = re.compile(
    r"\s*(?:\[(?P<key>[\w+&.,’'-]{1,30}(?: et al\.,? \d{4}\w?)?)\]|(?P<number>\d{1,3})\.)\s*\S"
)


def _with_references(groups: list[_Group], look: _Look) -> list[_Group]:
    """Splits what stands under "References" into one group per entry."""
    result: list[_Group] = []
    index = 0
    while index < len(groups):
        group = groups[index]
        result.append(group)
        index += 1
        if group.kind != "heading" or section_kind(group.title) != "references":
            continue
        section: list[_Group] = []
        while index < len(groups) and not (
            groups[index].kind == "heading" and not groups[index].run_in
        ):
            section.append(groups[index])
            index += 1
        asides = [g for g in section if g.kind == "caption" or g.first.margin]
        hidden = {id(g) for g in asides}
        lines = [line for g in section if id(g) not in hidden for line in g.lines]
        result += [_Group(entry, kind="reference") for entry in _entries(lines, look)]
        result += asides
    return result


def _entries(lines: list[Line], look: _Look) -> list[list[Line]]:
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


# ---- paragraphs that go on ------------------------------------------------------------------


def _joined(groups: list[_Group], look: _Look) -> list[_Group]:
    result: list[_Group] = []
    open_one: _Group | None = None  # the last paragraph of running text
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


def _goes_on(open_one: _Group, group: _Group, look: _Look, plain_between: bool) -> bool:
    last, first = open_one.last, group.first
    ended = re.search(r"[.!?][\"”’')\]⁰¹²³⁴⁵⁶⁷⁸⁹]*$", last.text) is not None
    new_flow = last.flow != first.flow
    if last.text.endswith(SOFT_HYPHEN) and first.text[:1].isalpha():
        return True
    if not plain_between or _BULLET.match(first.text):
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
    if _ENUMERATOR.match(first.text):
        return False
    if not ended:
        return first.text[:1].islower() or (full and not inset and not last.text.endswith(":"))
    return look.indents and full and not inset and first.text[:1] not in "•"


def _formula(group: _Group) -> bool:
    """A displayed equation: set in, and hardly any words."""
    words = sum(len(re.findall(r"\b[a-z]{4,}\b", line.text)) for line in group.lines)
    inset = group.first.x0 > group.first.column[0] + group.first.size
    return inset and words <= 2 * len(group.lines) and not all(_code(x) for x in group.lines)


def _margin_moved(groups: list[_Group]) -> list[_Group]:
    """Margin notes stand before the first heading of their page, or behind the page's text."""
    margin = [g for g in groups if g.first.margin]
    if not margin:
        return groups
    rest = [g for g in groups if not g.first.margin]
    for page in sorted({g.first.page for g in margin}):
        notes = [g for g in margin if g.first.page == page]
        at = next(
            (i for i, g in enumerate(rest) if g.first.page == page and g.kind == "heading"), None
        )
        if at is None or page != groups[0].first.page:
            at = next((i for i, g in enumerate(rest) if g.first.page > page), len(rest))
        rest[at:at] = notes
    return rest


def _block(group: _Group, words: Words) -> Block:
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
        title = words.join([group.title]) if len(group.lines) == 1 else _title_of(text, group)
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


def _title_of(text: str, group: _Group) -> str:
    match = _NAMED_NUMBER.match(text) or _numbered(text)
    return match["title"] if match and group.number else text
