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
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longdata.atomic import writing
from longdata.sources import Skip, Source, discover
from longdata.tokenizers import Tokenizer
from longqa.accounting import ReadDocument, account
from longqa.card import write_card
from longqa.dataset import SplitFiles, SplitWriter
from longqa.facts import FILE_NAME, SPLITS, BuildFacts, GeneratorFacts, SplitName
from longqa.folder import Folder
from longqa.harvest import offline
from longqa.nothing import nothing
from longqa.order import Order
from longqa.overview import Statistics
from longqa.progress import Progress
from longqa.report import write_report
from longqa.short import Mixed, mix
from longqa.source_work import is_loss, told
from longqa.splits import assign_splits
from longqa.work import (
    load_tokenizer,
    public_name,
    rows_of,
)


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
    stopped: str | None  # why a model was not asked everything that was planned
    seconds: float


def build(order: Order, progress: Progress) -> Built:
    """Make the dataset, or go on with it.

    UserError: a wrong argument, an output folder that is not ours, in use or not writable, with
    `strict` a source that cannot be used, or nothing that could be used at all. `Crash`: a bug.
    """
    started = time.monotonic()
    assign_splits({}, seed=order.recipe.seed, shares=order.shares)  # wrong shares end here
    tokenizer = load_tokenizer(order.recipe.tokenizer)
    with Folder.claim(order.out) as folder:
        timing = {"find": time.monotonic()}
        sources, skips = sources_of(order, progress)

        timing["work"] = time.monotonic()
        if order.model is None:
            harvest = offline(order, folder, sources, tokenizer, progress)
        else:
            from longqa.llm.talk import with_model

            harvest = with_model(order, folder, sources, tokenizer, progress)
        skips += harvest.skips

        timing["write"] = time.monotonic()
        used = [
            (document.said.id, number)
            for number, document in enumerate(harvest.documents)
            if document.said.num_examples
        ]
        if not used:
            raise nothing(harvest, skips, has_model=order.model is not None)
        progress.phase("writing the dataset")
        split_of = assign_splits(
            {id: harvest.groups.get(id, id) for id, _ in used},
            seed=order.recipe.seed,
            shares=order.shares,
        )
        split_of.update(_of_their_pairs(harvest.groups, split_of))
        mixed = _mixed(order, harvest.documents, split_of, tokenizer)
        with folder.staging() as stage:
            short_rows = mixed.rows if mixed else ()
            in_order = (harvest.documents[number] for _, number in sorted(used))
            statistics, files, generator = _write_rows(stage, in_order, split_of, short_rows)
            facts = account(
                order,
                tokenizer,
                generator=generator,
                documents=harvest.documents,
                folder=folder.units,
                split_of=split_of,
                skips=[*skips, *harvest.repeated],
                kept=statistics.by_kind,
                notes=harvest.notes,
                short=mixed.facts if mixed else None,
                begun=timing,
            )
            _write_facts(stage / FILE_NAME, facts)
            write_card(stage, facts, files, statistics)
            progress.phase("writing the report")
            write_report(stage, facts, statistics)
        folder.keep_units(harvest.units)
        return Built(
            folder=order.out,
            facts=facts,
            statistics=statistics,
            skipped=tuple(skip for skip in skips if is_loss(skip)),
            counted_by=frozenset(document.said.counted_by for document in harvest.documents),
            num_read=harvest.num_read,
            num_worked=harvest.num_worked,
            stopped=harvest.stopped,
            seconds=time.monotonic() - started,
        )


def sources_of(order: Order, progress: Progress) -> tuple[list[Source], list[Skip]]:
    """The sources, in the order that decides which of two equal documents stays, and the rest."""
    found = discover(
        sorted(set(order.sources)),
        sidecar=order.metadata,
        license=order.license,
        text_column=order.text_column,
        cache_dir=order.cache_dir,
        offline=order.offline,
    )
    progress.phase("looking for documents")
    sources: list[Source] = []
    skips: list[Skip] = []
    for item in found:
        if isinstance(item, Source):
            sources.append(item)
        else:
            skips.append(told(item, order, progress))
    sources.sort(key=lambda source: (public_name(source.name), source.sha256))
    return sources, skips


def _write_facts(path: Path, facts: BuildFacts) -> None:
    """As indented JSON, the documents one after the other: there may be many."""
    encoder = json.JSONEncoder(indent=1, ensure_ascii=False)
    with writing(path) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        between = "{"
        for name, value in facts.items():
            file.write(f"{between}\n {encoder.encode(name)}: ")
            between = ","
            if name != "documents":
                file.write(encoder.encode(value).replace("\n", "\n "))
                continue
            for number, document in enumerate(facts["documents"]):
                text = encoder.encode(document).replace("\n", "\n  ")
                file.write(f"{',' if number else '['}\n  {text}")
            file.write("\n ]" if facts["documents"] else "[]")
        file.write("\n}\n")


def _of_their_pairs(
    groups: Mapping[str, str], split_of: Mapping[str, SplitName]
) -> dict[str, SplitName]:
    """The splits of documents that have no row of their own, but one with another document."""
    by_group = {groups[id]: split for id, split in split_of.items() if id in groups}
    return {
        id: by_group[group]
        for id, group in groups.items()
        if id not in split_of and group in by_group
    }


def _mixed(
    order: Order,
    documents: Iterable[ReadDocument],
    split_of: Mapping[str, SplitName],
    tokenizer: Tokenizer,
) -> Mixed | None:
    """The short rows that go with the long ones of the training split."""
    if order.short is None:
        return None
    long = sum(d.said.num_examples for d in documents if split_of.get(d.said.id) == "train")
    recipe = order.recipe
    return mix(
        long,
        order.short_share,
        order.short,
        seed=recipe.seed,
        tokenizer=tokenizer,
        ctx=recipe.ctx[0],
    )


def _write_rows(
    stage: Path,
    documents: Iterable[ReadDocument],
    split_of: Mapping[str, SplitName],
    short: Sequence[Mapping[str, Any]],
) -> tuple[Statistics, list[SplitFiles], GeneratorFacts]:
    """All rows as the documents come, then as they were made: neighbours share their context.
    Short ones come last in the training split."""
    statistics = Statistics()
    written_by: GeneratorFacts = {"backend": "", "model": None, "prompt_sha": ""}
    wordings: set[str] = set()
    with ExitStack() as stack:
        writers = {split: stack.enter_context(SplitWriter(stage, split)) for split in SPLITS}
        for document in documents:
            split = split_of[document.said.id]
            for row in rows_of(document.said):
                writers[split].write(row)
                statistics.add({**row, "split": split})
                written_by = row["generator"]
                wordings.add(written_by["prompt_sha"])
        for instruction in short:
            writers["train"].write(instruction)
            statistics.add({**instruction, "split": "train"})
    digest = hashlib.sha256("\n".join(sorted(wordings)).encode()).hexdigest()
    written_by = {**written_by, "prompt_sha": digest}  # of the wordings of all kinds
    return statistics, [writers[split].files for split in SPLITS], written_by
