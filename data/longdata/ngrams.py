"""The 13-word sequences of a text as 64-bit hashes, with where each one stands.

    words = words_of("The *quick* brown FOX.")
    words.hashes      -> four numbers; the same as those of "the quick brown fox"
    words.starts      -> [0, 5, 12, 18]      words.ends -> [3, 10, 17, 21]
    hashes_of(words.hashes, 3)  -> two numbers: "the quick brown", "quick brown fox"

A word is a run of letters and digits of the text in NFKC, with its case folded: punctuation,
white space and the underscores of plain-text italics do not count. In scripts that are written
without spaces a word is one character. That is how GPT-3's filter (Brown et al., Language Models
are Few-Shot Learners, 2020, appendix C: 13-grams, lower case, no punctuation) and datatrove's
(NGramsDecontFilter: simplified text, 64-bit hashes) see a text; the length of 13 is GPT-3's.

There is no Python loop over words. A word is a polynomial in its characters' random numbers, so
its hash is the difference of two running sums; a sequence is a polynomial in its words' hashes.
Texts are worked on in pieces of about a quarter of a million characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH = 13  # words of a sequence
SCHEME = 1  # changes when the same text gives other hashes

Hashes = NDArray[np.uint64]
Positions = NDArray[np.int32]  # a text has at most 48 million characters

_NO_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u9fff\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)  # Thai, Lao, Burmese, Khmer, kana, Chinese characters
_SPACE = re.compile(r"\s")
_CHUNK = 1 << 18  # characters
_LONGEST_WORD = 1 << 16  # what has no white space for longer may be cut anywhere
_CODES = 0x110000  # of Unicode

_BASE = 0x9E3779B97F4A7C15  # odd: it has an inverse modulo 2^64
_FACTOR = 0xC2B2AE3D27D4EB4F
_NOTHING, _LETTER, _ALONE = 0, 1, 2  # what a character is to words
_CHANGES, _JOINS = 1, 2  # what NFKC does with a character


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text in order: word i is text[starts[i]:ends[i]]."""

    hashes: Hashes
    starts: Positions
    ends: Positions


def words_of(text: str) -> Words:
    """All words of a text; 16 bytes each."""
    pieces = list(_pieces(text))
    if not pieces:
        none = np.empty(0, np.int32)
        return Words(np.empty(0, np.uint64), none, none)
    return Words(
        np.concatenate([piece.hashes for piece in pieces]),
        np.concatenate([piece.starts for piece in pieces]),
        np.concatenate([piece.ends for piece in pieces]),
    )


def hashes_of(words: Hashes, width: int = WIDTH) -> Hashes:
    """The hash of every `width` words in a row: sequence i begins at word i."""
    if len(words) < width:
        return np.empty(0, np.uint64)
    sums = np.zeros(len(words) - width + 1, np.uint64)
    for offset in range(width):
        sums = sums * np.uint64(_FACTOR) + words[offset : offset + len(sums)]
    return _mix(sums)


def hashes_in(text: str, width: int = WIDTH) -> Iterator[Hashes]:
    """The hashes of a text's sequences in pieces, each sequence once."""
    carried = np.empty(0, np.uint64)  # the last words of a piece go before the next
    for piece in _pieces(text):
        words = np.concatenate([carried, piece.hashes])
        carried = words[max(0, len(words) - width + 1) :]
        if len(words) >= width:
            yield hashes_of(words, width)


def distinct(hashes: Hashes) -> Hashes:
    """Sorted, each once. (numpy.unique of some versions hashes them, ten times as slow.)"""
    ordered = np.sort(hashes)
    first = np.ones(len(ordered), np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def _pieces(text: str) -> Iterator[Words]:
    for start, chunk in _chunks(text):
        codes = np.frombuffer(chunk.encode("utf-32-le", "surrogatepass"), "<u4")
        changed = None
        if _ALPHABET.nfkc(codes).any() and not unicodedata.is_normalized("NFKC", chunk):
            changed = _normalise(chunk, codes)
            codes = np.frombuffer(changed.text.encode("utf-32-le", "surrogatepass"), "<u4")
        first, last = _boundaries(_ALPHABET.kind(codes))
        hashes = _word_hashes(codes, first, last)
        if changed is not None:
            first, last = changed.original(first, last)
        yield Words(hashes, (first + start).astype(np.int32), (last + start).astype(np.int32))


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """(offset, piece) that end behind white space where there is any."""
    start = 0
    while start < len(text):
        end = start + _CHUNK
        if space := _SPACE.search(text, end, end + _LONGEST_WORD):
            end = space.end()
        elif end + _LONGEST_WORD >= len(text):
            end = len(text)
        yield start, text[start:end]
        start = end


def _boundaries(kinds: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where words begin and end."""
    letter = kinds == _LETTER
    alone = kinds == _ALONE
    before = np.concatenate([[False], letter[:-1]])
    after = np.concatenate([letter[1:], [False]])
    first = np.flatnonzero((letter & ~before) | alone)
    last = np.flatnonzero((letter & ~after) | alone) + 1
    return first, last


def _word_hashes(
    codes: NDArray[np.uint32], first: NDArray[np.int64], last: NDArray[np.int64]
) -> Hashes:
    """Σ number(c_i) · BASE^i over each word: a difference of running sums, moved to BASE^0."""
    widths = _ALPHABET.width(codes)
    exponents = np.zeros(len(codes) + 1, np.int64)
    np.cumsum(widths, out=exponents[1:])  # one per character but for "ß", which counts as "ss"
    powers, inverses = _POWERS.up_to(int(exponents[-1]) + 1)
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(_ALPHABET.number(codes) * powers[exponents[:-1]], out=sums[1:])
    return _mix((sums[last] - sums[first]) * inverses[exponents[first]])


class _Alphabet:
    """What is to know of each character, found out when it is first met."""

    def __init__(self) -> None:
        self._known = np.zeros(_CODES, np.bool_)
        self._kind = np.zeros(_CODES, np.uint8)
        self._nfkc = np.zeros(_CODES, np.uint8)
        self._width = np.zeros(_CODES, np.uint8)
        self._number = np.zeros(_CODES, np.uint64)

    def kind(self, codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """_NOTHING, _LETTER or _ALONE."""
        self._meet(codes)
        return self._kind[codes]

    def nfkc(self, codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """_CHANGES and _JOINS, or 0 for a character that NFKC leaves where and what it is."""
        self._meet(codes)
        return self._nfkc[codes]

    def width(self, codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """How many characters it becomes when its case is folded."""
        return self._width[codes]

    def number(self, codes: NDArray[np.uint32]) -> Hashes:
        """What it adds to the hash of a word."""
        return self._number[codes]

    def _meet(self, codes: NDArray[np.uint32]) -> None:
        strangers = codes[~self._known[codes]]
        for code in np.unique(strangers).tolist():
            character = chr(code)
            if character.isalnum():
                self._kind[code] = _ALONE if _NO_SPACES.match(character) else _LETTER
            if unicodedata.normalize("NFKC", character) != character:
                self._nfkc[code] |= _CHANGES
            if _joins(character):
                self._nfkc[code] |= _JOINS
            folded = np.array([ord(c) for c in character.casefold()], np.uint64)
            powers, _ = _POWERS.up_to(len(folded))
            self._width[code] = len(folded)
            self._number[code] = (_mix(folded + np.uint64(1)) * powers[: len(folded)]).sum()
            self._known[code] = True


def _joins(character: str) -> bool:
    """Whether NFKC may join or reorder a character with the one before it."""
    first = unicodedata.normalize("NFKD", character)[0]
    # Marks, and the vowels and final consonants of Hangul: nothing else composes with what precedes
    return unicodedata.category(first)[0] == "M" or "\u1161" <= first <= "\u11c2"


@dataclass(frozen=True, slots=True)
class _Normalised:
    """A chunk in NFKC, and which of its stretches came from which of the original's."""

    text: str
    starts: NDArray[np.int64]  # of the changed stretches, here
    ends: NDArray[np.int64]
    from_starts: NDArray[np.int64]  # and in the original
    from_ends: NDArray[np.int64]

    def original(
        self, first: NDArray[np.int64], last: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where words begin and end in the original; a changed stretch counts as a whole."""
        return self._place(first, self.from_starts), self._place(last - 1, self.from_ends - 1) + 1

    def _place(self, at: NDArray[np.int64], inside: NDArray[np.int64]) -> NDArray[np.int64]:
        stretch = np.searchsorted(self.starts, at, side="right") - 1
        behind = self.from_ends[stretch] + at - self.ends[stretch]
        moved = np.where(at < self.ends[stretch], inside[stretch], behind)
        return np.where(stretch < 0, at, moved)


def _normalise(chunk: str, codes: NDArray[np.uint32]) -> _Normalised:
    """NFKC of the characters that it changes, each with the marks that follow it."""
    flags = _ALPHABET.nfkc(codes)
    touched = (flags & _CHANGES).astype(np.bool_)
    joins = (flags & _JOINS).astype(np.bool_)
    touched |= joins
    touched[:-1] |= joins[1:]  # what a mark joins
    heads = np.flatnonzero(touched & ~joins)  # a stretch begins there; a text may begin with a mark
    if len(touched) and touched[0] and joins[0]:
        heads = np.concatenate([[0], heads])
    pieces: list[str] = []
    table = np.empty((4, len(heads)), np.int64)
    at = length = 0
    is_mark = joins.tolist()
    for row, start in enumerate(heads.tolist()):
        end = start + 1
        while end < len(chunk) and is_mark[end]:
            end += 1
        new = unicodedata.normalize("NFKC", chunk[start:end])
        pieces += (chunk[at:start], new)
        length += start - at
        table[:, row] = (length, length + len(new), start, end)
        length += len(new)
        at = end
    pieces.append(chunk[at:])
    return _Normalised("".join(pieces), *table)


class _Powers:
    """BASE^i and BASE^-i modulo 2^64, as many as were ever needed."""

    def __init__(self) -> None:
        self._tables = (np.ones(1, np.uint64), np.ones(1, np.uint64))

    def up_to(self, count: int) -> tuple[Hashes, Hashes]:
        """At least the first `count`."""
        if len(self._tables[0]) < count:
            size = 1 << count.bit_length()
            bases = (_BASE, pow(_BASE, -1, 1 << 64))
            powers, inverses = (
                np.concatenate([[np.uint64(1)], np.cumprod(np.full(size, base, np.uint64))])
                for base in bases
            )
            self._tables = (powers, inverses)
        return self._tables


def _mix(values: Hashes) -> Hashes:
    """A bijection of 64-bit numbers that spreads them evenly (the finish of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_POWERS = _Powers()
_ALPHABET = _Alphabet()
