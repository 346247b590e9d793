"""Documents of a corpus that stand in evaluation sets, found one at a time.

    checker = prepare("pg19,proof-pile,tests/own.jsonl", out / ".work" / "grams")   # once
    checker.overlap(text)    -> None, or Overlap(set="pg19", share=0.98, longest=5759)
    checker.facts            -> the sets, their revisions and the rule, for pack.json

Compared are sequences of 13 words (`longdata.ngrams`). A document is left out when at least 1 % of
its sequences stand in one set, or when 50 words in a row do: the rule by which `longqa build`
leaves out contexts, with what was measured for it in docs/decontamination.md. What becomes of a
document depends on its text and the sets alone. It is looked up in pieces: a document of 100 MB
takes little more memory than its text.

A `Checker` is a few lines of text for another process, which maps the tables into memory when it
first needs them; the folder is to be one that all machines see.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longdata.errors import UserError
from longdata.evaluation_sets import EVALUATION_SETS, EvaluationSet, resolve
from longdata.gram_table import GramTable
from longdata.ngrams import SCHEME, WIDTH, hashes_in
from longdata.sources import Skip

SHARE = 0.01  # of the sequences of a document
STRETCH_WORDS = 50  # in a row
MOST_SKIPS = 50  # of one set, in the facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """What a document shares with the set of which it holds most: the share of its sequences, and
    the most words in a row."""

    set: str
    share: float
    longest: int

    @property
    def reason(self) -> str:
        """Under which the document is counted."""
        return f"overlaps {self.set}"

    @property
    def detail(self) -> str:
        """For a person."""
        return (
            f"{self.share:.2%} of its sequences of {WIDTH} words, {self.longest:,} words in a row"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SetKey:
    """Which evaluation set, exactly, and the folder of its table."""

    name: str
    revision: str
    fingerprint: str
    folder: str


@dataclass(frozen=True, kw_only=True)
class Checker:
    """Holds documents against sets. Equal values decide the same, on any machine."""

    folder: Path
    sets: tuple[SetKey, ...]

    def overlap(self, text: str) -> Overlap | None:
        """What stands in an evaluation set, or None when the document may be used."""
        runs = {name: _Run() for name in self._tables}
        count = 0
        for hashes in hashes_in(text):
            count += len(hashes)
            for name, table in self._tables.items():
                runs[name].add(table.holds(hashes))
        found = [
            Overlap(set=name, share=run.shared / count, longest=run.words)
            for name, run in runs.items()
            if run.shared and (run.shared >= SHARE * count or run.words >= STRETCH_WORDS)
        ]
        return max(found, key=lambda one: (one.share, one.longest), default=None)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The rule and the sets; JSON types only."""
        return {
            "width": WIDTH,
            "share": SHARE,
            "stretch_words": STRETCH_WORDS,
            "sets": [
                {
                    "name": key.name,
                    "revision": key.revision,
                    "fingerprint": key.fingerprint,
                    "texts": self._tables[key.name].texts,
                    "grams": self._tables[key.name].grams,
                    "skipped": list(self._tables[key.name].skipped),
                }
                for key in self.sets
            ],
        }

    @cached_property
    def _tables(self) -> dict[str, GramTable]:
        tables = {}
        for key in self.sets:
            table = GramTable.load(self.folder / key.folder)
            if table is None:
                raise UserError(
                    f"got --decontaminate {key.name}, whose table is no longer in {self.folder}; "
                    "allowed: a folder that all machines of a run see; fix: run the same command "
                    "again"
                )
            tables[key.name] = table
        return tables

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "sets": self.sets}  # tables are mapped where they are used


def prepare(
    typed: str,
    folder: Path,
    *,
    offline: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Checker:
    """Fetch the sets of `--decontaminate`, and make the tables that are not in `folder` yet.

    `tell` hears of each set before it is indexed, at some 50 MB a second. UserError: no such set or
    path, not to be had, no text in it, an unwritable folder.
    """
    keys: dict[str, SetKey] = {}
    for argument in arguments_of(typed):
        try:
            found = resolve(argument, offline=offline)
        except UserError as error:
            raise UserError(str(error).replace("--against", "--decontaminate")) from error
        name = found.name
        if name in {key.name for key in keys.values()}:
            name = f"{name} {found.fingerprint[:8]}"
        key = SetKey(
            name=name,
            revision=found.revision,
            fingerprint=found.fingerprint,
            folder=f"{found.fingerprint}-{SCHEME}-{unicodedata.unidata_version}",
        )
        if GramTable.load(folder / key.folder) is None:
            tell(f"{name}: indexing what stands in it, once")
            _index(found, folder / key.folder)
        _refuse_empty(argument, GramTable.load(folder / key.folder))
        keys.setdefault(found.fingerprint, key)
    return Checker(folder=folder, sets=tuple(keys.values()))


def arguments_of(typed: str) -> tuple[str, ...]:
    """ "pg19,own.jsonl" → its parts; a path that exists may hold commas."""
    if typed in EVALUATION_SETS or (typed and "\0" not in typed and Path(typed).exists()):
        return (typed,)
    parts = tuple(part.strip() for part in typed.split(","))
    if not all(parts):
        raise UserError(
            f"got --decontaminate {typed!r}; allowed: {', '.join(EVALUATION_SETS)}, files and "
            "folders, with commas between them; fix: --decontaminate pg19,proof-pile"
        )
    return parts


def _index(found: EvaluationSet, path: Path) -> None:
    skips: list[Skip] = []
    try:
        GramTable.build(found.texts(skips), path, _said(skips))
    except OSError as error:
        raise UserError(
            f"got the folder {path.parent}, which cannot be written ({error.strerror}); allowed: a "
            "writable folder with room; fix: another --out"
        ) from error


def _said(skips: list[Skip]) -> Iterator[str]:
    """In words, without the folders of this machine; as many as there are when it is asked."""
    for skip in skips[:MOST_SKIPS]:
        yield f"{Path(skip.name).name}: {skip.reason}"
    if len(skips) > MOST_SKIPS:
        yield f"and {len(skips) - MOST_SKIPS} more"


def _refuse_empty(argument: str, table: GramTable | None) -> None:
    if table is None or not table.grams:
        why = f" ({table.skipped[0]})" if table is not None and table.skipped else ""
        raise UserError(
            f"got --decontaminate {argument}, which holds no text of {WIDTH} words or more{why}; "
            "allowed: a set with texts; fix: leave it out or name another file"
        )


class _Run:
    """How many sequences stand in a set, and the longest run of them, over pieces of a document."""

    def __init__(self) -> None:
        self.shared = 0
        self._longest = 0
        self._open = 0  # sequences of the run that reaches the end of what was seen

    @property
    def words(self) -> int:
        """Words of the longest run."""
        return self._longest + WIDTH - 1 if self._longest else 0

    def add(self, marks: NDArray[np.bool_]) -> None:
        self.shared += int(marks.sum())
        breaks = np.flatnonzero(~marks)
        if not len(breaks):
            self._open += len(marks)
            self._longest = max(self._longest, self._open)
            return
        inner = int(np.diff(breaks).max(initial=1)) - 1
        self._longest = max(self._longest, self._open + int(breaks[0]), inner)
        self._open = len(marks) - 1 - int(breaks[-1])
        self._longest = max(self._longest, self._open)
