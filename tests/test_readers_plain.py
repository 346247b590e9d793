"""Plain text → Document."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.documents import Document
from longdata.errors import SourceError
from longdata.readers.content import Content, document_of, guess_kind
from longdata.readers.plain import blocks_of_plain, read_plain
from longdata.sources import Source

BOOK = """The Project Gutenberg EBook of A Night, by Jane Roe

Title: A Night

Author: Jane Roe

Language: English

*** START OF THIS PROJECT GUTENBERG EBOOK A NIGHT ***

A NIGHT

[Illustration: The old house
by the sea]

CHAPTER I

It was a _dark_ and stormy night, and the rain fell in torrents, but for
the occasional intervals when it was checked by a violent gust of wind,
for it is in London that our scene lies, and there the lamps were ﬁckle.

    Tiger, tiger, burning bright,
    In the forests of the night,
    What immortal hand or eye

CHAPTER II

The exam-
ple of the first chapter was followed in the second one, as had been the
custom of the house for as long as anyone in it could well remember then.

*** END OF THIS PROJECT GUTENBERG EBOOK A NIGHT ***
"""


def source_of(path: Path, data: bytes) -> Source:
    path.write_bytes(data)
    return Source(path=path, name=str(path), sha256=hashlib.sha256(data).hexdigest())


def read(path: Path, data: bytes) -> Document:
    (document,) = read_plain(source_of(path, data))
    return document


def test_a_gutenberg_book_becomes_a_document(tmp_path: Path) -> None:
    document = read(tmp_path / "night.txt", BOOK.replace("\n", "\r\n").encode())
    assert (document.title, document.author, document.language) == ("A Night", "Jane Roe", "en")
    assert (document.kind, document.license) == ("book", "Public domain in the USA")
    assert [document.heading(section) for section in document.sections] == [
        "CHAPTER I",
        "CHAPTER II",
    ]
    assert "It was a dark and stormy night, and the rain fell in torrents, but for the" in (
        document.text
    )
    assert "the lamps were fickle." in document.text
    assert "The example of the first chapter" in document.text
    assert "Gutenberg" not in document.text


def test_verse_keeps_its_lines_and_is_marked(tmp_path: Path) -> None:
    document = read(tmp_path / "night.txt", BOOK.encode())
    (verse,) = document.verbatim
    assert document.text[verse.start : verse.end].split("\n") == [
        "    Tiger, tiger, burning bright,",
        "    In the forests of the night,",
        "    What immortal hand or eye",
    ]


def test_an_illustration_leaves_its_caption(tmp_path: Path) -> None:
    document = read(tmp_path / "night.txt", BOOK.encode())
    (caption,) = document.captions
    assert document.text[caption.start : caption.end] == "The old house by the sea"


def test_a_text_without_a_header_has_no_licence_and_its_own_title(tmp_path: Path) -> None:
    text = "BLEAK HOUSE\n\nby\n\nCHARLES DICKENS\n\n\nIt was there.\n"
    document = read(tmp_path / "x.txt", text.encode())
    assert (document.title, document.author) == ("BLEAK HOUSE", "CHARLES DICKENS")
    assert document.license is None


def test_a_text_that_begins_with_prose_is_named_after_its_file(tmp_path: Path) -> None:
    document = read(tmp_path / "my_notes.txt", b"It rained all day and nobody came.\n\nNothing.\n")
    assert document.title == "my notes"


def test_unwrapped_lines_are_paragraphs() -> None:
    long = "A paragraph that a word processor saved in one line, however long it may be. " * 4
    blocks = blocks_of_plain(f"{long}\n{long}\nShort.\n{long}").blocks
    assert [b.text for b in blocks] == [long.strip(), long.strip(), "Short.", long.strip()]


def test_an_indented_line_begins_a_paragraph_where_no_line_is_blank() -> None:
    lines = [
        "    It was a cold day and the men who had come so far were tired of it,",
        "and they sat down by the side of the road to wait for the others, who",
        "were late.",
    ] * 30
    blocks = blocks_of_plain("\n".join(lines)).blocks
    assert len(blocks) == 30
    assert {b.text[:16] for b in blocks} == {"It was a cold da"}


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "empty"), (b"\n \n", "empty"), (b"\x7fELF" + bytes(99), "not text")]
)
def test_a_file_without_text_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(SourceError) as raised:
        read(tmp_path / "x.txt", data)
    assert raised.value.reason == reason


def test_reading_is_linear_in_the_text() -> None:
    page = BOOK.split("***")[2] * 40

    def seconds(repeats: int) -> float:
        text = page * repeats
        start = time.perf_counter()
        blocks_of_plain(text)
        return time.perf_counter() - start

    seconds(1)  # warm up
    small, large = min(seconds(4) for _ in range(3)), seconds(32)
    assert large < 8 * 3 * small


@pytest.mark.parametrize(
    "piece",
    [
        "a\n",
        "_a ",
        "[Illustration: ",
        "CHAPTER I\n\n",
        "1. A\n\n",
        "exam-\nple ",
        "x and\n\n12\n\n",
    ],
)
def test_hostile_repetition_stays_fast(piece: str) -> None:
    start = time.perf_counter()
    blocks_of_plain(piece * (500_000 // len(piece)))
    assert time.perf_counter() - start < 30  # quadratic would be hours


def test_twenty_megabytes_take_seconds(tmp_path: Path) -> None:
    sentence = "It was a cold day, and the men who had come so far were tired of the road.\n"
    chapter = sentence * 40 + "\n"
    text = "".join(f"CHAPTER {i}\n\n{chapter * 25}" for i in range(1, 270))
    assert len(text) > 20_000_000
    start = time.perf_counter()
    document = read(tmp_path / "big.txt", text.encode())
    assert len(document.sections) == 269
    assert time.perf_counter() - start < 60  # a few seconds on an idle machine


WORDS = st.text(alphabet="abcde ,.\n", max_size=300)


@given(WORDS)
def test_no_word_is_lost(text: str) -> None:
    content = blocks_of_plain(text)
    words = " ".join(block.text for block in content.blocks).split()
    dropped = " ".join(one.text for one in content.dropped).split()
    assert sorted(words + dropped) == sorted(text.split())


@given(st.text(max_size=500))
def test_any_text_becomes_blocks(text: str) -> None:
    content = blocks_of_plain(text)
    assert all(block.role for block in content.blocks)
    assert guess_kind(content.blocks) in ("book", "paper", "other")


def test_a_document_without_text_is_refused() -> None:
    source = Source(path=Path("x.txt"), name="x.txt", sha256="0")
    with pytest.raises(SourceError) as raised:
        document_of(Content(blocks=[]), source)
    assert raised.value.reason == "empty"
