"""What there is to ask a model about: documents that were read, and papers to compare.

reading = read_all(order, folder, sources, tokenizer, progress)
reading.jobs[0].load()      -> the Document and where it came from
reading.repeated            what says the same as another one: left out before anything is paid
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from longdata.documents import Document
from longdata.sources import Skip, Source
from longdata.tokenizers import Tokenizer
from longqa.folder import Folder
from longqa.harvest import without_repeated
from longqa.llm.pairs import join, pairs
from longqa.order import Order
from longqa.progress import Progress
from longqa.records import SourceRecord
from longqa.source_work import SourceWork
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

    jobs: list[Job]
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
    read = [(name, text) for name, made in work.of(sources) for text in made.documents]
    kept, repeated = without_repeated(
        read,
        folder.units,
        progress,
        name=lambda item: (item[0], str(item[1].facts["title"])),
        sketch=lambda item: item[1].sketch(),
    )
    jobs = [Job(source=name, texts=(text,)) for name, text in kept]
    compared = list(_pairs(order, jobs))
    return Reading(
        jobs=jobs + compared,
        groups={text.id: job.id for job in compared for text in job.texts},
        skips=work.skips,
        repeated=repeated,
        files=set(work.made),
        num_read=len(work.made),
        num_worked=work.num_worked,
    )


def _pairs(order: Order, jobs: Sequence[Job]) -> Iterator[Job]:
    """Papers in the same language of which two fit the longest context, each in one pair."""
    if order.recipe.kinds and "comparison" not in order.recipe.kinds:
        return
    half = order.recipe.ctx[-1] // 2 - PROMPT_ROOM // 2
    papers = {
        job.id: job for job in jobs if job.texts[0].facts["kind"] == "paper" and job.tokens <= half
    }
    for language in sorted({job.texts[0].language or "" for job in papers.values()}):
        ids = [id for id, job in papers.items() if (job.texts[0].language or "") == language]
        for one, other in pairs(ids if language else []):
            first, second = papers[one], papers[other]
            yield Job(source=f"{first.source} + {second.source}", texts=first.texts + second.texts)


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
