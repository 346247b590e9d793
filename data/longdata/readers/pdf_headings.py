"""Which groups are headings: number, title, level, also run into a paragraph's first line.

    "3.2 Training"                     -> number "3.2", title "Training", level 2
    "Neural model — We used an …"      -> heading "Neural model" and the paragraph behind it

Headings without a number take the level of those that look like them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace

from longdata.documents import section_kind
from longdata.readers.pdf_group import BULLET, CAPTION, Group, match_number, plain_text
from longdata.readers.pdf_lines import Line
from longdata.readers.pdf_look import Look, family, looks_like_heading, style_of

_NAMED_NUMBER = re.compile(
    r"(?P<word>Appendix|Chapter|Part|Section|APPENDIX|CHAPTER|PART)\s+(?P<number>[A-Z]|\d+|[IVXLC]+)"
    r"\s*[.:—–-]?\s*(?P<title>.*)"
)


_NO_HEADING = re.compile(
    r"(theorem|lemma|proof|definition|remark|example|corollary|proposition|note|claim|figure|fig\.|"
    r"table|listing|algorithm|code|step|case|equation|eq\.)\b",
    re.I,
)


_FORMULA = re.compile(r"[=∈∂∫∑∏≤≥∇⇔⇒⋆∗√∞]")


def is_heading(group: Group, text: str, look: Look) -> bool:
    if (
        len(group.lines) > 4
        or len(text) > 220
        or not all(looks_like_heading(x, look) for x in group.lines)
    ):
        return False
    if _FORMULA.search(text) or len(re.findall(r"[^\W\d_]{3,}", text)) == 0:
        return False
    if CAPTION.match(text) or "@" in text or "http" in text or BULLET.match(text):
        return False
    if (
        _NO_HEADING.match(text)
        and not match_number(text)
        and not group.first.size > 1.06 * look.size
    ):
        return False
    numbered = match_number(text) or _NAMED_NUMBER.match(text)
    if not numbered and re.search(r"[.,;:]$", text) and group.first.size < 1.15 * look.size:
        return False
    return bool(numbered) or text[:1].isupper() or not text[:1].islower() or text[1:2] == "-"


def name_heading(group: Group, text: str) -> None:
    text = re.sub(r"\s*[—–]\s*$", "", text)
    group.kind = "heading"
    group.style = style_of(group.first)
    named = _NAMED_NUMBER.match(text)
    numbered = match_number(text)
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


def run_in_length(line: Line, look: Look) -> int:
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


def split_run_in(group: Group, count: int) -> list[Group]:
    first = group.first
    head, rest = first.pieces[:count], first.pieces[count:]
    text = "".join(p.text for p in head).strip()
    title_line = replace(first, pieces=head, text=text, cells=(text,))
    remaining = "".join(p.text for p in rest).strip()
    body_line = replace(first, pieces=rest, text=remaining, cells=(remaining,))
    heading = Group([title_line])
    name_heading(heading, re.sub(r"\s*[.:]?\s*[—–\s]*$", "", text))
    heading.run_in = True
    heading.style = (round(first.size * 2) / 2, True, False, "run-in")
    body = Group([body_line, *group.lines[1:]])
    return [heading, body]


_OPENINGS = re.compile(
    r"(introduction|summary|background|overview|preface|foreword|motivation|statement of need)\W*"
)


def keep_front_plain(groups: list[Group]) -> None:
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


def keep_true_numbers(groups: list[Group]) -> None:
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
            group.number, group.title = "", plain_text(group)


_KEYWORDS = {"keywords", "key words", "index terms", "ccs concepts", "keywords and phrases"}


def set_levels(groups: list[Group]) -> None:
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


def title_of(text: str, group: Group) -> str:
    match = _NAMED_NUMBER.match(text) or match_number(text)
    return match["title"] if match and group.number else text
