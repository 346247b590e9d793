"""Rows of another tokenizer are refused before a model is trained on nonsense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as HFTokenizer
from tokenizers.models import WordLevel
from training_made import VOCAB, write_rows

from longdata.errors import UserError
from longdata.packed_rows import PackedRows
from longdata.tokenizers import Tokenizer
from longtune.vocabulary import require_same_tokens


def tokenizer(folder: Path, *words: str, **changes: Any) -> str:
    folder.mkdir()
    vocab = {word: number for number, word in enumerate(("<unk>", *words))}
    HFTokenizer(WordLevel(vocab, unk_token="<unk>")).save(str(folder / "tokenizer.json"))
    if changes:  # the same vocabulary in another file
        path = folder / "tokenizer.json"
        path.write_text(json.dumps(json.loads(path.read_text()), indent=changes["indent"]))
    return str(folder)


def rows(folder: Path, made_with: str | None) -> PackedRows:
    said = None
    if made_with is not None:
        said = {"tokenizer": made_with, "fingerprint": Tokenizer.load(made_with).fingerprint}
    return PackedRows.open(write_rows(folder, tokenizer=said))


def test_the_models_own_tokenizer_is_right(tmp_path: Path) -> None:
    own = tokenizer(tmp_path / "model", "river", "lamp")
    require_same_tokens(rows(tmp_path / "packed", own), own, vocab_size=VOCAB)


def test_another_file_with_the_same_pieces_is_right(tmp_path: Path) -> None:
    own = tokenizer(tmp_path / "model", "river", "lamp", "added")
    other = tokenizer(tmp_path / "other", "river", "lamp", indent=8)
    require_same_tokens(rows(tmp_path / "packed", other), own, vocab_size=VOCAB)


def test_other_pieces_are_refused(tmp_path: Path) -> None:
    own = tokenizer(tmp_path / "model", "river", "lamp")
    other = tokenizer(tmp_path / "other", "lamp", "river")
    packed = rows(tmp_path / "packed", other)
    with pytest.raises(UserError, match=f"longdata pack --tokenizer {own}"):
        require_same_tokens(packed, own, vocab_size=VOCAB)


def test_where_nothing_is_known_every_number_is_held_against_the_embedding(tmp_path: Path) -> None:
    packed = rows(tmp_path / "packed", None)
    require_same_tokens(packed, str(tmp_path), vocab_size=VOCAB)
    largest = max(int(packed.input_ids(number).max()) for number in range(len(packed)))
    with pytest.raises(UserError, match=f"with token {largest}"):
        require_same_tokens(packed, str(tmp_path), vocab_size=largest)
