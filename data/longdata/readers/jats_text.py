"""The text of a JATS article: its elements → blocks, in reading order.

    Text(article).blocks()   for   <article>…<body><sec><title>Methods</title><p>We …</p></sec>
    -> Block("Methods", role="heading", title="Methods"), Block("We …")

Formulas become TeX where the file has it in any form. An element that is not known here gives its
text, so that nothing is lost; what is left out on purpose is in `dropped`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from longdata.documents import Block, Dropped, Role, SectionKind
from longdata.readers.tex_references import entry_of

_SILENT = frozenset(
    "graphic inline-graphic media object-id label title caption alt-text long-desc permissions "
    "attrib processing-meta inline-media".split()
)
_BLOCKS = frozenset(
    "p list def-list disp-quote disp-formula disp-formula-group fig fig-group table-wrap "
    "table-wrap-group code preformat boxed-text sec verse-group speech statement "
    "supplementary-material array".split()
)
_INLINE = frozenset(
    "italic bold sup sub xref ext-link monospace sc underline uri email styled-content "
    "named-content inline-formula break fn overline inline-graphic strike roman sans-serif abbrev "
    "related-article date".split()
)
_TITLED = {"ack": "Acknowledgements", "glossary": "Glossary", "fn-group": "Footnotes"}
_KINDS: dict[str, SectionKind] = {"ack": "back", "fn-group": "back", "app": "appendix"}


def tag_of(node: Any) -> str:
    """The name without its namespace; "" for entity references."""
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""


def find(node: Any, path: str) -> Any:
    """The first element at a path of plain names, whatever their namespace; None without one."""
    return node.find("/".join(f"{{*}}{name}" for name in path.split("/")))


def find_all(node: Any, path: str) -> list[Any]:
    return list(node.findall("/".join(f"{{*}}{name}" for name in path.split("/"))))


class Text:
    """One walk over one article; figures and tables without a printed number are counted."""

    def __init__(self, article: Any) -> None:
        self.article = article
        self.dropped: list[Dropped] = []
        self.counts = {"Figure": 0, "Table": 0}

    def blocks(self) -> Iterator[Block]:
        """Abstracts, body and back matter."""
        meta = find(self.article, "front/article-meta")
        meta = etree.Element("none") if meta is None else meta
        for abstract in find_all(meta, "abstract"):
            yield from self._abstract(abstract)
        for other in find_all(meta, "trans-abstract"):
            self.dropped.append(Dropped(reason="translated abstract", text=self.line(other)))
        for part in self.article:
            if tag_of(part) in ("body", "back", "floats-group"):
                yield from self._children(part, level=1)
            elif tag_of(part) in ("sub-article", "response"):
                self.dropped.append(Dropped(reason=tag_of(part), text=self.line(part)[:2000]))

    def _abstract(self, abstract: Any) -> Iterator[Block]:
        body = list(self._children(abstract, level=2))
        if not body:
            return
        title = find(abstract, "title")
        named = (abstract.get("abstract-type") or "").replace("-", " ").capitalize()
        heading = self.line(title) if title is not None else named or "Abstract"
        kind: SectionKind | None = None if named else "abstract"
        yield Block(heading, role="heading", title=heading, kind=kind)
        yield from body

    # --- blocks -----------------------------------------------------------------------------

    def _children(self, node: Any, level: int, role: Role = "paragraph") -> Iterator[Block]:
        for child in node:
            yield from self._block(child, level, role)

    def _block(self, node: Any, level: int, role: Role = "paragraph") -> Iterator[Block]:
        tag = tag_of(node)
        if tag in _SILENT or not tag:
            return
        if tag == "p":
            yield from self._paragraph(node, level, role)
        elif tag == "table-wrap-foot":
            yield from self._children(node, level, role)
        elif tag in ("sec", "app", "notes", *_TITLED):
            yield from self._section(node, level)
        elif tag == "ref-list":
            yield from self._references(node, level)
        elif tag in ("fig", "table-wrap"):
            yield from self._float(node, "Figure" if tag == "fig" else "Table", level)
        elif tag in ("table", "array"):
            yield Block(self._rows(node), role="table")
        elif tag == "list":
            yield from self._list(node, level)
        elif tag == "def-item":
            term = find(node, "term")
            name = f"{self.line(term)}: " if term is not None else ""
            definitions = [b for d in find_all(node, "def") for b in self._children(d, level)]
            yield from _with_bullet(name, definitions)
        elif tag == "disp-quote":
            yield from self._children(node, level)
            for attribution in find_all(node, "attrib"):
                yield Block(f"— {self.line(attribution)}")
        elif tag == "verse-group":
            lines = [self.line(line) for line in node if tag_of(line) == "verse-line"]
            yield Block("\n".join(lines), role="verse")
        elif tag in ("code", "preformat"):
            yield Block("".join(node.itertext()), role="code")
        elif tag == "disp-formula":
            yield self._formula(node)
        elif tag == "supplementary-material":
            words = [find(node, "label"), *find_all(node, "caption/*")]
            text = " ".join(self.line(word) for word in words if word is not None)
            yield Block(text)
            yield from self._children(node, level)
        elif any(tag_of(child) in _BLOCKS or tag_of(child) == "title" for child in node):
            yield from self._titled(node, level)
        elif tag == "fn":
            yield Block(self.line(node))
        elif len(node) and all(tag_of(child) not in ("", *_INLINE) for child in node):
            yield from self._children(node, level, role)
        else:
            yield Block(self.line(node), role=role)

    def _paragraph(self, node: Any, level: int, role: Role) -> Iterator[Block]:
        """What stands inside a paragraph but is printed apart (lists, formulas) parts it."""
        pending = [node.text or ""]
        for child in node:
            if tag_of(child) in _BLOCKS:
                yield Block("".join(pending), role=role)
                pending = []
                yield from self._block(child, level, role)
            else:
                pending.append(self._inline(child))
            pending.append(child.tail or "")
        yield Block("".join(pending), role=role)

    def _section(self, node: Any, level: int) -> Iterator[Block]:
        title = find(node, "title")
        label = find(node, "label")
        name = self.line(title) if title is not None else _TITLED.get(tag_of(node), "")
        number = self.line(label).rstrip(".") if label is not None else ""
        if name or number:
            text = f"{number} {name}".strip()
            shown = re.sub(r"(?i)^(section|appendix)\s+", "", number)
            kind = _KINDS.get(tag_of(node))
            yield Block(text, role="heading", level=level, number=shown, title=name, kind=kind)
            level += 1
        yield from self._children(node, level)

    def _titled(self, node: Any, level: int) -> Iterator[Block]:
        """Boxes, statements and groups: their own title or caption as a line, then their blocks."""
        words = [find(node, "label"), find(node, "title"), find(node, "caption/title")]
        heading = " ".join(self.line(word) for word in words if word is not None)
        yield Block(heading)
        for paragraph in find_all(node, "caption/p"):
            yield from self._paragraph(paragraph, level, "paragraph")
        yield from self._children(node, level)

    def _float(self, node: Any, word: str, level: int) -> Iterator[Block]:
        """A figure or table: its caption with the printed or the counted number, its rows."""
        self.counts[word] += 1
        label = find(node, "label")
        said = self.line(label).rstrip(".: ") if label is not None else ""
        said = re.sub(r"(?i)^fig(ure|\.)?(?=\s|\d)\s*", "Figure ", said)
        name = said or f"{word} {self.counts[word]}"
        words = " ".join(self.line(part) for part in find_all(node, "caption/*"))
        if words.strip() or word == "Table":
            yield Block(f"{name}: {words}".rstrip(": "), role="caption", label=name)
        for child in node:
            if tag_of(child) not in _SILENT:
                yield from self._block(child, level)

    def _rows(self, table: Any) -> str:
        rows = []
        for row in table.iter("{*}tr"):
            cells = [self.line(cell) for cell in row if tag_of(cell) in ("td", "th")]
            filled = [cell for cell in cells if cell]
            rows.append(" | ".join(cells) if len(filled) > 1 else "".join(filled))
        return "\n".join(row for row in rows if row)

    def _list(self, node: Any, level: int) -> Iterator[Block]:
        ordered = node.get("list-type") in ("order", "alpha-lower", "alpha-upper", "roman-lower")
        for number, item in enumerate(find_all(node, "list-item"), start=1):
            label = find(item, "label")
            bullet = f"{number}. " if ordered else "• "
            if label is not None:
                bullet = f"{self.line(label)} "
            yield from _with_bullet(bullet, list(self._children(item, level)))

    def _references(self, node: Any, level: int) -> Iterator[Block]:
        title = find(node, "title")
        name = (self.line(title) if title is not None else "") or "References"
        yield Block(name, role="heading", level=level, title=name, kind="references")
        for child in node:
            if tag_of(child) == "ref-list":
                yield from self._references(child, level + 1)
            elif tag_of(child) == "p":
                yield from self._paragraph(child, level, "paragraph")
            elif tag_of(child) == "ref":
                label = find(child, "label")
                number = self.line(label).strip("[]. ") if label is not None else ""
                cited = " ".join(self._cited(c) for c in child if tag_of(c).endswith("citation"))
                cited = cited or self.line(child)
                yield Block(f"[{number}] {cited}" if number else cited, role="reference")

    def _cited(self, node: Any) -> str:
        """A reference as its authors wrote it, or its marked parts put in order."""
        if tag_of(node) == "mixed-citation" or (node.text or "").strip():
            return self.line(node)
        record: dict[str, Any] = {
            "author": [
                {
                    "family": self.line_at(name, "surname"),
                    "given": self.line_at(name, "given-names"),
                }
                for name in node.iter("{*}name")
            ]
            + [{"literal": self.line(collab)} for collab in node.iter("{*}collab")],
            "title": self.line_at(node, "article-title") or self.line_at(node, "chapter-title"),
            "container-title": self.line_at(node, "source"),
            "publisher": self.line_at(node, "publisher-name"),
            "volume": self.line_at(node, "volume"),
            "issue": self.line_at(node, "issue"),
            "URL": self.line_at(node, "uri") or self.line_at(node, "ext-link"),
        }
        pages = [self.line_at(node, "fpage"), self.line_at(node, "lpage")]
        record["page"] = "–".join(page for page in pages if page)
        if year := self.line_at(node, "year"):
            record["issued"] = {"date-parts": [[year]]}
        for identifier in find_all(node, "pub-id"):
            if identifier.get("pub-id-type") == "doi":
                record["DOI"] = self.line(identifier)
        return entry_of(record).text or self.line(node)

    def _formula(self, node: Any) -> Block:
        label = find(node, "label")
        number = self.line(label).strip("() ") if label is not None else ""
        tex = self._math(node)
        text = f"$${tex.strip('$')}$$" if tex else self.line(node)
        return Block(f"{text} ({number})" if number else text, role="code")

    # --- inlines ----------------------------------------------------------------------------

    def line(self, node: Any) -> str:
        """All the text of an element on one line."""
        pieces = [node.text or ""]
        for child in node:
            separate = tag_of(child) in _BLOCKS
            pieces += [" ", self._inline(child), " "] if separate else [self._inline(child)]
            pieces.append(child.tail or "")
        return " ".join("".join(pieces).split())

    def line_at(self, node: Any, path: str) -> str:
        found = find(node, path)
        return "" if found is None else self.line(found)

    def _inline(self, node: Any) -> str:
        tag = tag_of(node)
        if node.tag is etree.Entity:
            character = html.unescape(node.text)
            if character == node.text:
                self.dropped.append(Dropped(reason="XML entity", text=node.text))
            return "" if character == node.text else character
        if tag in ("inline-formula", "disp-formula", "tex-math", "math"):
            tex = self._math(node)
            return f"${tex.strip('$')}$" if tex else ""
        if tag in ("graphic", "inline-graphic", "media", "object-id", "alt-text", "long-desc"):
            return ""
        if tag in ("break", "hr"):
            return " "
        inner = self._spread(node)
        if tag == "fn":
            return f" ({' '.join(inner.split())})"
        if tag in ("sup", "sub"):
            if any(tag_of(child) == "xref" for child in node):
                return inner if re.search(r"[^\d,;–\-\s]", inner) else f" [{inner.strip()}]"
            short = inner.isalpha() and len(inner) <= 2
            return inner if short or not inner.strip() else ("^" if tag == "sup" else "_") + inner
        return inner

    def _spread(self, node: Any) -> str:
        pieces = [node.text or ""]
        for child in node:
            pieces += [self._inline(child), child.tail or ""]
        return "".join(pieces)

    def _math(self, node: Any) -> str:
        """TeX if the formula has it in any form; else the signs of its MathML in a row."""
        found = next(iter(node.iter("{*}tex-math")), None)
        if found is None:
            notes = node.iter("{*}annotation")
            found = next((n for n in notes if "tex" in (n.get("encoding") or "").lower()), None)
        if found is not None:
            tex = "".join(found.itertext())
            if match := re.search(r"\\begin\{document\}(.*?)\\end\{document\}", tex, re.DOTALL):
                tex = match[1]
            return " ".join(tex.split()).strip("$ ")
        label = find(node, "label")
        skipped = set() if label is None else {label, *label.iter()}
        signs = [e.text for e in node.iter() if e not in skipped and isinstance(e.tag, str)]
        return " ".join(" ".join(sign for sign in signs if sign).split())


def _with_bullet(bullet: str, blocks: list[Block]) -> Iterator[Block]:
    for block in blocks:
        if bullet and block.role == "paragraph" and block.text.strip():
            yield Block(bullet + block.text.strip())
            bullet = ""
        else:
            yield block
