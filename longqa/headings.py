"""How an answer calls a chapter or section: “Chapter VII, “The Shark””, “Section 3.2, “Training””.

labels(sections, document)[section]   # None when two of them would be called the same
"""

from __future__ import annotations

from collections.abc import Sequence

from longdata.documents import Document, Section


def part_name(section: Section) -> str:
    """What the author would call it: "chapter" or "section"."""
    return "chapter" if section.kind == "chapter" else "section"


def label(section: Section) -> str:
    """A section's name in a sentence, without its heading's typography."""
    title = section.title.strip().rstrip(".")
    number = section.number.strip().rstrip(".")
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
                named[section] = f"{named[section]} of {_part_label(part)}"
    if len(set(named.values())) < len(named) or not all(s.title or s.number for s in sections):
        return None
    return named


def _part_of(section: Section, document: Document) -> Section | None:
    parts = [s for s in document.sections if s.kind == "part" and s.start <= section.start < s.end]
    return parts[-1] if parts else None


def _part_label(part: Section) -> str:
    number, title = part.number.strip().rstrip("."), part.title.strip().rstrip(".")
    if number:
        return f"Part {number}"
    return f"“{title}”"
