"""What the sources gave, whatever the generator, before a dataset is made of it.

harvest = offline(order, folder, sources, tokenizer, progress)
harvest.documents     those that stay, with their rows on disk
harvest.repeated      near-duplicates that were left out
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from longdata.sources import Skip, Source
from longdata.tokenizers import Tokenizer
from longqa import near_duplicates
from longqa.accounting import ReadDocument
from longqa.folder import Folder
from longqa.order import Order
from longqa.progress import Progress
from longqa.source_work import SourceWork
from longqa.work import Unit, read_unit, unit_name, work_on

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """Documents and what is known of them. `units` are the files that a later build can use."""

    documents: list[ReadDocument]
    skips: list[Skip]
    repeated: list[Skip]
    units: set[str]
    num_read: int  # sources
    num_worked: int  # of these, worked on in this run; the others' units were there
    groups: Mapping[str, str] = field(default_factory=dict)  # documents that share a split
    stopped: str | None = None  # why a model was not asked everything that was planned
    notes: Sequence[str] = ()  # about the server


def offline(
    order: Order,
    folder: Folder,
    sources: Sequence[Source],
    tokenizer: Tokenizer,
    progress: Progress,
) -> Harvest:
    """Every source read and asked about in one go. UserError, Crash: as longqa.build.build."""

    def name(source: Source) -> str:
        return unit_name(source, order.recipe, order.generator, tokenizer.fingerprint)

    work: SourceWork[Unit] = SourceWork(
        order,
        folder,
        progress,
        name=name,
        read=read_unit,
        work=partial(work_on, recipe=order.recipe, units=folder.units, generator=order.generator),
    )
    work.do(sources)
    read = [
        ReadDocument(source=name, said=document)
        for name, unit in work.of(sources)
        for document in unit.documents
    ]
    kept, repeated = without_repeated(
        read, [(d.source, d.said.title, d.said.sketch) for d in read], progress
    )
    return Harvest(
        documents=kept,
        skips=work.skips,
        repeated=repeated,
        units=set(work.made),
        num_read=len(work.made),
        num_worked=work.num_worked,
    )


def without_repeated(
    documents: Sequence[Item],
    known_by: Sequence[tuple[str, str, near_duplicates.Hashes]],
    progress: Progress,
) -> tuple[list[Item], list[Skip]]:
    """The documents that stay, and one line for each that says what another says already.

    `known_by` are their source, title and sketch.
    """
    same = near_duplicates.find([sketch for _, _, sketch in known_by])
    skips = [
        Skip(
            known_by[index][0],
            duplicate.reason,
            f"“{known_by[index][1]}” repeats {known_by[duplicate.of][0]}",
        )
        for index, duplicate in same.items()
    ]
    for skip in skips:
        progress.left_out(skip)
    return [d for index, d in enumerate(documents) if index not in same], skips
