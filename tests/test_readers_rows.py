"""Rows become documents in bounded memory; a bad row is one counted skip and the rest goes on."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from longdata.documents import Document
from longdata.errors import SourceError
from longdata.readers import read_source, rows
from longdata.readers.rows import read_jsonl
from longdata.sources import Facts, Skip, Source

SHARED = Path(__file__).parents[2] / "shared" / "data" / "redpajama"


def source_of(path: Path, **changes: Any) -> Source:
    return Source(path=path, name=path.name, sha256="0" * 64, **changes)


def read(path: Path, **changes: Any) -> tuple[list[Document], list[Skip]]:
    problems: list[Skip] = []
    return list(read_source(source_of(path, **changes), problems)), problems


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


THREE = lines({"text": "One."}, {"text": "Two."}, {"text": "Three."})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", THREE),
        ("a.jsonl", THREE.removesuffix(b"\n")),
        ("a.jsonl", b"\xef\xbb\xbf" + THREE.replace(b"\n", b"\r\n\r\n")),
        ("a.jsonl.gz", gzip.compress(THREE)),
        ("a.jsonl.gz", gzip.compress(THREE[:20]) + gzip.compress(THREE[20:])),
        ("a.jsonl.zst", zstandard.compress(THREE)),
        ("a.jsonl.zst", zstandard.compress(THREE[:20]) + zstandard.compress(THREE[20:])),
        ("a.jsonl.zst", gzip.compress(THREE)),  # the name lies
        ("a.jsonl", zstandard.compress(THREE)),
    ],
)
def test_rows_are_read_whatever_they_are_packed_with(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    documents, problems = read(tmp_path / name)
    assert [document.text for document in documents] == ["One.", "Two.", "Three."]
    assert problems == []
    assert documents[0].source == f"{name}:1"
    assert documents[0].sha256 == "0" * 64


def test_a_bad_row_is_one_skip_and_the_others_go_on(tmp_path: Path) -> None:
    bad = (
        b'{"text": "cut\n' + b"[1]\n" + b'{"text": 5}\n' + b'{"text": "\xff"}\n'
        b'{"other": "x"}\n{"text": "  "}\n' + b"[" * 100_000 + b"\n"
    )
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "One."}) + bad + lines({"text": "Two."}))
    documents, problems = read(tmp_path / "a.jsonl")
    assert [document.source for document in documents] == ["a.jsonl:1", "a.jsonl:9"]
    assert [(skip.name, skip.reason) for skip in problems] == [
        ("a.jsonl:2", "bad row"),
        ("a.jsonl:3", "bad row"),
        ("a.jsonl:4", "bad row"),
        ("a.jsonl:5", "bad row"),
        ("a.jsonl:6", "bad row"),
        ("a.jsonl:7", "empty"),
        ("a.jsonl:8", "bad row"),
    ]
    assert problems[2].detail == "text: int, not a text"
    assert all(len(skip.detail) <= 300 for skip in problems)


def test_without_a_list_the_first_bad_row_ends_the_source(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "One."}, 5, {"text": "Two."}))
    documents = read_source(source_of(tmp_path / "a.jsonl"))
    assert next(documents).text == "One."
    with pytest.raises(SourceError, match=r"bad row: a.jsonl:2: a JSON int"):
        next(documents)


@given(st.lists(st.sampled_from(["ok", "json", "type", "empty", "blank"]), max_size=12))
def test_every_row_is_a_document_or_a_problem(kinds: list[str]) -> None:
    content = {
        "ok": b'{"text": "A."}',
        "json": b"{",
        "type": b'{"text": []}',
        "empty": b'{"text": ""}',
    }
    wanted = ["ok", *kinds]
    data = b"\n".join(content.get(kind, b" ") for kind in wanted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "chunks_of", lambda _: iter([data[:7], data[7:]]))
        problems: list[Skip] = []
        documents = list(read_jsonl(source_of(Path("a.jsonl")), problems))
    assert len(documents) == wanted.count("ok")
    assert len(documents) + len(problems) == len(wanted) - wanted.count("blank")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_cut_file_gives_the_rows_before_the_cut_and_says_so(tmp_path: Path, pack: Any) -> None:
    noise = random.Random(0)
    whole = pack(lines(*({"text": noise.randbytes(2000).hex()} for _ in range(300))))
    path = tmp_path / ("a.jsonl.gz" if pack is gzip.compress else "a.jsonl.zst")
    path.write_bytes(whole[: len(whole) * 3 // 4])
    documents, problems = read(path)
    assert 0 < len(documents) < 300
    (skip,) = problems
    assert (skip.name, skip.reason, skip.is_loss) == (path.name, "truncated", True)
    assert f"after row {len(documents)}" in skip.detail


def test_a_garbled_file_is_a_problem_too(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(THREE * 1000))
    packed[40:60] = b"\0" * 20
    (tmp_path / "a.jsonl.gz").write_bytes(packed)
    _, problems = read(tmp_path / "a.jsonl.gz")
    assert [skip.reason for skip in problems][-1] == "truncated"


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_decompression_bomb_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Any
) -> None:
    monkeypatch.setattr(rows, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(rows, "MAX_RATIO", 100)
    (tmp_path / "a.jsonl.gz").write_bytes(pack(b"\n" * 5_000_000))
    with pytest.raises(SourceError, match="decompression bomb"):
        read(tmp_path / "a.jsonl.gz")


def test_a_line_without_an_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_LINE", 1 << 20)
    (tmp_path / "a.jsonl").write_bytes(THREE + b"x" * 3_000_000)
    with pytest.raises(SourceError, match="too large: row 4"):
        read(tmp_path / "a.jsonl")


def test_bad_rows_without_end_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_PROBLEMS", 50)
    (tmp_path / "a.jsonl").write_bytes(b"{\n" * 1000)
    with pytest.raises(SourceError, match="more than 50 bad rows"):
        read(tmp_path / "a.jsonl")


def test_the_text_column_is_the_users_choice_and_never_guessed(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines({"content": "One.", "id": 1}))
    with pytest.raises(SourceError) as caught:
        read(tmp_path / "a.jsonl")
    assert caught.value.reason == "no text column"
    assert caught.value.detail == "no column 'text'; there are: content, id"
    documents, _ = read(tmp_path / "a.jsonl", text_column="content")
    assert documents[0].text == "One."


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_a_file_without_rows_is_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(SourceError, match="empty"):
        read(tmp_path / "a.jsonl")


def said(row: dict[str, Any], tmp_path: Path, **changes: Any) -> Document:
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "Some words.", **row}))
    ((document,), problems) = read(tmp_path / "a.jsonl", **changes)
    assert problems == []
    return document


def test_columns_of_a_row_are_its_documents_facts(tmp_path: Path) -> None:
    row = {
        "title": "T",
        "author": ["A", "B"],
        "year": 1898,
        "license": "CC0-1.0",
        "language": "en",
        "url": "http://a/b",
    }
    document = said(row, tmp_path)
    facts = (document.title, document.author, document.year, document.license)
    assert facts == ("T", "A, B", 1898, "CC0-1.0")
    assert (document.language, document.url) == ("en", "http://a/b")


@pytest.mark.parametrize("as_string", [False, True])
def test_redpajamas_meta_is_read_as_an_object_and_as_a_string(
    tmp_path: Path, as_string: bool
) -> None:
    def with_meta(meta: dict[str, Any]) -> Document:
        return said({"meta": json.dumps(meta) if as_string else meta}, tmp_path)

    book = with_meta({"short_book_title": "Emma", "publication_date": 1815, "url": "http://g"})
    assert (book.title, book.kind, book.year, book.url) == ("Emma", "book", 1815, "http://g")
    paper = with_meta({"arxiv_id": "2309.12307", "yymm": "2309", "language": "en"})
    assert (paper.kind, paper.year) == ("paper", 2023)
    assert with_meta({"arxiv_id": "hep-th/9901001", "yymm": "9901"}).year == 1999
    code = with_meta(
        {"repo_name": "a/b", "path": "c.md", "language": [{"name": "C"}], "license": "mit"}
    )
    assert (code.title, code.language, code.license) == ("a/b/c.md", None, "mit")


def test_what_is_no_fact_is_ignored(tmp_path: Path) -> None:
    row = {"title": 5, "author": {"a": 1}, "year": True, "url": None, "meta": "{not json"}
    document = said(row, tmp_path)
    assert (document.author, document.year, document.url) == (None, None, None)


def test_a_row_says_more_than_a_sidecar_except_about_licence_and_language(tmp_path: Path) -> None:
    facts = Facts(title="All", author="S", year=1, license="MIT", language="de", url="http://s")
    row = {"title": "Own", "year": 2000, "license": "CC0-1.0", "url": "http://own"}
    document = said(row, tmp_path, facts=facts)
    assert (document.title, document.year, document.url) == ("Own", 2000, "http://own")
    assert (document.author, document.license, document.language) == ("S", "MIT", "de")
    assert said({}, tmp_path, defaults=Facts(license="CC0-1.0")).license == "CC0-1.0"


def table(path: Path, **columns: list[Any]) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def test_parquet_rows_are_documents(tmp_path: Path) -> None:
    count = 50
    path = table(
        tmp_path / "a.parquet",
        text=[f"Row {n}." for n in range(count)],
        meta=[{"title": f"T{n}"} for n in range(count)],
        big=[["unused"] * 10] * count,
    )
    documents, problems = read(path)
    assert [document.title for document in documents] == [f"T{n}" for n in range(count)]
    assert documents[-1].source == "a.parquet:50"
    assert problems == []


def test_parquet_says_which_columns_there_are(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", body=["x"], n=[1])
    with pytest.raises(SourceError, match="there are: body, n"):
        read(path)
    with pytest.raises(SourceError, match="empty"):
        read(table(path, text=pyarrow.array([], pyarrow.string())))
    _, problems = read(table(path, text=["x.", None, "y."]))
    assert [(skip.name, skip.reason) for skip in problems] == [("a.parquet:2", "bad row")]


@pytest.mark.parametrize("keep", [4, 60, -8])
def test_a_damaged_parquet_file_is_one_reason(tmp_path: Path, keep: int) -> None:
    path = table(tmp_path / "a.parquet", text=["One.", "Two."])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SourceError) as caught:
        read(path)
    assert caught.value.reason in ("damaged", "unreadable")
    assert "\n" not in caught.value.detail


def first(documents: Iterator[Document], count: int) -> list[Document]:
    return [next(documents) for _ in range(count)]


def test_the_shared_sample_streams() -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared RedPajama sample is not on this machine")
    problems: list[Skip] = []
    documents = first(read_source(source_of(SHARED / "sample.jsonl.zst"), problems), 20)
    assert problems == []
    assert any(document.license == "bsd-3-clause" for document in documents)
    whole, problems = read(SHARED / "sample_small_string_meta.jsonl")
    assert (len(whole), problems) == (60, [])
