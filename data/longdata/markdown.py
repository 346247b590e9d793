"""Text from anywhere as Markdown that shows it and obeys nothing it says.

    plain("a | b <script>")                  -> "a \\| b &lt;script&gt;"
    fenced("code with ``` inside")           -> a block with four backticks
    table(("Name", "Rows"), [("a", "12")])   -> a table whose columns of numbers stand right
    link("A Book", "javascript:…")           -> "A Book": only addresses of the web are linked

What a title or a file name holds is data: a reader of the page sees it as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line, also in a table."""
    folded = escape(" ".join(text.split()), quote=False)
    folded = re.sub(r"([\\`*_{}\[\]#|~$@!])", r"\\\1", folded)
    return re.sub(r":(?=//)|(?<=www)\.", r"\\\g<0>", folded)  # no address becomes a link by itself


def fenced(text: str, language: str = "") -> str:
    """A code block that the text cannot end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; a column of nothing but numbers stands right."""
    body = list(rows)
    are_numbers = (all(re.fullmatch(r"[\d,]+", row[i]) for row in body) for i in range(len(head)))
    rule = ["--:" if are else ":--" for are in are_numbers]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body))


def link(title: str, url: str | None) -> str:
    """A link to the web; an address of another kind is not one to click."""
    if url is None or not re.fullmatch(r"https?://[\x21-\x7e]+", url, re.IGNORECASE):
        return plain(title)
    safe = re.sub(r"[<>|\\\"`]", lambda found: f"%{ord(found[0]):02X}", url)
    return f"[{plain(title)}](<{safe}>)"
