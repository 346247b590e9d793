"""`report.html`: every example with its evidence in its context, in one file without a network.

    write_report(Path("my-dataset"), facts)     # reads my-dataset/data, writes report.html

The page is `report_page/template.html` with slots. What needs no script (numbers, charts, sources)
is in it as HTML. The examples and the texts follow as base64 of deflated JSON, which the page's
script inflates when they are shown:

    index  {"documents": [...], "contexts": [[group, runs…], …], "examples": {column: [...]}}
    block  a list of text pieces; the blocks of a group, joined, are the `texts` of its Pieces

A group is a stretch of rows about one document; `longqa.pieces` stores what their contexts share
once. Offsets of evidence are counted in UTF-16 units here, as JavaScript counts.

Two papers that are compared are a document of their own, with `papers` that say which. Short rows
have no text and are not shown; the overview says how many there are.

Nothing a document says reaches the page as markup: it is escaped or in base64, the script sets
text and never HTML, and a content security policy allows this one script and no connection.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import IO

from longdata.atomic import writing
from longdata.prompt_template import SHORT
from longqa import report_overview
from longqa.attribution import Sources
from longqa.dataset import read_rows
from longqa.facts import BuildFacts
from longqa.overview import COLUMNS, Statistics, document_key, gather
from longqa.report_index import ReportIndex, as_json, document_of, write_element

FILE_NAME = "report.html"
MOST_EXAMPLES = 10_000
MOST_TOKENS = 16_000_000  # of the documents shown: about 40 MB of report
_BLOCK_CHARACTERS = 512 << 10
_SLOT = re.compile(r"<!--slot:(\w+)-->")


def write_report(folder: Path, facts: BuildFacts, statistics: Statistics | None = None) -> Path:
    """Write `report.html` for the rows in a dataset folder; its path. Without statistics they are
    gathered from the rows.

    Holds one document at a time. When the dataset is larger than a page can hold, a part of its
    documents is shown and the page says so; its numbers are always those of the whole dataset.
    """
    statistics = statistics or gather(read_rows(folder, COLUMNS))
    shown, num_shown = _shown(facts)
    sources = Sources(facts, statistics)
    style, script = _page_file("report.css"), _page_file("report.js")
    values = {
        "policy": _policy(style, script),
        "style": f"<style>{style}</style>",
        "overview": report_overview.overview(statistics, facts, sources, num_shown=num_shown),
        "title": report_overview.title(facts, sources),
        "script": f'<script type="module">{script}</script>',
    }
    path = folder / FILE_NAME
    with writing(path) as part, part.open("w", encoding="utf-8", newline="\n") as page:
        parts = _SLOT.split(_page_file("template.html"))  # text, slot, text, slot, …, text
        for index, text in enumerate(parts):
            if index % 2 == 0:
                page.write(text)
            elif text == "data":
                _write_data(page, folder, facts, shown)
            else:
                page.write(values[text])
    return path


def _page_file(name: str) -> str:
    return (files("longqa") / "report_page" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing may be loaded or sent; only the page's own style and script may be used."""

    def source(text: str) -> str:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        return f"'sha256-{digest}'"

    rules = (
        f"default-src 'none'; style-src {source(style)}; script-src {source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return f'<meta http-equiv="Content-Security-Policy" content="{rules}">'


def _shown(facts: BuildFacts) -> tuple[set[int], int]:
    """The documents whose examples the page holds, and how many these are: all, or a stable part
    that fits."""
    made = sorted(
        (
            int.from_bytes(hashlib.sha256(document["id"].encode()).digest()[:8], "big"),
            document_key(document["title"], document["sha256"]),
            document["kept"],
            document["tokens"],
        )
        for document in facts["documents"]
        if document["kept"]
    )
    rows = tokens = 0
    shown: set[int] = set()
    for _, key, kept, length in made:
        tokens += length
        if shown and (rows + kept > MOST_EXAMPLES or tokens > MOST_TOKENS):
            break
        rows += kept
        shown.add(key)
    return shown, rows


def _write_data(page: IO[str], folder: Path, facts: BuildFacts, shown: set[int]) -> None:
    """The blocks of text as they come, then the index that says what is in them."""
    num_blocks = 0
    with ReportIndex(folder, has_model=facts["model"] is not None) as index:
        for row in read_rows(folder):
            if row["material_kind"] == SHORT or document_of(row) not in shown:
                continue
            if index.is_other_document(row):
                num_blocks += _write_group(page, index, num_blocks)
            index.add(row)
        _write_group(page, index, num_blocks)
        index.write(page)


def _write_group(page: IO[str], index: ReportIndex, num_blocks: int) -> int:
    """Write the text pieces of the document that ended; the number of blocks."""
    blocks = list(_blocks(index.pieces.texts))
    for number, texts in enumerate(blocks, start=num_blocks):
        write_element(page, f"block-{number}", [as_json(texts)])
    index.end_group(num_blocks, [len(texts) for texts in blocks])
    return len(blocks)


def _blocks(texts: list[str]) -> Iterator[list[str]]:
    block: list[str] = []
    size = 0
    for text in texts:
        if block and size + len(text) > _BLOCK_CHARACTERS:
            yield block
            block, size = [], 0
        block.append(text)
        size += len(text)
    if block:
        yield block
