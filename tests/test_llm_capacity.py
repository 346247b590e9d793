"""longqa.llm.capacity: how full a server is kept, what is repeated, and when a run stops.

Time is virtual: the servers below are simulated, hours take milliseconds.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from virtual_time import run_virtually

from longdata.errors import UserError
from longqa.llm.breaker import Breaker
from longqa.llm.capacity import ATTEMPTS, Capacity
from longqa.llm.records import CallFailed
from longqa.llm.wire import (
    Rejected,
    ServerError,
    TimedOut,
    TooManyRequests,
    Transient,
    Unreachable,
)

T = TypeVar("T")
URL = "http://localhost:8000/v1"


class Simulated:
    """A server with slots that queues, or refuses, what is more."""

    def __init__(
        self, slots: int, *, refuses: bool, latency: float = 1.0, spread: float = 0.3
    ) -> None:
        self.slots, self.refuses, self.latency, self.spread = slots, refuses, latency, spread
        self.in_use = self.longest_queue = self.refused = 0
        self.settled = 0  # answers before the queue is looked at
        self.queue: deque[asyncio.Future[None]] = deque()
        self.ends: list[float] = []
        self._rng = random.Random(7)

    async def call(self) -> None:
        await asyncio.sleep(0.001)
        if self.in_use >= self.slots and self.refuses:
            self.refused += 1
            raise TooManyRequests("slow down")
        if self.in_use >= self.slots:
            self.queue.append(asyncio.get_running_loop().create_future())
            if len(self.ends) >= self.settled:
                self.longest_queue = max(self.longest_queue, len(self.queue))
            await self.queue[-1]
        self.in_use += 1
        spread = self.spread
        await asyncio.sleep(self.latency * self._rng.lognormvariate(-(spread**2) / 2, spread))
        self.in_use -= 1
        self.ends.append(asyncio.get_running_loop().time())
        if self.queue and self.in_use < self.slots:
            self.queue.popleft().set_result(None)


def capacity(most: int = 256) -> Capacity:
    clock = asyncio.get_running_loop().time
    breaker = Breaker(URL, clock=clock)
    return Capacity(breaker, most=most, rng=random.Random(1), clock=clock)


def seconds(main: Callable[[Capacity], Awaitable[None]], most: int = 256) -> float:
    """The virtual seconds something takes."""

    async def timed() -> float:
        await main(capacity(most))
        return asyncio.get_running_loop().time()

    return run_virtually(timed)


@pytest.mark.parametrize("spread", [0.0, 0.6])
@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("slots", [1, 4, 24, 100])
def test_a_server_of_any_size_is_filled(slots: int, refuses: bool, spread: float) -> None:
    server = Simulated(slots, refuses=refuses, spread=spread)
    calls = 100 * slots + 100
    server.settled = calls // 2

    async def all_calls(found: Capacity) -> None:
        await asyncio.gather(*(found.run(server.call) for _ in range(calls)))

    took = seconds(all_calls)
    assert len(server.ends) == calls
    assert took <= 1.2 * calls / slots, "of the time that its slots need"
    assert server.longest_queue <= 2 * slots + 16, "it is not flooded"
    assert server.refused <= 0.05 * calls


def test_a_server_that_loses_most_of_its_slots_is_used_fully_again_at_once() -> None:
    server = Simulated(64, refuses=True)

    async def all_calls(found: Capacity) -> None:
        async def drop() -> None:
            await asyncio.sleep(30)
            server.slots = 8

        await asyncio.gather(drop(), *(found.run(server.call) for _ in range(2400)))

    took = seconds(all_calls)
    assert len(server.ends) == 2400, "no call is lost"
    for start in range(40, int(took) - 20, 10):
        answered = sum(start <= end < start + 10 for end in server.ends)
        assert answered >= 0.8 * 8 * 10, f"from second {start} to {start + 10}"


def test_slots_that_come_back_are_found() -> None:
    server = Simulated(4, refuses=False)

    async def all_calls(found: Capacity) -> None:
        async def grow() -> None:
            await asyncio.sleep(60)
            server.slots = 32

        await asyncio.gather(grow(), *(found.run(server.call) for _ in range(6000)))

    took = seconds(all_calls)
    last = sum(took - 60 <= end < took - 10 for end in server.ends) / 50
    assert last >= 0.8 * 32


def test_the_limit_of_the_user_is_never_passed() -> None:
    server = Simulated(100, refuses=False)
    most = 0

    async def all_calls(found: Capacity) -> None:
        async def watched() -> None:
            nonlocal most
            most = max(most, found.in_flight)
            await server.call()

        await asyncio.gather(*(found.run(watched) for _ in range(400)))

    seconds(all_calls, most=10)
    assert most == 10


def test_nothing_starts_before_the_time_the_server_named() -> None:
    starts: list[float] = []

    async def all_calls(found: Capacity) -> None:
        now = asyncio.get_running_loop().time

        async def call() -> None:
            starts.append(now())
            await asyncio.sleep(1)
            if 5 <= now() < 40:
                raise TooManyRequests("slow down", 45 - now())

        await asyncio.gather(*(found.run(call) for _ in range(300)))

    seconds(all_calls)
    assert not [start for start in starts if 6 < start < 45]
    assert len([start for start in starts if start >= 45]) > 200


def test_refusals_of_one_burst_count_once() -> None:
    async def all_calls(found: Capacity) -> None:
        server = Simulated(1000, refuses=True, spread=0.0)
        burst = False

        async def call() -> None:
            await server.call()
            if burst:
                raise TooManyRequests("slow down")

        tasks = [asyncio.create_task(found.run(call)) for _ in range(2000)]
        await asyncio.sleep(8.5)
        before = found.limit
        burst = True
        await asyncio.sleep(1.0)
        burst = False
        assert found.limit >= 0.45 * before, "back to what was kept before, not to one"
        await asyncio.gather(*tasks)

    seconds(all_calls)


class Failing:
    """Fails with the given error as long as it has to."""

    def __init__(self, error: ServerError, times: int) -> None:
        self.error, self.times, self.calls = error, times, 0

    async def call(self) -> str:
        self.calls += 1
        await asyncio.sleep(0.1)
        if self.calls <= self.times:
            raise self.error
        return "answer"


def test_a_passing_error_is_repeated_and_six_of_them_are_enough() -> None:
    fine, broken = (
        Failing(Transient("500"), ATTEMPTS - 1),
        Failing(Transient("500"), ATTEMPTS),
    )

    async def both(found: Capacity) -> None:
        assert await found.run(fine.call) == "answer"
        with pytest.raises(Transient):
            await found.run(broken.call)

    took = seconds(both)
    assert broken.calls == ATTEMPTS
    assert 2 < took < 2 * 2 * (1 + 2 + 4 + 8 + 16)


def test_refusals_are_no_attempts() -> None:
    often = Failing(TooManyRequests("slow down"), 15)

    async def one(found: Capacity) -> None:
        assert await found.run(often.call) == "answer"

    seconds(one)
    assert often.calls == 16


@pytest.mark.parametrize("error", [CallFailed("refused"), Rejected("no")])
def test_what_is_no_fault_of_the_server_is_the_callers(error: Exception) -> None:
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        raise error

    async def one(found: Capacity) -> None:
        with pytest.raises(type(error)):
            await found.run(call)
        assert found.in_flight == 0

    seconds(one)
    assert calls == 1


@pytest.mark.parametrize(
    ("error", "answers", "line"),
    [
        (Unreachable("refused"), 0, "got no connection for . minutes to " + URL),
        (Transient("HTTP 500"), 0, "got not one answer for . minutes .* though it was reached"),
        (TimedOut("in 600 s"), 50, "got no answer for . minutes .* had answered before"),
        (TooManyRequests("full"), 50, "got no answer for 3. minutes .* had answered before"),
    ],
)
def test_a_dead_server_stops_the_run_in_one_line(
    error: ServerError, answers: int, line: str
) -> None:
    exchanges = 0

    async def all_calls(found: Capacity) -> None:
        async def call() -> None:
            nonlocal exchanges
            exchanges += 1
            await asyncio.sleep(0.5)
            if exchanges > answers:
                raise error

        tasks = [asyncio.create_task(found.run(call)) for _ in range(1000)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        stopped = [str(result) for result in results if isinstance(result, UserError)]
        assert len(stopped) >= 900, "not used up one by one"
        assert re.search(line, stopped[0]), stopped[0]
        assert "run the same command again, answers so far are kept" in stopped[0]
        assert "\n" not in stopped[0] and len(set(stopped)) == 1
        with pytest.raises(UserError):
            await found.run(call)

    took = seconds(all_calls)
    assert took < 3 * 3600
    assert exchanges < answers + 150, "a dead server is looked at now and then, not flooded"


def test_an_outage_of_a_minute_loses_nothing() -> None:
    results = []

    async def all_calls(found: Capacity) -> None:
        now = asyncio.get_running_loop().time

        async def call() -> str:
            if 10 <= now() < 75:
                raise Unreachable("connection refused")
            await asyncio.sleep(1)
            return "answer"

        results.extend(await asyncio.gather(*(found.run(call) for _ in range(2000))))

    seconds(all_calls)
    assert results == ["answer"] * 2000


def test_one_request_that_the_server_cannot_bear_stops_nothing() -> None:
    async def all_calls(found: Capacity) -> None:
        async def deadly() -> None:
            await asyncio.sleep(60)
            raise Transient("HTTP 500")

        with pytest.raises(Transient):
            await found.run(deadly)
        server = Simulated(4, refuses=False)
        await asyncio.gather(*(found.run(server.call) for _ in range(20)))

    seconds(all_calls)


def test_cancelled_calls_give_their_slots_back() -> None:
    async def all_calls(found: Capacity) -> None:
        server = Simulated(4, refuses=False)
        tasks = [asyncio.create_task(found.run(server.call)) for _ in range(50)]
        await asyncio.sleep(0.0005)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(server.ends) == 25
        assert found.in_flight == 0

    seconds(all_calls)
