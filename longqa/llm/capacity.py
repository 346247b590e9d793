"""Keeps a server as full as it likes to be, and repeats what failed for no reason of its own.

    capacity = Capacity(breaker, most=256, rng=random.Random())
    reply = await capacity.run(lambda: server.send(request))

What `run` is given is called as often as it takes. Refused for being too much (429, 503), it goes
to the head of the queue: the limit has shrunk (see `limit`; refusals of one burst count once), and
nothing starts before the time that the server named. Failed for a passing reason, it is repeated
after a pause drawn between nothing and a bound that doubles, six times in all. Every other error is
the caller's. When the breaker stops the run, everything that waits gets its UserError.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from longdata.errors import UserError
from longqa.llm.breaker import Breaker
from longqa.llm.limit import Limit
from longqa.llm.records import CallFailed
from longqa.llm.wire import (
    Rejected,
    ServerError,
    TimedOut,
    TooLong,
    TooManyRequests,
    Transient,
)

ATTEMPTS = 6
_FIRST_PAUSE = 1.0  # seconds, the bound of the first pause drawn
_LONGEST_PAUSE = 60.0
_TOO_MANY_HUNG = 2.0  # one call that hangs says nothing of the others
_FORGIVEN = 0.25  # by each answer: a server too full loses more than one in five
_LONGEST_ASKED = 600.0  # no server may hold a run longer by one header

Result = TypeVar("Result")


class Capacity:
    """The slots of one server, for one event loop."""

    def __init__(
        self,
        breaker: Breaker,
        *,
        most: int,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._breaker = breaker
        self._limit = Limit(most=most, now=clock())
        self._rng, self._clock, self._sleep = rng, clock, sleep
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._in_flight = self._requests = self._begun = 0
        self._setbacks = 0  # counted ones without an answer between them
        self._counts_from = 0  # calls begun before belong to a burst that was counted
        self._hung = 0.0  # calls that took all their time, less what answers forgave
        self._paused_until = clock()
        self._alarm: asyncio.Task[None] | None = None
        self._stopped: UserError | None = None

    @property
    def limit(self) -> int:
        """Calls that may run at once now."""
        return 1 if self._breaker.is_suspicious else self._limit.value

    @property
    def is_suspicious(self) -> bool:
        """Whether the server may be down: calls are tried one at a time, with pauses."""
        return self._breaker.is_suspicious

    @property
    def in_flight(self) -> int:
        """Calls that run now."""
        return self._in_flight

    async def run(self, exchange: Callable[[], Awaitable[Result]]) -> Result:
        """What the exchange gives. Raises its error, or UserError: the run is over."""
        self._requests += 1
        request, attempt, is_refused = self._requests, 1, False
        while True:
            number = await self._slot(at_head=is_refused)
            try:
                result = await exchange()
                self._answered(number)
                return result
            except TooManyRequests as error:
                is_refused = True
                self._judge(request, error)
                self._pushed_back(number, error)
            except Transient as error:
                is_refused = False
                self._judge(request, error)
                self._failed(number, error)
                if attempt == ATTEMPTS:
                    raise
            except CallFailed:
                self._answered(number)
                raise
            except (Rejected, TooLong):  # at once: this says nothing about speed
                self._breaker.answered()
                raise
            except UserError as error:
                self.stop(error)
                raise
            finally:
                self._in_flight -= 1
                self._admit()
            if not is_refused:
                await self._sleep(self._rng.uniform(0, _bound(attempt)))
                attempt += 1

    def stop(self, error: UserError) -> None:
        """Nothing starts any more; whoever waits, now or later, gets the error."""
        self._stopped = self._stopped or error
        self._admit()

    async def _slot(self, *, at_head: bool) -> int:
        """Wait for a turn; the number of the call that may begin."""
        if self._stopped is not None:
            raise _again(self._stopped)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._waiters.appendleft if at_head else self._waiters.append)(waiter)
        self._admit()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._in_flight -= 1
                self._admit()
            raise
        self._begun += 1
        return self._begun - 1

    def _admit(self) -> None:
        """Let those begin who may, in their order."""
        while self._waiters and self._stopped is not None:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(_again(self._stopped))
        while self._waiters and self._in_flight < self.limit:
            if self._clock() < self._paused_until:
                if self._alarm is None or self._alarm.done():
                    self._alarm = asyncio.create_task(self._wait_for_end_of_pause())
                return
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._in_flight += 1
                waiter.set_result(None)

    async def _wait_for_end_of_pause(self) -> None:
        while (left := self._paused_until - self._clock()) > 0:
            await self._sleep(left)
        asyncio.get_running_loop().call_soon(self._admit)  # when this task is done

    def _answered(self, number: int) -> None:
        self._breaker.answered()
        self._setbacks = 0
        self._hung = max(0.0, self._hung - _FORGIVEN)
        self._limit.answered(
            number,
            now=self._clock(),
            next_number=self._begun,
            is_busy=bool(self._waiters) or self._in_flight >= self._limit.value,
        )

    def _pushed_back(self, number: int, error: TooManyRequests) -> None:
        if error.pause is not None:
            self._pause(min(error.pause, _LONGEST_ASKED))
        if self._is_news(number):
            self._push_back(is_refusal=True)
            if error.pause is None and self._setbacks > 1:
                self._pause(self._rng.uniform(0, _bound(self._setbacks - 1)))

    def _failed(self, number: int, error: Transient) -> None:
        if isinstance(error, TimedOut):
            self._hung += 1
            if self._hung >= _TOO_MANY_HUNG and self._is_news(number):
                self._hung = 0.0
                self._push_back(is_refusal=False)
        if self._breaker.is_suspicious and self._is_news(number):
            self._pause(self._rng.uniform(0.5, 1) * _bound(self._setbacks))

    def _push_back(self, *, is_refusal: bool) -> None:
        self._limit.pushed_back(now=self._clock(), next_number=self._begun, is_refusal=is_refusal)

    def _is_news(self, number: int) -> bool:
        """Whether this setback is the first of its burst: of calls begun after the one before."""
        if number < self._counts_from:
            return False
        self._counts_from = self._begun
        self._setbacks += 1
        return True

    def _judge(self, request: int, error: ServerError) -> None:
        stopped = self._breaker.failed(request, error)
        if stopped is not None:
            self.stop(stopped)
            raise _again(stopped) from None

    def _pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, self._clock() + seconds)


def _bound(attempt: int) -> float:
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (attempt - 1))


def _again(error: UserError) -> UserError:
    """A copy: one exception raised in many tasks would gather all their tracebacks."""
    return UserError(*error.args)
