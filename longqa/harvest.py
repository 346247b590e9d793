"""What the sources gave, whatever the generator, before a dataset is made of it.

harvest = offline(order, folder, sources, tokenizer, progress)
harvest.documents     those that stay, with their rows on disk
harvest.repeated      near-duplicates that were left out
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from longdata.sources import Skip, Source
from longdata.tokenizers import Tokenizer
from longqa import near_duplicates
from longqa.accounting import ReadDocument
from longqa.folder import Folder
from longqa.order import Order
from longqa.progress import Progress
from longqa.sketches import Sketches
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
        read,
        folder.units,
        progress,
        name=lambda d: (d.source, d.said.title),
        sketch=lambda d: d.said.sketch(),
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
    folder: Path,
    progress: Progress,
    *,
    name: Callable[[Item], tuple[str, str]],
    sketch: Callable[[Item], near_duplicates.Hashes],
) -> tuple[list[Item], list[Skip]]:
    """The documents that stay, and one line for each that says what another says already.

    `name` gives a document's source and title, `sketch` is called once for each. In `folder` lies
    what does not stay in memory.
    """
    with Sketches(folder) as sketches:
        for document in documents:
            sketches.append(sketch(document))
        same = near_duplicates.find(sketches)
    skips = []
    for index, duplicate in same.items():
        source, title = name(documents[index])
        other, _ = name(documents[duplicate.of])
        skips.append(Skip(source, duplicate.reason, f"“{title}” repeats {other}"))
        progress.left_out(skips[-1])
    return [d for index, d in enumerate(documents) if index not in same], skips
