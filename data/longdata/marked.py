"""Headings, captions and reference lists of formats that mark them as such (HTML, Markdown, …).

marked_heading("3.2 Training", level=2)   -> Block("3.2 Training", number="3.2", title="Training")
marked_heading("Appendix B: Proofs", 1)   -> Block(…, number="B", title="Proofs", kind="appendix")
caption_block("Fig. 3: The model.")       -> Block(…, role="caption", label="Figure 3")
with_references(blocks)                   -> paragraphs below "References" become role "reference"
with_levels_from_one(blocks)              -> h2, h3 become levels 1, 2
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from longdata.documents import Block, SectionKind, section_kind
from longdata.headings import CHAPTER_WORDS, PART_WORDS, plain_title
from longdata.numerals import NUMBER, value_of

_DECIMAL = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,4})(?:[.):]\s*|\s+[—–-]\s+|\s+)(?=\S)(.*)", re.S)
_LETTERED = re.compile(r"([A-Z](?:\.\d{1,3}){1,3})[.):]?\s+(\S.*)", re.S)
_ROMAN = re.compile(r"([IVXLC]{1,7})[.):—–-]+\s+(\S.*)", re.S)
_KEYED = re.compile(
    rf"({'|'.join((*PART_WORDS, *CHAPTER_WORDS, 'section', 'appendix', 'annex'))})\s+(?:the\s+)?"
    rf"({NUMBER}|[A-Z](?:\.\d{{1,3}}){{0,2}})\b[\s.:)—–-]*(.*)",
    re.I | re.S,
)
_KEYED_KIND: dict[str, SectionKind] = {
    **dict.fromkeys(PART_WORDS, "part"),
    **dict.fromkeys(CHAPTER_WORDS, "chapter"),
    "section": "section",
    "appendix": "appendix",
    "annex": "appendix",
}


def marked_heading(text: str, level: int) -> Block:
    """A heading's block, its number split off the title; kind None where only the title tells."""
    text = " ".join(text.split())
    number, title, kind = "", text, None
    if match := _KEYED.fullmatch(text):
        word = match[1].casefold()
        lettered = match[2][:1].isupper() and not match[2][1:2].isalpha()
        if value_of(match[2]) is not None or (word in ("appendix", "annex") and lettered):
            number, title, kind = match[2], match[3], _KEYED_KIND[word]
    elif match := (_DECIMAL.fullmatch(text) or _LETTERED.fullmatch(text)):
        if _is_section_number(match[1], match[2]):
            number, title = match[1], match[2]
    elif (match := _ROMAN.fullmatch(text)) and value_of(match[1]) is not None:
        number, title = match[1], match[2]
    return Block(
        text, role="heading", level=level, number=number, title=plain_title(title), kind=kind
    )


def _is_section_number(number: str, title: str) -> bool:
    """ "3 Methods" and "2.1 data" are numbered; "2024 in review" and "10 years later" are not."""
    whole = "." not in number
    return (len(number) < 4 and (title[:1].isupper() or not whole)) or not whole


_LABEL = re.compile(
    r"(?:(supplementary|extended data)\s+)?"
    r"(figure|fig|table|tab|listing|algorithm|scheme|chart|plate|box|video)\b\.?\s*"
    r"([A-Z]?\.?\d{1,4}(?:[.-]\d{1,3})*[a-z]?|[IVXLC]{1,6})(?=\b)[\s.:|)—–-]*",
    re.I,
)
_LABEL_WORDS = {"fig": "Figure", "tab": "Table"}


def caption_block(text: str) -> Block:
    """A caption's block; its label in one form: "Figure 3", "Table 1", or "" where it has none."""
    text = " ".join(text.split())
    return Block(text, role="caption", label=caption_label(text))


def caption_label(text: str) -> str:
    """ "Figure 3" for "Fig. 3. The model"; "" for a text that does not begin with a label."""
    match = _LABEL.match(text)
    if match is None:
        return ""
    word = match[2].casefold()
    word = _LABEL_WORDS.get(word, word.capitalize())
    prefix = f"{match[1].capitalize()} " if match[1] else ""
    return f"{prefix}{word} {match[3]}"


def with_references(blocks: Iterable[Block]) -> list[Block]:
    """The paragraphs below a heading "References" or "Bibliography" are its entries."""
    marked: list[Block] = []
    inside: int | None = None  # the level of the heading of the list that we are in
    for block in blocks:
        if block.role == "heading":
            if inside is None or block.level <= inside:
                kind = block.kind or section_kind(block.title)
                inside = block.level if kind == "references" else None
        elif inside is not None and block.role == "paragraph":
            block = replace(block, role="reference")
        marked.append(block)
    return marked


def with_levels_from_one(blocks: Sequence[Block]) -> list[Block]:
    """Heading levels without gaps: 2, 3, 5 become 1, 2, 3."""
    levels = sorted({block.level for block in blocks if block.role == "heading"})
    rank = {level: i for i, level in enumerate(levels, start=1)}
    return [
        replace(block, level=rank[block.level]) if block.role == "heading" else block
        for block in blocks
    ]


_CC = re.compile(
    r"creativecommons\.org/(?:licen[sc]es/([a-z-]+)/(\d\.\d)|publicdomain/(zero|mark)/(\d\.\d))",
    re.I,
)


def license_name(text: str) -> str:
    """A Creative Commons address as its short name ("CC-BY-4.0"); anything else as it is."""
    match = _CC.search(text)
    if match is None:
        return " ".join(text.split())
    if match[1]:
        return f"CC-{match[1].upper()}-{match[2]}"
    return f"CC0-{match[4]}" if match[3].lower() == "zero" else "Public domain"


def year_of(text: str) -> int | None:
    """The first year (1500 to 2099) that a date names."""
    match = re.search(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?!\d)", text)
    return int(match[1]) if match else None
