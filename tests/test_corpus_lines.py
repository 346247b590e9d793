"""Documents of a corpus: every row is a document or one line that says why it is none."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from longdata import byte_ranges
from longdata.byte_ranges import Range, ranges_of
from longdata.corpora import find_corpus
from longdata.corpus_files import CorpusFile
from longdata.corpus_lines import Columns, documents_in
from longdata.errors import UserError
from longdata.sources import Skip
from longdata.token_shard import DocumentText


def found(
    path: Path,
    content: bytes | None = None,
    columns: Columns | None = None,
    part: Range | None = None,
) -> list[DocumentText | Skip]:
    if content is not None:
        path.write_bytes(content)
    (file,) = find_corpus([str(path)]).files
    return list(documents_in([file], part, columns or Columns()))


def lines(rows: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def told(items: Sequence[DocumentText | Skip]) -> list[tuple[str, str]]:
    """The key and text of a document, the place and reason of what is none."""
    return [
        (item.key, item.text) if isinstance(item, DocumentText) else (item.name, item.reason)
        for item in items
    ]


ROWS: list[dict[str, Any]] = [
    {"text": "one", "meta": {"url": "x"}, "red_pajama_subset": "arxiv"},
    {"text": "two", "meta": '{"redpajama_set_name": "RedPajamaBook"}'},
    {"text": "three", "meta": {"redpajama_set_name": "RedPajamaC4"}},
    {"text": "four", "meta": "no JSON"},
    {"text": "five", "meta": {"redpajama_set_name": 7}, "red_pajama_subset": None},
    {"text": "six", "red_pajama_subset": " a\nb \ud800"},
]
SOURCES = ["arxiv", "RedPajamaBook", "RedPajamaC4", "a", "a", "a b ?"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet"])
def test_rows_are_documents_with_their_texts_and_sources(name: str, tmp_path: Path) -> None:
    data = lines(ROWS)
    if name == "a.parquet":
        told_rows = [
            {**row, "meta": json.dumps(row.get("meta")), "n": 1, "red_pajama_subset": subset}
            for row, subset in zip(ROWS, ["arxiv", None, None, None, None, "a\nb ?"], strict=True)
        ]
        told_rows[1]["meta"] = ROWS[1]["meta"]
        pq.write_table(pa.Table.from_pylist(told_rows), tmp_path / name)
    else:
        packs: dict[str, Callable[[bytes], bytes]] = {
            "gz": gzip.compress,
            "zst": zstandard.compress,
        }
        (tmp_path / name).write_bytes(packs.get(name.rsplit(".")[-1], bytes)(data))
    items = found(tmp_path / name)
    assert [item.text for item in items if isinstance(item, DocumentText)] == [
        row["text"] for row in ROWS
    ]
    assert [item.source for item in items if isinstance(item, DocumentText)] == SOURCES
    if name == "a.parquet":
        places = list(range(6))
    else:
        places = [sum(map(len, data.splitlines(True)[:at])) for at in range(6)]
    assert [key for key, _ in told(items)] == [f"{name}:{place}" for place in places]


def test_a_given_source_and_a_named_column_decide(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines([{"t": "x", "s": "web", "red_pajama_subset": "y"}]))
    columns = Columns(text="t", source="s")
    (one,) = found(tmp_path / "a.jsonl", columns=columns)
    assert isinstance(one, DocumentText) and (one.text, one.source) == ("x", "web")
    (file,) = find_corpus([f"mine={tmp_path / 'a.jsonl'}"]).files
    (one,) = documents_in([file], None, columns)
    assert isinstance(one, DocumentText) and one.source == "mine"


def test_the_meta_of_parquet_may_be_a_struct(tmp_path: Path) -> None:
    rows = [{"text": "x", "meta": {"redpajama_set_name": "RedPajamaArXiv"}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    (one,) = found(tmp_path / "a.parquet")
    assert isinstance(one, DocumentText) and one.source == "RedPajamaArXiv"


BAD = [
    (b'{"text": "fine"}', "fine"),
    (b'{"text": "cut', "not JSON"),
    (b"[1, 2]", "not JSON"),
    (b'"text"', "not JSON"),
    (b"[" * 100_000, "not JSON"),
    (b'{"other": "x"}', "no text"),
    (b'{"text": null}', "no text"),
    (b'{"text": 7}', "no text"),
    (b'{"text": ["x"]}', "no text"),
    (b'{"text": "a\\u0000b"}', "NUL characters"),
    (b'{"text": "a\0b"}', "not JSON"),
    (b"\0" * 50, "not JSON"),
    (b'{"text": "\xff"}', "not UTF-8"),
    (b'{"text": "\\ud800"}', "\ud800"),  # who encodes it says that it is damaged
    (b'{"text": ""}', ""),  # and that this is empty
    (b'{"text": "last"}', "last"),
]


@pytest.mark.parametrize("packed", [False, True])
def test_every_bad_line_is_one_skip_with_its_place(packed: bool, tmp_path: Path) -> None:
    data = b"\n".join(line for line, _ in BAD)  # no end of line behind the last
    path = tmp_path / ("a.jsonl.gz" if packed else "a.jsonl")
    items = found(path, gzip.compress(data) if packed else data)
    places = [sum(len(line) + 1 for line, _ in BAD[:at]) for at in range(len(BAD))]
    assert told(items) == [
        (f"{path.name}:{place}", said) for place, (_, said) in zip(places, BAD, strict=True)
    ]
    assert all(item.detail for item in items if isinstance(item, Skip))


def test_a_mark_of_byte_order_is_no_part_of_the_first_row(tmp_path: Path) -> None:
    items = found(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + lines([{"text": "x"}, {"text": "y"}]))
    assert [text for _, text in told(items)] == ["x", "y"]


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_packed_data_that_is_cut_gives_what_came_before_and_one_line(
    suffix: str, tmp_path: Path
) -> None:
    draw = random.Random(0)
    rows = [{"text": f"{number} {draw.random()}"} for number in range(20_000)]
    data = lines(rows)
    whole = gzip.compress(data) if suffix == "gz" else zstandard.compress(data)
    items = found(tmp_path / f"a.jsonl.{suffix}", whole[: len(whole) // 2])
    texts = [item.text for item in items if isinstance(item, DocumentText)]
    assert 100 < len(texts) < 20_000 and texts == [row["text"] for row in rows[: len(texts)]]
    (skip,) = [item for item in items if isinstance(item, Skip)]
    assert items[-1] is skip and skip.reason == "truncated"
    at = data.splitlines(True)
    assert skip.name == f"a.jsonl.{suffix}:{sum(map(len, at[: len(texts) - 1]))}"


def test_a_decompression_bomb_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longdata.readers.rows.FREE_BYTES", 1000)
    data = lines([{"text": "x"}]) + b" " * 50_000_000
    items = found(tmp_path / "a.jsonl.zst", zstandard.compress(data))
    assert told(items) == [("a.jsonl.zst:0", "decompression bomb")]


def test_a_line_that_is_too_long_is_one_skip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(byte_ranges, "LONGEST", 100)
    items = found(tmp_path / "a.jsonl", lines([{"text": "x" * 200}, {"text": "y"}]))
    assert told(items) == [("a.jsonl:0", "too large"), ("a.jsonl:213", "y")]


def test_ranges_of_bytes_have_the_documents_of_the_file(tmp_path: Path) -> None:
    draw = random.Random(1)
    rows = [{"text": "é" * draw.randrange(1, 60)} for _ in range(200)]
    data = lines(rows)
    whole = found(tmp_path / "a.jsonl", data)
    parts = [found(tmp_path / "a.jsonl", part=part) for part in ranges_of(len(data), 97)]
    assert [item for part in parts for item in part] == whole and len(whole) == 200


def parquet(path: Path, groups: int, rows: int) -> CorpusFile:
    texts = [f"row {number}" for number in range(groups * rows)]
    pq.write_table(pa.table({"text": texts}), path, row_group_size=rows)
    (file,) = find_corpus([str(path)]).files
    return file


def test_row_groups_have_the_documents_of_the_file(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", 5, 7)
    parts = [list(documents_in([file], part, Columns())) for part in ((0, 2), (2, 3), (3, 5))]
    assert told([item for part in parts for item in part]) == [
        (f"a.parquet:{number}", f"row {number}") for number in range(35)
    ]
    assert [len(part) for part in parts] == [14, 7, 14]


def test_a_parquet_without_the_column_or_that_is_damaged_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet(path, 1, 2)
    (skip,) = found(path, columns=Columns(text="body"))
    assert isinstance(skip, Skip)
    assert (skip.reason, skip.name) == ("no text column", "a.parquet")
    assert "there are: text" in skip.detail
    parquet(path, 4, 5000)
    whole = path.read_bytes()
    items = found(path, whole[: len(whole) // 2])
    assert told(items) == [("a.parquet:0", "damaged")]
    middle = len(whole) // 2
    items = found(path, whole[:middle] + bytes(2000) + whole[middle + 2000 :])
    assert [item.reason for item in items if isinstance(item, Skip)] == ["damaged"]
    assert items[-1] == next(item for item in items if isinstance(item, Skip))


def test_documents_of_readers_are_called_by_their_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "emma.txt").write_text("Emma Woodhouse, handsome, clever, and rich.")
    (tmp_path / "b" / "cut.pdf").write_bytes(b"%PDF-1.4 nothing")
    files = find_corpus([str(tmp_path / "b")]).files
    items = list(documents_in(files, None, Columns()))
    assert told(items) == [
        ("b/cut.pdf", "damaged"),
        ("b/emma.txt", "Emma Woodhouse, handsome, clever, and rich."),
    ]


@pytest.mark.parametrize("change", ["longer", "gone"])
def test_a_file_that_changed_since_it_was_found_stops_the_work(change: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines([{"text": "x"}]))
    (file,) = find_corpus([str(path)]).files
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(lines([{"text": "x"}, {"text": "y"}]))
    with pytest.raises(UserError, match=r"a\.jsonl, which changed since the plan was made"):
        list(documents_in([file], None, Columns()))


def test_a_disk_that_fails_stops_the_work_and_is_no_end_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines([{"text": "x"}]))
    (file,) = find_corpus([str(path)]).files

    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("longdata.corpus_lines.lines_in", fails)
    with pytest.raises(UserError, match="cannot be read now"):
        list(documents_in([file], None, Columns()))
