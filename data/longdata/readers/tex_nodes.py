"""Small questions about pandoc's nodes and LaTeX's numbers, for `tex_tree`.

in_format(4, "Roman")  -> "IV"
clean_math("a=b\\label{eq:1}")  -> "a=b"
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Node = dict[str, Any]
Format = Literal["arabic", "Alph", "alph", "Roman", "roman"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What the preamble says about numbering: the class, \\thesection, secnumdepth."""

    has_chapters: bool
    has_parts: bool
    prefix: str  # "S" for \renewcommand\thesection{S\arabic{section}}
    format: Format
    depth: int  # the deepest numbered level: 0 chapter, 1 section, 2 subsection, …


def words_of(blocks: list[Node]) -> list[Node]:
    """The inlines of a caption's paragraphs."""
    words: list[Node] = []
    for block in blocks:
        if block["t"] in ("Para", "Plain"):
            words += [*([{"t": "Space"}] if words else []), *block["c"]]
    return words


def without_commands(tex: str) -> str:
    """An option's value, which pandoc leaves as it is: "the \\texttt{f}" → "the f"."""
    return re.sub(r"\\[A-Za-z]+\s*|[{}]", "", tex).replace("\\", "")


def clean_math(tex: str) -> str:
    """Without labels, comments and the targets of links, which are not printed."""
    tex = re.sub(r"\\label\s*\{[^{}]*\}|\\(nonumber|notag)\b|(?<!\\)%[^\n]*\n?", "", tex)
    return re.sub(r"\\hyper(?:link|target)\s*\{[^{}]*\}", "", tex).strip()


def without_wrappers(inlines: list[Node]) -> Iterator[Node]:
    """Spans and emphasis that only wrap a display of mathematics are opened."""
    for node in inlines:
        inner: Any = node["c"][1] if node["t"] == "Span" else node.get("c")
        wraps = node["t"] in ("Span", "Emph", "Strong") and isinstance(inner, list)
        if wraps and any(
            isinstance(n, dict) and n["t"] == "Math" and n["c"][0]["t"] == "DisplayMath"
            for n in inner
        ):
            yield from without_wrappers(inner)
        else:
            yield node


def theorem_number(nodes: list[Node]) -> tuple[str, str] | None:
    """ "Theorem 3" out of the bold words with which pandoc begins a theorem."""
    first: Any = nodes[0].get("c") if nodes and nodes[0]["t"] == "Para" else None
    if not first or first[0]["t"] != "Strong":
        return None
    words = [node["c"] for node in first[0]["c"] if node["t"] == "Str"]
    if len(words) < 2 or not re.fullmatch(r"[\d.]+", words[-1]):
        return None
    return " ".join(words[:-1]), words[-1]


def in_format(number: int, form: Format) -> str:
    if form in ("Alph", "alph"):
        letters = chr(ord("A") + (number - 1) % 26) if number else ""
        return letters if form == "Alph" else letters.lower()
    if form in ("Roman", "roman"):
        roman = ""
        for value, sign in zip(
            (50, 40, 10, 9, 5, 4, 1), ("L", "XL", "X", "IX", "V", "IV", "I"), strict=True
        ):
            roman += sign * (number // value)
            number %= value
        return roman if form == "Roman" else roman.lower()
    return str(number)
