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
import random
import traceback
from array import array
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, overload

from longdata.sources import Skip, Source
from longdata.tokenizers import Tokenizer
from longqa.accounting import ReadDocument, spool_of_documents
from longqa.folder import Folder
from longqa.harvest import Harvest
from longqa.llm.calls import Caller
from longqa.llm.interview import Interview, Panel
from longqa.llm.jobs import PROMPT_ROOM, Job, read_all
from longqa.llm.ledger import Ledger
from longqa.llm.plan import MOST_ANSWER_TOKENS
from longqa.llm.preparing import Prepared, prepare
from longqa.llm.purse import REASON, Purse
from longqa.llm.records import Endpoint
from longqa.llm.server import Server
from longqa.order import Order
from longqa.progress import Progress
from longqa.source_work import Crash, told
from longqa.work import read_unit, write_unit

MOST_AT_ONCE = 1024  # documents
NOT_BEGUN = "not asked about"
_PARTIAL = ".partial.arrow"
_SECONDS_BETWEEN_REPORTS = 0.5


def with_model(
    order: Order,
    folder: Folder,
    sources: Sequence[Source],
    tokenizer: Tokenizer,
    progress: Progress,
) -> Harvest:
    """Ask the models about every document. UserError, Crash: as longqa.build.build."""
    assert order.model is not None
    if not any(folder.units.iterdir()):  # what is wrong with a server is said before the reading
        asyncio.run(_knock(order))
    reading = read_all(order, folder, sources, tokenizer, progress)
    talk = _Talk(order, folder, tokenizer, progress)
    talk.do(reading.jobs)
    documents, groups = talk.documents(reading.jobs)
    return Harvest(
        documents=documents,
        skips=[*reading.skips, *talk.skips],
        repeated=reading.repeated,
        units=reading.files | talk.finished,
        num_read=reading.num_read,
        num_worked=reading.num_worked,
        groups={**reading.groups, **groups},
        stopped=talk.stopped,
        notes=talk.notes,
    )


async def _knock(order: Order) -> None:
    """Whether the servers are there, with the models and keys. UserError: what is wrong."""
    assert order.model is not None
    for endpoint in order.model.endpoints:
        async with Server(endpoint, _key(endpoint)) as server:
            await server.check(0, 0)


def _key(endpoint: Endpoint) -> str | None:
    return os.environ.get(endpoint.key_variable) or None


class _Talk:
    """The conversation about all documents."""

    def __init__(
        self, order: Order, folder: Folder, tokenizer: Tokenizer, progress: Progress
    ) -> None:
        self._order, self._folder = order, folder
        self._tokenizer, self._progress = tokenizer, progress
        self._crashes: dict[str, str] = {}
        self._partial: set[str] = set()  # names of files that hold a part of the questions
        self.finished: set[str] = set()  # of files that hold all
        self.skips: list[Skip] = []
        self.stopped: str | None = None
        self.notes: list[str] = []

    def do(self, jobs: Sequence[Job]) -> None:
        """Ask about every document that has no unit yet."""
        to_do, num_tokens, longest = array("q"), 0, 0
        for number, job in enumerate(jobs):
            path = self._path(job)
            if read_unit(path) is not None:
                self.finished.add(path.name)
            else:
                to_do.append(number)
                num_tokens += job.tokens
                longest = max(longest, job.tokens)
        if to_do:
            self._progress.begin(
                finished=len(self.finished),
                to_do=len(to_do),
                num_bytes=num_tokens,
                noun="document",
            )
            try:
                asyncio.run(self._hold(_Picked(jobs, to_do), longest))
            finally:
                self._progress.end()
        if self._crashes:
            raise Crash(self._crashes)

    def documents(self, jobs: Sequence[Job]) -> tuple[Sequence[ReadDocument], dict[str, str]]:
        """What came of the jobs, in their order, and the group of each joined document: that of
        its parts. The account of rejects becomes that of these documents; the answers stay."""
        found = spool_of_documents(self._folder.units)
        groups: dict[str, str] = {}
        ids: set[str] = set()
        for job in jobs:
            path = self._path(job)
            partial = _partial_of(path)
            if path.name in self.finished:
                unit = read_unit(path)
            else:
                unit = read_unit(partial) if partial.name in self._partial else None
            for said in unit.documents if unit is not None else ():
                found.append(ReadDocument(source=job.source, said=said))
                ids.add(said.id)
                if len(job.texts) > 1:
                    groups[said.id] = job.id
        if self._folder.ledger.exists():
            with Ledger.open(self._folder.ledger) as ledger:
                ledger.keep_decisions(ids)
        return found, groups

    async def _hold(self, jobs: Sequence[Job], longest: int) -> None:
        assert self._order.model is not None
        with Ledger.open(self._folder.ledger) as ledger:
            endpoints = self._order.model.endpoints
            spent = ledger.spent({e.model: e.price for e in endpoints if e.price is not None})
            purse = Purse(
                max_usd=self._order.model.max_usd,
                max_tokens=self._order.model.max_tokens,
                spent_usd=spent.usd,
                spent_tokens=spent.tokens,
            )
            async with AsyncExitStack() as stack:
                servers: list[Server] = []
                callers: list[Caller] = []
                for endpoint in endpoints:
                    server = await stack.enter_async_context(Server(endpoint, _key(endpoint)))
                    servers.append(server)
                    context = min(longest, self._order.recipe.ctx[-1]) if not callers else 0
                    await server.check(context + PROMPT_ROOM, MOST_ANSWER_TOKENS)
                    # the rng only spreads retries over time: no row depends on it
                    callers.append(Caller(server, ledger, purse, rng=random.Random()))
                panel = Panel(writer=callers[0], judge=callers[1] if len(callers) > 1 else None)
                reporting = asyncio.create_task(self._report(callers))
                try:
                    await self._take_up(jobs, panel, ledger, purse)
                finally:
                    reporting.cancel()
                    for caller in callers:
                        await caller.close()
                    self.notes += [note for server in servers for note in server.notes]
                    self.stopped = self._why_incomplete(callers, purse)

    async def _report(self, callers: Sequence[Caller]) -> None:
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN_REPORTS)
            self._progress.calls(_sentence(callers))

    async def _take_up(
        self, jobs: Sequence[Job], panel: Panel, ledger: Ledger, purse: Purse
    ) -> None:
        """As many documents at once as keep the server busy."""
        at_work: set[asyncio.Task[None]] = set()
        try:
            for number, job in enumerate(jobs):
                await _until(at_work, panel.writer.hungry)
                if purse.is_spent:
                    self._leave(jobs[number:])
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

        prepared: Prepared | None = await self._guarded(job, asyncio.to_thread(work))
        return prepared

    async def _ask(self, job: Job, prepared: Prepared, panel: Panel, ledger: Ledger) -> None:
        interview = Interview(prepared, self._order.recipe, panel)
        outcome = await self._guarded(job, interview.hold())
        if outcome is None:
            return
        ledger.decide(prepared.document.id, interview.decisions)
        path = self._path(job)
        if not outcome.is_complete:
            path = _partial_of(path)
        write_unit(path, prepared.document, outcome)
        (self.finished if outcome.is_complete else self._partial).add(path.name)
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

    def _why_incomplete(self, callers: Sequence[Caller], purse: Purse) -> str | None:
        """One line when something was not asked, and how to go on."""
        if purse.is_spent:
            return (
                f"the budget is spent: {purse.spent_tokens:,} tokens and ${purse.spent_usd:,.2f} "
                f"by all runs in this folder, {len(self._partial):,} documents asked about in part "
                f"and {len(self.skips):,} not at all; run the same command with a larger --max-usd "
                "or --max-tokens to go on, no answer is paid for twice"
            )
        if self._partial:
            failed = Counter[str]()
            for caller in callers:
                failed.update(caller.standing.failed)
            why = ", ".join(f"{count:,} {reason}" for reason, count in failed.most_common(3))
            return (
                f"calls failed ({why}), so {len(self._partial):,} documents were asked about in "
                "part; run the same command to ask again, no answer is paid for twice"
            )
        return None

    def _leave(self, rest: Sequence[Job]) -> None:
        for job in rest:
            skip = Skip(job.source, NOT_BEGUN, REASON)
            self._progress.failed(job.title, skip.reason, job.tokens)
            self.skips.append(told(skip, self._order, self._progress))

    def _path(self, job: Job) -> Path:
        return self._folder.units / job.unit(self._order, self._tokenizer.fingerprint)


class _Picked(Sequence[Job]):
    """Some of the jobs, by their numbers."""

    def __init__(self, jobs: Sequence[Job], numbers: array[int]) -> None:
        self._jobs, self._numbers = jobs, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Job: ...
    @overload
    def __getitem__(self, index: slice) -> _Picked: ...
    def __getitem__(self, index: int | slice) -> Job | _Picked:
        if isinstance(index, slice):
            return _Picked(self._jobs, self._numbers[index])
        return self._jobs[self._numbers[index]]


def _partial_of(path: Path) -> Path:
    return path.with_name(path.stem + _PARTIAL)


def _sentence(callers: Sequence[Caller]) -> str:
    """ "412 calls, 12 at once, 1,204,551 tokens, $0.84"."""
    standings = [caller.standing for caller in callers]
    tokens = sum(s.usage.prompt + s.usage.completion for s in standings)
    parts = [
        f"{sum(s.sent for s in standings):,} calls",
        f"{sum(s.in_flight for s in standings)} at once",
        f"{tokens:,} tokens",
    ]
    if not all(s.is_answered for s in standings):
        parts.append("the server does not answer, trying again")
    failed = sum(sum(s.failed.values()) for s in standings)
    if failed:
        parts.append(f"{failed:,} failed")
    if all(s.usd is not None for s in standings):
        parts.append(f"${sum(s.usd or 0 for s in standings):,.2f}")
    return ", ".join(parts)


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
