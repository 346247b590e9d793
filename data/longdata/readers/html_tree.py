"""Markup → a tree of elements, safely, and what is read off it as a whole.

    root = parse_html("<table><tr><td>a<td>b</table>")
    rows_of(next(elements(root, "table")))   -> ["a | b"]

Nothing is loaded, no document type definition is read and no entity but HTML's own characters is
resolved, so a page can neither grow in memory nor reach for files.
"""

from __future__ import annotations

import html.entities
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from longdata.errors import SourceError

Element = Any  # lxml has no types

_DOCTYPE = re.compile(r"<!DOCTYPE[^\[>]*(?:\[[^\]]*(?:\][^>]*)?)?>", re.I)
_SELF_CLOSED = re.compile(
    r"<(a|b|i|em|p|div|span|td|th|li|script|style|title|section|iframe)\b([^<>]{0,1000})/>", re.I
)
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{0,40});")
_XML_OWN = frozenset(("amp", "lt", "gt", "quot", "apos"))


def parse_html(text: str, *, xml: bool = False) -> Element:
    """The root element. XHTML goes through the XML parser, all else through the forgiving one."""
    text = text.lstrip("\ufeff \t\r\n")
    text = re.sub(r"^<\?xml[^>]*\?>", "", text)
    root = _parsed_xml(text) if xml else None
    if root is None:
        root = _parsed_html(_SELF_CLOSED.sub(r"<\1\2></\1>", text) if xml else text)
    if root is None:
        raise SourceError("empty", "the page holds no elements")
    return root


def _parsed_xml(text: str) -> Element | None:
    """None for what is not well-formed: the HTML parser loses less of it."""
    head = text[:20_000]  # a document type stands at the beginning
    text = _DOCTYPE.sub("", head, count=1) + text[20_000:]
    text = _ENTITY.sub(_character, text)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=True,  # without a document type nothing in it can grow
        encoding="utf-8",
    )
    try:
        return etree.fromstring(text.encode("utf-8", errors="replace"), parser)
    except etree.XMLSyntaxError:
        return None


def _parsed_html(text: str) -> Element | None:
    parser = etree.HTMLParser(
        no_network=True, remove_comments=True, remove_pis=True, encoding="utf-8", huge_tree=True
    )
    try:
        return etree.fromstring(text.encode("utf-8", errors="replace"), parser)
    except etree.ParserError as error:
        raise SourceError("damaged", f"it is no HTML: {error}") from error
    except etree.XMLSyntaxError:  # nothing but a comment, for example
        return None


def _character(match: re.Match[str]) -> str:
    name = match[1]
    return match[0] if name in _XML_OWN else html.entities.html5.get(f"{name};", "")


def name_of(element: Element) -> str:
    """The tag in lower case without its namespace."""
    tag = element.tag
    return tag.rsplit("}", 1)[-1].lower() if isinstance(tag, str) else ""


def epub_type(element: Element) -> str:
    """What an EPUB says that an element is: "chapter", "footnote", …"""
    return element.get("{http://www.idpf.org/2007/ops}type") or element.get("epub:type") or ""


def text_of(element: Element) -> str:
    """All text inside, on one line, without scripts."""
    pieces: list[str] = []
    for event, one in etree.iterwalk(element, events=("start", "end")):
        if event == "start":
            if one.text and name_of(one) not in ("script", "style"):
                pieces.append(one.text)
            elif name_of(one) == "br":
                pieces.append(" ")
        elif one is not element and one.tail:
            pieces.append(one.tail)
    return " ".join("".join(pieces).split())


def lines_of(element: Element) -> str:
    pieces: list[str] = []
    for event, one in etree.iterwalk(element, events=("start", "end")):
        if event == "start":
            if name_of(one) == "br":
                pieces.append("\n")
            if one.text:
                pieces.append(one.text)
        elif one is not element and one.tail:
            pieces.append(one.tail)
    return "".join(pieces).strip("\n")


_LONGEST_CELL = 1500


def rows_of(table: Element) -> list[str] | None:
    """ "a | b | c" for each row; None for a table that only lays out a page."""
    for one in table.iter():
        name = name_of(one)
        if (name == "table" and one is not table) or re.fullmatch(r"h[1-6]|pre|ul|ol", name):
            return None
    rows: list[str] = []
    for row in elements(table, "tr"):
        cells = [text_of(cell) for cell in row if name_of(cell) in ("td", "th")]
        if any(len(cell) > _LONGEST_CELL for cell in cells):
            return None
        if any(cells):
            rows.append(" | ".join(cells))
    return rows


def formula_of(element: Element) -> str:
    """A MathML formula as TeX where the page brings it, else as its characters."""
    for one in element.iter():
        if name_of(one) == "annotation" and "tex" in (one.get("encoding") or ""):
            return f"${text_of(one)}$"
    return f"${element.get('alttext')}$" if element.get("alttext") else text_of(element)


def elements(root: Element, name: str) -> Iterator[Element]:
    """All elements of a name, whatever their namespace."""
    return (one for one in root.iter() if name_of(one) == name)
