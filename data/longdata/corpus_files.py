"""A file of a corpus: what its documents are called by, what it holds, what they belong to.

    source_of_file("c4-train.00000-of-01024.json.gz")   -> "c4-train"
    source_of_file("cc_2019-30_sample.jsonl")           -> "common_crawl"
    identity_of(path, size)                             -> "sha256:5be1…"

A file of more than 64 MiB is known by its size and sixteen blocks, spread from its first byte to
its last: to read a corpus twice would take as long as to pack it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["lines", "packed lines", "parquet", "document"]

WHOLE = 64 << 20  # bytes of a file that is known by the digest of all its bytes
_BLOCKS, _BLOCK = 16, 1 << 20
_NUMBERS = re.compile(r"([._-](\d+|of|[0-9a-f]{10,}))+$")
_SAMPLE = re.compile(r"(arxiv|book|c4|github|stackexchange|wikipedia|cc_\d{4}-\d\d)_sample\.jsonl")
NO_SOURCES = frozenset(("data", "train", "training", "default", "plain_text"))  # names of folders


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFile:
    """A file and what its documents are called by. `identity` is that of its bytes.

    `path` is where it is read on this machine: a file, or an address of the Hub at one commit.
    """

    name: str
    path: str
    kind: Kind
    size: int
    identity: str
    source: str
    is_source_given: bool = False  # then documents do not decide

    @property
    def is_remote(self) -> bool:
        """Whether it is read from the Hub."""
        return self.path.startswith("hf://")


def redpajama_subset(name: str) -> str | None:
    """The subset that a file of RedPajama-Data-1T-Sample holds: its rows do not say it."""
    match = _SAMPLE.fullmatch(name)
    if match is None:
        return None
    return "common_crawl" if match[1].startswith("cc_") else match[1]


def source_of_file(name: str) -> str:
    """ "c4-train.00000-of-01024.json.gz" -> "c4-train": no suffix, no numbers at the end."""
    stem = re.sub(r"(\.[A-Za-z][A-Za-z0-9]*)+$", "", name) or name
    return redpajama_subset(name) or _NUMBERS.sub("", stem) or stem


def kind_of_rows(name: str) -> Kind:
    if name.lower().endswith(".parquet"):
        return "parquet"
    return "packed lines" if name.lower().endswith((".gz", ".zst")) else "lines"


def kind_of(path: Path) -> tuple[Kind, str]:
    """What a file of rows is by its first bytes, and why it cannot be read ("")."""
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        return "packed lines", ""
    if head.startswith(b"PAR1"):
        return "parquet", ""
    if path.name.lower().endswith(".json") and head.lstrip().startswith(b"["):
        return "lines", "one JSON array; fix: give it one object to a line, as .jsonl"
    kind = kind_of_rows(path.name)
    return ("lines", "") if kind == "packed lines" else (kind, "")


def identity_of(path: Path, size: int) -> str:
    """What a file is known by: of more than WHOLE bytes, its size and a sample of its blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if size <= WHOLE:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        digest.update(str(size).encode())
        for number in range(_BLOCKS):
            file.seek((size - _BLOCK) * number // (_BLOCKS - 1))
            digest.update(file.read(_BLOCK))
    return f"blocks:{digest.hexdigest()}"
