"""Sources → texts as they were published, for measuring a model on them.

    for text in texts_of(sources, skips):
        text.title, text.source, text.text   -> "Emma", "books.jsonl:12", "VOLUME I\\n\\nCHAPTER I…"

The text of a row (.jsonl, packed or not, .parquet) and of a .txt file is taken to the character:
what a paper measured is what the set's makers published, not what a reader would make of it. Only
line ends of .txt files become "\\n". Other formats (EPUB, PDF, LaTeX) go through the readers, and
with `clean` all do: they remove boilerplate and join the lines of paragraphs.
What cannot be used is a `Skip`, and the rest goes on. A text that came before is a "duplicate".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from longdata.decoding import decode
from longdata.errors import SourceError
from longdata.readers import ROW_FORMATS, format_of, read_source, rows
from longdata.sources import Skip, Source
from longdata.walking import reason_of

_TITLES = ("title", "short_book_title", "file")  # "file": proof-pile's name for where it was
_LONGEST_TITLE = 200
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Text:
    """A text and where it came from; `id` depends on the text alone."""

    id: str
    title: str
    source: str  # the file's name, of a row with ":" and its number from 1
    text: str


def texts_of(
    sources: Iterable[Source | Skip],
    skips: list[Skip],
    *,
    clean: bool = False,
    named: Callable[[str], str] = str,
) -> Iterator[Text]:
    """The texts of all sources, in order; `named` makes what a source is called in the result."""
    seen: set[int] = set()
    for source in sources:
        if isinstance(source, Skip):
            if source.is_loss:
                skips.append(Skip(named(source.name), source.reason, source.detail))
            continue
        mine: list[Skip] = []  # as the readers call them
        try:
            for place, title, text in _found(source, mine, clean):
                _move(mine, skips, source, named)
                yield from _unseen(seen, named(source.name) + place, title, text, skips)
                del text  # it may be large, and the next one is about to come
        except SourceError as error:
            mine.append(Skip(source.name, error.reason, error.detail))
        except OSError as error:
            mine.append(Skip(source.name, *reason_of(error)))
        _move(mine, skips, source, named)


def text_id(text: str) -> str:
    """16 hexadecimal digits of a text's SHA-256. SourceError for a str that is no Unicode text."""
    digest = hashlib.sha256()
    for start in range(0, len(text), _BLOCK):
        try:
            digest.update(text[start : start + _BLOCK].encode())
        except UnicodeEncodeError as error:
            place = f"half a character at {start + error.start:,}"
            raise SourceError("damaged", place) from error
    return digest.hexdigest()[:16]


_Found = tuple[str, str, str]  # the place in the file, the title, the text


def _found(source: Source, skips: list[Skip], clean: bool) -> Iterator[_Found]:
    format = format_of(source.path)
    if clean or format not in (*ROW_FORMATS, ".txt", ".text"):
        for document in read_source(source, skips):
            yield document.source.removeprefix(source.name), document.title, document.text
    elif format in ROW_FORMATS:
        problems = rows.Problems(source.name, skips)
        read = _parquet_rows if format == ".parquet" else _json_rows
        for number, row in read(source, problems):
            text = row.get(source.text_column)
            if not isinstance(text, str):
                there = type(text).__name__ if source.text_column in row else "missing"
                detail = f"{source.text_column}: {there}, not a text"
                problems.report(f":{number}", "bad row", detail)
                continue
            title = _title(row) or f"row {number}"
            del row
            yield f":{number}", title, text
            del text
    elif (size := source.path.stat().st_size) > rows.MAX_LINE:
        raise SourceError("too large", f"{size >> 20} MB; fix: give its parts as rows of a .jsonl")
    else:
        title = source.facts.title or source.path.stem.replace("_", " ")
        yield "", title, decode(source.path.read_bytes())


def _unseen(
    seen: set[int], source: str, title: str, text: str, skips: list[Skip]
) -> Iterator[Text]:
    try:
        if not text.strip():
            raise SourceError("empty", "no text")
        id = text_id(text)
        key = int(id, 16)
        if key in seen:
            raise SourceError("duplicate", "the same text came before")
    except SourceError as error:
        skips.append(Skip(source, error.reason, error.detail))
        return
    seen.add(key)
    printable = " ".join(title.encode("utf-8", "replace").decode().split())
    yield Text(id=id, title=printable[:_LONGEST_TITLE], source=source, text=text)


def _move(
    found: list[Skip], skips: list[Skip], source: Source, named: Callable[[str], str]
) -> None:
    for skip in found:
        place = skip.name.removeprefix(source.name)
        skips.append(Skip(named(source.name) + place, skip.reason, skip.detail))
    found.clear()


def _json_rows(source: Source, problems: rows.Problems) -> Iterator[tuple[int, Mapping[str, Any]]]:
    number = objects = 0
    for number, line in rows.lines_of(source, problems):
        try:
            row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except (ValueError, RecursionError) as error:  # also what is not UTF-8
            problems.report(f":{number}", "bad row", f"not JSON: {error}")
            continue
        del line
        if not isinstance(row, dict):
            detail = f"a JSON {type(row).__name__}, not an object"
            problems.report(f":{number}", "bad row", detail)
            continue
        if objects == 0:
            _must_have_column(source, row)
        objects += 1
        yield number, row
    if number == 0 and problems.count == 0:
        raise SourceError("empty", "no row")


def _parquet_rows(
    source: Source, problems: rows.Problems
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(source.path) as file:
            columns = file.schema_arrow.names
            _must_have_column(source, columns)
            if file.metadata.num_rows == 0:
                raise SourceError("empty", "no row")
            useful = [name for name in columns if name in (source.text_column, "meta", *_TITLES)]
            number = 0
            for batch in file.iter_batches(1, columns=useful):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pyarrow.ArrowException, OSError) as error:
        raise SourceError("damaged", " ".join(str(error).split())[:200]) from error


def _must_have_column(source: Source, columns: Iterable[str]) -> None:
    there = sorted(columns)
    if source.text_column not in there:
        listed = ", ".join(there[:20]) or "none"
        detail = f"no column {source.text_column!r}; there are: {listed}"
        raise SourceError("no text column", detail)


def _title(row: Mapping[str, Any]) -> str | None:
    """From the row's own columns, else from its `meta`, an object or JSON in a string."""
    meta = row.get("meta")
    if isinstance(meta, str):
        try:
            meta = json.loads(meta)
        except (ValueError, RecursionError):
            meta = None
    for facts in (row, meta):
        if isinstance(facts, Mapping):
            for key in _TITLES:
                if isinstance(facts.get(key), str) and facts[key].strip():
                    return str(facts[key])
    return None
