"""All documents and the models: who is asked about when, and what is kept of it.

    harvest = with_model(order, folder, sources, tokenizer, progress)

Documents are read first, in several processes, and kept on disk; what repeats another is left out
before anything is paid. Then they are taken up one after the other, as many at once as keep the
server busy, so that memory does not grow with their number. What a document gave is a unit of its
own; one whose calls failed is used and not kept, so that the next run asks again (its answers are
in the ledger).
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from longdata.documents import Document
from longdata.sources import Skip, Source
from longdata.tokenizers import Tokenizer
from longqa.accounting import ReadDocument
from longqa.folder import Folder
from longqa.harvest import Harvest, without_repeated
from longqa.llm.calls import Caller
from longqa.llm.interview import Interview, Panel, Prepared, prepare
from longqa.llm.ledger import Ledger
from longqa.llm.pairs import join, pairs
from longqa.llm.purse import Purse, require_prices
from longqa.llm.records import Endpoint
from longqa.llm.server import Server
from longqa.order import Order
from longqa.progress import Progress
from longqa.records import SourceRecord
from longqa.source_work import Crash, SourceWork, told
from longqa.texts import KeptText, Texts, read_on, read_texts, texts_name
from longqa.work import document_unit_name, read_unit, write_unit

PROMPT_ROOM = 1200  # tokens around a context: what is asked, and the questions asked before
ANSWER_ROOM = 2500  # tokens of an answer that a server must have room for
MOST_AT_ONCE = 1024  # documents
NOT_BEGUN = "not asked about"
_PARTIAL = ".partial.arrow"


@dataclass(frozen=True, kw_only=True)
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
        read, [(name, str(text.facts["title"]), text.sketch) for name, text in read], progress
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


def with_model(
    order: Order,
    folder: Folder,
    sources: Sequence[Source],
    tokenizer: Tokenizer,
    progress: Progress,
) -> Harvest:
    """Ask the models about every document. UserError, Crash: as longqa.build.build."""
    assert order.model is not None
    require_prices(order.model.max_usd, _endpoints(order))
    reading = read_all(order, folder, sources, tokenizer, progress)
    talk = _Talk(order, folder, tokenizer, progress)
    talk.do(reading.jobs)
    return Harvest(
        documents=talk.documents(reading.jobs),
        skips=[*reading.skips, *talk.skips],
        repeated=reading.repeated,
        units=reading.files | talk.finished,
        num_read=reading.num_read,
        num_worked=reading.num_worked,
        groups={**reading.groups, **talk.groups(reading.jobs)},
        stopped=talk.stopped,
        notes=talk.notes,
    )


def _endpoints(order: Order) -> list[Endpoint]:
    assert order.model is not None
    return [e for e in (order.model.writer, order.model.judge) if e is not None]


def _pairs(order: Order, jobs: Sequence[Job]) -> Iterator[Job]:
    """Papers in the same language of which two fit the longest context, each in one pair."""
    if order.recipe.kinds and "comparison" not in order.recipe.kinds:
        return
    half = order.recipe.ctx[-1] // 2 - PROMPT_ROOM // 2
    papers = {
        job.id: job for job in jobs if job.texts[0].facts["kind"] == "paper" and job.tokens <= half
    }
    for language in sorted({str(job.texts[0].facts["language"]) for job in papers.values()}):
        ids = [id for id, job in papers.items() if str(job.texts[0].facts["language"]) == language]
        for one, other in pairs(ids):
            first, second = papers[one], papers[other]
            yield Job(source=f"{first.source} + {second.source}", texts=first.texts + second.texts)


class _Talk:
    """The conversation about all documents."""

    def __init__(
        self, order: Order, folder: Folder, tokenizer: Tokenizer, progress: Progress
    ) -> None:
        self._order, self._folder = order, folder
        self._tokenizer, self._progress = tokenizer, progress
        self._paths: dict[str, Path] = {}  # by job id
        self._crashes: dict[str, str] = {}
        self.finished: set[str] = set()
        self.skips: list[Skip] = []
        self.stopped: str | None = None
        self.notes: list[str] = []

    def do(self, jobs: Sequence[Job]) -> None:
        """Ask about every document that has no unit yet."""
        to_do = []
        for job in jobs:
            path = self._path(job)
            if read_unit(path) is None:
                to_do.append(job)
            else:
                self._take(job, path)
        if to_do:
            self._progress.begin(
                finished=len(self.finished),
                to_do=len(to_do),
                num_bytes=sum(job.tokens for job in to_do),
            )
            try:
                asyncio.run(self._hold(to_do))
            finally:
                self._progress.end()
        if self._crashes:
            raise Crash(self._crashes)

    def documents(self, jobs: Sequence[Job]) -> list[ReadDocument]:
        """What came of the jobs, in their order."""
        found = []
        for job in jobs:
            unit = read_unit(self._paths[job.id]) if job.id in self._paths else None
            if unit is not None:
                found += [ReadDocument(source=job.source, said=d) for d in unit.documents]
        return found

    def groups(self, jobs: Sequence[Job]) -> dict[str, str]:
        """Joined documents belong to the group of their parts."""
        return {
            document.said.id: job.id
            for job in jobs
            if len(job.texts) > 1
            for document in self.documents([job])
        }

    async def _hold(self, jobs: Sequence[Job]) -> None:
        assert self._order.model is not None
        with Ledger.open(self._folder.ledger) as ledger:
            spent = ledger.spent()
            purse = Purse(
                max_usd=self._order.model.max_usd,
                max_tokens=self._order.model.max_tokens,
                spent_usd=spent.usd,
                spent_tokens=spent.tokens,
            )
            async with AsyncExitStack() as stack:
                longest = max(job.tokens for job in jobs)
                callers = []
                for endpoint in _endpoints(self._order):
                    key = os.environ.get(endpoint.key_variable) or None
                    server = await stack.enter_async_context(Server(endpoint, key))
                    context = min(longest, self._order.recipe.ctx[-1]) if not callers else 0
                    facts = await server.check(context + PROMPT_ROOM, ANSWER_ROOM)
                    self.notes += facts.notes
                    callers.append(Caller(server, ledger, purse))
                panel = Panel(writer=callers[0], judge=callers[1] if len(callers) > 1 else None)
                await self._take_up(jobs, panel, ledger, purse)
                for caller in callers:
                    self.notes += caller.server.notes

    async def _take_up(
        self, jobs: Sequence[Job], panel: Panel, ledger: Ledger, purse: Purse
    ) -> None:
        """As many documents at once as keep the server busy."""
        at_work: set[asyncio.Task[None]] = set()
        try:
            for number, job in enumerate(jobs):
                await _until(at_work, panel.writer.hungry)
                if purse.is_spent:
                    self._stop(jobs[number:])
                    break
                prepared = await self._prepared(job)
                if prepared is not None:
                    at_work.add(asyncio.create_task(self._ask(job, prepared, panel, ledger)))
            await _all(at_work)
        finally:
            for task in at_work:
                task.cancel()
            await asyncio.gather(*at_work, return_exceptions=True)

    async def _prepared(self, job: Job) -> Prepared | None:
        def work() -> Prepared:
            document, sources = job.load()
            return prepare(document, sources, self._tokenizer, self._order.recipe)

        return await self._guarded(job, asyncio.to_thread(work))

    async def _ask(self, job: Job, prepared: Prepared, panel: Panel, ledger: Ledger) -> None:
        interview = Interview(prepared, self._order.recipe, panel)
        outcome = await self._guarded(job, interview.hold())
        if outcome is None:
            return
        ledger.decide(prepared.document.id, interview.decisions)
        path = self._path(job)
        if not outcome.is_complete:
            path = path.with_name(path.stem + _PARTIAL)
        write_unit(path, prepared.document, outcome)
        self._take(job, path)
        self._progress.done(job.title, 1, len(outcome.examples), job.tokens)

    async def _guarded(self, job: Job, work: Coroutine[Any, Any, Any]) -> Any:
        """None when the code itself failed at a document: the others go on."""
        from longdata.errors import UserError

        try:
            return await work
        except UserError:
            raise
        except Exception:
            self._crashes[job.title] = traceback.format_exc()
            self._progress.failed(job.title, "a bug in longqa", job.tokens)
            return None

    def _stop(self, rest: Sequence[Job]) -> None:
        for job in rest:
            skip = Skip(job.source, NOT_BEGUN, "the budget is spent")
            self._progress.failed(job.title, skip.reason, job.tokens)
            self.skips.append(told(skip, self._order, self._progress))

    def _path(self, job: Job) -> Path:
        return self._folder.units / job.unit(self._order, self._tokenizer.fingerprint)

    def _take(self, job: Job, path: Path) -> None:
        self._paths[job.id] = path
        if not path.name.endswith(_PARTIAL):
            self.finished.add(path.name)


async def _until(
    at_work: set[asyncio.Task[None]], hungry: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Until there is room for one more document; raises what a finished one raised."""
    signal = asyncio.create_task(hungry())
    try:
        while not signal.done() or len(at_work) >= MOST_AT_ONCE:
            await asyncio.wait({signal, *at_work}, return_when=asyncio.FIRST_COMPLETED)
            _reap(at_work)
        _reap(at_work)
    finally:
        signal.cancel()


async def _all(at_work: set[asyncio.Task[None]]) -> None:
    while at_work:
        await asyncio.wait(at_work, return_when=asyncio.FIRST_COMPLETED)
        _reap(at_work)


def _reap(at_work: set[asyncio.Task[None]]) -> None:
    for task in [task for task in at_work if task.done()]:
        at_work.discard(task)
        task.result()


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
