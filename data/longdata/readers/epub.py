"""EPUB → Document: `read_epub(source)`.

    document = next(read_epub(source))
    document.title        -> "The Invisible Man"
    document.sections[0]  -> Section(title="Imprint", kind="front", …), then the chapters

The pages of the spine go through the HTML reader in order. Headings become parts, chapters and
sections by what the book says of them (epub:type, "CHAPTER IV", its table of contents) and by
their levels; what stands before and behind the story is marked "front" and "back".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from longdata.cleaning import Drops
from longdata.documents import Block, Document, SectionKind, section_kind
from longdata.errors import SourceError
from longdata.gutenberg import strip_gutenberg_blocks
from longdata.headings import comes_last
from longdata.marked import license_name, with_levels_from_one, year_of
from longdata.readers.content import Content, document_of
from longdata.readers.epub_archive import EpubArchive, Package
from longdata.readers.html_tree import Element, epub_type, parse_html
from longdata.readers.html_walk import merged_heading, walk
from longdata.readers.webpage import language_code
from longdata.sources import Source

_FRONT = re.compile(
    r"\b(?:frontmatter|titlepage|halftitlepage|imprint|dedication|foreword|preface|introduction|"
    r"preamble|copyright-page|cover|toc|loi|epigraph)\b"
)
_BACK = re.compile(
    r"\b(?:backmatter|colophon|uncopyright|copyright-page|endnotes|footnotes|appendix|index|"
    r"glossary|bibliography|acknowledgments|afterword|rearnotes)\b"
)
_STORY = re.compile(r"\b(?:prologue|epilogue|bodymatter|chapter|part|volume|division)\b")


@dataclass(frozen=True, slots=True)
class _Page:
    blocks: list[Block]
    place: SectionKind | None  # "front" or "back"; None is the story itself


def read_epub(source: Source) -> Iterator[Document]:
    """One document. Raises SourceError "damaged", "encrypted", "zip bomb", "unsafe archive"."""
    drops = Drops()
    with EpubArchive(source.path) as archive:
        package = archive.package
        for path in package.missing:
            drops.add("missing page", path)
        pages = [_page(archive, path, drops) for path in package.spine]
    yield document_of(_content(pages, package, drops), source)


def _page(archive: EpubArchive, path: str, drops: Drops) -> _Page:
    try:
        root = parse_html(archive.text(path), xml=True)
    except SourceError as error:
        drops.add("damaged page", f"{path}: {error}")
        return _Page([], None)
    blocks = _merged(walk(root, drops, book=True))
    place = _place(root)
    label = archive.package.labels.get(path, "")
    said = any(block.text.casefold() == label.casefold() for block in blocks[:3])
    if blocks and label and not said and not any(block.role == "heading" for block in blocks):
        blocks = [merged_heading([label], 2), *blocks]
    return _Page(blocks, place)


def _place(root: Element) -> SectionKind | None:
    """Where a page says that it belongs, by the epub:type of its body and outermost section."""
    marks = ""
    for one in root.iter():
        marks += f" {epub_type(one)}"
        if len(marks) > 400:
            break
    words = " ".join(re.findall(r"[a-z-]+", " ".join(marks.split()[:12])))
    if _BACK.search(words) and not re.search(r"\bfrontmatter\b", words):
        return None if re.search(r"\b(?:bodymatter|epilogue)\b", words) else "back"
    if re.search(r"\b(?:bodymatter|chapter|part|epilogue|prologue)\b", words):
        return None
    return "front" if _FRONT.search(words) else None


def _merged(blocks: Sequence[Block]) -> list[Block]:
    """A number and a title in two headings of one level, one after the other, become one."""
    merged: list[Block] = []
    for block in blocks:
        last = merged[-1] if merged else None
        if (
            last
            and block.role == last.role == "heading"
            and block.level == last.level
            and (last.number or re.fullmatch(r"[IVXLC\d]{1,8}\.?", last.text))
            and (not last.title or last.title == last.text)
            and not block.number
        ):
            text = f"{last.text.rstrip('.:')}. {block.text}"
            number = last.number or last.text.strip(". ")
            merged[-1] = replace(last, text=text, title=block.title, number=number)
        else:
            merged.append(block)
    return merged


def _content(pages: Sequence[_Page], package: Package, drops: Drops) -> Content:
    blocks: list[Block] = []
    for page in pages:
        place = page.place
        for block in page.blocks:
            if place and block.role == "heading" and block.kind is None:
                block = replace(block, kind=place)
            blocks.append(block)
    blocks, gutenberg, dropped = strip_gutenberg_blocks(blocks)
    drops.extend(dropped)
    blocks = _with_kinds(_without_book_title(blocks, package.title))
    standard = "standardebooks.org" in " ".join(package.identifiers)
    license_ = (gutenberg.license if gutenberg else None) or _license(package.rights)
    return Content(
        blocks=with_levels_from_one(blocks),
        dropped=drops.listed(),
        title=package.title or (gutenberg.title if gutenberg else None) or "",
        author=", ".join(package.authors) or (gutenberg.author if gutenberg else None),
        # Gutenberg and Standard Ebooks give the year of their own edition, not the book's.
        year=None if gutenberg or standard else year_of(package.date),
        license="CC0-1.0" if standard else license_,
        language=language_code(package.language),
        kind=None,
    )


def _license(rights: str) -> str | None:
    if not rights:
        return None
    return license_name(rights) if len(rights) < 2000 else license_name(rights[:2000])


def _without_book_title(blocks: Sequence[Block], title: str) -> list[Block]:
    """Headings of the title page that repeat title and author are lines of it, not sections."""
    kept: list[Block] = []
    prose = 0
    known = _letters(title)
    for block in blocks:
        if block.role == "heading" and prose < 2000 and block.kind in (None, "front"):
            own = _letters(block.title or block.text)
            if (own and own in (known, known.split(":")[0])) or block.text.lower().startswith(
                "by "
            ):
                block = Block(block.text)
        prose += len(block.text)
        kept.append(block)
    return kept


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum() or c == ":")


def _with_kinds(blocks: Sequence[Block]) -> list[Block]:
    """Parts, chapters and sections by level: the chapters are one level below the parts."""
    story = [b for b in blocks if b.role == "heading" and b.kind in (None, "part", "chapter")]
    parts = {b.level for b in story if b.kind == "part"}
    chapters = Counter(b.level for b in story if b.kind == "chapter")
    levels = sorted({b.level for b in story} - parts)
    if not levels:
        return [replace(b, kind="chapter") if b.kind == "part" else b for b in blocks]
    level = chapters.most_common(1)[0][0] if chapters else levels[0]
    kinded: list[Block] = []
    for block in blocks:
        if block.role == "heading" and block.kind is None:
            kind = section_kind(block.title)
            if kind not in ("section", "conclusion", "abstract"):
                block = replace(block, kind=kind)
            elif re.match(r"(?:preface|foreword|introduction|contents)\b", block.title, re.I):
                block = replace(block, kind="front" if block.level <= level else "section")
            elif comes_last(block.title) and not re.match(
                r"(?:the )?(?:epi|fina)", block.title, re.I
            ):
                block = replace(block, kind="back")
            else:
                block = replace(block, kind="chapter" if block.level <= level else "section")
        kinded.append(block)
    return kinded
