"""Whether the tokens of packed rows are those of the model that is to read them.

    require_same_tokens(data.rows, recipe.model)      -> nothing, or UserError in one line

A model reads numbers: rows of another tokenizer train it on nonsense, and no error says so. The
rows know the SHA-256 of the tokenizer file they were made with. Where the model has another file,
the two vocabularies are compared, piece by piece; where that cannot be done, every number is at
least held against the size of the model's embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longdata.errors import UserError
from longdata.packed_rows import PackedRows
from longdata.tokenizers import Tokenizer


def require_same_tokens(rows: PackedRows, model: str, *, vocab_size: int) -> None:
    """Raise UserError when rows were made with another vocabulary than the model's."""
    made_with: Mapping[str, Any] = rows.facts.get("tokenizer") or {}
    fingerprint = made_with.get("fingerprint")
    own = _load(model)
    if own is not None and fingerprint is not None:
        if own.fingerprint == fingerprint:
            return
        name = str(made_with.get("tokenizer"))
        other = _load(name)
        if other is not None and other.fingerprint == fingerprint and _is_within(other, own):
            return
        raise UserError(
            f"got {rows.folder}, packed with the tokenizer {name}, for {model}, which has another "
            f"one; allowed: rows of its own tokens; fix: longdata pack --tokenizer {model}"
        )
    largest = max(int(rows.input_ids(number).max()) for number in range(len(rows)))
    if largest >= vocab_size:
        raise UserError(
            f"got {rows.folder} with token {largest:,} for {model}, which knows {vocab_size:,}; "
            f"allowed: rows of its own tokens; fix: longdata pack --tokenizer {model}"
        )


def _load(name: str) -> Tokenizer | None:
    """None where there is no tokenizer of that name."""
    try:
        return Tokenizer.load(name)
    except UserError:
        return None


def _is_within(one: Tokenizer, other: Tokenizer) -> bool:
    """Whether every piece of `one` has the same number in `other`."""
    mine, theirs = (t.hf.get_vocab(with_added_tokens=True) for t in (one, other))
    return mine.items() <= theirs.items()
