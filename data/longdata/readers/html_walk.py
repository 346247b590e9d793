"""An HTML or XHTML tree → blocks, in reading order. The markup goes, the words stay.

    walk(parse_html("<h2>3.2 Data</h2><p>We <em>measured</em> it.</p>"), drops)
    -> [Block("3.2 Data", role="heading", level=2, …), Block("We measured it.")]

Scripts, styles, navigation and page furniture are dropped and counted by their tag. Nothing is
loaded, no document type definition is read and no entity but HTML's own characters is resolved.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lxml import etree

from longdata.cleaning import Drops
from longdata.documents import Block
from longdata.marked import caption_block, caption_label, marked_heading
from longdata.readers.html_tree import (
    Element,
    epub_type,
    formula_of,
    lines_of,
    name_of,
    rows_of,
    text_of,
)

_DROPPED = frozenset(
    "script style svg nav aside form noscript template iframe canvas object embed select "
    "button video audio d-front-matter d-bibliography d-byline d-contents d-toc "
    "d-citation-list d-footnote-list".split()
)
_UNSEEN = frozenset("head title meta link base".split())  # read for their facts, no text
_BLOCKS = frozenset(
    "html body div p section article main header h1 h2 h3 h4 h5 h6 hgroup ul ol li dl dt dd "
    "blockquote figure figcaption table thead tbody tfoot tr td th caption pre hr address "
    "details summary fieldset legend center menu dir "
    "d-title d-abstract d-article d-appendix d-figure".split()
)
_LINE = "\x0b"  # a line end that the author set
_VERSE = re.compile(
    r"\b(?:poem|poetry|verse|stanza|song|lyrics|hymn|pgmonospaced|letter)\b|z3998:verse"
)
_SPACE = re.compile(r"[ \t\n\r\f]+")


def walk(root: Element, drops: Drops, *, book: bool = False) -> list[Block]:
    """The blocks of a tree; heading levels are those of the tags. Not recursive, linear.

    In a book, header and footer are the author's (a letter's signature), not the page's.
    """
    return _Walker(drops, book=book).run(root)


@dataclass(slots=True)
class _Figure:
    alternatives: list[str] = field(default_factory=list)  # what its images are said to show
    captioned: bool = False


class _Walker:
    def __init__(self, drops: Drops, *, book: bool) -> None:
        self.drops = drops
        self.book = book
        self.blocks: list[Block] = []
        self.buffer: list[str] = []
        self.heading = 0  # the level of the heading that we are in
        self.group: list[str] | None = None  # the lines of the hgroup that we are in
        self.group_level = 0
        self.captions = 0  # depth of figcaption and caption
        self.figures: list[_Figure] = []  # the open ones
        self.lists: list[int] = []  # next number of each open ol, 0 for ul
        self.bullet = ""
        self.verse = 0
        self.articles = 0
        self.appendix = 0
        self.pending: list[str] = []  # alternative texts of images outside figures

    def run(self, root: Element) -> list[Block]:
        events = etree.iterwalk(root, events=("start", "end"))
        skipped: Element | None = None
        for event, element in events:
            if event == "start":
                if self.start(element):
                    self.add(element.text)
                else:
                    skipped = element
                    events.skip_subtree()
            else:
                if element is skipped:
                    skipped = None
                else:
                    self.end(element)
                if element is not root:
                    self.add(element.tail)
        self.flush()
        return self.blocks

    def add(self, text: str | None) -> None:
        if text:
            self.buffer.append(_SPACE.sub(" ", text))

    # --- elements -------------------------------------------------------------------------------

    def start(self, element: Element) -> bool:
        """False when the element's inside is not to be walked."""
        name = name_of(element)
        if name in _UNSEEN:
            return False
        if self.dropped(name, element):
            return False
        if name in _BLOCKS:
            self.flush()
        if name in ("pre", "table", "math", "d-math", "d-code") and not self.whole(name, element):
            return False
        if name == "d-cite":
            self.buffer.append(f" [{self.cited(element)}]")
            return False
        self.articles += name in ("section", "article", "main")
        self.verse += self.is_verse(element)
        if len(name) == 2 and name[0] == "h" and name[1] in "123456":
            self.heading = max(1, int(name[1]) - self.appendix)
        elif name == "hgroup":
            self.group = []
        elif name == "br":
            self.buffer.append(_LINE)
        elif name in ("ul", "menu", "dir"):
            self.lists.append(0)
        elif name == "ol":
            start = element.get("start") or "1"
            self.lists.append(int(start) if start.isdigit() and len(start) < 9 else 1)
        elif name == "li":
            self.bullet = self.next_bullet()
        elif name in ("figcaption", "caption"):
            self.captions += 1
        elif name == "figure":
            self.figures.append(_Figure())
        elif name == "img":
            self.image(element)
        elif name == "d-appendix":
            self.appendix = 1  # its h3 stand beside the article's h2
        elif name == "d-abstract":
            self.blocks.append(marked_heading("Abstract", 2))
        elif name == "d-footnote":
            self.buffer.append(" (")
        elif name in ("sup", "sub"):
            self.buffer.append(_raised(name, element))
        return True

    def end(self, element: Element) -> None:
        name = name_of(element)
        if name in _BLOCKS:
            self.flush()
        self.articles -= name in ("section", "article", "main")
        self.verse -= self.is_verse(element)
        if name == "hgroup":
            self.end_group()
        elif len(name) == 2 and name[0] == "h" and name[1] in "123456":
            self.heading = 0
        elif name in ("ul", "ol", "menu", "dir") and self.lists:
            self.lists.pop()
        elif name == "li":
            self.bullet = ""
        elif name in ("figcaption", "caption"):
            self.captions = max(0, self.captions - 1)
        elif name == "figure" and self.figures:
            figure = self.figures.pop()
            if not figure.captioned:
                self.blocks += [caption_block(text) for text in figure.alternatives]
            if self.figures:  # the caption of a subfigure speaks for the whole figure
                self.figures[-1].captioned |= figure.captioned
        elif name == "d-footnote":
            self.buffer.append(") ")

    def is_verse(self, element: Element) -> bool:
        marks = f"{element.get('class') or ''} {epub_type(element)}"
        return bool(marks.strip()) and bool(_VERSE.search(marks))

    def dropped(self, name: str, element: Element) -> bool:
        kind = f"{epub_type(element)} {element.get('role') or ''}"
        furniture = name in _DROPPED
        if name == "footer" or (name == "header" and not self.articles):
            furniture = not self.book
        if name == "script" and (element.get("type") or "").startswith("math/tex"):
            self.buffer.append(f"${(element.text or '').strip()}$")
            return True
        if name == "aside" and ("note" in kind or "sidebar" in kind):
            furniture = False
        if element.get("hidden") is not None or "katex-html" in (element.get("class") or ""):
            name, furniture = f"hidden {name}", "katex" not in (element.get("class") or "")
            if not furniture:
                return True
        if "pagebreak" in kind:
            name, furniture = "page number", True
        if furniture:
            text = text_of(element) if name not in ("script", "style") else (element.text or "")
            self.drops.add(name, " ".join(text[:2000].split())[:500])
        return furniture

    def whole(self, name: str, element: Element) -> bool:
        """Elements that are taken as one; True when the table has to be walked after all."""
        if name == "pre" or (name == "d-code" and element.get("block") is not None):
            self.blocks.append(Block(lines_of(element), role="code"))
        elif name == "table":
            rows = rows_of(element)
            if rows is None:
                return True
            for caption in element.iter():
                if name_of(caption) == "caption":
                    self.blocks.append(caption_block(text_of(caption)))
            if rows:
                self.blocks.append(Block("\n".join(rows), role="table"))
        elif name == "math":
            self.buffer.append(formula_of(element))
        elif name == "d-math":
            self.buffer.append(f"${text_of(element)}$")
        else:
            self.buffer.append(text_of(element))
        return False

    def next_bullet(self) -> str:
        if not self.lists or self.lists[-1] == 0:
            return "- "
        self.lists[-1] += 1
        return f"{self.lists[-1] - 1}. "

    def image(self, element: Element) -> None:
        text = " ".join((element.get("alt") or element.get("title") or "").split())
        if len(re.findall(r"[^\W\d_]{2,}", text)) < 3:
            return  # decoration, or a file's name
        if self.figures:
            self.figures[-1].alternatives.append(text)
        else:
            self.pending.append(text)

    def cited(self, element: Element) -> str:
        keys = element.get("key") or element.get("bibtex-key") or text_of(element)
        return ", ".join(re.split(r"[,\s]+", keys.strip()))

    # --- blocks ---------------------------------------------------------------------------------

    def flush(self) -> None:
        text = "".join(self.buffer)
        self.buffer = []
        lines = [" ".join(line.split()) for line in text.split(_LINE)]
        lines = [line for line in lines if line]
        if lines:
            self.block(lines)
        if self.pending:
            self.blocks += [caption_block(text) for text in self.pending]
            self.pending = []

    def block(self, lines: list[str]) -> None:
        whole = " ".join(lines)
        if self.group is not None:
            self.group.append(whole)
            self.group_level = self.group_level or self.heading
        elif self.heading and not (whole.endswith((".", "!")) and len(whole.split()) > 12):
            self.blocks.append(marked_heading(whole, self.heading))
        elif self.captions or (caption_label(whole) and whole.startswith(("Figure ", "Table "))):
            previous = self.blocks[-1] if self.blocks else None
            if self.captions and previous and previous.role == "caption" and previous.text == whole:
                return
            if self.figures:
                self.figures[-1].captioned = True
            if self.captions or _CAPTION_START.match(whole):
                self.blocks.append(caption_block(whole))
            else:
                self.blocks.append(Block(whole))
        elif len(lines) > 1 and (self.verse or (len(lines) > 2 and max(map(len, lines)) <= 80)):
            self.blocks.append(Block("\n".join(lines), role="verse"))
        else:
            self.blocks.append(Block(self.bullet + whole))
            self.bullet = ""

    def end_group(self) -> None:
        """An hgroup's first line is the number or the title, the others complete it."""
        lines, self.group = self.group or [], None
        level, self.group_level = self.group_level or 2, 0
        if lines:
            self.blocks.append(merged_heading(lines, level))


_CAPTION_START = re.compile(r"(?:Figure|Table)\s+[A-Z]?\d[\d.]*\s*[.:|—–]\s*\S")


def merged_heading(lines: list[str], level: int) -> Block:
    """One heading out of the lines of several: "I" and "The Arrival" → "I. The Arrival"."""
    first = lines[0]
    rest = ". ".join(line.rstrip(".") if line != lines[-1] else line for line in lines[1:])
    bare = re.fullmatch(r"[IVXLCDM]{1,8}|\d{1,4}", first.strip(" ."))
    text = first if not rest else f"{first.rstrip('.:')}. {rest}"
    if bare:
        return Block(
            text, role="heading", level=level, number=first.strip(" ."), title=rest.strip(" .")
        )
    return marked_heading(text, level)


def _raised(name: str, element: Element) -> str:
    """A mark before raised or lowered characters that would change a number or a name without."""
    inside = text_of(element)
    if len(element) or not inside:
        return ""
    if name == "sup":
        return "^" if re.fullmatch(r"[-+−]?\d{1,3}|[a-z]|[-+−]?\d*[a-z]", inside) else ""
    return "_" if re.fullmatch(r"[A-Za-z][\w.]*", inside) else ""
