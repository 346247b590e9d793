"""longqa.short_file: every form of file gives the same rows; what is wrong is said in one line."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from longdata.errors import UserError
from longqa.short_file import load_short

ROWS = [
    {"instruction": "Name three colours.", "input": "", "output": "Red, green and blue."},
    {"instruction": " Translate. ", "input": "Guten\nTag\u2028", "output": "Good day. 😀\n"},
    {"instruction": 'Say [{"a\\b"}, ]', "input": "", "output": "]"},
]
PAIRS = [
    ("Name three colours.", "Red, green and blue."),
    ("Translate.\n\nGuten\nTag", "Good day. 😀"),
    ('Say [{"a\\b"}, ]', "]"),
]


def _lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _list(rows: list[Any]) -> bytes:
    return json.dumps(rows, ensure_ascii=False, indent=1).encode()


@pytest.mark.parametrize("ending", [".json", ".jsonl"])
@pytest.mark.parametrize("form", [_lines, _list])
@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\n \n"])
def test_json_is_read_in_every_form(
    tmp_path: Path, ending: str, form: Callable[[list[Any]], bytes], packed: str, mark: bytes
) -> None:
    data = mark + form(ROWS)
    if packed:
        data = gzip.compress(data) if packed == ".gz" else zstandard.compress(data)
    path = tmp_path / f"short{ending}{packed}"
    path.write_bytes(data)
    assert list(load_short(path).rows()) == PAIRS


def test_parquet_is_read_with_other_columns_or_without_input(tmp_path: Path) -> None:
    path = tmp_path / "short.parquet"
    table = pa.Table.from_pylist([{"text": "x", **row} for row in ROWS])
    pq.write_table(table, path)
    assert list(load_short(path).rows()) == PAIRS
    pq.write_table(table.drop_columns("input"), path)
    assert next(iter(load_short(path).rows())) == PAIRS[0]


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_messages_of_one_question_and_one_answer_are_rows(tmp_path: Path, ending: str) -> None:
    def turns(*said: tuple[str, str]) -> dict[str, Any]:
        return {"messages": [{"role": role, "content": text} for role, text in said]}

    rows = [
        turns(("user", "Hello?"), ("assistant", "Hello.")),
        turns(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")),
        turns(("system", "Be kind."), ("user", "a"), ("assistant", "b")),
        turns(("user", "a")),
        turns(),
    ]
    path = tmp_path / f"chats{ending}"
    if ending == ".jsonl":
        path.write_bytes(_lines(rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    reason = "not one user and one assistant turn"
    assert list(load_short(path).rows()) == [("Hello?", "Hello."), *[reason] * 4]


def test_a_row_that_is_none_is_the_reason_why(tmp_path: Path) -> None:
    path = tmp_path / "short.jsonl"
    good = {"instruction": "a", "output": "b"}
    bad: list[tuple[str, str]] = [
        ('{"instruction": "a", "output"', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('"a"', "not an object"),
        ('{"instruction": " ", "output": "b"}', "no instruction"),
        ('{"instruction": null, "output": "b"}', "no instruction"),
        ('{"output": "b"}', "no instruction"),
        ('{"instruction": "a", "output": 3}', "no answer"),
        ('{"instruction": "a", "output": "\\n"}', "no answer"),
        ('{"instruction": "a", "input": ["x"], "output": "b"}', "an input that is no text"),
        ('{"instruction": "a", "output": "\\ud800"}', "half a character"),
        ('{"messages": [3, 4]}', "not one user and one assistant turn"),
        (
            '{"messages": [{"role": "user", "content": [1]}, {"role": "assistant"}]}',
            "no instruction",
        ),
    ]
    path.write_text("\n".join([json.dumps(good), *(line for line, _ in bad)]), encoding="utf-8")
    assert list(load_short(path).rows()) == [("a", "b"), *(reason for _, reason in bad)]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.jsonl", b'{"text": "a", "id": 3}\n', "with the columns id, text; allowed: instruction"),
        ("a.json", b'[{"text": "a"}]', "with the columns text"),
        ("a.json", b'[{"instruction": "a", "output": "b"}, {"instr', "after row 1: it ends within"),
        ("a.json", b'[{"instruction": "a", "output": "b"}', "after row 0: it ends within the list"),
        ("a.json", b"[", "after row 0: it ends within the list"),
        ("a.jsonl", b'{"instruction": "\xff"}', "cannot be read ('utf-8' codec"),
        ("a.jsonl.gz", gzip.compress(b"{}" * 5000)[:-20], "cannot be read"),
        ("a.json.zst", zstandard.compress(bytes(range(256)) * 9)[:-9], "cannot be read"),
        ("a.parquet", b"PAR1 no", "cannot be read"),
        ("a.csv", b"instruction,output\n", "allowed: .json, .jsonl, "),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UserError) as error:
        list(load_short(path).rows())
    assert said in str(error.value) and "\n" not in str(error.value)
    assert str(error.value).startswith(f"got --mix-short {path}")


def test_parquet_with_other_columns_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a"]}), path)
    with pytest.raises(UserError, match="with the columns text"):
        list(load_short(path).rows())


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="allowed: a file that is there"):
        load_short(tmp_path / "no.jsonl")


def test_the_licence_comes_from_the_table_beside_the_file_and_else_from_the_argument(
    tmp_path: Path,
) -> None:
    path = tmp_path / "alpaca.jsonl"
    path.write_bytes(_lines(ROWS))
    assert load_short(path).source_record().license is None
    record = load_short(path, license="CC0-1.0").source_record()
    assert (record.title, record.license, len(record.sha256)) == ("alpaca.jsonl", "CC0-1.0", 64)
    (tmp_path / "metadata.csv").write_text(
        "path,title,license,url\nalpaca.jsonl,Alpaca,CC-BY-NC-4.0,https://example.org/alpaca\n"
    )
    record = load_short(path, license="CC0-1.0").source_record()
    assert (record.title, record.license) == ("Alpaca", "CC-BY-NC-4.0")
    assert record.url == "https://example.org/alpaca"
    chosen = tmp_path / "mine.json"
    chosen.write_text(json.dumps({"alpaca.jsonl": {"license": "MIT"}}))
    record = load_short(path, metadata=chosen).source_record()
    assert (record.title, record.license) == ("Alpaca", "MIT")


@pytest.mark.parametrize("form", [_lines, _list])
def test_memory_does_not_grow_with_the_file(
    tmp_path: Path, form: Callable[[list[Any]], bytes]
) -> None:
    path = tmp_path / "short.json"
    path.write_bytes(form([{"instruction": f"{n} " * 500, "output": "b"} for n in range(8_000)]))
    size = path.stat().st_size
    file = load_short(path)
    tracemalloc.start()
    number = sum(1 for _ in file.rows())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert number == 8_000 and size > 16_000_000
    assert peak < 4_000_000
