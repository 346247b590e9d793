"""What a reader found in a file, before it becomes a `Document`: blocks and what the file says.

    content = Content(blocks=[Block("Abstract", role="heading"), …], title="On Whales")
    document_of(content, source)   -> Document(kind="paper", title="On Whales", …)

`guess_kind` decides between a book, a paper and anything else, for every reader alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from longdata.documents import Block, Document, DocumentKind, Dropped, assemble, section_kind
from longdata.errors import SourceError
from longdata.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A file's blocks in reading order, what was left out, and what it says about itself."""

    blocks: Sequence[Block]
    dropped: Sequence[Dropped] = field(default_factory=tuple)
    title: str = ""
    author: str | None = None
    year: int | None = None
    license: str | None = None
    language: str | None = None
    kind: DocumentKind | None = None  # None: guess it from the blocks


def document_of(content: Content, source: Source) -> Document:
    """The document; its title falls back to the file's name. Raises SourceError "empty"."""
    document = assemble(
        content.blocks,
        title=content.title or _title_of_name(source.name),
        kind=content.kind or guess_kind(content.blocks),
        source=source.name,
        sha256=source.sha256,
        url=source.url,
        author=content.author,
        year=content.year,
        license=content.license,
        language=content.language,
        dropped=content.dropped,
    )
    if not document.text:
        raise SourceError("empty", "no text is left without markup and boilerplate")
    return document


def guess_kind(blocks: Iterable[Block]) -> DocumentKind:
    """A book has chapters; a paper an abstract or references, or sections that are worked out.

    Three or more section headings make a paper (a technical article), one or two do with
    captions, references or citations such as "[12]" or "(Smith et al., 2020)".
    """
    sections = evidence = chapters = 0
    for block in blocks:
        if block.role == "heading":
            kind = block.kind or section_kind(block.title)
            chapters += kind == "chapter"
            if kind in ("abstract", "references"):
                evidence += 2
                sections += 1
            sections += kind in ("section", "conclusion")
        elif block.role in ("caption", "reference") or (
            evidence < 2 and _CITATION.search(block.text, 0, 5000)
        ):
            evidence += 1
    if chapters:
        return "book"
    if sections >= 3 or (sections and evidence >= 2):
        return "paper"
    return "other"


_CITATION = re.compile(
    r"\[\d{1,3}(?:[,–-] ?\d{1,3})*\]|\bet al\.,? \(?\d{4}"
    r"|\((?:[A-Z]\w+[ ,&]+){1,4}\d{4}[a-z]?\)|\[@\w"
)


def _title_of_name(name: str) -> str:
    stem = name.rstrip("/").rsplit("/", 1)[-1].rsplit("\\", 1)[-1]
    stem = re.sub(r"(?:\.[A-Za-z0-9]{1,8}){1,2}$", "", stem) or stem
    return " ".join(re.split(r"[_\s]+", stem)).strip() or "untitled"
