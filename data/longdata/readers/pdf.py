"""PDF → Document: text in reading order, sections, captions, references.

    for document in read_pdf(source):
        document.title                      -> "ChipSort: a SIMD and cache-aware sorting module"
        document.section_of("abstract")     -> Section(title="ABSTRACT", …)

The way: characters with their places (`pdf_chars`) → lines in reading order (`pdf_layout`) →
blocks (`pdf_blocks`). PDFium, which reads the file, is not thread-safe: use processes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from longdata.documents import Block, Document, DocumentKind, Dropped, assemble, section_kind
from longdata.errors import SourceError
from longdata.readers.pdf_blocks import blocks_of
from longdata.readers.pdf_chars import open_pdf
from longdata.readers.pdf_layout import read_lines
from longdata.readers.pdf_lines import Line
from longdata.sources import Source


def read_pdf(source: Source) -> Iterator[Document]:
    """One document per file.

    Raises SourceError "empty", "encrypted", "damaged", "too large" or "no text" (scanned pages).
    """
    with open_pdf(source.path) as pages:
        info, count = pages.info, len(pages)
        lines, dropped = read_lines(pages)
    if not any(char.isalpha() for line in lines for char in line.text):
        raise SourceError("no text", f"scanned pages; {count} pages without a letter need OCR")
    blocks = blocks_of(lines)
    first = [line for line in lines if line.page == lines[0].page]
    evidence = _evidence(blocks, dropped)
    title = _title(first, info)
    yield assemble(
        blocks,
        title=source.facts.title or title or source.path.stem,
        kind=_kind(blocks),
        source=source.name,
        sha256=source.sha256,
        author=source.facts.author or _author(info, first, title),
        year=source.facts.year or _year(evidence, info),
        license=source.facts.license or _license(evidence),
        language=source.facts.language,
        url=source.facts.url or source.url or _doi(evidence),
        dropped=dropped,
    )


def _kind(blocks: Sequence[Block]) -> DocumentKind:
    headings = [block for block in blocks if block.role == "heading"]
    kinds = [block.kind or section_kind(block.title) for block in headings]
    if sum(kind in ("chapter", "part") for kind in kinds) >= 2:
        return "book"
    numbered = sum(bool(block.number) for block in headings)
    return "paper" if "abstract" in kinds or "references" in kinds or numbered >= 3 else "other"


# ---- what the document says about itself ----------------------------------------------------


def _title(lines: Sequence[Line], info: dict[str, str]) -> str:
    """The largest text in the upper part of page 1, unless the PDF's own title says it better."""
    upper = [x for x in lines if not x.margin and sum(c.isalpha() for c in x.text) > 2]
    stated = " ".join(info.get("Title", "").split())
    if not upper:
        return stated
    middle = (min(x.top for x in upper) + max(x.bottom for x in upper)) / 2
    size = max(x.size for x in upper if x.top <= middle)
    printed = [x for x in upper if x.size > 0.97 * size and x.top <= middle]
    shown = " ".join(" ".join(x.text for x in printed[:5]).replace("\x02", "-").split())
    if stated and _letters(stated) and _letters(stated) in _letters("".join(x.text for x in lines)):
        return stated if abs(len(stated) - len(shown)) < 0.5 * len(stated) else shown or stated
    return shown or stated


def _letters(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def _author(info: dict[str, str], lines: Sequence[Line], title: str) -> str | None:
    stated = " ".join(info.get("Author", "").split())
    if stated and not re.search(r"[\\/]|\.(tex|doc)|user|admin|owner", stated, re.I):
        return stated
    ending = _letters(title)[-20:]
    after = [
        i for i, line in enumerate(lines) if ending and _letters(line.text).endswith(ending[-12:])
    ]
    if not after or after[0] + 1 >= len(lines):
        return None
    names: list[str] = []
    first = lines[after[0] + 1]
    for line in lines[after[0] + 1 : after[0] + 30]:
        if re.match(r"[⁰¹²³⁴⁵⁶⁷⁸⁹\d*†‡]", line.text):
            break  # addresses
        if line.margin or abs(line.size - first.size) > 0.3 or line.bold != first.bold:
            break
        names.append(line.text.replace("\x02", "-"))
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹*†‡§¶∗]+(\s*,?\s*[⁰¹²³⁴⁵⁶⁷⁸⁹*†‡§¶∗]+)*", ", ", " ".join(names))
    people = [p.strip() for p in re.split(r",|;|\band\b|&", text) if p.strip()]
    if people and all(_PERSON.fullmatch(person) for person in people):
        return ", ".join(people)
    return None


_PERSON = re.compile(r"(?:[^\W\d_][\w.’'‘-]*\s+){1,5}[^\W\d_][\w.’'‘-]*")


def _evidence(blocks: Sequence[Block], dropped: Sequence[Dropped]) -> str:
    """The text that speaks about the document: its first blocks, and the heads and feet."""
    start: list[str] = []
    size = 0
    for block in blocks:
        start.append(block.text[:15_000])
        size += len(block.text)
        if size > 15_000:
            break
    edges = list(dict.fromkeys(d.text for d in dropped if d.reason.startswith("running")))
    return "\n".join([*start, *edges[:20]])


_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_Y = r"((?:19|20)\d\d)\b"
_YEARS = (  # what says it best comes first
    rf"published:?\s+(?:online:?\s+)?(?:\d{{1,2}}\s+)?(?:{_MONTH}\.?\s+)(?:\d{{1,2}},\s+)?{_Y}",
    rf"(?:copyright|©|\(c\))\D{{0,30}}{_Y}",
    rf"\b\d{{1,3}}\(\d{{1,3}}\),? {_Y}",  # volume(issue), year
    rf"\b(?:proceedings|conference|journal)\b[^\n]{{0,60}}?\b{_Y}",
)


def _year(evidence: str, info: dict[str, str]) -> int | None:
    for pattern in _YEARS:
        match = re.search(pattern, evidence, re.I)
        if match:
            return int(match[1])
    match = re.match(r"D:((?:19|20)\d\d)", info.get("CreationDate", ""))
    return int(match[1]) if match else None


_CC = r"creative commons attribution"
_VERSION = r"[^.\n]{0,30}?([1-4]\.0)"
_LICENSES = (
    (rf"{_CC}[- ]non-?commercial[- ]no-?deriv\w*{_VERSION}", "CC-BY-NC-ND"),
    (rf"{_CC}[- ]non-?commercial[- ]share-?alike{_VERSION}", "CC-BY-NC-SA"),
    (rf"{_CC}[- ]non-?commercial{_VERSION}", "CC-BY-NC"),
    (rf"{_CC}[- ]no-?deriv\w*{_VERSION}", "CC-BY-ND"),
    (rf"{_CC}[- ]share-?alike{_VERSION}", "CC-BY-SA"),
    (rf"{_CC}{_VERSION}", "CC-BY"),
)


def _license(evidence: str) -> str | None:
    text = " ".join(evidence.split())
    for pattern, name in _LICENSES:
        match = re.search(pattern, text, re.I)
        if match:
            return f"{name}-{match[1]}"
    match = re.search(r"\bCC[- ](BY(?:-(?:NC|ND|SA))*)[- ]([1-4]\.0)\b", text)
    if match:
        return f"CC-{match[1]}-{match[2]}"
    if re.search(r"\bCC0\b|public domain dedication", text):
        return "CC0-1.0"
    return None


def _doi(evidence: str) -> str | None:
    text = evidence.replace("https: //", "https://").replace("https:\n//", "https://")
    match = re.search(r"(?:doi\b\D{0,20}?|doi\.org/)(10\.\d{4,9}/[^\s\"<>,;]+)", text, re.I)
    return "https://doi.org/" + match[1].rstrip(".)]") if match else None
