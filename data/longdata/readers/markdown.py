r"""Markdown → Document: `read_markdown(source)`; its pure inside is `blocks_of_markdown(text)`.

    content = blocks_of_markdown("---\ntitle: On Whales\n---\n## 2 Teeth\nThey have *none*.")
    content.title   -> "On Whales"
    content.blocks  -> [Block("2 Teeth", role="heading", number="2", …), Block("They have none.")]

CommonMark with tables is rendered to HTML, which the HTML reader turns into blocks, so that
markup and the HTML inside Markdown have one meaning. What Markdown would misread is put aside
first and put back afterwards: formulas, citation keys ("[@doi:10.1/x]"), footnote marks ("[^3]").
Template tags (Liquid, Jinja) and Pandoc attributes are dropped and counted; captions in them stay.
"""

from __future__ import annotations

import datetime
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import yaml
from markdown_it import MarkdownIt

from longdata.cleaning import Drops
from longdata.decoding import decode
from longdata.documents import Block, Document
from longdata.marked import (
    caption_block,
    license_name,
    with_levels_from_one,
    with_references,
    year_of,
)
from longdata.readers.content import Content, document_of
from longdata.readers.content import guess_kind as guess_kind
from longdata.readers.html_tree import parse_html
from longdata.readers.html_walk import walk
from longdata.readers.webpage import language_code, without_title
from longdata.sources import Source

_MOST_ENVIRONMENTS = 20_000  # formulas of one text; more are no text
_LONGEST_FRONT_MATTER = 100_000  # characters


def read_markdown(source: Source) -> Iterator[Document]:
    """One document per file. Raises SourceError "empty" or "not text"."""
    yield document_of(blocks_of_markdown(decode(source.path.read_bytes())), source)


def blocks_of_markdown(text: str) -> Content:
    """Pure."""
    drops = Drops()
    text = re.sub("[\ue000\ue001]", "", text)
    front, text = _front_matter(text, drops)
    aside = _Aside()
    page = _renderer().render(_prepared(text, drops, aside))
    # An empty text has no elements; the document is refused as empty later.
    blocks = walk(parse_html(page), drops) if page.strip() else []
    blocks = [_with_caption(_restored(block, aside)) for block in blocks]
    blocks, title = without_title(blocks, front.title)
    return Content(
        blocks=with_references(with_levels_from_one(blocks)),
        dropped=drops.listed(),
        title=front.title or title,
        author=front.author,
        year=front.year,
        license=front.license,
        language=front.language,
        kind=front.kind,
    )


def _renderer() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


# --- front matter ---------------------------------------------------------------------------------

_FRONT_MATTER = re.compile(r"\s*---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)", re.S)


def _front_matter(text: str, drops: Drops) -> tuple[Content, str]:
    """What the YAML at the beginning says, and the text behind it."""
    match = _FRONT_MATTER.match(text, 0, _LONGEST_FRONT_MATTER)
    if match is None:
        return Content(blocks=[]), text
    try:
        said = yaml.safe_load(match[1])
    except (yaml.YAMLError, RecursionError, ValueError):
        return Content(blocks=[]), text  # a text that begins with a rule
    if not isinstance(said, dict):
        return Content(blocks=[]), text
    drops.add("front matter", match[1][:500])
    facts = {str(key).casefold(): value for key, value in said.items()}
    date = facts.get("date", facts.get("year"))
    kind = _string(facts.get("kind", facts.get("type"))).casefold()
    license_ = _string(facts.get("license", facts.get("licence", facts.get("rights"))))
    content = Content(
        blocks=[],
        title=_string(facts.get("title")),
        author=", ".join(_names(facts.get("authors", facts.get("author")))) or None,
        year=year_of(str(date)) if isinstance(date, (str, int, datetime.date)) else None,
        license=license_name(license_) if license_ else None,
        language=language_code(_string(facts.get("lang", facts.get("language")))),
        kind="book" if kind == "book" else "paper" if kind in ("paper", "article") else None,
    )
    return content, text[match.end() :]


def _string(value: object) -> str:
    if not isinstance(value, (str, int, float)):
        return ""
    return " ".join(
        html.unescape(re.sub(r"<(\w+)[^>]*>[*†‡\d,]*</\1>|<[^>]+>", "", str(value))).split()
    )


def _names(value: object) -> list[str]:
    """Names out of "A, B", [A, B] or [{name: A}, …]; what nests deeper is no name."""
    people = value[:500] if isinstance(value, list) else [value]
    names = []
    for one in people:
        said = one.get("name", one.get("author")) if isinstance(one, dict) else one
        names.append(_string(said))
    return [name for name in names if name]


# --- before rendering -----------------------------------------------------------------------------


class _Aside:
    """Pieces of text that Markdown must not touch, each replaced by a private mark."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def mark(self, piece: str) -> str:
        self._pieces.append(piece)
        return f"\ue000{len(self._pieces) - 1}\ue001"

    def restored(self, text: str) -> str:
        if "\ue000" not in text:
            return text
        for _ in range(3):  # a citation may hold a formula that was put aside before it
            text = _MARK.sub(lambda match: self._pieces[int(match[1])], text)
        return text


_MARK = re.compile("\ue000(\\d+)\ue001")
_FENCE = re.compile(r"[ ]{0,3}(?:>[ ]?)*[ ]*(`{3,}|~{3,})")
_CODE_SPAN = re.compile(r"(?<!`)(`{1,3})(?!`)([^`\n]{1,500}(?:\n[^`\n]{1,500})?)\1(?!`)")
_CITATION = re.compile(r"\[-?@[^\]\n]{1,2000}\]|\[\^[^\]\s]{1,60}\]")
_MATH = re.compile(
    r"\$\$(?:[^$]|\$(?!\$)){1,10000}\$\$"
    r"|(?<![\\$\w])\$(?![\s$])(?:[^$\n]|\n(?![ \t]*\n)){0,600}(?<![\s\\])\$(?![\d$])"
    r"|\\begin\{(?P<env>[a-z]+\*?)\}.{1,10000}?\\end\{(?P=env)\}",
    re.S,
)
_ATTRIBUTE = re.compile(r"\{[#.:][^{}\n%]{0,300}\}|(?<=[)\]])\{\w+=[^{}\n%]{0,300}\}")
_AUTOLINK = re.compile(r"<((?:https?|ftp|mailto):[^\s<>]{1,2000})>")
_SPAN = re.compile(r"\[([^\[\]]{0,500})\](?=\{[#.])")
_MARKDOWN_IN_HTML = re.compile(r"<(p|div|section|span)\b[^>]*\bmarkdown\s*=[^>]*>", re.I)
# No tag holds the beginning of another one, so that an unclosed one costs no long search.
_TEMPLATE = re.compile(
    r"\{##(?:[^#{]|#(?!#\})|\{(?!##)){0,5000}+##\}"
    r"|\{%(?:[^%{]|%(?!\})|\{(?!%)){0,20000}+%\}"
    r"|\{\{(?:[^{}]|\}(?!\})|\{(?!\{)){0,2000}+\}\}"
)
_CAPTION = re.compile(r"\bcaption\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)')", re.S)
_DETAILS = re.compile(r"\{%-?\s*details\s+(.*?)-?%\}", re.S)


def _prepared(text: str, drops: Drops, aside: _Aside) -> str:
    """The text as Markdown may read it. Code blocks stay as they are."""
    pieces = []
    for piece, is_code in _code_apart(text):
        pieces.append(piece if is_code else _prepared_prose(piece, drops, aside))
    return "\n".join(pieces)


def _code_apart(text: str) -> Iterator[tuple[str, bool]]:
    """Pieces of the text in order, and whether each is a fenced code block."""
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if not fence and match:
            yield "\n".join(lines), False
            lines, fence = [line], match[1]
        elif fence and match and match[1].startswith(fence) and not line.strip(" >`~"):
            yield "\n".join([*lines, line]), True
            lines, fence = [], ""
        else:
            lines.append(line)
    yield "\n".join(lines), bool(fence)


def _prepared_prose(text: str, drops: Drops, aside: _Aside) -> str:
    if "`" in text:
        text = _CODE_SPAN.sub(lambda match: f"{match[1]}{aside.mark(match[2])}{match[1]}", text)
    if "$" in text or 0 < text.count("\\begin{") < _MOST_ENVIRONMENTS:
        text = _MATH.sub(lambda match: aside.mark(match[0]), text)
    if "[" in text:
        text = _CITATION.sub(lambda match: aside.mark(match[0]), text)
    if "{" in text:
        text = _TEMPLATE.sub(_template(drops, aside), text)
        text = _SPAN.sub(r"\1", text)
        text = _ATTRIBUTE.sub(_dropping(drops, "attributes"), text)
    if "<" in text:
        text = _AUTOLINK.sub(r"\1", text)  # within HTML it would be read as a tag
    if "markdown" in text:
        text = _unwrapped(text)
    return text


def _template(drops: Drops, aside: _Aside) -> Callable[[re.Match[str]], str]:
    """Template tags go; the words in them (a figure's caption, the line of a fold) stay."""

    def replacement(match: re.Match[str]) -> str:
        tag = match[0]
        caption = _CAPTION.search(tag)
        details = _DETAILS.match(tag)
        drops.add("template tag", aside.restored(tag[:300]))
        if caption:
            words = re.sub(r"\\([\"'])", r"\1", caption[1] or caption[2] or "")
            words = " ".join(words.split())
            return f"\n\n<figure><figcaption>{words}</figcaption></figure>\n\n" if words else ""
        if details:
            return f"\n\n{details[1].strip()}\n\n"
        return ""

    return replacement


def _dropping(drops: Drops, reason: str) -> Callable[[re.Match[str]], str]:
    def replacement(match: re.Match[str]) -> str:
        drops.add(reason, match[0])
        return ""

    return replacement


def _unwrapped(text: str) -> str:
    """`<p markdown=1>` and the like: their inside is Markdown, so the tags go."""
    pieces, position = [], 0
    for match in _MARKDOWN_IN_HTML.finditer(text):
        if match.start() < position:
            continue
        closing = f"</{match[1].lower()}>"
        end = text.find(closing, match.end(), match.end() + 20_000)
        if end < 0:
            continue
        block = match[1].lower() != "span"
        gap = "\n\n" if block else ""
        pieces += [text[position : match.start()], gap, text[match.end() : end].strip(), gap]
        position = end + len(closing)
    return "".join([*pieces, text[position:]])


# --- after rendering ------------------------------------------------------------------------------


_LINK = re.compile(r"!?\[([^\[\]]{1,500})\]\((?:[^()\s]|\([^()\s]{0,200}\)){1,500}\)")
_STRONG = re.compile(r"(?<![\w*])\*\*(?=[^\s*])([^*]{1,2000})(?<=\S)\*\*(?![\w*])")


def _restored(block: Block, aside: _Aside) -> Block:
    """The block with what was put aside, and without markup that HTML tags hid from Markdown."""
    text, title = block.text, block.title
    if block.role not in ("code", "table") and ("](" in text or "**" in text):
        text, title = (_STRONG.sub(r"\1", _LINK.sub(r"\1", one)) for one in (text, title))
    text, title = aside.restored(text), aside.restored(title)
    return block if text == block.text else replace(block, text=text, title=title)


def _with_caption(block: Block) -> Block:
    """Pandoc's way of giving a table a caption: a paragraph "Table: …"."""
    if block.role == "paragraph" and re.match(r"(?:Table|Figure): \S", block.text):
        return caption_block(block.text)
    return block
