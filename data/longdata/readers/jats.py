"""JATS XML, the format of journal archives such as PubMed Central → Document.

    <article><front>…</front><body><sec><title>Methods</title><p>We …</p></sec></body></article>
    -> Document(kind="paper", title="…", license="CC-BY-4.0", sections=(Section(title="Methods"), …

Title, authors, year, licence (as an SPDX id where it is a known one) and DOI come from the front
matter, the text from `jats_text`. Entities are never expanded, DTDs and the network never read.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from longdata.documents import Document
from longdata.errors import SourceError
from longdata.licenses import normalise
from longdata.readers.content import Content, document_of
from longdata.readers.jats_text import Text, find, find_all, tag_of
from longdata.sources import Source

MAX_BYTES = 256 << 20

_HREF = "{http://www.w3.org/1999/xlink}href"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def read_jats(source: Source) -> Iterator[Document]:
    """One document per article in the file. SourceError: "unknown format" for any other XML."""
    articles = _articles(source.path)
    for article in articles:
        meta = find(article, "front/article-meta")
        meta = etree.Element("none") if meta is None else meta
        document = document_of(_content(article, meta), source)
        yield dataclasses.replace(document, url=_address(meta) or document.url)


def _articles(path: Path) -> list[Any]:
    if path.stat().st_size > MAX_BYTES:
        raise SourceError("too large", f"more than {MAX_BYTES >> 20} MB of XML")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    root = etree.parse(str(path), parser).getroot()
    articles = [root] if tag_of(root) == "article" else list(root.iter("article", "{*}article"))
    if not any(find(article, "front") is not None for article in articles):
        raise SourceError("unknown format", "XML that is not JATS")
    return articles


def _content(article: Any, meta: Any) -> Content:
    text = Text(article)
    title = find(meta, "title-group/article-title")
    blocks = list(text.blocks())
    return Content(
        blocks=blocks,
        dropped=text.dropped,
        title="" if title is None else text.line(title),
        author=_authors(text, meta),
        year=_year(meta),
        license=_license(text, meta),
        language=(article.get(_LANG) or "")[:2].lower() or None,
        kind="paper",
    )


def _authors(text: Text, meta: Any) -> str | None:
    names = []
    for contributor in find_all(meta, "contrib-group/contrib"):
        if contributor.get("contrib-type", "author") != "author":
            continue
        name = find(contributor, "name")
        if name is None:
            name = find(contributor, "name-alternatives/name")
        if name is not None:
            parts = ("prefix", "given-names", "surname", "suffix")
            names.append(" ".join(p for p in (text.line_at(name, q) for q in parts) if p))
        else:
            names += [text.line(c) for c in find_all(contributor, "collab")]
            names += [text.line(c) for c in find_all(contributor, "string-name")]
    return ", ".join(name for name in names if name) or None


def _license(text: Text, meta: Any) -> str | None:
    """The SPDX id of the licence; its address or words where it is none of the known ones."""
    said: list[str] = []
    for license in find_all(meta, "permissions/license"):
        said.append(license.get(_HREF) or "")
        said += [text.line(ref) for ref in license.iter("{*}license_ref")]
        said += [link.get(_HREF) or "" for link in license.iter("{*}ext-link")]
        said.append(text.line(license))
    said = [one for one in said if one]
    known = [id for id in map(normalise, said) if id is not None]
    return known[0] if known else said[0][:200] if said else None


def _year(meta: Any) -> int | None:
    """The year of publication: that of a date marked so, else the first date's."""
    dates = find_all(meta, "pub-date")
    marked = [
        date
        for date in dates
        if date.get("date-type") == "pub" or date.get("pub-type") in ("epub", "ppub", "epub-ppub")
    ]
    for date in (*marked, *dates):
        year = find(date, "year")
        if year is not None and re.fullmatch(r"\s*\d{4}\s*", year.text or ""):
            return int(year.text)
    return None


def _address(meta: Any) -> str | None:
    for identifier in find_all(meta, "article-id"):
        if identifier.get("pub-id-type") == "doi" and (identifier.text or "").strip():
            return f"https://doi.org/{identifier.text.strip()}"
    return None
