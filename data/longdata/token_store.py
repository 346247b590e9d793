"""Tokens of documents on disk, made once and packed for every `ctx`.

    write_shard(folder, "arxiv-00000", settings, encoder, documents)       # in any process
    seal(folder, ["arxiv-00000", "arxiv-00001"], settings)
    store = TokenStore.open(folder, settings)
    store.lengths, store.keys, store.source, store.source_names            # what packing asks for
    store.tokens(7)                                   -> a memory map, uint16 or uint32

    folder/store.json                    written last: the settings, the shards and their counts
    folder/arxiv-00000/tokens.bin        ids, little endian, the documents one after the other
    folder/arxiv-00000/documents.arrow   key, source, meta, first token and length of each
    folder/arxiv-00000/skipped.jsonl     what could not be used, and why
    folder/arxiv-00000/shard.json        the settings and the counts

A killed process leaves no half shard, and a folder without store.json is no store. Documents are
numbered in the order of the shards' names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import ArrayLike, NDArray

from longdata.atomic import disk_errors, write_file
from longdata.document_keys import Keys
from longdata.errors import UserError
from longdata.token_shard import (
    DOCUMENTS,
    TOKENS,
    TokenSettings,
    read_shard,
    refuse_other_settings,
)

FORMAT = "longdata token store 1"
STORE = "store.json"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, pa.ArrowException)


def seal(folder: Path, names: Sequence[str], settings: TokenSettings) -> TokenStore:
    """Make a store of these shards, all of which must be there, whole and of these settings.

    Raises UserError when one is not, and when two documents have one key.
    """
    shards = [{"name": name} | _counts(folder / name, settings) for name in sorted(set(names))]
    skipped: Counter[str] = Counter()
    for shard in shards:
        skipped.update(shard.pop("skipped"))
    store = TokenStore(folder=folder, settings=settings, shards=tuple(shards), skipped=skipped)
    distinct = len(np.unique(store.keys, axis=0))
    if distinct != len(store.keys):
        raise UserError(
            f"got {len(store.keys) - distinct} documents more than once (the same file and place); "
            "allowed: each source once; fix: name each file once"
        )
    facts = {
        "format": FORMAT,
        "settings": asdict(settings),
        "skipped": dict(sorted(skipped.items())),
        "shards": shards,
    }
    with disk_errors(folder):
        write_file(folder / STORE, json.dumps(facts, indent=1) + "\n")
    return store


def _counts(path: Path, settings: TokenSettings) -> dict[str, Any]:
    facts = read_shard(path, settings)
    return {key: facts[key] for key in ("documents", "tokens", "skipped")}


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenStore:
    """A sealed store. Arrays have an entry for each document and are read when first asked for."""

    folder: Path
    settings: TokenSettings
    shards: tuple[dict[str, Any], ...] = field(repr=False)
    skipped: Counter[str]  # how many could not be used, by reason

    @classmethod
    def open(cls, folder: Path, settings: TokenSettings | None = None) -> TokenStore:
        """The store in a folder. UserError: none or not complete, or made with other settings."""
        try:
            facts = json.loads((folder / STORE).read_text(encoding="utf-8"))
            if facts["format"] != FORMAT:
                raise ValueError(f"its format is {facts['format']}")
            made_with = TokenSettings(**facts["settings"])
            shards, skipped = tuple(facts["shards"]), Counter(facts["skipped"])
        except _UNREADABLE as error:
            raise UserError(
                f"got {folder}, which is no complete token store ({error}); allowed: a folder with "
                f"{STORE}, which is written last; fix: run the command that makes it again"
            ) from error
        if settings is not None:
            refuse_other_settings(folder, made_with, settings)
        for shard in shards:
            found = _counts(folder / shard["name"], made_with)
            if any(found[key] != shard[key] for key in ("documents", "tokens")):
                raise UserError(
                    f"got {folder / shard['name']}, which is another shard than {STORE} says; "
                    "allowed: shards as they were written; fix: make the store again"
                )
        return cls(folder=folder, settings=made_with, shards=shards, skipped=skipped)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document, with BOS and EOS."""
        return self._column("length", np.int64)

    @cached_property
    def keys(self) -> Keys:
        """The 128-bit keys."""
        return np.column_stack([self._column("high", np.uint64), self._column("low", np.uint64)])

    @cached_property
    def source_names(self) -> list[str]:
        """The sources there are, sorted."""
        return sorted({str(one) for table in self._tables for one in _distinct(table["source"])})

    @cached_property
    def source(self) -> NDArray[np.int64]:
        """Each document's place in `source_names`."""
        values = pa.array(self.source_names, pa.string())
        found = [pa.compute.index_in(table["source"], values).to_numpy() for table in self._tables]
        return np.concatenate([np.empty(0, np.int64), *found]).astype(np.int64)

    def tokens(self, document: int) -> NDArray[Any]:
        """The ids of a document: a view of the file."""
        shard = int(np.searchsorted(self._begins, document, side="right")) - 1
        first = int(self._first[document])
        return self._maps[shard][first : first + int(self.lengths[document])]

    def names(self, documents: ArrayLike, column: str = "key") -> list[str]:
        """The keys of some documents, or their "source" or "meta"."""
        wanted = np.asarray(documents, np.int64)
        shard = np.searchsorted(self._begins, wanted, side="right") - 1
        found = np.empty(len(wanted), object)
        for at in np.unique(shard).tolist():
            own = np.flatnonzero(shard == at)
            rows = pa.array(wanted[own] - self._begins[at])
            found[own] = self._tables[at][column].take(rows).to_pylist()
        return list(map(str, found.tolist()))

    @cached_property
    def _tables(self) -> list[pa.Table]:
        """The indexes of the shards, mapped."""
        return [
            pa.ipc.open_file(pa.memory_map(str(self._path(shard, DOCUMENTS)))).read_all()
            for shard in self.shards
        ]

    @cached_property
    def _maps(self) -> list[NDArray[Any]]:
        dtype = self.settings.stored
        return [
            np.asarray(np.memmap(self._path(shard, TOKENS), dtype, "r"))
            if shard["tokens"]  # an empty file cannot be mapped
            else np.empty(0, dtype)
            for shard in self.shards
        ]

    @cached_property
    def _begins(self) -> NDArray[np.int64]:
        """The number of each shard's first document."""
        counts = np.array([shard["documents"] for shard in self.shards], np.int64)
        return np.cumsum(counts) - counts

    @cached_property
    def _first(self) -> NDArray[np.int64]:
        return self._column("first", np.int64)

    def _column(self, name: str, dtype: type[Any]) -> NDArray[Any]:
        found = [table[name].to_numpy() for table in self._tables]
        return np.concatenate([np.empty(0, dtype), *found])

    def _path(self, shard: dict[str, Any], file: str) -> Path:
        return self.folder / str(shard["name"]) / file


def _distinct(column: Any) -> list[Any]:
    found: list[Any] = column.unique().to_pylist()
    return found
