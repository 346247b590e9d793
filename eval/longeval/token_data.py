"""What a model is measured on: a name, a token set, a LongLoRA .bin, texts → tokens and documents.

    open_data("pg19", vocabulary=32000, tokenizer="my-model/", folder=Path("out"))
                                        made with `longdata prepare` into out/tokens, once
    open_data("pg19-tokens/", …)        a set that `longdata prepare` made
    open_data("test.bin", …)            LongLoRA's format; its documents are unknown
    open_data("books/", …)              text, JSONL, Parquet, a folder: one document for each text

What is made here has EOS after each document where the tokenizer has one, and no BOS: the format of
LongLoRA's files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longdata.atomic import disk_errors
from longdata.errors import UserError
from longdata.eval_sources import SPLITS, public_name
from longdata.eval_tokens import NAME, EvalTokens, open_tokens, sha256_of
from longdata.prepare import Order, prepare
from longdata.tokenizers import Tokenizer

_PAPER = {"proof-pile": (32_768, 128)}  # shortest document and how many, as LongLoRA took them
_DECODED = 100_000  # tokens of a stream without documents that are decoded at once
Ints = NDArray[np.int64]
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenData:
    """A stream of tokens. `offsets` has one entry more than there are documents; None: unknown."""

    name: str
    tokens: NDArray[Any] = field(repr=False)
    offsets: Ints | None = field(repr=False)
    sha256: str
    told: Mapping[str, Any] = field(repr=False)  # what the set's own .json says

    @property
    def num_tokens(self) -> int:
        return len(self.tokens)

    @property
    def num_documents(self) -> int | None:
        return None if self.offsets is None else len(self.offsets) - 1

    @property
    def longest(self) -> int:
        """Tokens of the longest document; of the stream where documents are unknown."""
        return self.num_tokens if self.offsets is None else int(np.diff(self.offsets).max())

    def document_at(self, places: Ints) -> Ints | None:
        """The index of the document that each of these tokens belongs to."""
        if self.offsets is None:
            return None
        found: Ints = np.searchsorted(self.offsets, places, side="right") - 1
        return found

    def facts(self) -> dict[str, Any]:
        """For a result."""
        keys = ("source", "text", "tokenizer", "bos", "eos", "selection", "account", "plan")
        return {
            "name": self.name,
            "num_tokens": self.num_tokens,
            "num_documents": self.num_documents,
            "longest_document": self.longest if self.offsets is not None else None,
            "sha256": self.sha256,
            **{key: self.told[key] for key in keys if key in self.told},
        }


@dataclass(frozen=True, kw_only=True)
class TextUnits:
    """How much text some tokens are: words as split at white space, bytes of UTF-8."""

    tokens: int
    words: int
    bytes: int


def look(name: str) -> None:
    """UserError: there is nothing of this name, or two things; known before a model is loaded."""
    is_there = bool(name) and "\0" not in name and Path(name).exists()
    if name in SPLITS and is_there and not _is_token_set(Path(name)):
        raise UserError(
            f"got --data {name}, which is a set's name and a path here; allowed: one meaning; "
            f"fix: --data ./{name} for the path, or work in another folder"
        )
    if not is_there and name not in SPLITS and not re.search(r"[:*?\[]", name):
        raise UserError(
            f"got --data {name[:200]!r}, where there is nothing; allowed: {', '.join(SPLITS)}, or "
            "a file or folder that exists; fix: check the spelling"
        )


def open_data(
    name: str,
    *,
    vocab_size: int,
    tokenizer: str | None,
    folder: Path,
    split: str = "test",
    dtype: str = "uint16",
    text_column: str = "text",
    clean: bool = False,
    workers: int = 1,
    offline: bool = False,
    say: Say = lambda line: None,
) -> TokenData:
    """The tokens behind a name or path, made first where it names texts.

    `vocab_size` is the model's, `tokenizer` its own, `folder` where a set is made, and `dtype` that
    of a .bin without a .json. UserError: nothing there or in it, tokens of another vocabulary.
    """
    path = Path(name)
    if not _is_token_set(path):
        path = _made(
            name,
            tokenizer=tokenizer,
            folder=folder,
            split=split,
            text_column=text_column,
            clean=clean,
            workers=workers,
            offline=offline,
            say=say,
        )
    elif tokens_missing(path):
        raise _empty(name)
    found = open_tokens(path, dtype=dtype, vocab_size=vocab_size)
    sha256 = sha256_of(found.path)
    if found.facts and sha256 != found.facts["sha256"]:
        found.verify()  # says which file differs
    if len(found.tokens) < 2 or found.num_documents == 0:
        raise _empty(name)
    return TokenData(
        name=public_name(name),
        tokens=found.tokens,
        offsets=found.offsets,
        sha256=_with_documents(sha256, found),
        told=found.facts,
    )


class Decoder:
    """A model's tokenizer, for what is asked of it here: text units, and whether tokens are its."""

    def __init__(self, name: str) -> None:
        self.tokenizer = Tokenizer.load(name)

    @cached_property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return 1 + max(self.tokenizer.hf.get_vocab(with_added_tokens=True).values())

    @property
    def adds_bos(self) -> bool:
        """Whether it puts BOS before a text when a model is fed."""
        if self.tokenizer.bos_id is None:
            return False
        return (
            self.tokenizer.hf.encode("a", add_special_tokens=True).ids[0] == self.tokenizer.bos_id
        )

    @cached_property
    def _special(self) -> frozenset[int]:
        """Ids that are no text: BOS, EOS, unknown, …"""
        added = self.tokenizer.hf.get_added_tokens_decoder()
        return frozenset(number for number, token in added.items() if token.special)

    def text(self, ids: NDArray[Any]) -> str:
        """Without special tokens."""
        return self.tokenizer.hf.decode(ids.tolist(), skip_special_tokens=True)

    def units(self, tokens: NDArray[Any], stretches: Iterator[tuple[int, int]]) -> TextUnits:
        """Words and bytes of tokens[start:end], summed over the stretches."""
        count = words = size = 0
        for start, end in stretches:
            for at in range(start, end, _DECODED):
                ids = tokens[at : min(end, at + _DECODED)]
                text = self.text(ids)
                count += len(ids)
                words += len(re.findall(r"\S+", text))
                size += len(text.encode())
        return TextUnits(tokens=count, words=words, bytes=size)

    def agreement(self, tokens: NDArray[Any], places: list[int], length: int = 512) -> float:
        """The share of some tokens that come back when their text is encoded again.

        Near 1 for tokens of this tokenizer (a piece cut out of a text may change at its ends), far
        below for those of another one.
        """
        from collections import Counter

        same = count = 0
        for place in places:
            ids = tokens[place : place + length].tolist()
            before = Counter(one for one in ids if one not in self._special)
            after = Counter(self.tokenizer.encode(self.text(np.array(ids))))
            same += (before & after).total()
            count += max(before.total(), after.total())
        return same / count if count else 1.0


def _is_token_set(path: Path) -> bool:
    if path.is_dir():
        return (path / NAME).exists() or (path / NAME).with_suffix(".json").exists()
    return path.suffix == ".bin" or (path.suffix == ".json" and path.with_suffix(".bin").is_file())


def tokens_missing(path: Path) -> bool:
    """Whether there is a file of tokens with nothing in it."""
    binary = path / NAME if path.is_dir() else path.with_suffix(".bin")
    return binary.is_file() and binary.stat().st_size == 0


def _made(
    name: str,
    *,
    tokenizer: str | None,
    folder: Path,
    split: str,
    text_column: str,
    clean: bool,
    workers: int,
    offline: bool,
    say: Say,
) -> Path:
    """The set of these texts in folder/tokens; made by the first process, found by the others."""
    if tokenizer is None:
        raise UserError(
            f"got --data {public_name(name)} and a model without a tokenizer; allowed: a set that "
            "longdata prepare made, or a tokenizer; fix: name one with --tokenizer"
        )
    loaded = Tokenizer.load(tokenizer)
    shortest, documents = _PAPER.get(name, (1, None))
    order = Order(
        source=name,
        tokenizer=loaded,
        out=folder / "tokens",
        split=split,
        min_tokens=shortest,
        documents=documents,
        eos=loaded.eos_id is not None,
        text_column=text_column,
        clean=clean,
        workers=workers,
        offline=offline,
    )
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(folder / "tokens.lock"):
            is_there = (order.out / NAME).exists()
            said: list[str] = []

            def tell(documents: int, tokens: int) -> None:
                if not said:  # now that there is something to make
                    said.append(f"making tokens of {public_name(name)}")
                    say(said[0])

            try:
                return prepare(order, tell).path
            except UserError:  # other texts were measured here before: theirs can be made again
                if not is_there:
                    raise
                return prepare(dataclasses.replace(order, force=True), tell).path


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    import fcntl

    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _with_documents(sha256: str, found: EvalTokens) -> str:
    """Documents decide numbers too: a set's fingerprint is that of tokens and borders."""
    borders = b"unknown" if found.offsets is None else found.offsets.astype("<i8").tobytes()
    return hashlib.sha256(sha256.encode() + borders).hexdigest()


def _empty(name: str) -> UserError:
    return UserError(
        f"got --data {public_name(name)}, in which there is no token to score; allowed: a set with "
        "at least two tokens; fix: make it again with longdata prepare, or name another"
    )
