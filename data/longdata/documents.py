"""A document: its text, where its parts begin and end, and where it came from.

Readers turn a file into `Block`s, in reading order; `assemble` joins them into one text and
computes every offset, so that no reader counts characters itself:

    blocks = [
        Block("CHAPTER I", role="heading", level=1, number="I", kind="chapter"),
        Block("It was a bright cold day."),
    ]
    document = assemble(blocks, title="A Book", kind="book", source="a.txt", sha256="…")
    document.text         -> "CHAPTER I\n\nIt was a bright cold day."
    document.sections[0]  -> Section(number="I", level=1, kind="chapter", start=0, body=11, …)

The text has one form whatever the format: "\n" line ends, Unicode NFC, no spaces at line ends,
blocks separated by exactly one blank line, the lines of a prose paragraph joined into one line
(verse, code and tables keep theirs).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

# "papers" are two papers in one document, made for questions that compare them; no reader gives it.
DocumentKind = Literal["book", "paper", "other", "papers"]
SectionKind = Literal[
    "part",
    "chapter",
    "section",
    "abstract",
    "conclusion",
    "references",
    "appendix",
    "front",
    "back",
]
Role = Literal["heading", "paragraph", "caption", "reference", "code", "table", "verse"]


@dataclass(frozen=True, slots=True)
class Block:
    """One paragraph-like piece of a document, as a reader hands it over."""

    text: str
    role: Role = "paragraph"
    level: int = 1  # headings: 1 is the highest
    number: str = ""  # headings: "VII", "3.2"; "" when the author gave none
    title: str = ""  # headings: the heading without its number; "" when the number is all there is
    kind: SectionKind | None = None  # headings: None lets `assemble` decide from the title
    label: str = ""  # captions: "Figure 3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the document, in characters of `Document.text`; its heading begins at `start`.

    The heading is text[start:body] without the white space, the content text[body:end]. A section
    ends where the next one of the same or a higher level begins, so it holds its subsections.
    """

    title: str
    number: str
    level: int
    kind: SectionKind
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A figure's or table's caption: text[start:end]. `label` is "Figure 3", "Table 1" or ""."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """text[start:end] of a document."""

    start: int
    end: int

    def clipped(self, text: str) -> Span:
        """The span without white space at its ends."""
        piece = text[self.start : self.end]
        start = self.start + len(piece) - len(piece.lstrip())
        return Span(start=start, end=max(start, self.start + len(piece.rstrip())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Something a reader left out of the text, on purpose: "running head", "page number", …"""

    reason: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One book or paper. `id` depends on title and text alone, `sha256` on the source's bytes."""

    id: str
    text: str
    title: str
    kind: DocumentKind
    author: str | None
    year: int | None
    license: str | None  # as the source or the sidecar says it; None = not said
    language: str | None  # ISO 639-1 where the source says it
    url: str | None
    source: str  # the path or address it was read from
    sha256: str
    sections: tuple[Section, ...]  # in text order (a tree in preorder, by `level`)
    captions: tuple[Caption, ...]
    references: tuple[Span, ...]  # one entry of the reference list each
    verbatim: tuple[Span, ...]  # code, tables and verse: text that is no prose
    dropped: tuple[Dropped, ...]

    def heading(self, section: Section) -> str:
        """The heading as printed, on one line."""
        return " ".join(self.text[section.start : section.body].split())

    def section_of(self, kind: SectionKind) -> Section | None:
        """The first section of a kind, for example the abstract."""
        return next((section for section in self.sections if section.kind == kind), None)

    def children(self, parent: Section) -> Iterator[Section]:
        """The sections directly below one."""
        inside = [s for s in self.sections if parent.start < s.start < parent.end]
        highest = min((s.level for s in inside), default=0)
        return (s for s in inside if s.level == highest)


def assemble(
    blocks: Iterable[Block],
    *,
    title: str,
    kind: DocumentKind,
    source: str,
    sha256: str,
    author: str | None = None,
    year: int | None = None,
    license: str | None = None,
    language: str | None = None,
    url: str | None = None,
    dropped: Iterable[Dropped] = (),
) -> Document:
    """Blocks in reading order → `Document`. Blocks whose text is only white space vanish."""
    pieces: list[str] = []
    headings: list[tuple[Block, int, int]] = []  # block, start, end of the heading's text
    captions: list[Caption] = []
    references: list[Span] = []
    verbatim: list[Span] = []
    offset = 0
    for block in blocks:
        text = normal_form(block.text, keep_lines=block.role in ("code", "table", "verse"))
        if not text:
            continue
        if pieces:
            pieces.append("\n\n")
            offset += 2
        pieces.append(text)
        start, offset = offset, offset + len(text)
        if block.role == "heading":
            headings.append((block, start, offset))
        elif block.role == "caption":
            captions.append(Caption(label=block.label, start=start, end=offset))
        elif block.role == "reference":
            references.append(Span(start=start, end=offset))
        elif block.role in ("code", "table", "verse"):
            verbatim.append(Span(start=start, end=offset))
    text = "".join(pieces)
    title = " ".join(unicodedata.normalize("NFC", title).split())
    return Document(
        id=document_id(title, text),
        text=text,
        title=title,
        kind=kind,
        author=author,
        year=year,
        license=license,
        language=language,
        url=url,
        source=source,
        sha256=sha256,
        sections=tuple(_sections(headings, text)),
        captions=tuple(captions),
        references=tuple(references),
        verbatim=tuple(verbatim),
        dropped=tuple(dropped),
    )


def document_id(title: str, text: str) -> str:
    """16 hexadecimal digits that depend on title and text alone."""
    return hashlib.sha256(f"{title}\n\n{text}".encode()).hexdigest()[:16]


def normal_form(text: str, *, keep_lines: bool = False) -> str:
    """NFC, no control characters but line ends, white space folded (per line with `keep_lines`)."""
    text = _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = unicodedata.normalize("NFC", text)  # after: a soft hyphen can stand before an accent
    if not keep_lines:
        return " ".join(text.split())
    lines = [line.replace("\t", "    ").rstrip() for line in text.split("\n")]
    lines = [line for line in lines if line]  # a blank line would end the block
    return "\n".join(lines) if lines else ""


# Control characters, soft hyphens, zero-width characters, byte order marks, lone surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f\u00ad\u200b\u200c\u2060\ufeff\ufffe\uffff\ud800-\udfff]"
)

_KIND_BY_TITLE: tuple[tuple[str, SectionKind], ...] = (
    (r"(extended )?abstract|summary of the paper", "abstract"),
    (r"(\w+ )?(conclusions?|concluding remarks|closing remarks)( and .*| &.*)?", "conclusion"),
    (r"(discussion and )conclusions?", "conclusion"),
    (r"references|bibliography|works cited|literature( cited)?", "references"),
    (r"appendi(x|ces)\b.*|supplement(ary|al)? (materials?|information)", "appendix"),
    (
        r"contents|table of contents|list of (figures|tables|illustrations)|dedication|imprint",
        "front",
    ),
    (r"acknowledge?ments?|funding|colophon|uncopyright|endnotes|footnotes|index", "back"),
)


def _sections(headings: list[tuple[Block, int, int]], text: str) -> list[Section]:
    ends = [len(text)] * len(headings)
    open_at: list[int] = []  # indices of the sections that still go on, by ascending level
    for index, (block, start, _) in enumerate(headings):
        while open_at and headings[open_at[-1]][0].level >= block.level:
            ends[open_at.pop()] = start - 2  # without the blank line before this heading
        open_at.append(index)
    sections = []
    for index, (block, start, heading_end) in enumerate(headings):
        title = " ".join(block.title.split())
        # some journals call the abstract so; a “Summary” further down is the authors' last word
        opens = index == 0 and title.casefold() == "summary"
        sections.append(
            Section(
                title=title,
                number=block.number,
                level=block.level,
                kind=block.kind or ("abstract" if opens else section_kind(title)),
                start=start,
                body=min(heading_end + 2, ends[index]),
                end=ends[index],
            )
        )
    return sections


def section_kind(title: str) -> SectionKind:
    """The kind a section's title announces: "References" → "references"; else "section"."""
    folded = title.casefold().strip(" .:")
    for pattern, kind in _KIND_BY_TITLE:
        if re.fullmatch(pattern, folded):
            return kind
    return "section"
