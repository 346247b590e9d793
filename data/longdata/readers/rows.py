"""JSONL (plain, gzip or zstd) and Parquet → one document per row, in bounded memory.

    {"text": "CHAPTER I\\n…", "meta": {"short_book_title": "Emma", "url": "…"}}
    -> Document(title="Emma", kind="book", source="corpus.jsonl:1", …)

The text is in the source's `text_column`. Title, author, year, licence, language and address are
taken from columns of these names, or from RedPajama's `meta` (an object, or JSON in a string).
A row that cannot be used is one `Skip` named "file:row" in `problems`; the other rows go on. The
counts always agree: rows = documents + problems. Without the list, the first such row raises.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import zstandard

from longdata.documents import Document, DocumentKind
from longdata.errors import SourceError
from longdata.readers.content import document_of
from longdata.readers.plain import blocks_of_plain
from longdata.walking import Skip

if TYPE_CHECKING:
    from longdata.sources import Source

MAX_LINE = 256 << 20  # bytes of one JSON line
MAX_RATIO = 2000  # unpacked bytes per packed byte, beyond the first GB: text never packs like that
FREE_BYTES = 1 << 30
MAX_PROBLEMS = 10_000
MAX_WINDOW = 1 << 27  # bytes of memory a zstd file may ask for, as `zstd` itself allows
BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError)

_TITLE_KEYS = ("title", "short_book_title")
_LICENSE_KEYS = ("license", "licence")
_YEAR_KEYS = ("year", "publication_date", "published", "date", "yymm")


def read_jsonl(source: Source, problems: list[Skip] | None = None) -> Iterator[Document]:
    """SourceError: the first object lacks the text column, no JSON at all, a decompression bomb."""
    bad = Problems(source.name, problems)
    number = objects = 0
    for number, line in lines_of(source, bad):
        try:
            row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            bad.report(f":{number}", "bad row", f"not UTF-8: {error.reason}")
            continue
        except (ValueError, RecursionError) as error:
            bad.report(f":{number}", "bad row", f"not JSON: {error}")
            continue
        if not isinstance(row, dict):
            bad.report(f":{number}", "bad row", f"a JSON {type(row).__name__}, not an object")
            continue
        if source.text_column not in row and objects == 0:
            raise _no_column(source, list(row))
        objects += 1
        document = _document(row, source, number, bad)
        if document is not None:
            yield document
    if objects == 0 and bad.count == 0:
        raise SourceError("empty", "no row")


def read_parquet(source: Source, problems: list[Skip] | None = None) -> Iterator[Document]:
    """SourceError: no such text column, no row, damaged (then the rows before it were read)."""
    import pyarrow.parquet

    bad = Problems(source.name, problems)
    with pyarrow.parquet.ParquetFile(source.path) as file:
        columns = file.schema_arrow.names
        if source.text_column not in columns:
            raise _no_column(source, columns)
        if file.metadata.num_rows == 0:
            raise SourceError("empty", "no row")
        useful = {source.text_column, "meta", "author", "language", "url", "arxiv_id"}
        useful.update(_TITLE_KEYS, _LICENSE_KEYS, _YEAR_KEYS)
        number = 0
        for batch in file.iter_batches(16, columns=[name for name in columns if name in useful]):
            for row in batch.to_pylist():
                number += 1
                document = _document(row, source, number, bad)
                if document is not None:
                    yield document


def _document(
    row: Mapping[str, Any], source: Source, number: int, bad: Problems
) -> Document | None:
    text = row.get(source.text_column)
    if not isinstance(text, str):
        found = "missing" if source.text_column not in row else type(text).__name__
        bad.report(f":{number}", "bad row", f"{source.text_column}: {found}, not a text")
        return None
    if not text.strip():
        bad.report(f":{number}", "empty", f"{source.text_column} holds no text")
        return None
    facts = _said(row)
    name = f"{source.name}:{number}"
    content = blocks_of_plain(text)
    try:
        return document_of(
            dataclasses.replace(
                content,
                title=_first(facts, _TITLE_KEYS) or _path(facts) or content.title or name,
                author=_author(facts.get("author")) or content.author,
                year=_year(facts) or content.year,
                license=_first(facts, _LICENSE_KEYS) or content.license,
                language=_text(facts.get("language")) or content.language,
                kind=_kind(facts),
            ),
            dataclasses.replace(source, name=name, url=_text(facts.get("url"))),
        )
    except SourceError as error:
        bad.report(f":{number}", error.reason, error.detail)
        return None


def _said(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says about its text: its `meta`, and its own columns over that."""
    meta = row.get("meta")
    if isinstance(meta, str):
        try:
            meta = json.loads(meta)
        except (ValueError, RecursionError):
            meta = None
    facts = dict(meta) if isinstance(meta, dict) else {}
    facts.update({key: value for key, value in row.items() if value not in (None, "")})
    return facts


def _kind(facts: Mapping[str, Any]) -> DocumentKind | None:
    if facts.get("short_book_title"):
        return "book"
    return "paper" if "arxiv_id" in facts else None  # else the text shows it


def _path(facts: Mapping[str, Any]) -> str | None:
    """RedPajama's code has no titles but "repo_name" and "path"."""
    parts = (_text(facts.get("repo_name")), _text(facts.get("path")))
    return "/".join(part for part in parts if part) or None


def _first(facts: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((text for key in keys if (text := _text(facts.get(key))) is not None), None)


def _text(value: object) -> str | None:
    """A fact as one line; None for what is no text (RedPajama's code has lists as `language`)."""
    folded = " ".join(value.split()) if isinstance(value, str) else ""
    return folded or None


def _author(value: object) -> str | None:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return _text(", ".join(value))
    return _text(value)


def _year(facts: Mapping[str, Any]) -> int | None:
    """The first of the year columns that has one: 1898, "1898", "1898-05-01"."""
    for key in _YEAR_KEYS:
        value = facts.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 3000:
            return int(value)
        match = re.match(r"\s*(\d{4})(?!\d)", str(value)) if key != "yymm" else None
        if match:
            return int(match[1])
        if key == "yymm" and re.fullmatch(r"\d{4}", str(value)):
            return (1900 if str(value) >= "9107" else 2000) + int(
                str(value)[:2]
            )  # arXiv: from 1991
    return None


@dataclass(slots=True)
class Problems:
    """Where the rows that cannot be used are listed; without a list the first one is the end."""

    name: str
    skips: list[Skip] | None
    count: int = 0

    def report(self, place: str, reason: str, detail: str) -> None:
        skip = Skip(self.name + place, reason, detail[:300])
        if self.skips is None:
            raise SourceError(skip.reason, f"{skip.name}: {skip.detail}")
        self.skips.append(skip)
        self.count += 1
        if self.count > MAX_PROBLEMS:
            raise SourceError("damaged", f"more than {MAX_PROBLEMS} bad rows")


def _no_column(source: Source, columns: list[str]) -> SourceError:
    there = ", ".join(sorted(columns)[:20]) or "none"
    return SourceError("no text column", f"no column {source.text_column!r}; there are: {there}")


def lines_of(source: Source, problems: Problems) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line) of the lines that are not blank, whatever the file is packed with.

    A file that ends in the middle of its packed data is one problem; what came before is kept.
    """
    number = 0
    begun: list[bytes] = []  # the pieces of a line that goes on in the next chunk
    size = 0
    chunks = chunks_of(source)
    while True:
        try:
            chunk = next(chunks, b"")
        except BROKEN as error:
            said = " ".join(str(error).split())
            problems.report("", "truncated", f"unreadable after row {number}: {said}")
            return
        at = 0
        while (end := chunk.find(b"\n", at)) >= 0 or (not chunk and begun):
            line = b"".join((*begun, chunk[at:end]))
            at, begun, size = end + 1, [], 0
            number += 1
            if line.strip():
                yield number, line
        if not chunk:
            return
        begun.append(chunk[at:])
        size += len(chunk) - at
        if size > MAX_LINE:
            raise SourceError("too large", f"row {number + 1} has more than {MAX_LINE >> 20} MB")


def chunks_of(source: Source) -> Iterator[bytes]:
    """The unpacked bytes in pieces. One of `BROKEN` is raised where they cannot go on."""
    with source.path.open("rb") as raw:
        yield from unpacked(raw, source.path.stat().st_size)


def unpacked(raw: IO[bytes], packed_size: int) -> Iterator[bytes]:
    """What a file holds, packed or not, in pieces; raises like `chunks_of`."""
    limit = max(FREE_BYTES, packed_size * MAX_RATIO)
    total = 0
    magic = raw.read(4)
    raw.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        pieces = _pieces(gzip.GzipFile(fileobj=raw), 1 << 18)
    elif magic == b"\x28\xb5\x2f\xfd":
        pieces = _unpack_zstd(raw)
    else:
        pieces, limit = _pieces(raw, 1 << 18), sys.maxsize
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise SourceError("decompression bomb", f"over {limit >> 20} MB when unpacked")
        yield piece


def _pieces(file: IO[bytes] | gzip.GzipFile, size: int) -> Iterator[bytes]:
    while piece := file.read(size):
        yield piece


def _unpack_zstd(raw: IO[bytes]) -> Iterator[bytes]:
    """All frames of a zstd stream. Its own stream reader would take a cut file for a whole one."""
    unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    frame = unpacker.decompressobj()
    inside = False
    while packed := raw.read(2048):  # small: 2 kB of a bomb unpack to 64 MB at most
        while packed:
            inside = True
            if piece := frame.decompress(packed):
                yield piece
            packed = frame.unused_data if frame.eof else b""
            if frame.eof:
                frame, inside = unpacker.decompressobj(), False
    if inside:
        raise EOFError("the file ends in the middle of a zstd frame")
