"""Token sets to measure a model on: one stream of tokens, and where its documents begin and end.

    tokens.bin     the ids, uint16 or uint32, little endian, with nothing before, between or after
    tokens.json    what it is: how many, of which documents, with which tokenizer, chosen how

    found = open_tokens("pg19")          # the folder; or a .bin file with or without its .json
    found.tokens                         -> a memory map, uint16
    found.document(3)                    -> the tokens of the fourth document, a view of it
    found.documents[3].title             -> "Emma"

LongLoRA's .bin files are such streams without a .json: they are read as uint16 (or as the dtype
that is asked for), and their documents are unknown. Everything the .json says about sizes is held
against the files, so that half a set is never read as one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longdata.errors import UserError

FORMAT = "longdata evaluation tokens"
VERSION = 1
NAME = "tokens.bin"  # of a set in a folder of its own
DTYPES = {"uint16": "<u2", "uint32": "<u4"}
_MAX_SIDECAR = 256 << 20
_BLOCK = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalDocument:
    """One document: tokens[start : start + tokens] of the stream, BOS and EOS included."""

    id: str  # of its text alone
    title: str
    source: str
    start: int
    tokens: int


@dataclass(frozen=True, kw_only=True, eq=False)
class EvalTokens:
    """An open set. Without a sidecar `facts` is empty, and `offsets` is None: nothing is known
    about its documents.

    `offsets` has one entry more than there are documents; the last is the number of tokens.
    """

    path: Path
    tokens: NDArray[Any] = field(repr=False)  # a read-only memory map, uint16 or uint32
    offsets: NDArray[np.int64] | None = field(repr=False)
    facts: Mapping[str, Any] = field(repr=False)

    @property
    def num_documents(self) -> int | None:
        return None if self.offsets is None else len(self.offsets) - 1

    def document(self, index: int) -> NDArray[Any]:
        """The tokens of one document. UserError where the documents are unknown."""
        offsets = self._known()
        if not 0 <= index < len(offsets) - 1:
            raise IndexError(f"document {index} of {len(offsets) - 1}")
        return self.tokens[int(offsets[index]) : int(offsets[index + 1])]

    @cached_property
    def documents(self) -> Sequence[EvalDocument]:
        """What is known about each document, in the order of the stream."""
        self._known()
        listed = self.facts.get("documents")
        if listed is None:
            with _beside(self.path, self.facts["documents_file"]).open("rb") as file:
                listed = [json.loads(line) for line in file]
        return tuple(EvalDocument(**row) for row in listed)

    def verify(self) -> None:
        """Read every byte and hold it against the sidecar's SHA-256. UserError: it differs."""
        for key in ("", "offsets_file", "documents_file"):
            said = self.facts.get(key) if key else self.facts
            if said:
                path = _beside(self.path, said)
                if sha256_of(path) != said["sha256"]:
                    raise _broken(path, "its bytes are not those that were written")

    def _known(self) -> NDArray[np.int64]:
        if self.offsets is None:
            raise UserError(
                f"got {self.path.name}, which has no .json beside it: its documents are unknown; "
                "allowed: measures over the whole stream; fix: make the set again with "
                "longdata prepare, which writes down where documents begin and end"
            )
        return self.offsets


def open_tokens(
    path: str | Path, *, dtype: str = "uint16", vocab_size: int | None = None
) -> EvalTokens:
    """The set in a folder, or of a .bin file; nothing of it is read into memory.

    `dtype` is that of files without a .json. With `vocab_size`, that of the model to be measured,
    a file whose numbers cannot be this vocabulary's is refused. UserError: nothing there, half a
    set, a size that fits no whole number of tokens, not a token file.
    """
    binary, sidecar = paths_of(Path(path))
    facts = _facts_of(sidecar)
    if facts is None and binary.name == NAME:
        raise _broken(binary, f"there is no {sidecar.name}, so it was not finished")
    if not binary.is_file():
        raise _broken(binary, "there is no such file")
    if facts is not None and facts["name"] != binary.name:
        raise _broken(binary, f"{sidecar.name} is about {facts['name']}")
    tokens = _mapped(binary, facts["dtype"] if facts else dtype)
    if facts is not None and len(tokens) != facts["num_tokens"]:
        raise _broken(binary, f"{len(tokens):,} tokens instead of {facts['num_tokens']:,}")
    found = EvalTokens(
        path=binary,
        tokens=tokens,
        offsets=None if facts is None else _offsets(binary, facts),
        facts=facts or {},
    )
    if vocab_size is not None:
        _must_fit(found, vocab_size)
    return found


def paths_of(path: Path) -> tuple[Path, Path]:
    """(the file of tokens, its sidecar) behind a folder, a .bin or a .json."""
    if path.is_dir():
        path = path / NAME
    return path.with_suffix(".bin") if path.suffix == ".json" else path, path.with_suffix(".json")


def dtype_for(vocab_size: int) -> str:
    """The smallest dtype that holds the ids 0 to vocab_size - 1."""
    return "uint16" if vocab_size <= 1 << 16 else "uint32"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _facts_of(sidecar: Path) -> dict[str, Any] | None:
    """What the sidecar says; None when there is none, or a .json of another kind."""
    if not sidecar.is_file():
        return None
    if sidecar.stat().st_size > _MAX_SIDECAR:
        raise _broken(sidecar, "it is too large")
    try:
        facts = json.loads(sidecar.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _broken(sidecar, f"it is no JSON: {error}") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        return None
    if facts.get("version") != VERSION:
        raise UserError(
            f"got {sidecar.name} of format version {facts.get('version')}; allowed: {VERSION}; "
            "fix: use the version of longqa that wrote it, or make the set again"
        )
    wanted = {"name": str, "dtype": str, "num_tokens": int, "num_documents": int, "sha256": str}
    for key, kind in wanted.items():
        if not isinstance(facts.get(key), kind):
            raise _broken(sidecar, f"{key} is {facts.get(key)!r}")
    if not isinstance(facts.get("documents"), list) and not all(
        isinstance(facts.get(key), dict) for key in ("documents_file", "offsets_file")
    ):
        raise _broken(sidecar, "it lists no documents")
    return facts


def _mapped(binary: Path, dtype: str) -> NDArray[Any]:
    if dtype not in DTYPES:
        raise UserError(
            f"got tokens of dtype {dtype} for {binary.name}; allowed: {', '.join(DTYPES)}; "
            "fix: name the one that it was written with"
        )
    size, width = binary.stat().st_size, np.dtype(DTYPES[dtype]).itemsize
    if size == 0 or size % width:
        raise _broken(binary, f"{size:,} bytes are no whole number of {dtype} tokens")
    return np.memmap(binary, DTYPES[dtype], "r")


def _offsets(binary: Path, facts: Mapping[str, Any]) -> NDArray[np.int64]:
    """One more than there are documents; held against what the sidecar says elsewhere."""
    listed = facts.get("documents")
    offsets: NDArray[np.int64]
    try:
        if listed is None:
            offsets = np.memmap(_beside(binary, facts["offsets_file"]), "<i8", "r")
        else:
            starts = [row["start"] for row in listed]
            offsets = np.array([*starts, facts["num_tokens"]], np.int64)
            lengths = np.array([row["tokens"] for row in listed], np.int64)
            if not np.array_equal(np.diff(offsets), lengths):
                raise ValueError("lengths and starts do not agree")
        if (
            len(offsets) != facts["num_documents"] + 1
            or offsets[0] != 0
            or offsets[-1] != facts["num_tokens"]
            or np.any(np.diff(offsets) < 0)
        ):
            raise ValueError("they do not cover the tokens once each")
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise _broken(binary, f"its documents are wrongly listed: {error}") from error
    return offsets


def _beside(binary: Path, said: Mapping[str, Any]) -> Path:
    """A file that the sidecar names, which lies beside the tokens whatever it says."""
    return binary.with_name(Path(str(said["name"])).name)


def _must_fit(found: EvalTokens, vocab_size: int) -> None:
    if not found.facts and found.tokens.itemsize == 2 and dtype_for(vocab_size) != "uint16":
        raise UserError(
            f"got {found.path.name}, 16-bit tokens without a .json, for a vocabulary of "
            f"{vocab_size:,}; allowed: vocabularies of 65,536 or fewer; "
            "fix: longdata prepare with the model's own tokenizer"
        )
    for start in range(0, len(found.tokens), _BLOCK):
        largest = int(found.tokens[start : start + _BLOCK].max())
        if largest >= vocab_size:
            raise UserError(
                f"got {found.path.name}, which holds token {largest:,}, for a vocabulary of "
                f"{vocab_size:,}; allowed: tokens of this vocabulary; "
                "fix: longdata prepare with the model's own tokenizer, or the right dtype"
            )


def _broken(path: Path, why: str) -> UserError:
    return UserError(
        f"got {path}, which is no complete token set ({why}); allowed: a folder or .bin file of "
        "longdata prepare, or a LongLoRA .bin; fix: make it again with longdata prepare"
    )
