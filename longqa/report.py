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
import json
import re
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

from longdata.atomic import writing
from longdata.prompt_template import PAPERS_BORDER, SHORT, TITLES_BORDER
from longqa import report_overview
from longqa.attribution import sources_of
from longqa.dataset import read_rows
from longqa.facts import BuildFacts, DocumentFacts
from longqa.llm.taxonomy import ALL_KINDS
from longqa.overview import COLUMNS, about, gather
from longqa.pieces import Pieces

FILE_NAME = "report.html"
MOST_EXAMPLES = 10_000
MOST_TOKENS = 16_000_000  # of the documents shown: about 40 MB of report
_BLOCK_CHARACTERS = 512 << 10
_SLOT = re.compile(r"<!--slot:(\w+)-->")
_BEYOND_16_BITS = re.compile("[\U00010000-\U0010ffff]")


def write_report(folder: Path, facts: BuildFacts) -> Path:
    """Write `report.html` for the rows in a dataset folder; its path.

    Holds one document at a time. When the dataset is larger than a page can hold, a part of its
    documents is shown and the page says so; its numbers are always those of the whole dataset.
    """
    statistics = gather(read_rows(folder, COLUMNS))
    shown = _shown(facts)
    sources = sources_of(facts, statistics)
    style, script = _page_file("report.css"), _page_file("report.js")
    values = {
        "policy": _policy(style, script),
        "style": f"<style>{style}</style>",
        "overview": report_overview.overview(
            statistics, facts, sources, num_shown=_num_rows(shown)
        ),
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
                _write_data(page, folder, facts, {(d["title"], d["sha256"]) for d in shown})
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


def _shown(facts: BuildFacts) -> list[DocumentFacts]:
    """The documents whose examples the page holds: all, or a stable part that fits."""
    made = [document for document in facts["documents"] if document["kept"]]
    rows = tokens = 0
    shown: list[DocumentFacts] = []
    for document in sorted(made, key=lambda d: hashlib.sha256(d["id"].encode()).digest()):
        rows += document["kept"]
        tokens += document["tokens"]
        if shown and (rows > MOST_EXAMPLES or tokens > MOST_TOKENS):
            break
        shown.append(document)
    return shown


def _num_rows(documents: list[DocumentFacts]) -> int:
    return sum(document["kept"] for document in documents)


def _write_data(
    page: IO[str], folder: Path, facts: BuildFacts, shown: set[tuple[str, str]]
) -> None:
    """The blocks of text as they come, then the index that says what is in them."""
    index = _Index(has_model=facts["model"] is not None)
    num_blocks = 0
    for row in read_rows(folder):
        if row["material_kind"] == SHORT or _document_of(row) not in shown:
            continue
        if index.is_other_document(row):
            num_blocks += _write_group(page, index, num_blocks)
        index.add(row)
    _write_group(page, index, num_blocks)
    page.write(_data("index", index.columns()))


def _document_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Title and hash of the document a row is about; those of two papers as longqa.llm.pairs
    joins them."""
    titles = [source["title"] for source in row["sources"]]
    hashes = [source["sha256"] for source in row["sources"]]
    if len(hashes) == 1:
        return titles[0], hashes[0]
    return TITLES_BORDER.join(titles), hashlib.sha256("\x1f".join(hashes).encode()).hexdigest()


def _said_of(source: Mapping[str, Any]) -> dict[str, Any]:
    return {name: source[name] for name in ("title", "author", "year", "license")}


def _write_group(page: IO[str], index: _Index, num_blocks: int) -> int:
    """Write the text pieces of the document that ended; the number of blocks."""
    blocks = list(_blocks(index.pieces.texts))
    for number, texts in enumerate(blocks, start=num_blocks):
        page.write(_data(f"block-{number}", texts))
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


def _data(name: str, value: Any) -> str:
    """A data element; base64 cannot end it, whatever the value holds."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    packed = base64.b64encode(compressor.compress(text) + compressor.flush()).decode()
    return f'<script type="text/plain" id="{name}">{packed}</script>\n'


class _Index:
    """What the page's script needs to list, filter and find the examples."""

    def __init__(self, *, has_model: bool) -> None:
        self.pieces = Pieces()
        self._has_model = has_model
        self._documents: dict[tuple[str, str], int] = {}
        self._shown_documents: list[dict[str, Any]] = []
        self._groups: list[dict[str, Any]] = []
        self._contexts: list[list[int]] = []
        self._place: dict[str, int] = {}  # of a context of the group at hand
        self._wide: dict[str, list[int]] = {}  # where its characters beyond 16 bits stand
        self._current: tuple[str, str] | None = None
        self._examples: dict[str, list[Any]] = {
            name: []
            for name in (
                "id",
                "kind",
                "split",
                "ctx",
                "tokens",
                "document",
                "question",
                "answer",
                "context",
                "evidence",
                "whole",
            )
        }

    def is_other_document(self, row: Mapping[str, Any]) -> bool:
        """Whether the group at hand ends before this row."""
        return self._current is not None and self._current != _document_of(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one row of the group at hand."""
        key = self._current = _document_of(row)
        if key not in self._documents:
            self._documents[key] = len(self._documents)
            papers = [_said_of(source) for source in row["sources"]]
            both = {"title": " / ".join(p["title"] for p in papers), "papers": papers}
            self._shown_documents.append(both if len(papers) > 1 else papers[0])
        context = row["context"]
        if context not in self._place:
            self._place[context] = len(self._contexts)
            self._contexts.append([len(self._groups), *self.pieces.add(context)])
            self._wide[context] = [found.start() for found in _BEYOND_16_BITS.finditer(context)]
        wide = self._wide[context]
        columns = self._examples
        columns["id"].append(row["id"])
        columns["kind"].append(row["question_kind"])
        columns["split"].append(row["split"])
        columns["ctx"].append(row["ctx"])
        columns["tokens"].append(row["row_tokens"])
        columns["document"].append(self._documents[key])
        columns["question"].append(row["question"])
        columns["answer"].append(row["answer"])
        columns["context"].append(self._place[context])
        columns["evidence"].append(
            [
                offset + bisect_left(wide, offset)  # one more unit for each wide one before it
                for passage in row["evidence"]
                for offset in (passage["start"], passage["end"])
            ]
        )
        columns["whole"].append(int(row["is_whole"]))

    def end_group(self, first_block: int, sizes: list[int]) -> None:
        """The group's pieces are in these blocks: so many pieces in each."""
        self._groups.append({"block": first_block, "sizes": sizes})
        self.pieces = Pieces()
        self._place, self._wide, self._current = {}, {}, None

    def columns(self) -> dict[str, Any]:
        """The index as the page reads it."""
        return {
            "documents": self._shown_documents,
            "groups": self._groups,
            "contexts": self._contexts,
            "examples": self._examples,
            "border": PAPERS_BORDER.strip(),
            "kinds": {
                name: list(reversed(about(name, has_model=self._has_model))) for name in ALL_KINDS
            },
        }
