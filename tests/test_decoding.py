"""Bytes → text: encodings, and what is refused."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.decoding import decode
from longdata.errors import SourceError

SENTENCE = "Café “naïve” – Größe, œuvre. "


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("utf-32-be", codecs.BOM_UTF32_BE),
        ("cp1252", b""),
    ],
)
def test_common_encodings_come_out_as_they_went_in(encoding: str, mark: bytes) -> None:
    text = (SENTENCE + "plain words here and there, " * 20 + "\n") * 50
    assert decode(mark + text.encode(encoding)) == text


def test_utf_16_without_a_mark_is_recognised() -> None:
    text = "Plain English words, nothing else.\n" * 20
    assert decode(text.encode("utf-16-le")) == text
    assert decode(text.encode("utf-16-be")) == text


def test_cyrillic_in_an_eight_bit_encoding_is_recognised() -> None:
    text = "Все счастливые семьи похожи друг на друга, каждая несчастлива по-своему.\n" * 40
    assert decode(text.encode("cp1251")) == text


def test_line_ends_become_one_kind() -> None:
    assert decode(b"one\r\ntwo\rthree\n") == "one\ntwo\nthree\n"


def test_one_bad_byte_in_utf_8_costs_one_character() -> None:
    data = (SENTENCE * 30).encode() + b"\xff" + (SENTENCE * 30).encode()
    assert decode(data) == SENTENCE * 30 + "\ufffd" + SENTENCE * 30


@pytest.mark.parametrize("data", [b"", b" \r\n\t ", codecs.BOM_UTF8, "\ufeff \n".encode("utf-16")])
def test_nothing_but_white_space_is_empty(data: bytes) -> None:
    with pytest.raises(SourceError) as raised:
        decode(data)
    assert raised.value.reason == "empty"


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n%\xe2\xe3",
        b"PK\x03\x04" + bytes(100),
        b"\x89PNG\r\n\x1a\n",
        b"\x7fELF" + bytes(200),
        bytes(range(256)) * 50,
        b"\x00" * 1000,
        b"a\x01\x02\x03\x04" * 200,
    ],
)
def test_binary_content_is_no_text(data: bytes) -> None:
    with pytest.raises(SourceError) as raised:
        decode(data)
    assert raised.value.reason == "not text"


@given(st.binary(max_size=400))
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    try:
        text = decode(data)
    except SourceError as error:
        assert error.reason in ("empty", "not text")
    else:
        assert text.strip() and "\r" not in text


@given(
    st.text(alphabet=st.characters(exclude_characters="\r\x00", exclude_categories=["Cs", "Cc"]))
)
def test_any_utf_8_text_survives(text: str) -> None:
    if text.strip():
        assert decode(("x" + text).encode()) == "x" + text
