"""What a build would read: each document's facts, its outline, and what its reader left out.

for line in preview(["paper.pdf"], show_dropped=True):
    print(line)

On Groups — A. Author, 2026, CC-BY-4.0
  paper, 41,203 characters, from paper.pdf
  Abstract
  1 Introduction
    1.1 Notation
  2 captions, 14 references; left out: 8 page numbers, 1 running head
    page number: 3
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from longdata.documents import Document
from longdata.errors import SourceError
from longdata.readers import read_source
from longdata.sources import Skip, discover

_WIDTH = 110  # characters of a dropped piece on its line


def preview(
    sources: Sequence[str],
    *,
    text_column: str = "text",
    show_dropped: bool = False,
    show_text: bool = False,
) -> Iterator[str]:
    """Lines that describe every document; a source that cannot be read is one line with its reason.

    UserError: nothing is there by one of the names.
    """
    for item in discover(sources, text_column=text_column):
        if isinstance(item, Skip):
            yield _said(item)
            continue
        problems: list[Skip] = []
        try:
            for document in read_source(item, problems):
                yield from _document(document, show_dropped, show_text)
        except SourceError as error:
            problems.append(Skip(item.name, error.reason, error.detail))
        yield from map(_said, problems)


def _document(document: Document, show_dropped: bool, show_text: bool) -> Iterator[str]:
    facts = [document.author, document.year and str(document.year), document.license]
    yield f"{document.title} — {', '.join(f for f in facts if f) or 'nothing more is known'}"
    yield f"  {document.kind}, {len(document.text):,} characters, from {document.source}"
    highest = min((s.level for s in document.sections), default=1)
    for section in document.sections:
        yield f"{'  ' * (section.level - highest + 1)}{document.heading(section)}"
    found = f"{_number(document.captions, 'caption')}, {_number(document.references, 'reference')}"
    left_out = Counter(piece.reason for piece in document.dropped)
    said = ", ".join(f"{count:,} {reason}" for reason, count in left_out.most_common())
    yield f"  {found}; left out: {said or 'nothing'}"
    if show_dropped:
        for piece in document.dropped:
            text = " ".join(piece.text.split())
            yield f"    {piece.reason}: {text[:_WIDTH]}{'…' if len(text) > _WIDTH else ''}"
    if show_text:
        yield ""
        yield document.text
    yield ""


def _number(things: Sequence[object], name: str) -> str:
    return f"{len(things):,} {name}{'' if len(things) == 1 else 's'}"


def _said(skip: Skip) -> str:
    return f"not read: {skip.name}: {skip.reason}{f' ({skip.detail})' if skip.detail else ''}"
