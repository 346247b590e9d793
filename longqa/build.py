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
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from longdata.atomic import write_file
from longdata.errors import SourceError, UserError
from longdata.sources import Skip, Source, discover
from longqa import near_duplicates
from longqa.accounting import ReadDocument, account
from longqa.card import write_card
from longqa.dataset import SplitFiles, SplitWriter
from longqa.facts import FILE_NAME, SPLITS, BuildFacts, GeneratorFacts, SplitName
from longqa.folder import Folder
from longqa.order import Order
from longqa.overview import Statistics
from longqa.progress import Progress
from longqa.report import write_report
from longqa.splits import assign_splits
from longqa.work import (
    Unit,
    load_tokenizer,
    public_name,
    read_unit,
    rows_of,
    unit_name,
    work_on,
)
from longqa.workers import Done, Event, Failed, Step, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A finished build. `skipped` holds what could not be used although it should have been."""

    folder: Path
    facts: BuildFacts
    statistics: Statistics
    skipped: tuple[Skip, ...]
    counted_by: frozenset[str]  # "pieces", "full": how tokens were counted
    num_read: int  # sources
    num_worked: int  # of these, worked on in this run; the others' units were there
    seconds: float


class Crash(Exception):
    """Sources at which the code itself failed: a bug. The work on all others is kept."""

    def __init__(self, traces: Mapping[str, str]) -> None:
        super().__init__(", ".join(traces))
        self.traces = traces


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
        documents, same = _without_near_duplicates(work.documents(sources))
        for skip in same:
            progress.left_out(skip)
        used = [document for document in documents if document.said.num_examples]
        if not used:
            raise _nothing(documents, skips)
        progress.phase("writing the dataset")
        ids = [document.said.id for document in used]
        split_of = assign_splits(
            dict(zip(ids, ids, strict=True)), seed=order.recipe.seed, shares=order.shares
        )
        with folder.staging() as stage:
            statistics, files, generator = _write_rows(stage, used, split_of)
            facts = account(
                order,
                tokenizer,
                generator=generator,
                documents=documents,
                split_of=split_of,
                skips=[*skips, *same],
                kept=statistics.by_kind,
                begun=timing,
            )
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
            num_read=len(work.units),
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
        run(work, to_do, workers=self._order.workers, on_event=self._hear)
        self._progress.end()
        if self._crashes:
            raise Crash(self._crashes)

    def documents(self, sources: Sequence[Source]) -> list[ReadDocument]:
        """All documents, by the order of the sources."""
        return [
            ReadDocument(source=public_name(source.name), said=document)
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


def _without_near_duplicates(
    documents: list[ReadDocument],
) -> tuple[list[ReadDocument], list[Skip]]:
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
    stage: Path, documents: Iterable[ReadDocument], split_of: Mapping[str, SplitName]
) -> tuple[Statistics, list[SplitFiles], GeneratorFacts]:
    """All rows, by document id, then as they were made: neighbours share their context."""
    statistics = Statistics()
    written_by: GeneratorFacts = {"backend": "", "model": None, "prompt_sha": ""}
    wordings: set[str] = set()
    with ExitStack() as stack:
        writers = {split: stack.enter_context(SplitWriter(stage, split)) for split in SPLITS}
        for document in sorted(documents, key=lambda d: d.said.id):
            split = split_of[document.said.id]
            for row in rows_of(document.said):
                writers[split].write(row)
                statistics.add({**row, "split": split})
                written_by = row["generator"]
                wordings.add(written_by["prompt_sha"])
    digest = hashlib.sha256("\n".join(sorted(wordings)).encode()).hexdigest()
    written_by = {**written_by, "prompt_sha": digest}  # of the wordings of all kinds
    return statistics, [writers[split].files for split in SPLITS], written_by


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


def _nothing(documents: Sequence[ReadDocument], skips: Sequence[Skip]) -> UserError:
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


def _size(source: Source) -> int:
    try:
        return source.path.stat().st_size
    except OSError:
        return 0  # it vanished: that is said when it is read
