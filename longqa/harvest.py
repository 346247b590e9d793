"""What the sources gave, whatever the generator, before a dataset is made of it.

harvest = offline(order, folder, sources, tokenizer, progress)
harvest.documents     those that stay, with their rows on disk
harvest.repeated      near-duplicates that were left out
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from longdata.sources import Skip, Source
from longdata.tokenizers import Tokenizer
from longqa import near_duplicates
from longqa.accounting import ReadDocument
from longqa.folder import Folder
from longqa.order import Order
from longqa.progress import Progress
from longqa.source_work import SourceWork
from longqa.spool import Spool
from longqa.work import Unit, read_unit, unit_name, work_on


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """Documents and what is known of them. `units` are the files that a later build can use."""

    documents: Sequence[ReadDocument]
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
    repeated = repeats(
        folder.units,
        progress,
        sketches=(d.said.sketch() for d in read),
        names=lambda: ((d.source, d.said.title) for d in read),
    )
    return Harvest(
        documents=[d for number, d in enumerate(read) if number not in repeated],
        skips=work.skips,
        repeated=list(repeated.values()),
        units=set(work.made),
        num_read=len(work.made),
        num_worked=work.num_worked,
    )


def repeats(
    folder: Path,
    progress: Progress,
    *,
    sketches: Iterable[near_duplicates.Hashes],
    names: Callable[[], Iterable[tuple[str, str]]],
) -> dict[int, Skip]:
    """What says what another document says already, by its number, and how that is told.

    `names` gives the source and the title of each document. The sketches wait in `folder`.
    """
    kept = Spool(
        folder,
        to_bytes=lambda sketch: sketch.astype("<u8").tobytes(),
        from_bytes=lambda data: np.frombuffer(data, "<u8").astype(np.uint64),
        items=sketches,
    )
    same = near_duplicates.find(kept)
    needed = same.keys() | {duplicate.of for duplicate in same.values()}
    name_of = {number: name for number, name in enumerate(names()) if number in needed}
    found = {}
    for number, duplicate in same.items():
        source, title = name_of[number]
        detail = f"“{title}” repeats {name_of[duplicate.of][0]}"
        found[number] = Skip(source, duplicate.reason, detail)
        progress.left_out(found[number])
    return found
