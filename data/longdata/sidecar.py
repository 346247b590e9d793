"""A table beside the documents that says what the files themselves don't: licence, author, year, …

    path,title,author,year,license            metadata.csv
    raw/36.txt,The War of the Worlds,H. G. Wells,1898,public domain

    {"raw/36.txt": {"license": "public domain"}}                 metadata.json, or
    [{"source": "gutenberg:36", "license": "public domain"}]     a list of objects

A row is found by the source as the user wrote it, by the path relative to the sidecar's folder,
by the path relative to the folder the user named, then by the file name if only one row has it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

from longdata.errors import UserError

MAX_BYTES = 64 << 20
_KEYS = ("source", "path", "file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a sidecar or a flag says about a source; None = nothing said."""

    title: str | None = None
    author: str | None = None
    year: int | None = None
    license: str | None = None
    language: str | None = None
    url: str | None = None

    def over(self, other: Facts) -> Facts:
        """These facts, and the other's where these say nothing."""
        return Facts(
            title=other.title if self.title is None else self.title,
            author=other.author if self.author is None else self.author,
            year=other.year if self.year is None else self.year,
            license=other.license if self.license is None else self.license,
            language=other.language if self.language is None else self.language,
            url=other.url if self.url is None else self.url,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """`rows` by the source as it is written in the table; `folder` is where the table lies."""

    name: str
    folder: Path
    rows: Mapping[str, Facts]

    def row_for(self, name: str, path: Path, root: Path) -> str | None:
        """The key of the row about a source: `name` as the user calls it, found under `root`."""
        candidates = [name, _inside(path, self.folder), _inside(path, root)]
        for candidate in candidates:
            if candidate is not None and candidate in self.rows:
                return candidate
        same_name = [key for key in self.rows if PurePosixPath(key).name == path.name]
        return same_name[0] if len(same_name) == 1 else None


def load_sidecar(path: Path, name: str = "") -> Sidecar:
    """Read a CSV or JSON sidecar. UserError: unreadable, no source column, a source named twice."""
    name = name or path.as_posix()
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        raise UserError(
            f"got the metadata file {name}: {error.strerror or 'unreadable'}; "
            "allowed: a readable .csv or .json; fix: check the path"
        ) from None
    if size > MAX_BYTES:
        raise UserError(
            f"got the metadata file {name} of {size} bytes; allowed: {MAX_BYTES} bytes; "
            "fix: give the table, not the texts"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(
            f"got the metadata file {name} in an encoding that is not UTF-8; allowed: UTF-8; "
            "fix: save it as UTF-8"
        ) from None
    records = _from_json(text, name) if path.suffix.lower() == ".json" else _from_csv(text, name)
    rows: dict[str, Facts] = {}
    for place, record in records:
        written = next((str(record[key]).strip() for key in _KEYS if record.get(key)), "")
        if not written:
            raise UserError(
                f"got {name}, {place}, without a source; "
                f"allowed: a column {', '.join(_KEYS[:-1])} or {_KEYS[-1]} that names the file; "
                "fix: fill it in"
            )
        key = written if ":" in written else PurePosixPath(written.replace("\\", "/")).as_posix()
        if key in rows:
            raise UserError(
                f"got {name}, {place}: a second row for {key}; allowed: one row per source; "
                "fix: remove one"
            )
        rows[key] = _facts(record, name, place)
    return Sidecar(name=name, folder=path.parent, rows=rows)


def unmatched(sidecar: Sidecar, used: Iterable[str]) -> list[str]:
    """The rows about no source of this run, in the table's order; `used` are keys of `row_for`."""
    seen = frozenset(used)
    return [key for key in sidecar.rows if key not in seen]


def _inside(path: Path, folder: Path) -> str | None:
    try:
        return path.resolve().relative_to(folder.resolve()).as_posix()
    except (ValueError, OSError):
        return None


def _from_csv(text: str, name: str) -> list[tuple[str, dict[str, object]]]:
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        header = [(column or "").strip().lower() for column in reader.fieldnames or ()]
        if not set(header) & set(_KEYS):
            raise UserError(
                f"got {name} with the columns {', '.join(header) or '(none)'}; "
                "allowed: a column source, path or file that names the files; fix: add one"
            )
        reader.fieldnames = header
        return [
            (f"line {reader.line_num}", {k: v for k, v in row.items() if isinstance(v, str)})
            for row in reader
        ]
    except csv.Error as error:
        raise UserError(
            f"got {name}, which is no CSV table ({error}); allowed: comma-separated values "
            "with a header line; fix: save the table as CSV"
        ) from None


def _from_json(text: str, name: str) -> list[tuple[str, dict[str, object]]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"got {name}, which is no JSON ({error}); allowed: a list of objects, or one object "
            "keyed by source; fix: correct it there"
        ) from None
    if isinstance(content, dict):
        content = [
            {**value, "source": key} if isinstance(value, dict) else value
            for key, value in content.items()
        ]
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise UserError(
            f"got {name} in another shape; allowed: a list of objects, or one object keyed by "
            'source; fix: {"book.txt": {"license": "CC-BY-4.0"}}'
        )
    return [
        (f"row {number}", {str(key).strip().lower(): value for key, value in row.items()})
        for number, row in enumerate(content, start=1)
    ]


def _facts(record: Mapping[str, object], name: str, place: str) -> Facts:
    values: dict[str, str] = {}
    for field in fields(Facts):
        value = record.get(field.name)
        if field.name == "license" and not value:
            value = record.get("licence")
        if field.name == "author" and isinstance(value, list):
            value = ", ".join(str(item) for item in value)
        if value is not None and str(value).strip():
            values[field.name] = " ".join(str(value).split())
    year = values.pop("year", None)
    if year is not None and not year.removeprefix("-")[:4].isdecimal():
        raise UserError(
            f"got {name}, {place}, with the year {year!r}; allowed: a number such as 1898; fix: "
            "correct it, or leave it empty"
        )
    return Facts(year=int(year.split("-")[0]) if year else None, **values)
