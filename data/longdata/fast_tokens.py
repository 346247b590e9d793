"""gigatoken in place of the tokenizer's own encoding: many times as fast, and held against it.

    fast = fast_encode(tokenizer, samples)        # once for a run: every sample, both ways
    fast.problem                                  -> "", or why the tokenizer's own is used
    again = fast_encode(tokenizer, ())            # in a worker, where the run has decided already
    facts, problem = again.run(lambda encoder: write_shard(…, encoder, documents()))

gigatoken (MIT, https://github.com/marcelroed/gigatoken) is the extra `fast`. It reads a tokenizer's
own description, and refuses those that it does not know. Nothing it gives is taken on trust:

- once for a run, texts with what tokenizers disagree about (marks that combine, special tokens,
  spaces, no text at all) and samples of the corpus must have the same ids; the first that has not
  turns gigatoken off, and `problem` says which;
- while a shard is written a stretch of 2,000 characters in every four million is encoded both ways.
  At the first difference the whole shard is made again with the tokenizer itself (`run`).

What decides is the texts alone, so a run has one result whatever machine did which part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import Any, TypeVar

import numpy as np

from longdata.encoding import Encoder, Ids
from longdata.errors import UserError
from longdata.extras import require
from longdata.tokenizers import Tokenizer

LIBRARY = "gigatoken"
PIECE = 32_000  # characters in one call; larger ones gain nothing
SAMPLE = 5_000  # characters of each sample that are compared
CHECK_EVERY = 4_000_000  # characters
STRETCH = 2_000  # characters of a check

RENEW_EVERY = 64_000_000  # characters; it remembers words, of random ones 8 bytes for a character

Made = TypeVar("Made")
_Fast = Callable[[str], Ids]
_HALF = re.compile("[\ud800-\udfff]")

# What implementations have disagreed about; the tokenizer's own added tokens are put in as well.
_PROBES = (
    "",
    " ",
    "a",
    " a",
    "\n",
    "\0",
    "a\0b",
    "\ufefftext after a mark of byte order",
    "one  two   three \t four\r\n\r\n five\n\n\n six ",
    " " * 500 + "x" + "\n" * 300 + "\t" * 100,
    "e\u0301te\u0301 a\u030a\u0323 \u0e01\u0e4d\u0e32 \u0929\u093c \ud55c\uae00 \u1112\u1161\u11ab",
    "\u0301 begins with a mark; I\u0307stanbul, \ufb01ne, \u212bngstr\u00f6m, \u2126, x\u00b2",
    "\u4e2d\u6587 \u65e5\u672c\u8a9e\u306e\u6587\u7ae0 \u0e44\u0e17\u0e22 \uff21\u3000\uff22",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u05e9\u05dc\u05d5\u05dd, abc \u200f123",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \U0001f3fd\u200b\u00ad",
    "a\u2028b\u2029c\u00a0d\u3000e\u0085f\x1cg \U0010ffff\ue000\ufffd",
    "\u2581under\u2581score \u2581 \u2581\u2581 <0x0A> <unk> <s> </s> <|endoftext|> [INST] <pad>",
    "3.14159 1,000,000 12345678901234567890 \u0661\u0662\u0663 0x1F 1e-9",
    "I'm you'RE he'Ll O'Neill 'tis don't_stop it's'nt",
    "def f(x):\n    return {'a': [x**2, -1]}  # \u00e4\n\tif(!x){y->z&=~0;}//\n",
    "$\\frac{\\partial f}{\\partial x}$ \\begin{align*}a&=b\\\\\\end{align*} %%%% ####",
    "supercalifragilistic" * 40 + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "!?.,;:-" * 30 + "\u2014\u2013\u2026\u201c\u201d\u2018\u2019" * 10,
)


class DiffersError(Exception):
    """gigatoken gave other ids than the tokenizer, or none, in the middle of a shard."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FastTokens:
    """What a run uses: gigatoken where `problem` is empty, else the tokenizer's own encoding."""

    tokenizer: Tokenizer
    problem: str
    samples: int  # texts that were compared
    characters: int
    _backend: _Backend | None = field(repr=False)

    @property
    def is_fast(self) -> bool:
        """Whether gigatoken is used."""
        return self._backend is not None

    @cached_property
    def facts(self) -> dict[str, Any]:
        """For pack.json."""
        return {
            "library": f"{LIBRARY} {version(LIBRARY)}" if self.is_fast else "tokenizers",
            "samples": self.samples,
            "characters": self.characters,
            "problem": self.problem,
        }

    def encoder(self) -> Encoder:
        """A new encoder, for one shard. Raises DiffersError where gigatoken is found wrong."""
        if self._backend is None:
            return Encoder(self.tokenizer)
        return Encoder(self.tokenizer, _Checked(self.tokenizer, self._backend), piece=PIECE)

    def run(self, work: Callable[[Encoder], Made]) -> tuple[Made, str]:
        """`work` with an encoder; where gigatoken is found wrong, again with the tokenizer's own.

        What the first attempt wrote must not be seen, as with `write_shard`. The second value is
        what was wrong, or "".
        """
        try:
            return work(self.encoder()), ""
        except DiffersError as error:
            return work(Encoder(self.tokenizer)), str(error)


def fast_encode(tokenizer: Tokenizer, samples: Sequence[str]) -> FastTokens:
    """gigatoken for this tokenizer if it is installed, knows it and agrees on all samples.

    Without samples nothing is compared: for workers of a run that has compared.
    """
    try:
        backend = _backend_of(tokenizer)
    except UserError as error:
        return _own(tokenizer, str(error))
    except BaseException as error:
        return _own(tokenizer, f"{LIBRARY} does not know this tokenizer: {_said(error)}")
    compared = characters = 0
    for text in _texts(tokenizer, samples):
        problem = _difference(tokenizer, backend.encode, text)
        if problem:
            return _own(tokenizer, problem, compared + 1, characters + len(text))
        compared, characters = compared + 1, characters + len(text)
    return FastTokens(
        tokenizer=tokenizer, problem="", samples=compared, characters=characters, _backend=backend
    )


def _own(tokenizer: Tokenizer, problem: str, samples: int = 0, characters: int = 0) -> FastTokens:
    return FastTokens(
        tokenizer=tokenizer, problem=problem, samples=samples, characters=characters, _backend=None
    )


def _texts(tokenizer: Tokenizer, samples: Sequence[str]) -> Iterator[str]:
    if not samples:
        return
    yield from _PROBES
    added = json.loads(tokenizer.hf.to_str()).get("added_tokens") or []
    for content in [str(token["content"]) for token in added][:1000]:
        yield f"{content}a {content} b{content}\n{content}{content}"
    for text in samples:
        part = text[:SAMPLE]
        if _HALF.search(part) is None:  # else it is no Unicode text, and none is encoded
            yield part


def _difference(tokenizer: Tokenizer, fast: _Fast, text: str) -> str:
    """What is wrong with gigatoken's ids of a text; "" when they are the tokenizer's own."""
    own = tokenizer.encode(text)
    try:
        found = np.asarray(fast(text))
    except BaseException as error:
        return f"{LIBRARY} fails at {text[:40]!r}: {_said(error)}"
    if found.tolist() == own:
        return ""
    first = next(
        (at for at, two in enumerate(zip(found, own, strict=False)) if two[0] != two[1]), 0
    )
    return (
        f"{LIBRARY} has other tokens for {text[:40]!r}: the first that differs is number "
        f"{first:,} of {len(own):,}"
    )


class _Backend:
    """gigatoken for a tokenizer. What it remembers of words makes it fast, and is bounded."""

    def __init__(self, load: Callable[[], _Fast]) -> None:
        self._load = load
        self._passed = 0
        self.encode = load()

    def renew(self, passed: int) -> None:
        """Begin anew when enough characters have passed."""
        self._passed += passed
        if self._passed >= RENEW_EVERY:
            self.encode, self._passed = self._load(), 0


@lru_cache(maxsize=1)  # of a process that makes one shard after the other
def _backend_of(tokenizer: Tokenizer) -> _Backend:
    library = require(LIBRARY, "fast")
    description = tokenizer.hf.to_str()

    def load() -> _Fast:
        # The backend's own method needs no arrays of another library and starts no threads.
        encode: _Fast = library.Tokenizer.from_json(description).backend.encode
        return encode

    return _Backend(load)


class _Checked:
    """The ids of texts, some of them encoded both ways."""

    def __init__(self, tokenizer: Tokenizer, backend: _Backend) -> None:
        self._tokenizer = tokenizer
        self._backend = backend
        self._unchecked = CHECK_EVERY  # the first text is checked

    def __call__(self, texts: Sequence[str]) -> Sequence[Ids] | Sequence[list[int]]:
        encode = self._backend.encode
        try:
            found = [encode(text) for text in texts]
        except TypeError:  # half a character: the tokenizer says where
            return self._tokenizer.encode_batch(texts)
        except BaseException as error:
            raise DiffersError(f"{LIBRARY} fails: {_said(error)}") from error
        for text in texts:
            self._check(text)
        self._backend.renew(sum(map(len, texts)))
        return found

    def _check(self, text: str) -> None:
        self._unchecked += len(text)
        if self._unchecked >= CHECK_EVERY:
            start = self._unchecked % max(1, len(text) - STRETCH)
            self._unchecked = 0
            problem = _difference(
                self._tokenizer, self._backend.encode, text[start : start + STRETCH]
            )
            if problem:
                raise DiffersError(problem)


def _said(error: BaseException) -> str:
    """What another library's error says, in one line. An interrupt is not one of them."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
    return " ".join(str(error).split())[:200] or type(error).__name__
