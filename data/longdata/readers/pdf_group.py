"""Lines that belong together, on the way to a block, and the marks that open lines.

CAPTION.match("Fig. 3. A plot")["number"]   -> "3"
ENUMERATOR.match("(1) first of all")        -> a match
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from longdata.documents import SectionKind
from longdata.readers.pdf_lines import Line
from longdata.readers.pdf_page import SOFT_HYPHEN

_Kind = Literal["text", "heading", "caption", "reference", "code", "table"]


@dataclass(slots=True)
class Group:
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


BULLET = re.compile(r"([•●◦▪‣∙·*–—]|[–—-] )\s*\S|[-–—] \S")
ENUMERATOR = re.compile(r"(\(\d{1,2}\)|\(?[a-z]\)|\d{1,2}[.)]|\[\d{1,3}\]|\(?[ivx]{1,4}\))\s+\S")
CAPTION = re.compile(
    r"(?P<word>(?:Supplementary |Extended Data )?(?:Figure|Fig\.?|Table|Tab\.|"
    r"Listing|Algorithm|Code|Scheme|Plate|Chart|Box|FIGURE|FIG\.?|TABLE))\s*(?P<number>[A-Z]?\.?\d+(?:\.\d+)*[a-z]?|[IVXL]+)\b"
    r"\s*(?P<mark>[.:|—–-]|$)?"
)


def plain_text(group: Group) -> str:
    text = " ".join(line.text for line in group.lines)
    return " ".join(text.replace(SOFT_HYPHEN + " ", "").replace(SOFT_HYPHEN, "-").split())


_NUMBER = re.compile(
    r"(?P<number>(?:\d{1,2}(?:\.\d{1,2}){0,4}|[A-Z](?:\.\d{1,2}){1,3}|[IVX]{1,5}(?=\.)|[A-Z](?=\.)))"
    r"(?:\.|\))?\s+(?P<title>\S.*)"
)


def match_number(text: str) -> re.Match[str] | None:
    match = _NUMBER.match(text)
    if match and re.match(r"[^\W\d_]|[“\"(]", match["title"]):
        return match
    return None
