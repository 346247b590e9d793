"""What the user named on the command line → the files to read, each with what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a sidecar or a flag says about a source; None = nothing said. It overrides the file's word."""

    title: str | None = None
    author: str | None = None
    year: int | None = None
    license: str | None = None
    language: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One local file to read. `name` is what the user calls it: the path as found, or the address."""

    path: Path
    name: str
    sha256: str  # of the file's bytes
    url: str | None = None
    text_column: str = "text"  # JSONL and Parquet: the column that holds the text
    facts: Facts = field(default_factory=Facts)
