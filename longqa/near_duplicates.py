"""Documents that say the same: two editions of a book, a paper as PDF and as JATS.

A document becomes the set of its 8-word shingles, and of that set only the 256 smallest hashes are
kept (a bottom-k sketch). Below the smaller of two sketches' largest hashes both are complete, so
there they can be compared as if they were the whole sets:

    covered(a, b) = |a ∩ b| / |a|        # the share of a that also stands in b

    a and b are near-duplicates when each covers half of the other   -> the later one is dropped
    a is a part of b when only a is covered by half                  -> a is dropped

Half is low because one changed word spoils eight shingles: where every twentieth word differs, as
between a PDF and the XML of one paper, 0.95^8 = 0.66 of the shingles survive; between unrelated
texts none do. A part shorter than about a thirtieth of the whole leaves too few hashes to judge.

Candidates come from an inverted index of hashes. A hash that many kept documents share is a
licence or a heading, and stops collecting documents, so that the cost stays linear.

    Broder, On the resemblance and containment of documents, 1997
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SHINGLE = 8  # words
SKETCH = 256  # hashes kept
COVERED = 0.5  # share of a document that must stand in the other
FEWEST = 8  # hashes of a document that must be comparable to judge it
_COMMON = 50  # kept documents that may share a hash before it is boilerplate

Hashes = NDArray[np.uint64]

# A word; in a script that is written without spaces, a character.
_WORD = re.compile(r"\w+")
_NO_SPACES = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_CHARACTER = re.compile(f"[{_NO_SPACES}]")
_WORD_OR_CHARACTER = re.compile(rf"[{_NO_SPACES}]|[^\W{_NO_SPACES}]+")
_SPACE = re.compile(r"\s")
_CHUNK = 1 << 20  # characters
_LONGEST_WORD = 1 << 16  # what has no white space for longer may be cut anywhere
_PARTS = 16  # in which all hashes are looked at, one after the other
_FACTOR = 0x9E3779B97F4A7C15  # odd: multiplication by it loses no bits


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Why a document is dropped: `of` is the index of the document that stays."""

    of: int
    reason: Literal["near-duplicate", "part of another document"]


def sketch(text: str) -> Hashes:
    """The up to 256 smallest distinct shingle hashes of a text, ascending; () without words."""
    pattern = _WORD_OR_CHARACTER if _CHARACTER.search(text) else _WORD
    found = np.empty(0, np.uint64)
    words = np.empty(0, np.uint64)  # hashes; the last seven of a chunk go before the next
    for chunk in _chunks(text):
        words = np.concatenate([words[1 - SHINGLE :], _word_hashes(pattern, chunk)])
        if len(words) >= SHINGLE:
            found = np.union1d(found, _smallest(_shingles(words, SHINGLE)))[:SKETCH]
    if len(words) and not len(found):  # fewer than eight words make one shingle
        found = _shingles(words, len(words))
    return found


def covered(a: Hashes, b: Hashes) -> tuple[float, float]:
    """Estimates of |a ∩ b| / |a| and |a ∩ b| / |b|; 0 where too few hashes can be compared."""
    if not len(a) or not len(b):
        return 0.0, 0.0
    if np.array_equal(a, b):
        return 1.0, 1.0
    limits = [s[-1] for s in (a, b) if len(s) == SKETCH]  # a shorter sketch is the whole set
    if limits:
        a = a[: np.searchsorted(a, min(limits), side="right")]
        b = b[: np.searchsorted(b, min(limits), side="right")]
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return (
        shared / len(a) if len(a) >= FEWEST else 0.0,
        shared / len(b) if len(b) >= FEWEST else 0.0,
    )


def find(sketches: Sequence[Hashes]) -> dict[int, Duplicate]:
    """Which documents to drop, by index, given in the order in which they are preferred.

    Sketches are asked for one at a time, several times each, and not held.
    """
    several = _shared(sketches)
    holders = np.zeros(len(several), np.int64)  # documents that have the hash
    densities = np.empty(len(sketches))
    for index, own in enumerate(sketches):
        holders[_places(own, several)] += 1
        densities[index] = _density(own)
    dropped: dict[int, Duplicate] = {}
    kept = _Index(holders)
    for index, own in enumerate(sketches):
        places = _places(own, several)
        for other in kept.candidates(places):
            if min(covered(own, sketches[other])) >= COVERED:
                dropped[index] = Duplicate(other, "near-duplicate")
                break
        else:
            kept.add(index, places)
    whole = _Index(holders)
    for index in np.argsort(densities, kind="stable").tolist():  # the longest first
        if index in dropped:
            continue
        own = sketches[index]
        places = _places(own, several)
        for other in whole.candidates(places):
            if covered(own, sketches[other])[0] >= COVERED:
                dropped[index] = Duplicate(other, "part of another document")
                break
        else:
            whole.add(index, places)
    return {index: _survivor(dropped, index) for index in sorted(dropped)}


class _Index:
    """Kept documents by the place of a hash among those that several documents have."""

    def __init__(self, holders: NDArray[np.int64]) -> None:
        self._room = np.minimum(holders, _COMMON)
        self._first = np.cumsum(self._room) - self._room
        self._filled = np.zeros_like(self._room)
        self._slots = np.empty(int(self._room.sum()), np.int32)

    def add(self, document: int, places: NDArray[np.int64]) -> None:
        """Keep a document under its hashes, where these are not boilerplate by now."""
        free = places[self._filled[places] < self._room[places]]
        self._slots[self._first[free] + self._filled[free]] = document
        self._filled[free] += 1

    def candidates(self, places: NDArray[np.int64]) -> list[int]:
        """Documents that share a hash, those that share most first."""
        filled = self._filled[places]
        begins = np.repeat(self._first[places] - np.cumsum(filled) + filled, filled)
        found, shared = np.unique(self._slots[begins + np.arange(len(begins))], return_counts=True)
        return [int(document) for document in found[np.lexsort((found, -shared))]]


def _places(sketch: Hashes, several: Hashes) -> NDArray[np.int64]:
    """Where those of its hashes stand that several documents have."""
    places = np.searchsorted(several, sketch)
    inside = places < len(several)
    places, sketch = places[inside], sketch[inside]
    found: NDArray[np.int64] = places[several[places] == sketch]
    return found


def _chunks(text: str) -> Iterator[str]:
    """Pieces of about a million characters that end at white space where there is any.

    All words of a long text at once would take ten times its memory.
    """
    start = 0
    while start < len(text):
        end = start + _CHUNK
        if space := _SPACE.search(text, end, end + _LONGEST_WORD):
            end = space.end()
        elif end + _LONGEST_WORD >= len(text):
            end = len(text)
        yield text[start:end]
        start = end


def _word_hashes(pattern: re.Pattern[str], text: str) -> Hashes:
    words = pattern.findall(text.casefold())
    hashes = {word: _hash(word) for word in dict.fromkeys(words)}
    return np.fromiter(map(hashes.__getitem__, words), np.uint64, len(words))


def _shingles(words: Hashes, width: int) -> Hashes:
    """A hash of every `width` words in a row."""
    shingles = np.zeros(len(words) - width + 1, np.uint64)
    for offset in range(width):
        shingles = shingles * np.uint64(_FACTOR) + words[offset : offset + len(shingles)]
    return _mix(shingles)


def _smallest(hashes: Hashes) -> Hashes:
    """The SKETCH smallest distinct ones, or all; sorting a few of many first."""
    few = 8 * SKETCH  # of so many, enough are distinct in any text that is no repetition
    if len(hashes) > few:
        smallest: Hashes = np.unique(np.partition(hashes, few)[:few])
        if len(smallest) >= SKETCH:
            return smallest[:SKETCH]
    distinct: Hashes = np.unique(hashes)
    return distinct[:SKETCH]


def _survivor(dropped: dict[int, Duplicate], index: int) -> Duplicate:
    """The same reason, naming a document that stays."""
    of = dropped[index].of
    while of in dropped:
        of = dropped[of].of
    return Duplicate(of, dropped[index].reason)


def _shared(sketches: Sequence[Hashes]) -> Hashes:
    """The hashes that more than one document has; the index needs no other."""
    if not sketches:
        return np.empty(0, np.uint64)
    parts = []
    for part in range(_PARTS):  # all hashes at once would be the largest thing in memory
        values = np.concatenate([s[s % np.uint64(_PARTS) == part] for s in sketches])
        values.sort()
        parts.append(np.unique(values[1:][values[1:] == values[:-1]]))
    several = np.concatenate(parts)
    several.sort()
    return several


def _density(hashes: Hashes) -> float:
    """The smaller, the more shingles the document has: how far apart its smallest hashes lie."""
    return float(hashes[-1]) / len(hashes) if len(hashes) == SKETCH else 2.0**64 / (len(hashes) + 1)


def _hash(word: str) -> int:
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _mix(values: Hashes) -> Hashes:
    """A bijection of 64-bit numbers that spreads them evenly (the finish of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
