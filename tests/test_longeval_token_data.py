from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from longeval_small import VOCAB, random_tokens, token_set, tokenizer_file

from longdata.errors import UserError
from longeval.token_data import Decoder, TokenData, look, open_data


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer_file(folder)
    return str(folder)


def opened(
    name: Path | str, tmp_path: Path, tokenizer: str | None = None, **changes: Any
) -> TokenData:
    settings: dict[str, Any] = {"vocab_size": VOCAB, "tokenizer": tokenizer, "folder": tmp_path}
    return open_data(str(name), **{**settings, **changes})


def test_a_set_of_longdata_prepare_has_its_documents(tmp_path: Path) -> None:
    data = opened(token_set(tmp_path / "set", [30, 0, 50]), tmp_path)
    assert (data.name, data.num_tokens, data.num_documents, data.longest) == ("set", 80, 3, 50)
    places = data.document_at(np.array([0, 29, 30, 79]))
    assert places is not None and places.tolist() == [0, 0, 2, 2]
    assert data.facts()["num_documents"] == 3


def test_a_bin_of_longlora_has_none(tmp_path: Path) -> None:
    random_tokens(80).astype("<u2").tofile(tmp_path / "test.bin")
    data = opened(tmp_path / "test.bin", tmp_path)
    assert (data.num_tokens, data.num_documents, data.longest) == (80, None, 80)
    assert data.document_at(np.array([3])) is None


def test_texts_become_documents_with_eos_and_are_made_once(tmp_path: Path, letters: str) -> None:
    books = tmp_path / "books"
    books.mkdir()
    (books / "a.txt").write_text("ABC" * 10)
    (books / "b.txt").write_text("DEF" * 20)
    said: list[str] = []
    data = opened(books, tmp_path / "out", letters, say=said.append)
    assert data.num_documents == 2
    assert data.tokens[30] == 2 and data.tokens[91] == 2
    assert said == ["making tokens of books"]
    assert opened(books, tmp_path / "out", letters, say=said.append).sha256 == data.sha256
    assert said == ["making tokens of books"]


def test_rows_and_changed_texts(tmp_path: Path, letters: str) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("ABCD", "EFGHIJ")))
    first = opened(rows, tmp_path / "out", letters)
    assert first.num_documents == 2
    rows.write_text(json.dumps({"text": "ABCDXYZ"}) + "\n")
    second = opened(rows, tmp_path / "out", letters)
    assert second.num_documents == 1
    assert second.sha256 != first.sha256


def test_what_is_not_there_or_empty_is_one_line(tmp_path: Path, letters: str) -> None:
    (tmp_path / "empty.bin").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "blank.txt").write_text("")
    (tmp_path / "one.bin").write_bytes(b"\x05\x00")
    token_set(tmp_path / "none", [])
    for name in ("nowhere", "empty.bin", "folder", "blank.txt", "one.bin", "none"):
        with pytest.raises(UserError) as caught:
            opened(tmp_path / name, tmp_path / "out", letters)
        assert "\n" not in str(caught.value), name
        assert "fix:" in str(caught.value), name


def test_a_name_of_nothing_or_of_two_things_is_refused_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    look("pg19")
    look("gutenberg:36")
    for name in ("", "nowhere", "no\0where"):
        with pytest.raises(UserError, match="where there is nothing"):
            look(name)
    (tmp_path / "pg19").mkdir()
    look("./pg19")
    with pytest.raises(UserError, match="one meaning"):
        look("pg19")
    token_set(tmp_path / "pg19", [30])  # as `longdata prepare pg19 --out pg19` leaves it
    look("pg19")
    assert opened("pg19", tmp_path).num_tokens == 30


def test_texts_need_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("some text")
    with pytest.raises(UserError, match="--tokenizer"):
        opened(tmp_path / "a.txt", tmp_path)


def test_tokens_of_a_larger_vocabulary_are_refused(tmp_path: Path) -> None:
    np.array([3, 4, 700, 5] * 9, "<u2").tofile(tmp_path / "test.bin")
    with pytest.raises(UserError, match="holds token 700"):
        opened(tmp_path / "test.bin", tmp_path)
    random_tokens(80).astype("<u2").tofile(tmp_path / "small.bin")
    with pytest.raises(UserError, match="16-bit tokens"):
        opened(tmp_path / "small.bin", tmp_path, vocab_size=128_256)


def test_changed_tokens_are_found_out(tmp_path: Path) -> None:
    token_set(tmp_path / "set", [30, 50])
    path = tmp_path / "set" / "tokens.bin"
    raw = bytearray(path.read_bytes())
    raw[10] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(UserError, match="not those that were written"):
        opened(tmp_path / "set", tmp_path)


def test_borders_of_documents_are_part_of_a_sets_fingerprint(tmp_path: Path) -> None:
    tokens = random_tokens(80)
    one = opened(token_set(tmp_path / "a", [30, 50], tokens=tokens), tmp_path)
    two = opened(token_set(tmp_path / "b", [40, 40], tokens=tokens), tmp_path)
    assert one.sha256 != two.sha256


def test_units_are_words_and_bytes_of_the_text(letters: str) -> None:
    decoder = Decoder(letters)
    tokens = np.array([1, *range(3, 33), 2], np.uint16)
    units = decoder.units(tokens, iter([(0, 16), (16, 32)]))
    assert (units.tokens, units.words, units.bytes) == (32, 2, 30)


def test_tokens_of_this_tokenizer_come_back_and_others_do_not(
    letters: str, shared_data: Path
) -> None:
    books = shared_data / "models" / "hf" / "books-2.8M"
    decoder = Decoder(str(books))
    text = "It was the best of times, it was the worst of times, it was the age of wisdom. " * 30
    tokens = np.array(decoder.tokenizer.encode(text), np.uint16)
    assert decoder.agreement(tokens, [0, 100, 200]) > 0.95
    shuffled = (tokens * 7 + 3) % 2048
    assert decoder.agreement(shuffled, [0, 100, 200]) < 0.7
    assert Decoder(letters).adds_bos
