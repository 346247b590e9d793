"""How an answer calls a chapter or section: “Chapter VII, “The Shark””, “Section 3.2, “Training””.

labels(sections, document)[section]   # None when two of them would be called the same
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from longdata.documents import Document, Section

_ROMAN = re.compile(r"[IVXLCDM]+")
_ORDINAL = re.compile(
    r"(?i)(?:(?:twenty|thirty|forty|fifty|sixty)-)?(?:last|first|second|third|"
    r"(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|\w+teen|twentie|thirtie|fortie|fiftie)th)"
)
_INNER = str.maketrans("“”", "‘’")  # quotation marks inside quotation marks
_WORD = re.compile(r"[^\W\d_]{3,}")


def part_name(section: Section) -> str:
    """What the author would call it: "chapter" or "section"."""
    return "chapter" if section.kind == "chapter" else "section"


def label(section: Section) -> str:
    """A section's name in a sentence, without its heading's typography."""
    title = section.title.strip().rstrip(".").translate(_INNER)
    number = _number(section)
    if number and title:
        return f"{part_name(section).capitalize()} {number}, “{title}”"
    if number:
        return f"{part_name(section).capitalize()} {number}"
    return f"the {part_name(section)} “{title}”"


def labels(sections: Sequence[Section], document: Document) -> dict[Section, str] | None:
    """The label of each section; with its part's where chapters are counted anew in every part."""
    named = {section: label(section) for section in sections}
    if len(set(named.values())) < len(named):
        for section in sections:
            part = _part_of(section, document)
            if part is not None:
                named[section] = f"{named[section]} of {_part_label(part, document)}"
    if len(set(named.values())) < len(named) or not all(s.title or s.number for s in sections):
        return None
    return named


def _number(section: Section) -> str:
    """The number as it stands in a sentence: “VII”, “3.2”; “ONE” → “One”, “LAST” → “the Last”."""
    number = section.number.strip().rstrip(".")
    if _ORDINAL.fullmatch(number):
        return f"the {number.capitalize()}"
    if number.replace("-", "").isalpha() and len(number) > 1 and not _ROMAN.fullmatch(number):
        return number.capitalize()
    return number


def _part_of(section: Section, document: Document) -> Section | None:
    parts = [s for s in document.sections if s.kind == "part" and s.start <= section.start < s.end]
    return parts[-1] if parts else None


def _part_label(part: Section, document: Document) -> str:
    """“Part II”, “Book II” or “Volume II”, as the author calls it."""
    number, title = _number(part), part.title.strip().rstrip(".")
    if not number:
        return f"“{title}”"
    heading = document.heading(part)
    before = heading[: heading.find(title)] if title and title in heading else heading
    own = {"the", *part.number.casefold().strip(".").split()}
    words = [w for w in _WORD.findall(before) if w.casefold() not in own]
    word = words[0].capitalize() if words else "Part"
    return f"{'Volume' if word == 'Vol' else word} {number}"
