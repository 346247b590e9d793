"""One door to all formats: the right reader by name or by content, and never a traceback."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longdata.documents import Block, Document, assemble
from longdata.errors import SourceError
from longdata.readers import READERS, format_of, plain, read_source, suffix_of, with_facts
from longdata.sources import Facts, Skip, Source


def source_of(path: Path, **changes: Any) -> Source:
    return Source(path=path, name=path.name, sha256="0" * 64, **changes)


def refusal(path: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        list(read_source(source_of(path)))
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.TXT", ".txt"),
        ("rows.jsonl.gz", ".jsonl.gz"),
        ("v1.0.jsonl.ZST", ".jsonl.zst"),
        ("a.jats.xml", ".xml"),
        ("x.tar.gz", ".tar.gz"),
        ("README", ""),
        (".hidden", ""),
        ("b.epub", ".epub"),
    ],
)
def test_the_suffix_is_the_last_one_and_a_packed_ones_two(name: str, suffix: str) -> None:
    assert suffix_of(Path("dir.d") / name) == suffix


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_every_reader_named_in_the_table_exists(suffix: str) -> None:
    module, function = READERS[suffix].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_table_costs_no_heavy_import() -> None:
    code = (
        "import sys, longdata.sources; "
        "heavy = {'lxml', 'pypdfium2', 'pyarrow', 'pypandoc', 'httpx', 'zstandard'}; "
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr.decode()


def test_a_text_is_read_under_any_name_the_user_gives(tmp_path: Path) -> None:
    for name in ("story.txt", "story", "story.unknown"):
        (tmp_path / name).write_text("It was a dark and stormy night.")
        (document,) = read_source(source_of(tmp_path / name))
        assert document.text == "It was a dark and stormy night."


def epub(path: Path) -> Path:
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Zip</dc:title></metadata><manifest>'
        '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/></spine></package>'
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">'
        '<rootfiles><rootfile full-path="c.opf" media-type="application/oebps-package+xml"/>'
        "</rootfiles></container>"
    )
    page = '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>Inside the zip.</p></body></html>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("c.opf", opf)
        archive.writestr("a.xhtml", page)
    return path


def test_a_book_is_read_as_what_it_is_when_its_name_lies(tmp_path: Path) -> None:
    for name in ("book.epub", "book.pdf", "book.txt", "book.zip"):
        (document,) = read_source(source_of(epub(tmp_path / name)))
        assert "Inside the zip." in document.text


def test_content_decides_before_the_name(tmp_path: Path) -> None:
    cases = {
        "a.txt": (b"%PDF-1.7 ...", ".pdf"),
        "b.epub": (b"\n%PDF-1.4", ".pdf"),
        "c.txt": (b"PAR1....", ".parquet"),
        "d.md": (b"# Hello", ".md"),
        "e.jsonl": (b"\x1f\x8b...", ".jsonl"),
        "f": (b"plain", ".txt"),
    }
    for name, (content, format) in cases.items():
        (tmp_path / name).write_bytes(content)
        assert format_of(tmp_path / name) == format


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"\x89PNG\r\n\x1a\n....", "not text"),
        ("a.md", b"\x7fELF\x02\x01", "not text"),
        ("a.txt", b"\x1f\x8b\x08\x00", "not text"),
        ("a.tex", b"PK\x03\x04 a zip", "not text"),
        ("a.docx", b"PK\x03\x04 a zip", "unknown format"),
        ("a.bin", b"\x00\x01\x02", "unknown format"),
        ("a.pdf", b"<html>Please log in</html>", "damaged"),
        ("a.epub", b"<html>Please log in</html>", "damaged"),
        ("a.pdf", b"%PDF-1.7 and then nothing", "damaged"),
        ("a.epub", b"PK\x03\x04 cut", "damaged"),
        ("a.txt", b"", "empty"),
        ("a.pdf", b"", "empty"),
        ("a.txt", b" \n\t\n", "empty"),
        ("a.html", b"<html><body></body></html>", "empty"),
        ("a.tex", b"\\documentclass{article}\\begin{document}\\end{document}", "empty"),
    ],
)
def test_every_bad_file_has_one_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert refusal(tmp_path / name).reason == reason


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_a_file_that_vanished_is_said_by_every_reader(tmp_path: Path, suffix: str) -> None:
    assert refusal(tmp_path / f"gone{suffix}").reason == "vanished"


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_random_bytes_never_get_past_the_door_as_a_traceback(tmp_path: Path, suffix: str) -> None:
    import random

    for seed in range(5):
        noise = random.Random(seed).randbytes(3000)
        for start in (b"", b"%PDF-1.7\n", b"PK\x03\x04", b"<article><front>", b'{"text": "'):
            path = tmp_path / f"a{suffix}"
            path.write_bytes(start + noise)
            try:
                list(read_source(source_of(path), []))
            except SourceError as error:
                assert error.reason
                assert "\n" not in str(error)


def test_a_folder_and_a_pipe_are_no_regular_files(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    os.mkfifo(tmp_path / "pipe.txt")
    assert refusal(tmp_path / "folder.txt").reason == "not a regular file"
    assert refusal(tmp_path / "pipe.txt").reason == "not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("secret")
    (tmp_path / "a.txt").chmod(0)
    assert refusal(tmp_path / "a.txt").reason == "permission denied"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(), "vanished"),
        (PermissionError(), "permission denied"),
        (IsADirectoryError(), "not a regular file"),
        (OSError(5, "Input/output error"), "unreadable"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad\nbyte"), "damaged"),
        (zipfile.BadZipFile("no"), "damaged"),
        (RecursionError(), "damaged"),
    ],
)
def test_what_a_damaged_file_raises_is_a_source_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def broken(source: Source) -> Iterator[Document]:
        raise error
        yield

    monkeypatch.setattr(plain, "read_plain", broken)
    (tmp_path / "a.txt").write_text("x")
    assert refusal(tmp_path / "a.txt").reason == reason


def test_our_own_mistakes_are_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: Source) -> Iterator[Document]:
        raise KeyError("our bug")
        yield

    monkeypatch.setattr(plain, "read_plain", broken)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(KeyError):
        list(read_source(source_of(tmp_path / "a.txt")))


def document(**changes: Any) -> Document:
    facts = {"title": "Own", "kind": "book", "source": "a.txt", "sha256": "0" * 64, **changes}
    return assemble([Block("Some words.")], **facts)


def test_the_sidecar_overrides_the_file_and_the_defaults_fill_in(tmp_path: Path) -> None:
    source = source_of(
        tmp_path / "a.txt",
        url="http://typed",
        facts=Facts(title="Said", author="S", license=None),
        defaults=Facts(license="CC0-1.0", language="en", author="never"),
    )
    changed = with_facts(document(license=None, language="de", year=1900), source)
    assert (changed.title, changed.author, changed.year) == ("Said", "S", 1900)
    assert (changed.license, changed.language, changed.url) == ("CC0-1.0", "de", "http://typed")
    assert with_facts(document(license="MIT"), source).license == "MIT"


def test_a_document_with_another_title_has_the_id_that_title_gives(tmp_path: Path) -> None:
    renamed = with_facts(document(), source_of(tmp_path / "a.txt", facts=Facts(title="New")))
    assert renamed.id == document(title="New").id
    assert renamed.id == hashlib.sha256(b"New\n\nSome words.").hexdigest()[:16]
    same = document()
    assert with_facts(same, source_of(tmp_path / "a.txt")) is same


def test_a_text_beyond_any_book_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.write(b"A line of text.\n" * 100)
        file.truncate(200_000_000)
    with pytest.raises(SourceError) as refused:
        list(read_source(Source(path=path, name="huge.txt", sha256="0")))
    assert refused.value.reason == "too large"
    assert "200 MB; allowed: 48" in refused.value.detail


def test_a_row_beyond_any_book_is_left_out_and_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longdata.readers.MAX_TEXT", 1000)
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(json.dumps({"text": "A short text. " * n}) + "\n" for n in (3, 200, 4)),
        encoding="utf-8",
    )
    problems: list[Skip] = []
    found = list(read_source(Source(path=path, name="rows.jsonl", sha256="0"), problems))
    assert len(found) == 2
    assert [(p.name, p.reason) for p in problems] == [("rows.jsonl: document 2", "too large")]
