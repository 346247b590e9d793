"""One row on a terminal: its pieces are those that were packed, and nothing in it is obeyed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from packed_samples import documents, pack_into, tokenizer_in
from rich.console import Console

from longdata import packed, row_page
from longdata.mixing import Mixture
from longdata.packed_rows import PackedRows
from longdata.row_page import Piece, Row, Words, print_row, read_row, safe, words_of
from longdata.token_shard import DocumentText
from longdata.tokenizers import Tokenizer


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return tokenizer_in(tmp_path_factory.mktemp("words"))


def printed(row: Row, words: Words, *, short: bool = False) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        print_row(row, words, console, short=short)
    return captured.get()


def test_every_row_is_the_one_that_is_mapped(
    tmp_path: Path, words: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "GROUP_TOKENS", 64 * 5)  # several groups in a shard
    monkeypatch.setattr(packed, "SHARD_TOKENS", 64 * 13)  # and several shards
    pack_into(tmp_path, words, (64,))
    folder = tmp_path / "ctx-64"
    rows = PackedRows.open(folder)
    assert len(rows.facts["shards"]) > 2
    for number in range(len(rows)):
        found, expected = read_row(folder, rows.facts, number), rows[number]
        ids = [one.ids for one in found.pieces]
        assert np.array_equal(np.concatenate(ids), expected.input_ids[: 64 - expected.n_pad])
        assert found.padding == expected.n_pad
        firsts = expected.borders[: len(expected.documents)].tolist()
        assert [one.first for one in found.pieces] == firsts
        for one, document in zip(found.pieces, expected.documents, strict=True):
            assert document in one.where
    with pytest.raises(IndexError):
        read_row(folder, rows.facts, len(rows))


def test_a_piece_says_which_part_of_its_document_it_is(tmp_path: Path, words: Tokenizer) -> None:
    facts = pack_into(tmp_path, words, (64,), mixture=Mixture())[64]
    pack_json = PackedRows.open(tmp_path / "ctx-64").facts
    told = [
        one.where
        for number in range(facts["rows"])
        for one in read_row(tmp_path / "ctx-64", pack_json, number).pieces
    ]
    assert any(where.endswith("tokens 64 to 128 of 302") for where in told)
    assert any(re.search(r"whole, \d+ tokens$", where) for where in told)


def test_first_and_last_words_places_and_padding(words: Tokenizer) -> None:
    text = [f"word{n % 49}" for n in range(200)]
    ids = np.array(words.encode(" ".join(text)))
    row = Row(
        title="row 3 of ctx-300",
        pieces=(
            Piece(first=0, ids=ids, where="web  a:0  whole"),
            Piece(first=200, ids=ids[:9], where="b"),
        ),
        padding=91,
        pad_id=7,
    )
    told = printed(row, Words(tokenizer=words)).splitlines()
    assert told[1] == "row 3 of ctx-300"
    assert told[2] == "| 0 to 200  web  a:0  whole"
    assert told[3] == f"|   {' '.join(text[:24])} …"
    assert told[4] == f"|   … {' '.join(text[-24:])}"
    assert told[5:7] == ["| 200 to 209  b", f"|   {' '.join(text[:9])}"]
    assert told[7] == "| 209 to 300  padding, token 7"


def test_a_row_of_many_pieces_is_shortened_unless_it_was_asked_for(words: Tokenizer) -> None:
    ids = np.array(words.encode("word1 word2"))
    pieces = tuple(Piece(first=2 * n, ids=ids, where=f"piece{n}.") for n in range(100))
    row = Row(title="", pieces=pieces, padding=0, pad_id=0)
    short = printed(row, Words(tokenizer=words), short=True)
    assert len(re.findall(r"piece\d+\.", short)) == row_page.SHOWN
    assert "76 pieces more" in short and "piece0." in short and "piece99." in short
    assert len(re.findall(r"piece\d+\.", printed(row, Words(tokenizer=words)))) == 100


def test_what_documents_hold_moves_no_cursor_and_is_no_markup(tmp_path: Path) -> None:
    hostile = "\x1b[2J[bold]\u202e\x07 evil"
    row = Row(
        title="t", pieces=(Piece(first=0, ids=np.arange(3), where=hostile),), padding=0, pad_id=0
    )
    told = printed(row, Words(tokenizer=None, problem=hostile))
    assert "\x1b" not in told and "\u202e" not in told and "\x07" not in told
    assert told.count("[bold]") == 2
    assert safe("a\nb\tc").plain == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"


def test_source_names_with_control_codes_are_replaced(tmp_path: Path, words: Tokenizer) -> None:
    found = [
        DocumentText(key=f"{one.key}\x1b[31m", source="web\x1b[0m", text=one.text)
        for one in documents()
        if isinstance(one, DocumentText)
    ]
    facts = pack_into(tmp_path, words, (64,), found=found, mixture=Mixture())[64]
    assert facts["rows"]
    rows = PackedRows.open(tmp_path / "ctx-64")
    told = printed(read_row(tmp_path / "ctx-64", rows.facts, 0), Words(tokenizer=words))
    assert "\x1b" not in told


def test_without_a_tokenizer_tokens_are_numbers_and_the_line_says_how_to_name_it() -> None:
    found = words_of(None, "no/such-model-here.json", "ab" * 32)
    assert found.tokenizer is None
    assert "is not here; fix: name it with --tokenizer" in found.problem
    row = Row(title="t", pieces=(Piece(first=0, ids=np.arange(5), where="x"),), padding=0, pad_id=0)
    assert "|   0 1 2 3 4" in printed(row, found)


def test_a_tokenizer_of_that_name_with_other_content_is_not_used(words: Tokenizer) -> None:
    found = words_of(None, words.name, "ab" * 32)
    assert found.tokenizer is None and "is another one here" in found.problem
    assert words_of(None, words.name, words.fingerprint).tokenizer is not None


def test_the_default_tokenizer_needs_no_network() -> None:
    default = Tokenizer.load(None)
    found = words_of(None, default.name, default.fingerprint)
    assert found.tokenizer is not None and not found.problem
