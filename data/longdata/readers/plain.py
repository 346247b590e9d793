"""Plain text → Document: `read_plain(source)`; its pure inside is `blocks_of_plain(text)`.

    content = blocks_of_plain("CHAPTER I\\n\\nIt was a dark and\\nstormy night.\\n\\nCHAPTER II …")
    content.blocks[0]  -> Block("CHAPTER I", role="heading", number="I", kind="chapter", level=1)
    content.blocks[1]  -> Block("It was a dark and stormy night.")

The steps: Project Gutenberg's words go, page numbers and running heads go, paragraphs are formed,
chapters are found, the lines of prose are joined; verse and tables keep theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from longdata.chapters import find_headings
from longdata.cleaning import (
    Drops,
    Hyphens,
    hyphens_of,
    join_lines,
    plain_letters,
    without_emphasis,
    without_furniture,
)
from longdata.decoding import decode
from longdata.documents import Block, Document
from longdata.gutenberg import strip_gutenberg
from longdata.marked import caption_block, caption_label, with_references
from longdata.outlines import find_sections
from longdata.paragraphs import Layout, Paragraph, layout_of, shape_of, split_paragraphs
from longdata.readers.content import Content, document_of
from longdata.sources import Source


def read_plain(source: Source) -> Iterator[Document]:
    """One document per file. Raises SourceError "empty" or "not text"."""
    yield document_of(blocks_of_plain(decode(source.path.read_bytes())), source)


def blocks_of_plain(text: str) -> Content:
    """Pure; linear in the text."""
    drops = Drops()
    stripped = strip_gutenberg(text)
    drops.extend(stripped.dropped)
    text = _closed_up(plain_letters(stripped.text))
    if "\ufffd" in text:
        drops.add("undecodable bytes", f"{text.count(chr(0xFFFD))} characters are unknown (U+FFFD)")
    lines: Sequence[str] = [line.rstrip() for line in text.split("\n")]
    lines = without_furniture(lines, drops)
    layout = layout_of(lines)
    hyphens = hyphens_of(lines) if layout.wrapped else Hyphens(counts={})
    paragraphs = list(split_paragraphs(lines, layout))
    blocks = with_references(_blocks(paragraphs, layout, hyphens, drops))
    facts = stripped.facts
    title, author = _title_page(paragraphs)
    return Content(
        blocks=blocks,
        dropped=drops.listed(),
        title=(facts.title if facts else None) or title,
        author=(facts.author if facts else None) or author,
        license=facts.license if facts else None,
        language=facts.language if facts else None,
    )


_ILLUSTRATION = re.compile(
    r"\[(?:Illustration|Frontispiece)\b(?:[^:\]\[]{0,80}:)?\s*((?:[^\[\]]|\[[^\[\]]{0,200}\]){0,1500})\]"
)


_CAPTION = re.compile(r"(?:Figure|Fig\.|Table)\s+[A-Z]?\d[\d.]*\s*[.:|—–]\s*[A-Z(]")


def _closed_up(text: str) -> str:
    """Form feeds gone, and no blank lines within the caption of an illustration."""
    if "\f" in text:
        text = text.replace("\n\f", "\n").replace("\f", "\n")
    if "[Illustration" in text:
        text = _ILLUSTRATION.sub(lambda match: re.sub(r"\n\s*\n", "\n", match[0]), text)
    return text


def _blocks(
    paragraphs: Sequence[Paragraph], layout: Layout, hyphens: Hyphens, drops: Drops
) -> Iterator[Block]:
    position = 0
    for heading in find_sections(paragraphs) or find_headings(paragraphs):
        if heading.start < position:
            continue
        for paragraph in paragraphs[position : heading.start]:
            yield from _text_blocks(paragraph.lines, layout, hyphens, drops)
        yield _clean_heading(heading.block, drops)
        if heading.rest:
            lines = paragraphs[heading.stop - 1].lines[-heading.rest :]
            yield from _text_blocks(lines, layout, hyphens, drops)
        position = heading.stop
    for paragraph in paragraphs[position:]:
        yield from _text_blocks(paragraph.lines, layout, hyphens, drops)


def _clean_heading(block: Block, drops: Drops) -> Block:
    return Block(
        without_emphasis(block.text, drops),
        role="heading",
        level=block.level,
        number=block.number,
        title=without_emphasis(block.title, Drops()),
        kind=block.kind,
    )


def _text_blocks(
    lines: Sequence[str], layout: Layout, hyphens: Hyphens, drops: Drops
) -> Iterator[Block]:
    shape = shape_of(lines, layout)
    text = join_lines(lines, hyphens) if shape == "paragraph" else "\n".join(lines)
    captions: list[str] = []
    if "[Illustration" in text or "[Frontispiece" in text:

        def taken(match: re.Match[str]) -> str:
            caption = " ".join(match[1].split())
            if caption:
                captions.append(caption)
            else:
                drops.add("illustration without a caption", match[0])
            return " "

        text = _ILLUSTRATION.sub(taken, text).strip()
    if _CAPTION.match(text) and caption_label(text):
        yield caption_block(without_emphasis(text, drops))
    elif text:
        yield Block(without_emphasis(text, drops), role=shape)
    for caption in captions:
        yield Block(without_emphasis(caption, drops), role="caption")


# --- the title page ------------------------------------------------------------------------------

_BY = re.compile(r"by[ ]+(\S.{2,60})", re.I)
_NAME = re.compile(r"[A-Z][\w.'’-]*\.?(?: [A-Za-z][\w.'’-]*\.?){0,5}")


def _title_page(paragraphs: Sequence[Paragraph]) -> tuple[str, str | None]:
    """Title and author as the first lines of a text without a header print them; "" if unclear."""
    page = [p for p in paragraphs[:12] if not p.lines[0].lstrip().startswith(("[", "_["))]
    lines = [line.strip().strip("_*") for p in page for line in (*p.lines[:12], "")][:40]
    title = ""
    for i, line in enumerate(lines):
        if line and not _BY.fullmatch(line):
            title = line
            while title[-1:] in ",;" and i + 1 < len(lines) and lines[i + 1]:
                i += 1
                title = f"{title} {lines[i]}"
            break
        if line:
            break
    if len(title) > 120 or (title.endswith(".") and not title.isupper()):
        title = ""
    return title.rstrip(",;"), _author(lines)


def _author(lines: Sequence[str]) -> str | None:
    for i, line in enumerate(lines):
        name = ""
        if match := _BY.fullmatch(line):
            name = match[1]
        elif line.casefold() == "by":
            name = next((later for later in lines[i + 1 : i + 3] if later), "")
        name = name.rstrip(",. ")
        if name and _NAME.fullmatch(name):
            return name
    return None
