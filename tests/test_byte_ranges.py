"""Ranges of a file: every line once, whatever the ranges, with the place of its first byte."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata import byte_ranges
from longdata.byte_ranges import Line, lines_in, lines_of, range_size, ranges_of

CONTENT = st.lists(st.sampled_from([b"", b"a", b"bc", b"def ghi", b"   ", b"\r"]), max_size=30)


def plain(data: bytes) -> list[Line]:
    """Line by line, as one would count by hand."""
    found: list[Line] = []
    place = 0
    for line in data.split(b"\n"):
        if line.strip():
            found.append((place, line))
        place += len(line) + 1
    return found


@given(CONTENT, st.booleans(), st.integers(1, 40), st.integers(1, 9))
def test_the_ranges_have_every_line_once_and_nothing_else(
    lines: list[bytes], is_ended: bool, size: int, chunk: int
) -> None:
    data = b"\n".join(lines) + (b"\n" if is_ended else b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(byte_ranges, "_CHUNK", chunk)
        parts = ranges_of(len(data), size)
        found = [line for part in parts for line in lines_in(io.BytesIO(data), part)]
    assert found == plain(data)
    for start, stop in parts:
        for place, _ in lines_in(io.BytesIO(data), (start, stop)):
            assert start <= place < stop


@given(st.integers(0, 10**7), st.integers(1000, 10**6))
def test_ranges_cover_a_file_without_a_gap(length: int, size: int) -> None:
    parts = ranges_of(length, size)
    assert [start for start, _ in parts] == [0, *(stop for _, stop in parts)][: len(parts)]
    assert (parts[-1][1] if parts else 0) == length
    assert all(0 < stop - start <= size for start, stop in parts)


def test_a_line_that_is_too_long_is_said_and_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_ranges, "LONGEST", 10)
    monkeypatch.setattr(byte_ranges, "_CHUNK", 4)
    data = b"one\n" + b"x" * 50 + b"\ntwo\n" + b"y" * 11 + b"\n" + b"z" * 10 + b"\n" + b"w" * 20
    assert list(lines_in(io.BytesIO(data), (0, len(data)))) == [
        (0, b"one"),
        (4, None),
        (55, b"two"),
        (59, None),
        (71, b"z" * 10),
        (82, None),
    ]


def test_a_line_longer_than_several_ranges_belongs_to_the_first() -> None:
    data = b"a" * 100 + b"\nb\n"
    parts = ranges_of(len(data), 30)
    assert [list(lines_in(io.BytesIO(data), part)) for part in parts] == [
        [(0, b"a" * 100)],
        [],
        [],
        [(101, b"b")],
    ]


def test_a_range_is_not_read_much_further_than_its_end() -> None:
    class Counted(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            found = super().read(size)
            self.taken += len(found)
            return found

    file = Counted(b"x" * (8 << 20))
    assert list(lines_in(file, (1 << 20, 2 << 20))) == []  # inside the only line
    assert file.taken <= (1 << 20) + 2 * byte_ranges._CHUNK


def test_a_file_of_a_hundred_gigabytes_is_read_where_one_looks(tmp_path: Path) -> None:
    size = 100 * 10**9
    with (tmp_path / "a.jsonl").open("wb") as file:
        file.truncate(size)  # takes no room: zeros that were never written
        parts = ranges_of(size, range_size(size))
        start, stop = parts[400]
        file.seek(start - 3)
        file.write(b"a\nbcd\n" + b"ef\n")
        file.seek(stop - 2)
        file.write(b"\nghi\n")
    with (tmp_path / "a.jsonl").open("rb") as file:
        file.seek(0)
        found = list(lines_in(file, parts[400]))
        assert [line for line in found if line[1] is None or len(line[1]) < 9] == [
            (start + 3, b"ef"),
            (stop - 1, b"ghi"),
        ]
        assert list(lines_in(file, parts[700])) == []  # inside a line that never ends
        assert file.tell() <= parts[700][1] + byte_ranges._CHUNK


def test_an_error_in_the_middle_comes_after_the_lines_before_it() -> None:
    def chunks() -> object:
        yield b"one\ntw"
        raise EOFError("cut")

    found = []
    with pytest.raises(EOFError):
        for line in lines_of(chunks()):  # type: ignore[arg-type]
            found.append(line)
    assert found == [(0, b"one")]


def test_a_corpus_has_about_a_thousand_ranges_but_none_too_small_or_too_large() -> None:
    assert range_size(0) == range_size(40_000_000) == byte_ranges.SMALLEST
    assert range_size(5 * 10**12) == byte_ranges.LARGEST
    size = range_size(100 * 10**9)
    assert 512 < 100 * 10**9 / size <= 1024
