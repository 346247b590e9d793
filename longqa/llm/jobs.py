"""What there is to ask a model about: documents that were read, and papers to compare.

reading = read_all(order, folder, sources, tokenizer, progress)
reading.jobs[0].load()      -> the Document and where it came from
reading.repeated            what says the same as another one: left out before anything is paid
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from longdata.documents import Document
from longdata.sources import Skip, Source
from longdata.tokenizers import Tokenizer
from longqa.folder import Folder
from longqa.harvest import repeats
from longqa.llm.pairs import join, pairs
from longqa.order import Order
from longqa.progress import Progress
from longqa.records import SourceRecord
from longqa.source_work import SourceWork
from longqa.spool import Spool, dumps
from longqa.texts import KeptText, Texts, read_on, read_texts, texts_name
from longqa.work import document_unit_name

PROMPT_ROOM = 1200  # tokens around a context: what is asked, and the questions asked before


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One document to ask about, or two papers to compare; nothing is loaded yet."""

    source: str
    texts: tuple[KeptText, ...]

    @property
    def id(self) -> str:
        """Names the job: that of its documents."""
        return "+".join(text.id for text in self.texts)

    @property
    def title(self) -> str:
        """For progress."""
        return " and ".join(str(text.facts["title"]) for text in self.texts)

    @property
    def tokens(self) -> int:
        """Of all its text."""
        return sum(text.tokens for text in self.texts)

    def load(self) -> tuple[Document, tuple[SourceRecord, ...]]:
        """The document and where it came from; two papers are joined."""
        documents = [text.load() for text in self.texts]
        if len(documents) == 2:
            return join(*documents)
        return documents[0], (_record(self.texts[0]),)

    def unit(self, order: Order, fingerprint: str) -> str:
        """The file name of what it gives."""
        records = [_record(text) for text in self.texts]
        return document_unit_name(self.id, records, order.recipe, fingerprint)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What there is to ask about."""

    jobs: Sequence[Job]  # loaded when they are asked for
    groups: dict[str, str]  # document id → group, for papers that are compared
    skips: list[Skip]
    repeated: list[Skip]
    files: set[str]
    num_read: int
    num_worked: int


def read_all(
    order: Order,
    folder: Folder,
    sources: Sequence[Source],
    tokenizer: Tokenizer,
    progress: Progress,
) -> Reading:
    """Every source read, what repeats another left out, papers paired up."""
    fingerprint = tokenizer.fingerprint
    work: SourceWork[Texts] = SourceWork(
        order,
        folder,
        progress,
        name=lambda source: texts_name(source, fingerprint),
        read=read_texts,
        work=partial(read_on, tokenizer=order.recipe.tokenizer, units=folder.units),
    )
    work.do(sources)
    read = work.of(sources)

    def texts() -> Iterator[tuple[str, KeptText]]:
        return ((name, text) for name, made in read for text in made.documents)

    repeated = repeats(
        folder.units,
        progress,
        sketches=(text.sketch() for _, text in texts()),
        names=lambda: ((name, str(text.facts["title"])) for name, text in texts()),
    )
    jobs = Spool(
        folder.units,
        to_bytes=_job_to_bytes,
        from_bytes=_job_from_bytes,
        items=(
            Job(source=name, texts=(text,))
            for number, (name, text) in enumerate(texts())
            if number not in repeated
        ),
    )
    groups: dict[str, str] = {}
    for job in list(_pairs(order, jobs)):
        jobs.append(job)
        groups.update({text.id: job.id for text in job.texts})
    return Reading(
        jobs=jobs,
        groups=groups,
        skips=work.skips,
        repeated=list(repeated.values()),
        files=set(work.made),
        num_read=len(work.made),
        num_worked=work.num_worked,
    )


def _pairs(order: Order, jobs: Sequence[Job]) -> Iterator[Job]:
    """Papers in the same language of which two fit the longest context, each in one pair."""
    if order.recipe.kinds and "comparison" not in order.recipe.kinds:
        return
    half = order.recipe.ctx[-1] // 2 - PROMPT_ROOM // 2
    papers: dict[str, dict[str, int]] = {}  # by language: the numbers of jobs, by id
    for number, job in enumerate(jobs):
        (text,) = job.texts
        if text.language and text.facts["kind"] == "paper" and job.tokens <= half:
            papers.setdefault(text.language, {})[job.id] = number
    for language in sorted(papers):
        numbers = papers[language]
        for one, other in pairs(list(numbers)):
            first, second = jobs[numbers[one]], jobs[numbers[other]]
            yield Job(source=f"{first.source} + {second.source}", texts=first.texts + second.texts)


def _job_to_bytes(job: Job) -> bytes:
    texts = [{**asdict(text), "path": str(text.path)} for text in job.texts]
    return dumps({"source": job.source, "texts": texts})


def _job_from_bytes(data: bytes) -> Job:
    said = json.loads(data)
    texts = (KeptText(**{**text, "path": Path(text["path"])}) for text in said["texts"])
    return Job(source=said["source"], texts=tuple(texts))


def _record(text: KeptText) -> SourceRecord:
    facts = text.facts
    return SourceRecord(
        title=facts["title"],
        author=facts["author"],
        year=facts["year"],
        license=facts["license"],
        url=facts["url"],
        sha256=facts["sha256"],
    )
