"""Pandoc's tree of a LaTeX document → blocks, with the numbers LaTeX would have printed.

    tree = Tree(prepared, works={"knuth84": Entry(…)})
    tree.blocks(json.loads(pandoc_output))
    -> [Block("1 Introduction", role="heading", number="1"),
        Block("See Figure 1 and [1]."),
        Block("Figure 1: A dragon.", role="caption", label="Figure 1"), …]

Sections, figures, tables, equations, algorithms and listings are counted here, in one walk. What
may refer to a later number (\\ref) or to a list not complete yet (\\cite) is written as a mark and
filled in when the walk is over. Mathematics stays TeX: `$x$` in a line, a block for a display.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from longdata.documents import Block, Dropped, Role, SectionKind, section_kind
from longdata.readers.tex_nodes import (
    Node,
    Style,
    clean_math,
    in_format,
    theorem_number,
    without_commands,
    without_wrappers,
    words_of,
)
from longdata.readers.tex_references import Citation, Citations, Entry
from longdata.readers.tex_rewrite import MARK_CLOSE, MARK_OPEN, Prepared

_NAMES = ("part", "chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph")
_WORDS = {  # what \autoref and \cref print before the number
    "part": "Part",
    "chapter": "Chapter",
    "appendix": "Appendix",
    "figure": "Figure",
    "table": "Table",
    "equation": "Equation",
    "algorithm": "Algorithm",
    "listing": "Listing",
}
_MARK = re.compile(f"{MARK_OPEN}(\\d+){MARK_CLOSE}")
_UNNUMBERED_MATH = ("aligned", "split", "cases", "array", "gathered")


@dataclass(frozen=True, slots=True)
class _Reference:
    target: str
    form: str  # pandoc's "ref", "ref+label", "ref+Label", "eqref"
    fallback: str


class Tree:
    """One walk over one document. `works` are what .bib files say, by citation key."""

    def __init__(self, prepared: Prepared, style: Style, works: Mapping[str, Entry]) -> None:
        self.style = style
        self.dropped: list[Dropped] = []
        self.in_appendix = False
        self.section_counts = [0] * len(_NAMES)
        self.counts: dict[str, int] = {}
        self.here = ("section", "")  # what a loose \label refers to
        self.labels: dict[str, tuple[str, str]] = {}  # label → kind, number
        self.marks: list[_Reference | Citation] = []
        self.citations = Citations(prepared.keys, prepared.labels, works)
        self.bibitems_seen = 0
        self.float_caption: str | None = None  # the last one, for floats with several tables
        first = 0 if style.has_parts else 1 if style.has_chapters else 2
        self.first_name = first  # index into _NAMES of pandoc's level 1

    def blocks(self, document: Node) -> list[Block]:
        """The whole document: the abstract, the body, the list of cited works."""
        walked = list(self._abstract(document.get("meta", {})))
        walked += self._blocks(document["blocks"])
        return [filled for block in walked for filled in self._filled(block)]

    def text(self, inlines: list[Node]) -> str:
        """Inlines as one line, marks filled in: for titles and authors."""
        return self._fill(" ".join(self._inlines(inlines).split()))

    # --- blocks ---------------------------------------------------------------------------------

    def _abstract(self, meta: Node) -> Iterator[Block]:
        value = meta.get("abstract")
        if value is None:
            return
        nodes = value["c"] if value["t"] == "MetaBlocks" else [{"t": "Para", "c": value["c"]}]
        body = list(self._blocks(nodes))
        if body:
            yield Block("Abstract", role="heading", title="Abstract", kind="abstract")
            yield from body

    def _blocks(self, nodes: list[Node], role: Role = "paragraph") -> Iterator[Block]:
        for node in nodes:
            yield from self._block(node, role)

    def _block(self, node: Node, role: Role = "paragraph") -> Iterator[Block]:
        kind = node["t"]
        content: Any = node.get("c")
        if kind in ("Para", "Plain"):
            yield from self._paragraph(content, role)
        elif kind == "Header":
            yield self._heading(*content)
        elif kind == "Figure":
            yield from self._figure(*content)
        elif kind == "Table":
            yield from self._table(content)
        elif kind == "Div":
            yield from self._div(content[0], content[1], role)
        elif kind == "CodeBlock":
            yield from self._code(*content)
        elif kind == "BulletList":
            for item in content:
                yield from self._item("• ", item, role)
        elif kind == "OrderedList":
            for number, item in enumerate(content[1], start=content[0][0]):
                yield from self._item(f"{number}. ", item, role)
        elif kind == "DefinitionList":
            for term, definitions in content:
                name = self._inlines(term).strip()
                nodes = [node for definition in definitions for node in definition]
                yield from self._item(f"{name.rstrip(':')}: " if name else "", nodes, role)
        elif kind == "BlockQuote":
            yield from self._blocks(content, role)
        elif kind == "LineBlock":
            lines = "\n".join(self._inlines(line) for line in content)
            yield Block(lines, role="verse")
        elif kind == "RawBlock":
            self.dropped.append(Dropped(reason="raw LaTeX", text=str(content[1])[:500]))
        elif kind != "HorizontalRule":
            raise ValueError(f"a block pandoc did not have before: {kind}")

    def _paragraph(self, inlines: list[Node], role: Role) -> Iterator[Block]:
        """Displays of mathematics stand alone; the stop after one stays with it."""
        pending: list[Node] = []
        rest = list(without_wrappers(inlines))
        for at, node in enumerate(rest):
            if node["t"] != "Math" or node["c"][0]["t"] != "DisplayMath":
                pending.append(node)
                continue
            yield Block(self._inlines(pending), role=role)
            pending = []
            stop = ""
            following = rest[at + 1] if at + 1 < len(rest) else {"t": "Space"}
            if following["t"] == "Str" and following["c"][:1] in (".", ",", ";", ":"):
                stop = following["c"][0]
                rest[at + 1] = {"t": "Str", "c": following["c"][1:]}
            yield Block(self._display(node["c"][1]) + stop, role="code")
        yield Block(self._inlines(pending), role=role)

    def _item(self, bullet: str, nodes: list[Node], role: Role) -> Iterator[Block]:
        """A list item: its bullet goes before its first paragraph."""
        for block in self._blocks(nodes, role):
            if bullet and block.role == role and block.text.strip():
                yield replace(block, text=bullet + block.text.strip())
                bullet = ""
            elif block.text.strip():
                yield block

    def _heading(self, level: int, attributes: list[Any], inlines: list[Node]) -> Block:
        index = min(self.first_name + level - 1, len(_NAMES) - 1)
        name = _NAMES[index]
        title = " ".join(self._inlines(inlines).split())
        number = ""
        depth = index - 1  # LaTeX counts a chapter as 0
        if "unnumbered" not in attributes[1] and (depth <= self.style.depth or name == "part"):
            number = self._section_number(index)
        kind: SectionKind | None = None
        if self.in_appendix and level == 1 and section_kind(title) == "section":
            kind = "appendix"
        elif name in ("part", "chapter"):
            kind = "part" if name == "part" else "chapter"
        word = {"part": "Part", "chapter": "Chapter"}.get(name, "")
        if self.in_appendix and word == "Chapter":
            word = "Appendix"
        if number:
            self.here = ("appendix" if kind == "appendix" else name, number)
        if attributes[0]:
            self.labels[attributes[0]] = self.here
        if word and number:
            text = f"{word} {number}: {title}" if title else f"{word} {number}"
        else:
            text = f"{number} {title}".strip()
        return Block(text, role="heading", level=level, number=number, title=title, kind=kind)

    def _section_number(self, index: int) -> str:
        counts = self.section_counts
        counts[index] += 1
        if index > 0:  # parts do not restart the chapters
            counts[index + 1 :] = [0] * (len(counts) - index - 1)
        if index == 0:
            return in_format(counts[0], "Roman")
        top = 1 if self.style.has_chapters else 2
        if index == top and self.style.has_chapters:
            self.counts.clear()  # figures, tables and equations are counted by chapter
        numbers = [str(count) for count in counts[top : index + 1]]
        if self.in_appendix:
            numbers[0] = in_format(counts[top], "Alph")
        elif top == 2:
            numbers[0] = self.style.prefix + in_format(counts[top], self.style.format)
        return ".".join(numbers)

    def _count(self, kind: str) -> str:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        number = str(self.counts[kind])
        if self.style.has_chapters and self.section_counts[1]:
            chapter = self.section_counts[1]
            return f"{in_format(chapter, 'Alph') if self.in_appendix else chapter}.{number}"
        return number

    def _figure(
        self, attributes: list[Any], caption: list[Any], body: list[Node], within: str = ""
    ) -> Iterator[Block]:
        words = words_of(caption[1])
        number = within or (self._count("figure") if words else "")
        before, self.here = self.here, ("figure", number) if number else self.here
        if attributes[0] and number:
            self.labels[attributes[0]] = ("figure", number)
        letters = iter("abcdefghijklmnopqrstuvwxyz")
        for node in body:
            if node["t"] == "Figure" and number:
                below, words_below, inside = node["c"]
                yield from self._figure(below, words_below, inside, number + next(letters, ""))
            else:
                yield from self._block(node)
        if words:
            yield self._caption("Figure", number, words)
        self.here = before

    def _caption(self, word: str, number: str, inlines: list[Node]) -> Block:
        label = f"{word} {number}"
        return Block(f"{label}: {self._inlines(inlines).strip()}", role="caption", label=label)

    def _table(self, content: list[Any], label: str = "") -> Iterator[Block]:
        attributes, caption, _, head, bodies, foot = content
        words = words_of(caption[1])
        same = bool(words) and repr(words) == self.float_caption
        before = self.here
        if words and not same:
            self.float_caption = repr(words)
            number = self._count("table")
            self.here = ("table", number)
            for name in (attributes[0], label):
                if name:
                    self.labels[name] = ("table", number)
            yield self._caption("Table", number, words)
        rows = [*head[1], *(row for body in bodies for row in (*body[2], *body[3])), *foot[1]]
        lines = []
        for row in rows:
            cells = [self._flat(cell[4]) for cell in row[1]]
            filled = [cell for cell in cells if cell]
            if filled:
                lines.append(" | ".join(cells).strip() if len(filled) > 1 else filled[0])
        self.here = before
        yield Block("\n".join(lines), role="table")

    def _div(self, attributes: list[Any], nodes: list[Node], role: Role) -> Iterator[Block]:
        classes = attributes[1]
        if "longqaappendix" in classes or "appendices" in classes:
            self.in_appendix = True
            self.section_counts[1 if self.style.has_chapters else 2 :] = [0] * (
                len(_NAMES) - (1 if self.style.has_chapters else 2)
            )
            if "appendices" in classes:
                yield from self._blocks(nodes, role)
        elif "longqareference" in classes:
            self.bibitems_seen += 1
            for block in self._blocks(nodes):
                if block.text.strip():
                    yield Block(f"[{self.bibitems_seen}] {block.text.strip()}", role="reference")
        elif "longqabibliography" in classes:
            yield Block(MARK_OPEN + MARK_CLOSE)  # where the list goes once all is cited
        elif "longqacaption" in classes:
            self.here = ("algorithm", self._count("algorithm"))
            words = words_of(nodes)
            yield self._caption("Algorithm", self.here[1], words)
        elif len(nodes) == 1 and nodes[0]["t"] == "Table":
            yield from self._table(nodes[0]["c"], label=attributes[0])
        else:
            if attributes[0] and (number := theorem_number(nodes)):
                self.labels[attributes[0]] = number
            yield from self._blocks(nodes, role)

    def _code(self, attributes: list[Any], text: str) -> Iterator[Block]:
        options = dict(attributes[2])
        if caption := options.get("caption"):
            number = self._count("listing")
            for name in (attributes[0], options.get("label")):
                if name:
                    self.labels[name] = ("listing", number)
            label = f"Listing {number}"
            yield Block(f"{label}: {without_commands(caption)}", role="caption", label=label)
        yield Block(text, role="code")

    def _display(self, tex: str) -> str:
        """A display, with its equation's number if LaTeX would print one and something names it."""
        names = re.findall(r"\\label\s*\{([^{}]*)\}", tex)
        environment = re.match(r"\s*\\begin\{(\w+)(\*?)\}", tex)
        numbers: list[str] = []
        if environment and not environment[2] and environment[1] not in _UNNUMBERED_MATH:
            lines = (
                tex.split("\\\\") if environment[1] in ("align", "gather", "eqnarray") else [tex]
            )
            for line in lines:
                if re.search(r"\\(nonumber|notag)\b", line):
                    continue
                number = self._count("equation")
                for name in re.findall(r"\\label\s*\{([^{}]*)\}", line):
                    self.labels[name] = ("equation", number)
                    numbers.append(number)
        elif names:  # `$$…\\label$$` of packages pandoc knows
            number = self._count("equation")
            numbers.append(number)
            self.labels.update(dict.fromkeys(names, ("equation", number)))
        tex = clean_math(tex)
        shown = tex if environment else f"$${tex}$$"
        return shown + (f" ({', '.join(numbers)})" if numbers else "")

    # --- inlines --------------------------------------------------------------------------------

    def _flat(self, nodes: list[Node]) -> str:
        return " ".join(" ".join(block.text.split()) for block in self._blocks(nodes)).strip()

    def _inlines(self, nodes: list[Node]) -> str:
        return "".join(self._inline(node) for node in nodes)

    def _inline(self, node: Node) -> str:
        kind = node["t"]
        content: Any = node.get("c")
        if kind == "Str":
            return str(content)
        if kind in ("Space", "SoftBreak", "LineBreak"):
            return " "
        if kind in ("Emph", "Strong", "Underline", "Strikeout", "SmallCaps"):
            return self._inlines(content)
        if kind in ("Superscript", "Subscript"):
            inner = self._inlines(content)
            script = "^" if kind == "Superscript" else "_"
            return inner if inner.isalpha() and len(inner) <= 2 else script + inner
        if kind == "Quoted":
            left, right = "“”" if content[0]["t"] == "DoubleQuote" else "‘’"
            return left + self._inlines(content[1]) + right
        if kind == "Code":
            return str(content[1])
        if kind == "Math":
            tex = clean_math(str(content[1]))
            return (
                f"${tex}$" if content[0]["t"] == "InlineMath" else f" {self._display(content[1])} "
            )
        if kind == "Cite":
            return self._cite(content[0], content[1])
        if kind == "Link":
            options = dict(content[0][2])
            inner = self._inlines(content[1])
            if "reference" not in options:
                return inner
            form = options.get("reference-type", "ref")
            return self._mark(_Reference(options["reference"], form, inner))
        if kind == "Span":
            name = content[0][0]
            if name and ("label" in dict(content[0][2])):
                self.labels.setdefault(name, self.here)
                return ""  # pandoc shows the label's name
            return self._inlines(content[1])
        if kind == "Note":
            note = self._flat(content)
            return f" ({note})" if note else ""
        if kind == "Image":
            return ""
        if kind == "RawInline":
            self.dropped.append(Dropped(reason="raw LaTeX", text=str(content[1])[:500]))
            return ""
        raise ValueError(f"an inline pandoc did not have before: {kind}")

    def _cite(self, citations: list[Node], shown: list[Node]) -> str:
        raw = next((str(node["c"][1]) for node in shown if node["t"] == "RawInline"), "")
        command = re.match(r"\\([A-Za-z]+)", raw)
        works = []
        for citation in citations:
            before = self._inlines(citation["citationPrefix"]).strip()
            after = self._inlines(citation["citationSuffix"]).strip().lstrip(", ")
            works.append((str(citation["citationId"]), before, after))
            self.citations.met(works[-1][0])
        return self._mark(Citation(tuple(works), command[1] if command else "cite"))

    def _mark(self, what: _Reference | Citation) -> str:
        self.marks.append(what)
        return f"{MARK_OPEN}{len(self.marks) - 1}{MARK_CLOSE}"

    # --- when the walk is over ------------------------------------------------------------------

    def _filled(self, block: Block) -> Iterator[Block]:
        if block.text == MARK_OPEN + MARK_CLOSE:
            yield from self.citations.listed()
            return
        title = self._fill(block.title) if block.title else ""
        yield replace(block, text=self._fill(block.text), title=title)

    def _fill(self, text: str) -> str:
        return _MARK.sub(lambda match: self._resolve(self.marks[int(match[1])]), text)

    def _resolve(self, what: _Reference | Citation) -> str:
        if isinstance(what, Citation):
            return self.citations.shown(what)
        kind, number = self.labels.get(what.target, ("", ""))
        if not number:
            if "[" in what.fallback:
                self.dropped.append(Dropped(reason="reference to nothing", text=what.target))
            return self._fill(what.fallback)
        if what.form == "eqref" or (kind == "equation" and what.form != "ref"):
            number = f"({number})"
        if what.form in ("ref+label", "ref+Label"):
            return f"{_WORDS.get(kind, 'Section' if kind in _NAMES else kind.title())} {number}"
        return number
