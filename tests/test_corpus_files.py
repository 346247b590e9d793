"""What a file of a corpus is known by, and what its documents belong to."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from longdata import corpus_files
from longdata.corpus_files import identity_of, kind_of, kind_of_rows, source_of_file


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("wiki.jsonl", "wiki"),
        ("wiki2.jsonl.gz", "wiki2"),
        ("c4-train.00000-of-01024.json.gz", "c4-train"),
        ("train-00003-of-00012-a09b74b3ef9c3b56.parquet", "train"),
        ("arxiv_0017.jsonl", "arxiv"),
        ("en_head_0000.json.gz.dedup.classifier.jsonl.zst", "en_head"),
        ("github_sample.jsonl", "github"),
        ("cc_2019-30_sample.jsonl", "common_crawl"),
        ("cc_2019-30_sample_2.jsonl", "cc_2019-30_sample"),
        ("2024.jsonl", "2024"),
        ("notes", "notes"),
    ],
)
def test_a_file_is_a_source_without_suffix_and_numbers(name: str, source: str) -> None:
    assert source_of_file(name) == source


def test_every_byte_of_a_small_file_is_in_its_identity(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1000)
    before = identity_of(path, 1000)
    assert before == f"sha256:{hashlib.sha256(b'x' * 1000).hexdigest()}"
    path.write_bytes(b"x" * 500 + b"y" + b"x" * 499)
    assert identity_of(path, 1000) != before


def test_a_large_file_is_known_by_its_size_and_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_files, "WHOLE", 100)
    monkeypatch.setattr(corpus_files, "_BLOCK", 10)
    path = tmp_path / "a"

    def identity(data: bytes) -> str:
        path.write_bytes(data)
        return identity_of(path, len(data))

    data = bytes(range(250)) * 8
    seen = {identity(data), identity(data + b"x"), identity(b"y" + data[1:])}
    seen |= {identity(data[:-1] + b"y"), identity(data[:1000] + b"y" + data[1001:])}
    assert len(seen) == 4  # the byte at 1000 stands in no block
    assert all(one.startswith("blocks:") for one in seen)


@pytest.mark.parametrize(
    ("name", "head", "kind", "is_problem"),
    [
        ("a.jsonl", b'{"text"', "lines", False),
        ("a.jsonl", b"\x1f\x8b\x08", "packed lines", False),
        ("a.jsonl", b"\x28\xb5\x2f\xfd", "packed lines", False),
        ("a.jsonl.gz", b'{"text"', "lines", False),
        ("a.jsonl.gz", b"\x1f\x8b\x08", "packed lines", False),
        ("a.jsonl", b"PAR1", "parquet", False),
        ("a.parquet", b"nothing", "parquet", False),
        ("a.json", b' [{"text": 1}]', "lines", True),
        ("a.json", b'{"text": 1}', "lines", False),
    ],
)
def test_the_first_bytes_say_what_a_file_is(
    name: str, head: bytes, kind: str, is_problem: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(head)
    found, problem = kind_of(tmp_path / name)
    assert (found, bool(problem)) == (kind, is_problem)


def test_the_name_says_it_where_the_bytes_are_far_away() -> None:
    assert kind_of_rows("a.json.gz") == kind_of_rows("a.JSONL.ZST") == "packed lines"
    assert kind_of_rows("a.ndjson") == "lines" and kind_of_rows("a.Parquet") == "parquet"
