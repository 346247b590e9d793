"""Read this first: books and papers → a dataset folder, in one function.

    order = Order(sources=("books/",), out=Path("out"), recipe=Recipe(ctx=(8192, 16384)))
    built = build(order, Progress())
    built.folder     -> out, with data/, README.md, build.json, report.html
    built.facts      -> what build.json says: asked, kept, missing and why

The dataset depends on the sources, the recipe, the shares of the splits and the version, on
nothing else: not on the number of workers, the order of the arguments, or how often the build was
interrupted. Work is kept per source in out/.work/units, so that a source is worked on once.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from longdata.atomic import write_file
from longdata.errors import SourceError, UserError
from longdata.sources import Skip, Source, discover
from longqa import __version__, near_duplicates
from longqa.card import write_card
from longqa.dataset import SplitFiles, SplitWriter
from longqa.facts import (
    FILE_NAME,
    FORMAT,
    FORMAT_VERSION,
    SPLITS,
    BuildFacts,
    DocumentFacts,
    ReasonCount,
    SkippedFacts,
    SplitName,
)
from longqa.folder import Folder
from longqa.overview import Statistics
from longqa.progress import Progress
from longqa.recipe import Recipe
from longqa.report import write_report
from longqa.splits import SHARES, assign_splits
from longqa.work import (
    GENERATORS,
    Unit,
    WorkedDocument,
    load_tokenizer,
    public_name,
    read_unit,
    rows_of,
    unit_name,
    work_on,
)
from longqa.workers import Done, Event, Failed, Step, run


def available_cpus() -> int:
    """The processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to build, from what, and how much of the machine to use for it."""

    sources: tuple[str, ...]  # as `longdata.sources.discover` takes them
    out: Path
    recipe: Recipe = field(default_factory=Recipe)
    generator: str = "extractive"
    license: str | None = None
    metadata: Path | None = None
    text_column: str = "text"
    shares: Mapping[SplitName, float] = field(default_factory=lambda: dict(SHARES))
    workers: int = field(default_factory=available_cpus)
    strict: bool = False
    offline: bool = False
    cache_dir: Path | None = None
    command: str = ""  # as typed, for build.json

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"got --workers {self.workers}; allowed: 1 or more; fix: leave it out")
        if self.generator not in GENERATORS:
            raise UserError(
                f"got --generator {self.generator}; allowed: {', '.join(GENERATORS)}; "
                "fix: leave it out"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A finished build. `skipped` holds what could not be used although it should have been."""

    folder: Path
    facts: BuildFacts
    statistics: Statistics
    skipped: tuple[Skip, ...]
    counted_by: frozenset[str]  # "pieces", "full": how tokens were counted
    num_worked: int  # sources worked on in this run; the others' units were there
    seconds: float


class Crash(Exception):
    """Sources at which the code itself failed: a bug. The work on all others is kept."""

    def __init__(self, traces: Mapping[str, str]) -> None:
        super().__init__(", ".join(traces))
        self.traces = traces


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """A worked document and the source it stands in."""

    source: str
    said: WorkedDocument


def build(order: Order, progress: Progress) -> Built:
    """Make the dataset, or go on with it.

    UserError: a wrong argument, an output folder that is not ours, in use or not writable, with
    `strict` a source that cannot be used, or nothing that could be used at all. `Crash`: a bug.
    """
    started = time.monotonic()
    assign_splits({}, seed=order.recipe.seed, shares=order.shares)  # wrong shares end here
    found = discover(
        sorted(set(order.sources)),
        sidecar=order.metadata,
        license=order.license,
        text_column=order.text_column,
        cache_dir=order.cache_dir,
        offline=order.offline,
    )
    tokenizer = load_tokenizer(order.recipe.tokenizer)
    with Folder.claim(order.out) as folder:
        timing = {"find": time.monotonic()}
        sources, skips = _looked_for(found, order, progress)

        timing["work"] = time.monotonic()
        work = _Work(order, folder, tokenizer.fingerprint, progress)
        work.do(sources)
        skips += work.skips

        timing["write"] = time.monotonic()
        progress.phase("writing the dataset")
        documents, same = _without_near_duplicates(work.documents(sources))
        used = [document for document in documents if document.said.num_examples]
        if not used:
            raise _nothing(documents, skips)
        ids = [document.said.id for document in used]
        split_of = assign_splits(
            dict(zip(ids, ids, strict=True)), seed=order.recipe.seed, shares=order.shares
        )
        with folder.staging() as stage:
            statistics, files, generator = _write_rows(stage, used, split_of)
            facts: BuildFacts = {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "version": __version__,
                "command": order.command,
                "created": _today(),
                "seed": order.recipe.seed,
                "tokenizer": {
                    "name": _public_tokenizer(tokenizer.name),
                    "fingerprint": tokenizer.fingerprint,
                    "vocab_size": tokenizer.vocab_size,
                },
                "recipe": {
                    "ctx": list(order.recipe.ctx),
                    "shares": _normalised(order.recipe),
                    "per_document": order.recipe.per_document,
                    "kinds": dict(order.recipe.kinds),
                },
                "generator": generator,
                "splits": {
                    "shares": {split: order.shares[split] for split in SPLITS},
                    "documents": dict(Counter(split_of.values())),
                },
                "documents": [_document_facts(d, split_of) for d in documents],
                "skipped": [_skipped_facts(skip) for skip in (*skips, *same)],
                "dropped": _sum(d.said.dropped for d in documents),
                "requested": _sum(d.said.requested for d in documents),
                "kept": dict(sorted(statistics.by_kind.items())),
                "missing": _reasons(d.said.missing for d in documents),
                "rejected": _reasons(d.said.rejected for d in documents),
                "timing": _durations(timing),
            }
            _must_balance(facts)
            write_file(stage / FILE_NAME, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
            write_card(stage, facts, files, statistics)
            progress.phase("writing the report")
            write_report(stage, facts)
        folder.keep_units(set(work.units))
        return Built(
            folder=order.out,
            facts=facts,
            statistics=statistics,
            skipped=tuple(skip for skip in skips if _is_loss(skip)),
            counted_by=frozenset(document.said.counted_by for document in documents),
            num_worked=work.num_worked,
            seconds=time.monotonic() - started,
        )


def _looked_for(
    found: Iterable[Source | Skip], order: Order, progress: Progress
) -> tuple[list[Source], list[Skip]]:
    """The sources, in the order that decides which of two equal documents stays, and the rest."""
    progress.phase("looking for documents")
    sources: list[Source] = []
    skips: list[Skip] = []
    for item in found:
        if isinstance(item, Source):
            sources.append(item)
        else:
            skips.append(_said(item, order, progress))
    sources.sort(key=lambda source: (public_name(source.name), source.sha256))
    return sources, skips


class _Work:
    """The units of all sources: those that are there, and those to be made."""

    def __init__(self, order: Order, folder: Folder, fingerprint: str, progress: Progress) -> None:
        self._order, self._folder, self._progress = order, folder, progress
        self._fingerprint = fingerprint
        self._crashes: dict[str, str] = {}
        self.units: dict[str, Unit] = {}  # by file name
        self.skips: list[Skip] = []
        self.num_worked = 0

    def do(self, sources: Sequence[Source]) -> None:
        """Work on every source that has no unit yet, the largest first."""
        to_do = []
        for source in sources:
            unit = read_unit(self._folder.units / self._name(source))
            if unit is None:
                to_do.append(source)
            else:
                self._take(source, unit)
        to_do.sort(key=_size, reverse=True)
        self._progress.begin(
            finished=len(self.units), to_do=len(to_do), num_bytes=sum(map(_size, to_do))
        )
        work = partial(
            work_on,
            recipe=self._order.recipe,
            units=self._folder.units,
            generator=self._order.generator,
        )
        workers = min(self._order.workers, max(1, len(to_do)))
        run(work, to_do, workers=workers, on_event=self._hear)
        self._progress.end()
        if self._crashes:
            raise Crash(self._crashes)

    def documents(self, sources: Sequence[Source]) -> list[_Document]:
        """All documents, by the order of the sources."""
        return [
            _Document(source=public_name(source.name), said=document)
            for source in sources
            if (unit := self.units.get(self._name(source))) is not None
            for document in unit.documents
        ]

    def _hear(self, event: Event[Source, Path]) -> None:
        source = event.task
        name = public_name(source.name)
        if isinstance(event, Step):
            self._progress.step(name, *event.news)
        elif isinstance(event, Done):
            unit = read_unit(event.result)
            if unit is None:
                raise UserError(
                    f"got no readable {event.result.name} right after it was written; allowed: an "
                    "output folder on a sound disk; fix: choose another --out"
                )
            self.num_worked += 1
            rows = sum(document.num_examples for document in unit.documents)
            self._progress.done(name, len(unit.documents), rows, _size(source))
            self._take(source, unit)
        elif isinstance(event, Failed):
            self._failed(source, event)
        else:
            code = f"exit code {event.exit_code}"
            killed = "killed, perhaps for lack of memory" if event.exit_code == -9 else code
            self._skip(source, Skip(source.name, "worker died", f"twice: {killed}"))

    def _failed(self, source: Source, event: Failed[Source]) -> None:
        if isinstance(event.error, UserError):  # of the disk or the tokenizer: so will the others
            raise event.error
        if isinstance(event.error, SourceError):
            self._skip(source, Skip(source.name, event.error.reason, event.error.detail))
            return
        name = public_name(source.name)
        self._crashes[name] = event.trace
        self._progress.failed(name, "a bug in longqa", _size(source))

    def _take(self, source: Source, unit: Unit) -> None:
        self.units[self._name(source)] = unit
        self.skips += [_said(problem, self._order, self._progress) for problem in unit.problems]

    def _skip(self, source: Source, skip: Skip) -> None:
        self._progress.failed(public_name(source.name), skip.reason, _size(source))
        self.skips.append(_said(skip, self._order, self._progress))

    def _name(self, source: Source) -> str:
        order = self._order
        return unit_name(source, order.recipe, order.generator, self._fingerprint)


def _without_near_duplicates(documents: list[_Document]) -> tuple[list[_Document], list[Skip]]:
    """The documents that stay, and one line for each that says what another says already."""
    same = near_duplicates.find([document.said.sketch for document in documents])
    skips = [
        Skip(
            documents[index].source,
            duplicate.reason,
            f"“{documents[index].said.title}” repeats {documents[duplicate.of].source}",
        )
        for index, duplicate in same.items()
    ]
    return [d for index, d in enumerate(documents) if index not in same], skips


def _write_rows(
    stage: Path, documents: Iterable[_Document], split_of: Mapping[str, SplitName]
) -> tuple[Statistics, list[SplitFiles], Any]:
    """All rows, by document id, then as they were made: neighbours share their context."""
    statistics = Statistics()
    wordings: set[str] = set()
    generator: Any = None
    with ExitStack() as stack:
        writers = {split: stack.enter_context(SplitWriter(stage, split)) for split in SPLITS}
        for document in sorted(documents, key=lambda d: d.said.id):
            split = split_of[document.said.id]
            for row in rows_of(document.said):
                generator = row["generator"]
                wordings.add(generator["prompt_sha"])
                writers[split].write(row)
                statistics.add({**row, "split": split})
    digest = hashlib.sha256("\n".join(sorted(wordings)).encode()).hexdigest()
    all_wordings = wordings.pop() if len(wordings) == 1 else digest
    files = [writers[split].files for split in SPLITS]
    return statistics, files, {**generator, "prompt_sha": all_wordings}


def _document_facts(document: _Document, split_of: Mapping[str, SplitName]) -> DocumentFacts:
    said = document.said
    return {
        "id": said.id,
        "title": said.title,
        "author": said.author,
        "year": said.year,
        "license": said.license,
        "language": said.language,
        "url": said.url,
        "source": document.source,
        "sha256": said.sha256,
        "kind": said.kind,
        "tokens": said.tokens,
        "split": split_of.get(said.id, "train"),
        "kept": said.num_examples,
    }


def _skipped_facts(skip: Skip) -> SkippedFacts:
    return {"name": skip.name, "reason": skip.reason, "detail": skip.detail}


def _said(skip: Skip, order: Order, progress: Progress) -> Skip:
    """The skip as it may be published; a loss is told, and ends a strict build."""
    public = Skip(public_name(skip.name), skip.reason, skip.detail)
    if _is_loss(skip):
        if order.strict:
            detail = f" ({skip.detail})" if skip.detail else ""
            raise UserError(
                f"got {skip.name}: {skip.reason}{detail}; allowed with --strict: sources that can "
                "all be used; fix: mend it, leave it out, or build without --strict"
            )
        progress.skipped(public)
    return public


def _is_loss(skip: Skip) -> bool:
    return skip.is_loss and skip.reason != "duplicate"


def _must_balance(facts: BuildFacts) -> None:
    """For every kind, asked = kept + missing; anything else is a bug of the generator."""
    missing: Counter[str] = Counter()
    for entry in facts["missing"]:
        missing[entry["kind"]] += entry["count"]
    for kind in sorted({*facts["requested"], *facts["kept"], *missing}):
        asked, kept = facts["requested"].get(kind, 0), facts["kept"].get(kind, 0)
        if asked != kept + missing[kind]:
            raise ValueError(f"{kind}: asked {asked}, kept {kept}, missing {missing[kind]}")


def _nothing(documents: Sequence[_Document], skips: Sequence[Skip]) -> UserError:
    losses = Counter(skip.reason for skip in skips if _is_loss(skip))
    said = ", ".join(f"{count} {reason}" for reason, count in sorted(losses.items()))
    reasons = Counter[str]()
    for document in documents:
        for (_, reason), count in document.said.missing.items():
            reasons[reason] += count
    if documents:
        why = ", ".join(reason for reason, _ in reasons.most_common(2)) or "too little text"
        return UserError(
            f"got {len(documents)} documents that gave no question ({why}); allowed: documents "
            "with enough text for the lengths asked for; fix: add longer ones or lower --ctx"
        )
    return UserError(
        f"got no document that can be used ({said or 'none found'}); allowed: at least one; "
        "fix: see the lines above, nothing was written"
    )


def _public_tokenizer(name: str) -> str:
    return public_name(name) if Path(name).exists() else name


def _normalised(recipe: Recipe) -> list[float]:
    shares = recipe.shares or (1.0,) * len(recipe.ctx)
    return [share / sum(shares) for share in shares]


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))


def _reasons(counts: Iterable[Mapping[tuple[str, str], int]]) -> list[ReasonCount]:
    total: Counter[tuple[str, str]] = Counter()
    for one in counts:
        total.update(one)
    return [
        {"kind": kind, "reason": reason, "count": count}
        for (kind, reason), count in sorted(total.items())
    ]


def _durations(begun: Mapping[str, float]) -> dict[str, float]:
    ends = [*list(begun.values())[1:], time.monotonic()]
    return {
        name: round(end - start, 3) for (name, start), end in zip(begun.items(), ends, strict=True)
    }


def _size(source: Source) -> int:
    try:
        return source.path.stat().st_size
    except OSError:
        return 0  # it vanished: that is said when it is read


def _today() -> str:
    """The date, in UTC; SOURCE_DATE_EPOCH (seconds) replaces the clock for reproducible builds."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.date().isoformat()
