"""One reader per format, in a dict anyone can see, and the one door through which files are read.

    for document in read_source(source):    # .txt, .epub, .pdf …: one document; rows: one each
        document.title, document.sections, document.text

A format is a suffix, and one line here: the module and the function that reads it, loaded when the
first such file is read. Files whose name lies are read as what they are (a PDF called .txt) or
refused with the reason. Whatever a damaged file makes a library raise comes out as `SourceError`.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from longdata.documents import Document, document_id
from longdata.errors import SourceError

if TYPE_CHECKING:
    from longdata.sources import Source
    from longdata.walking import Skip

READERS: dict[str, str] = {
    ".txt": "longdata.readers.plain:read_plain",
    ".text": "longdata.readers.plain:read_plain",
    ".md": "longdata.readers.markdown:read_markdown",
    ".markdown": "longdata.readers.markdown:read_markdown",
    ".html": "longdata.readers.webpage:read_html",
    ".htm": "longdata.readers.webpage:read_html",
    ".xhtml": "longdata.readers.webpage:read_html",
    ".epub": "longdata.readers.epub:read_epub",
    ".pdf": "longdata.readers.pdf:read_pdf",
    ".tex": "longdata.readers.latex:read_latex",
    ".xml": "longdata.readers.jats:read_jats",
    ".jsonl": "longdata.readers.rows:read_jsonl",
    ".jsonl.gz": "longdata.readers.rows:read_jsonl",
    ".jsonl.zst": "longdata.readers.rows:read_jsonl",
    ".parquet": "longdata.readers.rows:read_parquet",
}

# Formats with many documents in a file: their readers take the list of rows left out as well.
ROW_FORMATS = frozenset((".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"))

MAX_TEXT = 48_000_000  # bytes or characters of one document: some ten times the longest novel
_COMPRESSED = (".gz", ".zst")
_HEAD = 4096  # bytes looked at to see what a file is
_NO_TEXT: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x7fELF", "a program"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed data"),
    (b"BZh", "bzip2-compressed data"),
    (b"\xfd7zXZ\x00", "xz-compressed data"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\xd0\xcf\x11\xe0", "an old Microsoft Office file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"%!PS", "PostScript"),
    (b"{\\rtf", "RTF"),
)


def suffix_of(path: Path) -> str:
    """The suffix that decides the reader, in lower case: ".pdf", ".jsonl.gz", "" for none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if not suffixes:
        return ""
    if suffixes[-1] in _COMPRESSED and len(suffixes) > 1:
        return suffixes[-2] + suffixes[-1]
    return suffixes[-1]


def read_source(source: Source, problems: list[Skip] | None = None) -> Iterator[Document]:
    """The documents of one source: one, or one per row.

    Rows that cannot be used are appended to `problems` and the rest goes on; without the list the
    first of them ends the source. SourceError: the file cannot be used, and why.
    """
    try:
        format = format_of(source.path)
        if format not in (*ROW_FORMATS, ".pdf", ".epub"):
            _must_be_readable(source.path.stat().st_size, "MB")
        documents = _documents(source, format, problems)
        for number, document in enumerate(documents, 1):
            try:
                _must_be_readable(len(document.text), "million characters")
            except SourceError as error:
                if format not in ROW_FORMATS or problems is None:
                    raise
                row = f"{source.name}: document {number}"
                problems.append(_skip(row, error))
                continue
            yield with_facts(document, source, of_row=format in ROW_FORMATS)
    except FileNotFoundError:
        raise SourceError("vanished", "it was there when the run began") from None
    except PermissionError:
        raise SourceError("permission denied") from None
    except IsADirectoryError:
        raise SourceError("not a regular file", "a folder") from None
    except OSError as error:
        raise SourceError("unreadable", error.strerror or str(error)) from error
    except RecursionError as error:
        raise SourceError("damaged", "nested too deeply") from error
    except _damage() as error:
        raise SourceError("damaged", " ".join(str(error).split())[:200]) from error


def _must_be_readable(size: int, unit: str) -> None:
    """One text is held in memory, several times over while it is read."""
    if size > MAX_TEXT:
        raise SourceError(
            "too large",
            f"one text of {size / 1_000_000:.0f} {unit}; allowed: {MAX_TEXT // 1_000_000}; "
            "fix: split it, or give its parts as rows of a .jsonl",
        )


def _skip(name: str, error: SourceError) -> Skip:
    from longdata.walking import Skip  # it asks for READERS

    return Skip(name, error.reason, error.detail)


def format_of(path: Path) -> str:
    """The key of READERS by which a file is read: what its name says, unless its bytes differ.

    SourceError: "unknown format", "not text" for binary data under a text's name, "empty".
    """
    suffix = suffix_of(path)
    if path.is_dir():
        raise SourceError("not a regular file", "a folder")
    if not path.is_file() and path.exists():
        raise SourceError("not a regular file")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise SourceError("empty", "0 bytes")
    if suffix in ROW_FORMATS:
        return suffix  # they look at the first bytes themselves
    if b"%PDF-" in head[:1024]:
        return ".pdf"
    if head.startswith(b"PK\x03\x04"):
        if suffix == ".epub" or b"application/epub+zip" in head[:200] or _holds_a_book(path):
            return ".epub"
        raise SourceError(*_refused(suffix, "a zip archive that is no EPUB"))
    if head.startswith(b"PAR1"):
        return ".parquet"
    for magic, meaning in _NO_TEXT:
        if head.startswith(magic):
            raise SourceError(*_refused(suffix, meaning))
    if suffix in (".pdf", ".epub"):
        raise SourceError("damaged", f"named {suffix}, but the bytes are not of that format")
    if suffix in READERS:
        return suffix
    if b"\0" in head:
        raise SourceError("unknown format", suffix or "no suffix")
    return ".txt"  # the user named it, and it may be text


def with_facts(document: Document, source: Source, *, of_row: bool = False) -> Document:
    """The document with what the sidecar says over, and the defaults under, what its file says.

    A sidecar's title, year and address are about a file with one document: for a row (`of_row`)
    only its author, licence and language count, and fill in the address when the row has none.
    """
    said = source.facts
    title = document.title if said.title is None or of_row else said.title
    changed: dict[str, object] = {}
    if title != document.title:
        changed["title"] = title
        changed["id"] = document_id(title, document.text)
    for name in ("author", "year", "license", "language", "url"):
        own = getattr(document, name)
        given = getattr(said, name)
        if given is None or (of_row and own is not None and name in ("year", "url")):
            given = own if own is not None else getattr(source.defaults, name)
        if name == "url" and given is None and not of_row:
            given = source.url
        if given != own:
            changed[name] = given
    return dataclasses.replace(document, **changed) if changed else document  # type: ignore[arg-type]


def _documents(source: Source, format: str, problems: list[Skip] | None) -> Iterator[Document]:
    module, function = READERS[format].split(":")
    read = getattr(importlib.import_module(module), function)
    if format in ROW_FORMATS:
        by_row = cast("Callable[[Source, list[Skip] | None], Iterator[Document]]", read)
        return by_row(source, problems)
    return cast("Callable[[Source], Iterator[Document]]", read)(source)


def _refused(suffix: str, meaning: str) -> tuple[str, str]:
    named_as_text = suffix in READERS and suffix not in (".pdf", ".epub")
    return ("not text" if named_as_text else "unknown format", meaning)


def _holds_a_book(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "META-INF/container.xml" in archive.namelist()
    except zipfile.BadZipFile:
        return False


def _damage() -> tuple[type[BaseException], ...]:
    """What libraries raise for a damaged file; only of libraries that are loaded by now."""
    families: list[type[BaseException]] = [UnicodeError, EOFError, zipfile.BadZipFile, zlib.error]
    for module, name in (
        ("lxml.etree", "LxmlError"),
        ("pypdfium2", "PdfiumError"),
        ("pyarrow", "ArrowException"),
        ("zstandard", "ZstdError"),
    ):
        if module in sys.modules:
            families.append(getattr(sys.modules[module], name))
    return tuple(families)
