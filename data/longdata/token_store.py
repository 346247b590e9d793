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
from collections.abc import Iterator, Sequence
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
    if twins := _twins(store.keys):
        raise UserError(
            f"got {twins} documents more than once (the same file and place); "
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


def _twins(keys: Keys) -> int:
    ordered = keys[np.lexsort((keys[:, 1], keys[:, 0]))]
    return int((ordered[1:] == ordered[:-1]).all(axis=1).sum())


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
        found = {str(name) for table in self._each_table() for name in _distinct(table["source"])}
        return sorted(found)

    @cached_property
    def source(self) -> NDArray[np.int64]:
        """Each document's place in `source_names`."""
        values = pa.array(self.source_names, pa.string())
        found = [
            pa.compute.index_in(table["source"], values).to_numpy().astype(np.int64)
            for table in self._each_table()
        ]
        return np.concatenate([np.empty(0, np.int64), *found])

    def tokens(self, document: int) -> NDArray[Any]:
        """The ids of a document: a view of the file."""
        shard, row = self._place(document)
        mapped = self._mapped(shard)
        first = int(mapped.first[row])
        return mapped.tokens[first : first + int(mapped.length[row])]

    def lengths_of(self, documents: ArrayLike) -> NDArray[np.int64]:
        """`lengths` of some documents, without reading those of all."""
        wanted = np.asarray(documents, np.int64)
        shard = np.searchsorted(self._begins, wanted, side="right") - 1
        found = np.empty(len(wanted), np.int64)
        for at in np.unique(shard).tolist():
            own = shard == at
            found[own] = self._mapped(at).length[wanted[own] - self._begins[at]]
        return found

    def names(self, documents: ArrayLike, column: str = "key") -> list[str]:
        """The keys of some documents, or their "source" or "meta"."""
        wanted = np.asarray(documents, np.int64)
        shard = np.searchsorted(self._begins, wanted, side="right") - 1
        found = np.empty(len(wanted), object)
        for at in np.unique(shard).tolist():
            own = np.flatnonzero(shard == at)
            rows = pa.array(wanted[own] - self._begins[at])
            found[own] = self._mapped(at).table[column].take(rows).to_pylist()
        return list(map(str, found.tolist()))

    def release(self) -> None:
        """Let go of the files that are mapped: what was looked at counts as memory until then."""
        self._open.clear()

    def _place(self, document: int) -> tuple[int, int]:
        shard = int(np.searchsorted(self._begins, document, side="right")) - 1
        return shard, document - int(self._begins[shard])

    @cached_property
    def _open(self) -> dict[int, _Mapped]:
        return {}

    def _mapped(self, shard: int) -> _Mapped:
        if shard not in self._open:
            path = self.folder / str(self.shards[shard]["name"])
            table = _index(path)
            dtype = self.settings.stored
            self._open[shard] = _Mapped(
                table=table,
                first=table["first"].to_numpy(),
                length=table["length"].to_numpy(),
                tokens=np.asarray(np.memmap(path / TOKENS, dtype, "r"))
                if self.shards[shard]["tokens"]  # an empty file cannot be mapped
                else np.empty(0, dtype),
            )
        return self._open[shard]

    @cached_property
    def _begins(self) -> NDArray[np.int64]:
        """The number of each shard's first document."""
        counts = np.array([shard["documents"] for shard in self.shards], np.int64)
        return np.cumsum(counts) - counts

    def _each_table(self) -> Iterator[pa.Table]:
        """The indexes of the shards, each mapped while it is looked at."""
        for shard in self.shards:
            yield _index(self.folder / str(shard["name"]))

    def _column(self, name: str, dtype: type[Any]) -> NDArray[Any]:
        found = np.empty(sum(shard["documents"] for shard in self.shards), dtype)
        begin = 0
        for table in self._each_table():
            found[begin : begin + table.num_rows] = table[name].to_numpy()
            begin += table.num_rows
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Mapped:
    """The files of one shard."""

    table: pa.Table
    first: NDArray[np.int64]
    length: NDArray[np.int64]
    tokens: NDArray[Any]


def _index(shard: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(shard / DOCUMENTS))).read_all()


def _distinct(column: Any) -> list[Any]:
    found: list[Any] = column.unique().to_pylist()
    return found
