"""Asks a language model, once for each question, whatever happens on the way.

    caller = Caller(server, ledger, purse, rng=random.Random(0))
    answer = await caller.ask(request)      # Answer(form=Written(…), from_ledger=False, …)
    answer = await caller.ask(request)      # the same, from the ledger: nothing is sent
    await caller.hungry()                   # returns when there is room for one more document

What was answered in an earlier run comes from the ledger. Equal requests that are under way are
sent once. A request waits for room in the purse, then for a slot of the server; each exchange is on
disk before its answer is used. An answer that cannot be read is asked for twice more, one that was
cut short once more with twice the room. What fails for good is a `CallFailed`: it is about this
request alone. A UserError ends the run.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from longdata.errors import UserError
from longqa.llm.breaker import Breaker
from longqa.llm.capacity import Capacity
from longqa.llm.purse import Purse
from longqa.llm.records import (
    Answer,
    Call,
    CallFailed,
    Endpoint,
    Form,
    Reply,
    Request,
    Usage,
)
from longqa.llm.replies import read
from longqa.llm.wire import ServerError

REPEATED = frozenset({"empty answer", "not the JSON asked for"})
CUT_SHORT = "cut short"
_REPETITIONS = 2
_MOST_COMPLETION_TOKENS = 32_768  # no answer is given more room than this by ourselves
_RATE_SECONDS = 30.0


class Sender(Protocol):
    """A `Server`, or what stands for it."""

    endpoint: Endpoint
    base_url: str

    async def send(self, request: Request[Any]) -> Reply:
        """One exchange."""


class Answers(Protocol):
    """A `Ledger`, or what stands for it."""

    def reply(self, key: str) -> Reply | None:
        """What was answered before."""

    def record(self, call: Call) -> None:
        """Keep a call for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far it has come. `sent` exchanges, of which some were repetitions; `failed` by reason."""

    asked: int
    from_ledger: int
    answered: int
    failed: dict[str, int]
    sent: int
    under_way: int  # requests, those that wait for a slot included
    in_flight: int
    limit: int
    is_answered: bool  # False: calls have failed since the last answer, and are tried again
    usage: Usage
    usd: float | None
    calls_per_second: float


@dataclass(slots=True)
class _Shared:
    """One request under way, and how many ask for it."""

    task: asyncio.Task[Any]
    askers: int = 0


class Caller:
    """One model's calls, for one event loop."""

    def __init__(
        self,
        server: Sender,
        ledger: Answers,
        purse: Purse,
        *,
        rng: random.Random,
        prompt_tokens: Callable[[Request[Any]], int] | None = None,
        capacity: Capacity | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`prompt_tokens` counts what is reserved for a prompt; without it, a safe estimate."""
        self.endpoint = server.endpoint
        self._server, self._ledger, self._purse = server, ledger, purse
        self._prompt_tokens = prompt_tokens or estimated_tokens
        self._capacity = capacity or Capacity(
            Breaker(server.base_url, clock=clock),
            most=server.endpoint.concurrency,
            rng=rng,
            clock=clock,
        )
        self._clock, self._wall_clock = clock, wall_clock
        self._under_way: dict[str, _Shared] = {}
        self._moved = asyncio.Event()
        self._asked = self._from_ledger = self._answered = self._sent = 0
        self._failed: Counter[str] = Counter()
        self._used = [0, 0, 0]
        self._usd = 0.0
        self._ends: deque[float] = deque(maxlen=4096)

    async def ask(self, request: Request[Form]) -> Answer[Form]:
        """The answer. Raises CallFailed (BudgetSpent among them): none; UserError: the run ends."""
        self._asked += 1
        key = request.key(self.endpoint.model)
        known = self._known(request, key)
        if known is not None:
            self._from_ledger += 1
            return known
        shared = self._under_way.get(key)
        is_first = shared is None
        if shared is None:
            shared = _Shared(asyncio.create_task(self._obtain(request, key)))
            self._under_way[key] = shared
            shared.task.add_done_callback(lambda task: self._done(key, task))
        shared.askers += 1
        try:
            answer: Answer[Form] = await asyncio.shield(shared.task)
        finally:
            shared.askers -= 1
            if shared.askers == 0 and not shared.task.done():  # nobody wants it any more
                shared.task.cancel()
                self._forget(key, shared.task)
        if is_first:
            return answer
        self._from_ledger += 1
        return replace(answer, from_ledger=True)

    async def close(self) -> None:
        """Cancel what is under way: when a run ends early, before its ledger is closed."""
        tasks = [shared.task for shared in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def wants_more(self) -> bool:
        """Whether fewer requests wait than may run: enough for a limit that doubles."""
        return len(self._under_way) < 2 * self._capacity.limit

    async def hungry(self) -> None:
        """Wait until more requests are wanted. What was just started gets to ask first."""
        await asyncio.sleep(0)
        while not self.wants_more:
            self._moved.clear()
            await self._moved.wait()

    @property
    def standing(self) -> Standing:
        """The counters, now."""
        prompt, completion, cached = self._used
        return Standing(
            asked=self._asked,
            from_ledger=self._from_ledger,
            answered=self._answered,
            failed=dict(self._failed),
            sent=self._sent,
            under_way=len(self._under_way),
            in_flight=self._capacity.in_flight,
            limit=self._capacity.limit,
            is_answered=not self._capacity.is_suspicious,
            usage=Usage(prompt=prompt, completion=completion, cached=cached),
            usd=None if self.endpoint.price is None else self._usd,
            calls_per_second=self._rate(),
        )

    def _known(self, request: Request[Form], key: str) -> Answer[Form] | None:
        reply = self._ledger.reply(key)
        if reply is None:
            return None
        try:
            form = read(reply, request.form)
        except CallFailed:  # an earlier version could read it, this one asks again
            return None
        return Answer(form=form, usage=reply.usage, from_ledger=True)

    async def _obtain(self, request: Request[Form], key: str) -> Answer[Form]:
        """Send until there is an answer that can be read, or no reason to go on."""
        sent, repetitions = request, 0
        while True:
            try:
                answer = await self._paid(request, sent, key)
            except ServerError as error:
                raise self._failure(CallFailed(error.reason, error.detail)) from None
            except CallFailed as error:
                room = min(2 * request.max_tokens, _MOST_COMPLETION_TOKENS)
                if error.reason == CUT_SHORT and room > sent.max_tokens:
                    sent = replace(request, max_tokens=room)
                elif error.reason in REPEATED and repetitions < _REPETITIONS:
                    repetitions += 1
                else:
                    raise self._failure(error) from None
            else:
                self._answered += 1
                return answer

    async def _paid(self, request: Request[Form], sent: Request[Form], key: str) -> Answer[Form]:
        """One reply, read; its cost is held before it is asked for, and paid after it came."""
        price = self.endpoint.price
        held = await self._purse.room_for(self._prompt_tokens(sent), sent.max_tokens, price)
        is_settled = False

        async def exchange() -> Answer[Form]:
            nonlocal is_settled
            started, begun = self._wall_clock(), self._clock()
            self._sent += 1

            def keep(outcome: str, detail: str = "", reply: Reply | None = None) -> None:
                self._ledger.record(
                    Call(
                        key=key,
                        model=self.endpoint.model,
                        purpose=request.purpose,
                        document_id=request.document_id,
                        kind=request.kind,
                        prefix_sha=request.prefix_sha,
                        task=request.task,
                        attempt=request.attempt,
                        max_tokens=sent.max_tokens,
                        temperature=request.temperature,
                        outcome=outcome,
                        detail=detail,
                        reply=reply,
                        usd=None if price is None or reply is None else price.of(reply.usage),
                        started=started,
                        seconds=self._clock() - begun,
                    )
                )

            try:
                reply = await self._server.send(sent)
            except ServerError as error:
                keep(error.reason, error.detail)
                raise
            except UserError as error:
                keep("the run was stopped", str(error))
                raise
            except asyncio.CancelledError:
                keep("interrupted")
                raise
            self._purse.settle(held, reply.usage)
            is_settled = True
            self._count(reply.usage)
            try:
                form = read(reply, request.form)
            except CallFailed as error:
                keep(error.reason, error.detail, reply)
                raise
            keep("answered", reply=reply)
            return Answer(form=form, usage=reply.usage, from_ledger=False)

        try:
            return await self._capacity.run(exchange)
        finally:
            if not is_settled:
                self._purse.cancel(held)

    def _count(self, usage: Usage) -> None:
        for at, tokens in enumerate((usage.prompt, usage.completion, usage.cached)):
            self._used[at] += tokens
        if self.endpoint.price is not None:
            self._usd += self.endpoint.price.of(usage)
        self._ends.append(self._clock())

    def _rate(self) -> float:
        """Replies a second, over the last half minute."""
        now = self._clock()
        while self._ends and self._ends[0] < now - _RATE_SECONDS:
            self._ends.popleft()
        if len(self._ends) < 2:
            return 0.0
        return len(self._ends) / max(now - self._ends[0], 1e-3)

    def _failure(self, error: CallFailed) -> CallFailed:
        self._failed[error.reason] += 1
        return error

    def _done(self, key: str, task: asyncio.Task[Any]) -> None:
        self._forget(key, task)
        if not task.cancelled():
            task.exception()  # seen, also when nobody waits for it any more
        self._moved.set()

    def _forget(self, key: str, task: asyncio.Task[Any]) -> None:
        shared = self._under_way.get(key)
        if shared is not None and shared.task is task:
            del self._under_way[key]


def estimated_tokens(request: Request[Any]) -> int:
    """More tokens than a prompt has: a third of its bytes of UTF-8, and the chat's own markers."""
    texts = (request.system, request.prefix, request.task)
    return (
        64 + sum(len(t) if t.isascii() else len(t.encode("utf-8", "replace")) for t in texts) // 3
    )
