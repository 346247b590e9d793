"""The index of a report: what its script needs to list, filter and find the examples.

    index = ReportIndex(folder, has_model=False)
    index.add(row)                       # rows of one document after the other
    index.end_group(0, [12])             # its texts stand in block 0
    index.write(page)                    # as base64 of deflated JSON, `data_element` does others

Its columns wait in temporary files, and are compressed piece by piece: a page may show ten
thousand examples of as many documents.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tempfile
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from longdata.prompt_template import PAPERS_BORDER, TITLES_BORDER
from longqa.llm.taxonomy import ALL_KINDS
from longqa.overview import about, document_key
from longqa.pieces import Pieces

_BEYOND_16_BITS = re.compile("[\U00010000-\U0010ffff]")
_COLUMNS = (
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
_CHUNK = 3 << 14  # bytes: base64 of a multiple of three can be continued


def document_of(row: Mapping[str, Any]) -> int:
    """The key of the document a row is about; of two papers as longqa.llm.pairs joins them."""
    titles = [source["title"] for source in row["sources"]]
    hashes = [source["sha256"] for source in row["sources"]]
    if len(hashes) == 1:
        return document_key(titles[0], hashes[0])
    both = hashlib.sha256("\x1f".join(hashes).encode()).hexdigest()
    return document_key(TITLES_BORDER.join(titles), both)


def write_element(page: IO[str], name: str, json_pieces: Iterable[str]) -> None:
    """A data element; base64 cannot end it, whatever the JSON holds."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    page.write(f'<script type="text/plain" id="{name}">')
    waiting = b""
    for piece in json_pieces:
        waiting += compressor.compress(piece.encode())
        if len(waiting) >= _CHUNK:
            whole = len(waiting) // 3 * 3
            page.write(base64.b64encode(waiting[:whole]).decode())
            waiting = waiting[whole:]
    page.write(base64.b64encode(waiting + compressor.flush()).decode())
    page.write("</script>\n")


def as_json(value: Any) -> str:
    """As the page reads it, without a space too many."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class _Values:
    """A JSON array in a temporary file."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="", dir=folder)  # noqa: SIM115
        self._file = stack.enter_context(file)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, value: Any) -> None:
        self._file.write(("," if self._count else "") + as_json(value))
        self._count += 1

    def pieces(self) -> Iterator[str]:
        self._file.seek(0)
        yield "["
        while text := self._file.read(_CHUNK):
            yield text
        yield "]"


class ReportIndex:
    """Of the examples that a page shows. Its temporary files lie in `folder`, until the `with`
    block ends."""

    def __init__(self, folder: Path, *, has_model: bool) -> None:
        self.pieces = Pieces()
        self._has_model = has_model
        self._documents: dict[int, int] = {}
        self._place: dict[str, int] = {}  # of a context of the group at hand
        self._wide: dict[str, list[int]] = {}  # where its characters beyond 16 bits stand
        self._current: int | None = None
        with ExitStack() as stack:
            lists = ("documents", "groups", "contexts")
            self._lists = {name: _Values(folder, stack) for name in lists}
            self._examples = {name: _Values(folder, stack) for name in _COLUMNS}
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def is_other_document(self, row: Mapping[str, Any]) -> bool:
        """Whether the group at hand ends before this row."""
        return self._current is not None and self._current != document_of(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one row of the group at hand."""
        key = self._current = document_of(row)
        if key not in self._documents:
            self._documents[key] = len(self._documents)
            papers = [_said_of(source) for source in row["sources"]]
            both = {"title": " / ".join(p["title"] for p in papers), "papers": papers}
            self._lists["documents"].append(both if len(papers) > 1 else papers[0])
        context = row["context"]
        contexts = self._lists["contexts"]
        if context not in self._place:
            self._place[context] = len(contexts)
            contexts.append([len(self._lists["groups"]), *self.pieces.add(context)])
            self._wide[context] = [found.start() for found in _BEYOND_16_BITS.finditer(context)]
        wide = self._wide[context]
        of_example = {
            "id": row["id"],
            "kind": row["question_kind"],
            "split": row["split"],
            "ctx": row["ctx"],
            "tokens": row["row_tokens"],
            "document": self._documents[key],
            "question": row["question"],
            "answer": row["answer"],
            "context": self._place[context],
            "evidence": [
                offset + bisect_left(wide, offset)  # one more unit for each wide one before it
                for passage in row["evidence"]
                for offset in (passage["start"], passage["end"])
            ],
            "whole": int(row["is_whole"]),
        }
        for name, column in self._examples.items():
            column.append(of_example[name])

    def end_group(self, first_block: int, sizes: list[int]) -> None:
        """The group's pieces are in these blocks: so many pieces in each."""
        self._lists["groups"].append({"block": first_block, "sizes": sizes})
        self.pieces = Pieces()
        self._place, self._wide, self._current = {}, {}, None

    def write(self, page: IO[str]) -> None:
        """The index as an element of the page."""
        write_element(page, "index", self._json())

    def _json(self) -> Iterator[str]:
        for number, (name, values) in enumerate(self._lists.items()):
            yield f"{',' if number else '{'}{as_json(name)}:"
            yield from values.pieces()
        yield ',"examples":'
        for number, (name, values) in enumerate(self._examples.items()):
            yield f"{',' if number else '{'}{as_json(name)}:"
            yield from values.pieces()
        kinds = {name: list(reversed(about(name, has_model=self._has_model))) for name in ALL_KINDS}
        yield f'}},"border":{as_json(PAPERS_BORDER.strip())},"kinds":{as_json(kinds)}}}'


def _said_of(source: Mapping[str, Any]) -> dict[str, Any]:
    return {name: source[name] for name in ("title", "author", "year", "license")}
