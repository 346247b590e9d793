"""128-bit keys of documents, and orders of them that only the keys and a seed decide.

    keys = keys_of(["arxiv/3.jsonl:0", "arxiv/3.jsonl:81920"])    # an array of shape (2, 2)
    seeded_order(keys, seed=0, purpose="documents")               -> [0, 1]

A document is called by what never changes, such as its file's name and its place in it. Everything
that chance decides (which are used, in which order, in which row) comes from a mixture of key and
seed, so it is the same however many workers there are and in whatever order files are read. No
generator of a library is asked: its stream may change with the library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Keys = NDArray[np.uint64]  # (documents, 2)


def keys_of(names: Iterable[str]) -> Keys:
    """The keys of documents called so."""
    digests = (
        hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for name in names
    )
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64).reshape(-1, 2)


def of_copies(keys: Keys, copies: ArrayLike) -> Keys:
    """The keys of repetitions of documents; copy 0 is the document itself."""
    numbers = np.asarray(copies, np.uint64)
    return np.column_stack([keys[:, 0] ^ mixed(numbers), keys[:, 1]])


def draws(keys: Keys, *, seed: int, purpose: str) -> NDArray[np.uint64]:
    """An even 64-bit number for each document, another one for each seed and purpose."""
    return mixed(keys[:, 0] ^ _salt(seed, purpose))


def seeded_order(keys: Keys, *, seed: int, purpose: str) -> NDArray[np.int64]:
    """The documents in an order that looks like chance."""
    return np.lexsort((keys[:, 1], draws(keys, seed=seed, purpose=purpose)))


def shuffled(count: int, *, seed: int, purpose: str) -> NDArray[np.int64]:
    """The numbers below `count` in an order that looks like chance."""
    numbers = np.arange(count, dtype=np.uint64)
    return np.argsort(mixed(numbers ^ _salt(seed, purpose)))


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The last step of SplitMix64 (Steele et al. 2014): one to one, and 0 stays 0."""
    z = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _salt(seed: int, purpose: str) -> np.uint64:
    digest = hashlib.blake2b(f"{seed} {purpose}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))
