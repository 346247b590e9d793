"""The name of an evaluation set, or a path → the files to make a token set of.

    files_of("pg19", split="validation", …).sources   -> the Parquet file of 50 books
    files_of("my-books/", …).named("my-books/a.txt")  -> "a.txt", what a result calls it

Named sets are files of the Hub at one commit (`evaluation_sets`). What a path names is read where
it lies; a result calls it by what does not change when the folder is moved.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from longdata.errors import UserError
from longdata.evaluation_sets import EVALUATION_SETS, Hub, resolve
from longdata.sources import Skip, Source, discover

# A set of the Hub -> its splits -> how the names of their files begin in the repository.
SPLITS: dict[str, dict[str, str]] = {
    "pg19": {"test": "data/test-", "validation": "data/validation-"},
    "proof-pile": {"test": "test/"},
}

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalFiles:
    """The files behind a name or path, and what they are called in the result."""

    name: str
    split: str | None
    revision: str | None
    sources: Sequence[Source | Skip]
    named: Callable[[str], str]


def files_of(name: str, *, split: str, text_column: str, offline: bool) -> EvalFiles:
    """UserError: neither a set's name nor a path that exists, no such split, not to be had."""
    splits = SPLITS.get(name, {"test": ""})
    if split not in splits:
        raise UserError(
            f"got --split {split} of {name if name in SPLITS else 'a path'}; "
            f"allowed: {', '.join(splits)}; fix: leave it out"
        )
    if name in SPLITS:
        return _of_the_hub(name, split, text_column, offline)
    is_there = bool(name) and "\0" not in name and Path(name).exists()
    if not is_there and not _ADDRESS.match(name) and not re.search(r"[*?\[]", name):
        raise UserError(
            f"got {name[:200]!r}; allowed: {', '.join(SPLITS)}, or a file or folder that exists; "
            "fix: check the spelling"
        )
    found = list(discover([name], text_column=text_column, offline=offline))
    folder = Path(name).as_posix().rstrip("/") + "/"

    def named(called: str) -> str:
        if called.startswith(folder):
            return called.removeprefix(folder)
        return called if _ADDRESS.match(called) else Path(called).name

    return EvalFiles(name=public_name(name), split=None, revision=None, sources=found, named=named)


def public_name(name: str) -> str:
    """A name without the folders of this machine; Hub ids and addresses stay."""
    return Path(name).resolve().name if Path(name).exists() else name


def _of_the_hub(name: str, split: str, text_column: str, offline: bool) -> EvalFiles:
    where = EVALUATION_SETS[name]
    assert isinstance(where, Hub)
    try:
        found = resolve(name, offline=offline)
    except UserError as error:
        # written for the option of another command
        raise UserError(str(error).replace("got --against ", "got ", 1)) from error
    prefix = f"{where.repo}/{SPLITS[name][split]}"
    sources = [
        dataclasses.replace(file, text_column=text_column)
        for file in found.files
        if file.name.startswith(prefix)
    ]
    return EvalFiles(name=name, split=split, revision=found.revision, sources=sources, named=str)
