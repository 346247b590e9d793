"""A part of a corpus → its documents, one after the other, and what could not be used.

    for document in documents_in([file], (0, 4_194_304), Columns()):
        document   -> DocumentText(key="redpajama/arxiv/00.jsonl:81920", source="arxiv", text="…")
                   or Skip("redpajama/arxiv/00.jsonl:90112", "not JSON", "Expecting value: …")

A document of lines is called by the place of its first byte, in what is unpacked where the file is
packed; one of Parquet by the number of its row from 0; one that a reader gave by its file. It
belongs to the source that its row says: `red_pajama_subset`, or `redpajama_set_name` in `meta`, an
object or JSON in a string, or the column that was named; else to its file's.

One document is held at a time, and no copy of it. What ends a file early (packed data that is cut,
a damaged Parquet) is one Skip behind the documents before it. What could be had another time (a
network, a disk that fails) is a UserError: a corpus is never shorter by chance.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from longdata.byte_ranges import LONGEST, Line, Range, lines_in, lines_of
from longdata.corpus_files import CorpusFile
from longdata.corpus_hub import UnreachableError, opened
from longdata.errors import SourceError, UserError
from longdata.readers import read_source
from longdata.readers.rows import BROKEN, unpacked
from longdata.sources import Skip, Source
from longdata.token_shard import DocumentText
from longdata.walking import reason_of

_BATCH_BYTES = 8 << 20  # of a Parquet's texts, on average, that are held at once
_MOST_ROWS = 256
_LONGEST_SOURCE = 100  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of rows hold the text and, if not as RedPajama has it, the source."""

    text: str = "text"
    source: str | None = None


def documents_in(
    files: Sequence[CorpusFile], part: Range | None, columns: Columns
) -> Iterator[DocumentText | Skip]:
    """The documents of files, or of a part of one: bytes of lines, row groups of a Parquet.

    UserError: a file is another one than was found, or cannot be read now.
    """
    for file in files:
        _must_be_unchanged(file)
        try:
            if file.kind == "document":
                yield from _of_reader(file)
            elif file.kind == "parquet":
                yield from _of_parquet(file, part, columns)
            else:
                yield from _of_lines(file, part, columns)
        except OSError as error:
            raise UserError(
                f"got {file.name}, which cannot be read now ({error}); allowed: files that stay "
                "while they are packed; fix: look after its disk or network, and run the same "
                "command again, it goes on where it was"
            ) from error


def open_file(file: CorpusFile) -> IO[bytes]:
    """A file to read and seek in, wherever it lies."""
    return opened(file.path, file.size) if file.is_remote else Path(file.path).open("rb")


def _must_be_unchanged(file: CorpusFile) -> None:
    if file.is_remote:
        return
    try:
        size = Path(file.path).stat().st_size
        said = f"it has {size:,} bytes and had {file.size:,}"
    except OSError as error:
        size, said = -1, reason_of(error)[0]
    if size != file.size:
        raise UserError(
            f"got {file.name}, which changed since the plan was made ({said}); allowed: files that "
            "stay while they are packed; fix: run the command again, with --fresh or another --out"
        )


def _of_lines(
    file: CorpusFile, part: Range | None, columns: Columns
) -> Iterator[DocumentText | Skip]:
    with open_file(file) as raw:
        lines = (
            lines_in(raw, part or (0, file.size))
            if file.kind == "lines"
            else lines_of(unpacked(raw, file.size))
        )
        place = 0
        while True:
            try:
                line = next(lines, None)
            except BROKEN as error:
                said = " ".join(str(error).split())[:200]
                yield Skip(f"{file.name}:{place}", "truncated", f"nothing behind this row: {said}")
                return
            except SourceError as error:
                yield Skip(f"{file.name}:{place}", error.reason, error.detail)
                return
            if line is None:
                return
            place = line[0]
            held = [line]
            del line
            yield _of_line(held, file, columns)


def _of_line(held: list[Line], file: CorpusFile, columns: Columns) -> DocumentText | Skip:
    """Takes the line out of the list, so that its bytes are free when its text is there."""
    place, data = held.pop()
    name = f"{file.name}:{place}"
    if data is None:
        return Skip(name, "too large", f"a line of more than {LONGEST >> 20} MB")
    try:
        text = data.decode("utf-8-sig" if place == 0 else "utf-8")
        del data
        row = json.loads(text)
        del text
    except UnicodeDecodeError as error:
        return Skip(name, "not UTF-8", f"byte {place + error.start}: {error.reason}")
    except RecursionError:
        return Skip(name, "not JSON", "nested too deeply")
    except ValueError as error:
        return Skip(name, "not JSON", str(error)[:200])
    if not isinstance(row, dict):
        return Skip(name, "not JSON", f"a JSON {type(row).__name__}, not an object")
    return _document(row, name, file, columns)


def _document(
    row: Mapping[str, Any], name: str, file: CorpusFile, columns: Columns
) -> DocumentText | Skip:
    text = row.get(columns.text)
    if columns.text not in row:
        there = ", ".join(sorted(row)[:20])[:200] or "none"
        return Skip(name, "no text", f"no {columns.text!r}; there are: {there}")
    if not isinstance(text, str):
        return Skip(name, "no text", f"{columns.text!r} is {type(text).__name__}, not a string")
    return _checked(DocumentText(key=name, source=_source(row, file, columns), text=text))


def _checked(document: DocumentText) -> DocumentText | Skip:
    first = document.text.find("\0")
    if first < 0:
        return document
    count = document.text.count("\0")
    return Skip(document.key, "NUL characters", f"{count:,} of them, the first at {first:,}")


def _source(row: Mapping[str, Any], file: CorpusFile, columns: Columns) -> str:
    """What the row says it belongs to, as one line; else what its file does."""
    if file.is_source_given:
        return file.source
    said = row.get(columns.source or "red_pajama_subset")
    if columns.source is None and not said:
        meta = row.get("meta")
        if isinstance(meta, str) and '"redpajama_set_name"' in meta:
            try:
                meta = json.loads(meta)
            except (ValueError, RecursionError):
                meta = None
        said = meta.get("redpajama_set_name") if isinstance(meta, dict) else None
    if not isinstance(said, str):
        return file.source
    folded = " ".join(said.encode("utf-8", "replace").decode().split())
    return folded[:_LONGEST_SOURCE] or file.source


def _of_parquet(
    file: CorpusFile, part: Range | None, columns: Columns
) -> Iterator[DocumentText | Skip]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    with open_file(file) as raw:
        try:
            with pq.ParquetFile(raw, buffer_size=1 << 20, pre_buffer=False) as table:
                names = table.schema_arrow.names
                if columns.text not in names:
                    there = ", ".join(sorted(names)[:20])[:200]
                    detail = f"no column {columns.text!r}; there are: {there}"
                    yield Skip(file.name, "no text column", detail)
                    return
                wanted = {columns.text, columns.source or "red_pajama_subset"}
                if columns.source is None:
                    wanted.add("meta")
                first, last = part or (0, table.num_row_groups)
                metadata = table.metadata
                number = sum(metadata.row_group(at).num_rows for at in range(first))
                for batch in table.iter_batches(
                    _rows_at_once(metadata),
                    row_groups=list(range(first, last)),
                    columns=[name for name in names if name in wanted],
                    use_threads=False,
                ):
                    for at in range(batch.num_rows):
                        (row,) = batch.slice(at, 1).to_pylist()
                        yield _document(row, f"{file.name}:{number}", file, columns)
                        number += 1
        except UnreachableError:
            raise
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            said = " ".join(str(error).split())[:200]
            yield Skip(f"{file.name}:{number}", "damaged", f"nothing from this row on: {said}")


def _rows_at_once(metadata: Any) -> int:
    """How many rows are some megabytes, going by the mean."""
    rows = max(1, int(metadata.num_rows))
    groups = range(metadata.num_row_groups)
    size = sum(metadata.row_group(at).total_byte_size for at in groups)
    return max(1, min(_MOST_ROWS, _BATCH_BYTES * rows // max(1, int(size))))


def _of_reader(file: CorpusFile) -> Iterator[DocumentText | Skip]:
    source = Source(
        path=Path(file.path), name=file.name, sha256=file.identity.removeprefix("sha256:")
    )
    try:
        for document in read_source(source):
            yield _checked(DocumentText(key=file.name, source=file.source, text=document.text))
    except SourceError as error:
        yield Skip(file.name, error.reason, error.detail)
