"""A web page → Document: `read_html(source)`; its pure inside is `blocks_of_html(page)`.

    content = blocks_of_html("<title>On Whales</title><h2>1 Teeth</h2><p>Whales have none.</p>")
    content.title   -> "On Whales"
    content.blocks  -> [Block("1 Teeth", role="heading", number="1", …), Block("Whales have none.")]

What the page says about itself is read from its title, its meta elements (Highwire's citation_*,
Dublin Core, Open Graph), its licence links and Distill's front matter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from longdata.cleaning import Drops
from longdata.decoding import decode
from longdata.documents import Block, Document, section_kind
from longdata.gutenberg import strip_gutenberg_blocks
from longdata.marked import license_name, with_levels_from_one, with_references, year_of
from longdata.readers.content import Content, document_of
from longdata.readers.html_tree import Element, elements, parse_html, text_of
from longdata.readers.html_walk import walk
from longdata.sources import Source

_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w-]{2,30})", re.I)


_XHTML = re.compile(
    r"\s*<\?xml|[^\0]{0,1000}?<html[^>]{0,500}xmlns=.http://www.w3.org/1999/xhtml", re.I
)


def read_html(source: Source) -> Iterator[Document]:
    """One document per page. Raises SourceError "empty", "not text" or "damaged"."""
    yield document_of(blocks_of_html(source.path.read_bytes()), source)


def blocks_of_html(page: bytes | str) -> Content:
    """Pure; linear in the page."""
    drops = Drops()
    text = page if isinstance(page, str) else decoded(page)
    root = parse_html(text, xml=bool(_XHTML.match(text)))
    facts = _facts(root)
    title = facts.title
    blocks, title = without_title(walk(root, drops), title)
    blocks, gutenberg, dropped = strip_gutenberg_blocks(blocks)
    drops.extend(dropped)
    return Content(
        blocks=with_references(with_levels_from_one(blocks)),
        dropped=drops.listed(),
        title=(gutenberg.title if gutenberg else None) or title,
        author=(gutenberg.author if gutenberg else None) or facts.author,
        year=None if gutenberg else facts.year,
        license=(gutenberg.license if gutenberg else None) or facts.license,
        language=(gutenberg.language if gutenberg else None) or facts.language,
    )


def decoded(page: bytes) -> str:
    """The page as text: by its byte order mark, what its head says, or what its bytes look like."""
    match = _CHARSET.search(page[:4096])
    if match and not page.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        name = match[1].decode("ascii").lower()
        name = "cp1252" if name in ("iso-8859-1", "latin1", "ascii", "us-ascii") else name
        try:
            if page.strip():
                return page.decode(name)
        except (LookupError, UnicodeDecodeError):
            pass  # a wrong or unknown name: the bytes themselves tell better
    return decode(page)


def without_title(blocks: list[Block], title: str) -> tuple[list[Block], str]:
    """The document's title is a paragraph of its first page, not a section holding all others."""
    for i, block in enumerate(blocks[:20]):
        if block.role != "heading":
            continue
        known = " ".join(title.split()).casefold()
        own = block.text.casefold()
        others = sum(b.role == "heading" and b.level <= block.level for b in blocks) - 1
        plain = section_kind(block.title) == "section" and not block.number
        same = bool(known) and (own == known or (len(own) > 8 and own in known))
        if plain and (same or others == 0 or (block.level == 1 and not known)):
            blocks = [*blocks[:i], Block(block.text), *blocks[i + 1 :]]
            return blocks, block.text if same or not known else title
        break
    return blocks, title


def _facts(root: Element) -> Content:
    """Title, author, year, licence and language, as far as the page says them."""
    meta: dict[str, list[str]] = {}
    for one in elements(root, "meta"):
        name = (one.get("name") or one.get("property") or "").casefold()
        value = " ".join((one.get("content") or "").split())
        if name and value:
            meta.setdefault(name, []).append(value)
    distill = _distill(root)

    def first(*names: str) -> str:
        return next((meta[name][0] for name in names if name in meta), "")

    title_element = next((text_of(one) for one in elements(root, "title")), "")
    title = first("citation_title", "dc.title", "dcterms.title", "og:title")
    authors = next(
        (
            meta[n]
            for n in ("citation_author", "dc.creator", "dcterms.creator", "author")
            if n in meta
        ),
        distill.get("authors", []),
    )
    date = first(
        "citation_publication_date", "citation_date", "citation_online_date", "dc.date",
        "dcterms.date", "article:published_time", "date",
    )  # fmt: skip
    license_ = first("dc.rights.license", "dcterms.license", "dc.rights", "dcterms.rights")
    for one in root.iter("{*}link", "{*}a"):
        if "license" in (one.get("rel") or "").split() and one.get("href"):
            license_ = license_ or one.get("href")
    language = (
        root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang") or ""
    ).strip()
    language = language or first("citation_language", "dc.language", "dcterms.language")
    return Content(
        blocks=[],
        title=title or "".join(distill.get("title", [])) or title_element,
        author=", ".join(authors) or None,
        year=year_of(date) if date else None,
        license=license_name(license_) if license_ else None,
        language=language_code(language),
    )


def language_code(language: str) -> str | None:
    """ISO 639-1 out of a tag such as "en-GB"; None where there is none."""
    match = re.match(r"([A-Za-z]{2})(?:[-_].*)?$", language.strip())
    return match[1].lower() if match else None


def _distill(root: Element) -> dict[str, list[str]]:
    """Title and authors out of a Distill article's JSON front matter."""
    for one in elements(root, "d-front-matter"):
        script = next(iter(elements(one, "script")), None)
        try:
            front = json.loads((script.text if script is not None else "") or "{}")
        except (json.JSONDecodeError, RecursionError):
            return {}
        if not isinstance(front, dict):
            return {}
        authors = front.get("authors")
        names = (
            [a.get("author") for a in authors or [] if isinstance(a, dict)]
            if isinstance(authors, list)
            else []
        )
        title = front.get("title")
        return {
            "title": [title] if isinstance(title, str) else [],
            "authors": [name for name in names if isinstance(name, str)],
        }
    return {}
