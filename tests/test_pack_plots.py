"""The picture of lengths: the same bytes from the same facts, and cheap to draw."""

from __future__ import annotations

import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import pytest

from longdata.pack_plots import MOST_SOURCES, _place, _short, _sources, length_histogram

LENGTHS = {
    "web": {"64": 120, "512": 4000, "1024": 90_000, "8192": 3},
    "book": {"65536": 7, "131072": 2},
}


def draw(path: Path, lengths: dict[str, dict[str, int]], *ctxs: int) -> bytes:
    facts: list[dict[str, Any]] = [{"ctx": ctx, "lengths": lengths} for ctx in ctxs]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        length_histogram(facts, path)
    return path.read_bytes()


def chunks(png: bytes) -> dict[str, bytes]:
    """The parts of a PNG by name; raises when a checksum is wrong."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    found: dict[str, bytes] = {}
    at = 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        name, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(
            name + data
        )
        found[name.decode()] = found.get(name.decode(), b"") + data
        at += 12 + size
    return found


def test_the_same_facts_have_the_same_bytes_without_date_or_version(tmp_path: Path) -> None:
    first = draw(tmp_path / "a.png", LENGTHS, 8192, 32768)
    assert draw(tmp_path / "b.png", LENGTHS, 32768, 8192) == first
    assert set(chunks(first)) == {"IHDR", "IDAT", "IEND"}


def test_no_large_library_is_imported_to_draw(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from longdata.pack_plots import length_histogram\n"
        "length_histogram([{'ctx': 8192, 'lengths': {'web': {'512': 3}}}], Path(sys.argv[1]))\n"
        "print(sorted({'matplotlib', 'numpy', 'pandas', 'torch', 'datasets'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_context_and_count_changes_the_picture(tmp_path: Path) -> None:
    other = {**LENGTHS, "book": {"65536": 7, "131072": 5}}
    found = {
        draw(tmp_path / "a.png", LENGTHS, 8192),
        draw(tmp_path / "a.png", LENGTHS, 16384),
        draw(tmp_path / "a.png", LENGTHS, 8192, 16384),
        draw(tmp_path / "a.png", other, 8192),
    }
    assert len(found) == 4


def test_more_sources_make_it_higher_up_to_a_limit(tmp_path: Path) -> None:
    def height(count: int) -> int:
        lengths = {f"source {n}": {"1024": n + 1} for n in range(count)}
        return int(
            struct.unpack(">I", chunks(draw(tmp_path / "a.png", lengths, 8192))["IHDR"][4:8])[0]
        )

    assert height(1) < height(5) < height(MOST_SOURCES) == height(MOST_SOURCES + 30)


@pytest.mark.parametrize(
    "name", ["$x^{", "\\frac", "<b>&amp;", "a" * 500, "中文 \u0e44\u0e17\u0e22 🙂", "_", "\n\t"]
)
def test_any_name_can_be_drawn(tmp_path: Path, name: str) -> None:
    assert chunks(draw(tmp_path / "a.png", {name: {"1024": 3}}, 8192))


def test_no_document_at_all_is_a_picture_too(tmp_path: Path) -> None:
    assert chunks(draw(tmp_path / "a.png", {"web": {}}, 8192))
    assert chunks(draw(tmp_path / "a.png", {}, 8192))


def test_of_many_sources_the_smallest_are_put_together() -> None:
    lengths = {f"s{n}": {"1024": 100 - n, "64": 1} for n in range(MOST_SOURCES + 3)}
    shown = _sources(lengths)
    assert list(shown)[:-1] == [f"s{n}" for n in range(MOST_SOURCES - 1)]
    assert list(shown)[-1] == "4 others"
    assert sum(sum(bins.values()) for bins in shown.values()) == sum(
        sum(bins.values()) for bins in lengths.values()
    )


def test_a_length_stands_in_its_bar_in_proportion() -> None:
    assert [_place(ctx) for ctx in (8192, 12288, 16383)] == [
        13.0,
        13.5,
        pytest.approx(14, abs=1e-3),
    ]


@pytest.mark.parametrize(
    ("number", "shown"),
    [(7, "7"), (512, "512"), (8192, "8k"), (100_000, "100k"), (1 << 20, "1M"), (1234, "1.2k"),
     (12_345, "12k"), (2_500_000, "2.5M"), (3 * 10**9, "3G")],
)  # fmt: skip
def test_numbers_are_short(number: int, shown: str) -> None:
    assert _short(number) == shown
