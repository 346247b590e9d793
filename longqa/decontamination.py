"""What of a document stands in the sets a model will be evaluated on, and what to do about it.

    against = prepare(["pg19", "tests/own.jsonl"])      # once: fetches and indexes what is not here
    check = Check(load_index(against), document.text, against.mode)      # once per document
    check.context(0, 31_000)        -> None, or CONTEXT_OVERLAPS: ask nothing on this stretch
    check.question("Who …?", "…")   -> None, or QUESTION_OVERLAPS
    facts = report(against, [(document.title, check.tally())])           # for build.json

Compared are sequences of 13 words (`longdata.ngrams`). A context is contaminated by a set when at
least 1 % of its sequences stand in the set, or 50 words in a row do. A question or an answer is
contaminated by a single sequence. In the mode "report" everything is counted and nothing removed.

A document is hashed and looked up once. Its contexts are slices of it: their shares come from
running sums, whatever their length.
"""

from __future__ import annotations

import logging
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypedDict

from longdata.errors import UserError
from longdata.evaluation_sets import EVALUATION_SETS, resolve
from longdata.fetch import default_cache_dir
from longdata.gram_table import GramTable
from longdata.ngrams import SCHEME, WIDTH
from longdata.sources import Skip
from longqa import __version__
from longqa.overlap import Index, Overlap

# Measured (docs/decontamination.md): of 6,000 words of a book, at most 0.2 % stand in books by
# others, of a paper 0.6 % in other papers, which is the wording of licences. Another edition or
# another format of the same work shares 73 % and more.
CONTEXT_SHARE = 0.01
# Shorter copies are quotations, which different authors share. The number is that of Lee et al.,
# Deduplicating Training Data Makes Language Models Better, 2022, there in tokens.
STRETCH_WORDS = 50

CONTEXT_OVERLAPS = "context overlaps an evaluation set"
QUESTION_OVERLAPS = "question overlaps an evaluation set"
WORST = 10  # documents named in the report
_MOST_SKIPS = 50  # of one set, in the report

Mode = Literal["remove", "report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetKey:
    """Which evaluation set, exactly."""

    name: str
    revision: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What a build is compared with. Equal values remove the same, on any machine."""

    sets: tuple[SetKey, ...]
    mode: Mode = "remove"


class Hits(TypedDict):
    """Contexts or questions. A hit in several sets is counted in each of `by_set`."""

    checked: int
    removed: int
    reported: int  # hits that were kept, in the mode "report"
    by_set: dict[str, int]


class Tally(TypedDict):
    """What became of one document; `share` and `longest` are of the whole of it."""

    contexts: Hits
    questions: Hits
    share: float
    longest: int
    by_set: dict[str, int]  # shared sequences


class SetFacts(TypedDict):
    """One evaluation set as it was read."""

    name: str
    revision: str
    fingerprint: str
    texts: int
    grams: int  # distinct sequences
    skipped: list[str]  # "name: reason" of what could not be read


class WorstFacts(TypedDict):
    """A document that shares sequences with a set."""

    title: str
    share: float
    longest: int  # words in a row
    by_set: dict[str, int]


class DecontaminationFacts(TypedDict):
    """The part of `build.json`; it is there whenever a build was compared, also without a hit."""

    mode: str
    width: int
    context_share: float
    stretch_words: int
    sets: list[SetFacts]
    contexts: Hits
    questions: Hits
    worst: list[WorstFacts]


def contaminants(overlap: Overlap) -> list[str]:
    """The sets of which a context holds too much."""
    return [
        name
        for name, shared in overlap.by_set.items()
        if shared.grams >= CONTEXT_SHARE * overlap.num_grams or shared.longest >= STRETCH_WORDS
    ]


class Check:
    """One document against the sets, with the account of what was found."""

    def __init__(self, index: Index, text: str, mode: Mode) -> None:
        self._index = index
        self._mode = mode
        self.document = index.document(text)
        self._contexts = _no_hits()
        self._questions = _no_hits()

    def context(self, start: int, end: int) -> str | None:
        """CONTEXT_OVERLAPS when nothing may be asked on text[start:end]. Counted at each call."""
        sets = contaminants(self.document.of(start, end))
        return CONTEXT_OVERLAPS if self._count(self._contexts, sets) else None

    def question(self, text: str, answer: str) -> str | None:
        """QUESTION_OVERLAPS when this may not be asked. Counted at each call."""
        found = (self._index.overlap(part).by_set for part in (text, answer))
        sets = sorted({name for by_set in found for name in by_set})
        return QUESTION_OVERLAPS if self._count(self._questions, sets) else None

    def tally(self) -> Tally:
        """The account, as JSON can hold it."""
        whole = self.document.of()
        return {
            "contexts": self._contexts,
            "questions": self._questions,
            "share": round(whole.share, 6),
            "longest": max((shared.longest for shared in whole.by_set.values()), default=0),
            "by_set": {name: shared.grams for name, shared in whole.by_set.items()},
        }

    def _count(self, hits: Hits, sets: Sequence[str]) -> bool:
        hits["checked"] += 1
        for name in sets:
            hits["by_set"][name] = hits["by_set"].get(name, 0) + 1
        is_removed = bool(sets) and self._mode == "remove"
        hits["removed"] += is_removed
        hits["reported"] += bool(sets) and not is_removed
        return is_removed


def arguments_of(typed: str) -> tuple[str, ...]:
    """--against pg19,longbench,own.jsonl → its parts; a path that exists may hold commas."""
    if typed in EVALUATION_SETS or (typed and Path(typed).exists()):
        return (typed,)
    parts = tuple(part.strip() for part in typed.split(","))
    if not all(parts):
        raise UserError(
            f"got --against {typed!r}; allowed: {', '.join(EVALUATION_SETS)}, files and folders, "
            "separated by commas; fix: --against pg19,proof-pile"
        )
    return parts


def prepare(
    arguments: Sequence[str],
    *,
    mode: Mode = "remove",
    cache_dir: Path | None = None,
    offline: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Against:
    """Fetch the sets, index what is not in the cache yet, and say what they are.

    `tell` hears of each set before it is indexed, which takes a minute for the largest. UserError:
    no such set or path, not to be had, nothing to compare in it, an unwritable cache.
    """
    tell = tell or logging.getLogger("longqa").warning
    keys: dict[str, SetKey] = {}
    for argument in arguments:
        found = resolve(argument, cache_dir=cache_dir, offline=offline)
        name = found.name
        if name in {key.name for key in keys.values()}:
            name = f"{name} {found.fingerprint[:8]}"
        key = SetKey(name=name, revision=found.revision, fingerprint=found.fingerprint)
        place = _place(key, cache_dir)
        table = GramTable.load(place)
        if table is None:
            tell(f"{name}: indexing what stands in it, once")
            skips: list[Skip] = []
            try:
                table = GramTable.build(found.texts(skips), place, _Said(skips))
            except OSError as error:
                raise UserError(
                    f"got the cache folder {place.parent}, which cannot be written "
                    f"({error.strerror}); allowed: a writable folder with room; fix: set "
                    "LONGQA_CACHE"
                ) from error
        if not table.grams:
            why = f" ({table.skipped[0]})" if table.skipped else ""
            raise UserError(
                f"got --against {argument}, which holds no text of {WIDTH} words or more{why}; "
                "allowed: a set with texts; fix: leave it out or name another file"
            )
        keys.setdefault(found.fingerprint, key)
    return Against(sets=tuple(keys.values()), mode=mode)


@lru_cache(maxsize=2)
def load_index(against: Against, cache_dir: Path | None = None) -> Index:
    """The tables that `prepare` left in the cache, mapped into memory, once per process."""
    tables = {}
    for key in against.sets:
        table = GramTable.load(_place(key, cache_dir))
        if table is None:
            raise UserError(
                f"got --against {key.name}, which is no longer in the cache "
                f"{cache_dir or default_cache_dir()}; allowed: a cache that stays while a build "
                "runs; fix: run the same command again"
            )
        tables[key.name] = table
    return Index(tables)


def report(
    against: Against, tallies: Iterable[tuple[str, Tally]], cache_dir: Path | None = None
) -> DecontaminationFacts:
    """The account of all documents, given as (title, tally)."""
    index = load_index(against, cache_dir)
    contexts, questions = _no_hits(), _no_hits()
    worst: list[WorstFacts] = []
    for title, tally in tallies:
        _add(contexts, tally["contexts"])
        _add(questions, tally["questions"])
        if tally["by_set"]:
            worst.append(
                {
                    "title": title,
                    "share": tally["share"],
                    "longest": tally["longest"],
                    "by_set": tally["by_set"],
                }
            )
    worst.sort(key=lambda entry: (-entry["share"], -entry["longest"], entry["title"]))
    return {
        "mode": against.mode,
        "width": WIDTH,
        "context_share": CONTEXT_SHARE,
        "stretch_words": STRETCH_WORDS,
        "sets": [
            {
                "name": key.name,
                "revision": key.revision,
                "fingerprint": key.fingerprint,
                "texts": index.tables[key.name].texts,
                "grams": index.tables[key.name].grams,
                "skipped": list(index.tables[key.name].skipped),
            }
            for key in against.sets
        ],
        "contexts": contexts,
        "questions": questions,
        "worst": worst[:WORST],
    }


def _place(key: SetKey, cache_dir: Path | None) -> Path:
    """The folder of a set's table; another reading of the same bytes has another one."""
    made_by = f"{__version__}-{SCHEME}-{unicodedata.unidata_version}"
    return (cache_dir or default_cache_dir()) / "grams" / f"{key.fingerprint}-{made_by}"


class _Said:
    """Skips in words, without the folders of this machine, as many as there are when asked."""

    def __init__(self, skips: list[Skip]) -> None:
        self._skips = skips

    def __iter__(self) -> Iterator[str]:
        for skip in self._skips[:_MOST_SKIPS]:
            yield f"{Path(skip.name).name}: {skip.reason}"
        if len(self._skips) > _MOST_SKIPS:
            yield f"and {len(self._skips) - _MOST_SKIPS} more"


def _no_hits() -> Hits:
    return {"checked": 0, "removed": 0, "reported": 0, "by_set": {}}


def _add(total: Hits, part: Hits) -> None:
    total["checked"] += part["checked"]
    total["removed"] += part["removed"]
    total["reported"] += part["reported"]
    total["by_set"] = dict(sorted((Counter(total["by_set"]) + Counter(part["by_set"])).items()))
