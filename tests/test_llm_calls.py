"""longqa.llm.calls: every request is paid for once, and every exchange is kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from virtual_time import run_virtually

from longdata.errors import UserError
from longqa.llm.breaker import Breaker
from longqa.llm.calls import Caller, estimated_tokens
from longqa.llm.capacity import ATTEMPTS, Capacity
from longqa.llm.forms import Attempted, Compared
from longqa.llm.purse import Purse
from longqa.llm.records import (
    BudgetSpent,
    Call,
    CallFailed,
    Endpoint,
    Price,
    Reply,
    Request,
    Usage,
)
from longqa.llm.wire import ServerError, TooLong, TooManyRequests, Transient

T = TypeVar("T")
GOOD = '{"known": true, "answer": "the quay"}'


class Kept:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def reply(self, key: str) -> Reply | None:
        found = [c.reply for c in self.calls if c.key == key and c.outcome == "answered"]
        return found[0] if found else None

    def record(self, call: Call) -> None:
        self.calls.append(call)

    @property
    def outcomes(self) -> list[str]:
        return [call.outcome for call in self.calls]


class Scripted:
    """A server that says one thing after the other; the last for ever."""

    def __init__(self, *said: str | Reply | Exception, price: Price | None = None) -> None:
        self.endpoint = Endpoint(model="m", base_url="http://localhost/v1", price=price)
        self.base_url = self.endpoint.base_url
        self.said = list(said) or [GOOD]
        self.requests: list[Request[Any]] = []
        self.begun = 0

    async def send(self, request: Request[Any]) -> Reply:
        self.begun += 1
        await asyncio.sleep(1)
        self.requests.append(request)
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, Reply) else reply(said)


def reply(text: str, finish: str = "stop", refusal: str | None = None) -> Reply:
    return Reply(
        text=text,
        finish_reason=finish,
        refusal=refusal,
        usage=Usage(prompt=1000, completion=10, cached=400),
        usage_is_estimated=False,
        seconds=1.0,
    )


def request(number: int = 0, **changes: Any) -> Request[Attempted]:
    about: dict[str, Any] = {
        "purpose": "passage",
        "document_id": "ferry",
        "kind": "detail",
        "system": "Answer.",
        "prefix": "The ferry lay at the quay. ",
        "task": f"Question {number}",
        "form": Attempted,
        "max_tokens": 100,
        "temperature": 0.0,
    }
    return Request(**{**about, **changes})


def calling(
    server: Scripted,
    main: Callable[[Caller], Awaitable[T]],
    *,
    ledger: Kept | None = None,
    purse: Callable[[], Purse] = lambda: Purse(None, None),
) -> T:
    async def running() -> T:
        clock = asyncio.get_running_loop().time
        rng = random.Random(3)
        capacity = Capacity(Breaker(server.base_url, clock=clock), most=256, rng=rng, clock=clock)
        kept = ledger if ledger is not None else Kept()
        caller = Caller(
            server,
            kept,
            purse(),
            rng=rng,
            capacity=capacity,
            clock=clock,
            prompt_tokens=lambda request: 1100,
        )
        result = await main(caller)
        assert caller.standing.under_way == caller.standing.in_flight == 0
        return result

    return run_virtually(running)


def test_an_answer_comes_from_the_server_once_and_then_from_the_ledger() -> None:
    server, ledger = Scripted(GOOD), Kept()

    async def main(caller: Caller) -> None:
        first, second = await caller.ask(request()), await caller.ask(request())
        assert first.form == second.form == Attempted(known=True, answer="the quay")
        assert (first.from_ledger, second.from_ledger) == (False, True)
        assert first.usage == second.usage == Usage(prompt=1000, completion=10, cached=400)

    calling(server, main, ledger=ledger)
    assert len(server.requests) == 1 and ledger.outcomes == ["answered"]

    async def again(caller: Caller) -> bool:
        return (await caller.ask(request())).from_ledger

    assert calling(server, again, ledger=ledger), "in a later run too"
    assert len(server.requests) == 1


def test_equal_requests_under_way_are_sent_once() -> None:
    server = Scripted(GOOD)

    async def main(caller: Caller) -> None:
        answers = await asyncio.gather(*(caller.ask(request(n % 3)) for n in range(30)))
        assert sum(answer.from_ledger for answer in answers) == 27
        assert caller.standing.asked == 30 and caller.standing.from_ledger == 27

    calling(server, main)
    assert len(server.requests) == 3


def test_whoever_gives_up_takes_nothing_from_the_others() -> None:
    server, ledger = Scripted(GOOD), Kept()

    async def main(caller: Caller) -> None:
        first, second = (asyncio.create_task(caller.ask(request())) for _ in range(2))
        await asyncio.sleep(0.5)
        first.cancel()
        assert (await second).form.known
        lonely = asyncio.create_task(caller.ask(request(1)))
        await asyncio.sleep(0.5)
        lonely.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lonely
        assert (await caller.ask(request(1))).form.known

    calling(server, main, ledger=ledger)
    assert ledger.outcomes == ["answered", "interrupted", "answered"]


def test_what_cannot_be_read_is_asked_for_twice_more() -> None:
    server, ledger = Scripted("no", "", GOOD), Kept()

    async def main(caller: Caller) -> None:
        assert (await caller.ask(request())).form.known

    calling(server, main, ledger=ledger)
    assert ledger.outcomes == ["not the JSON asked for", "empty answer", "answered"]
    assert len({call.key for call in ledger.calls}) == 1


def test_a_failure_is_kept_as_one_and_never_given_as_an_answer() -> None:
    server, ledger = Scripted("no"), Kept()

    async def main(caller: Caller) -> None:
        for _ in range(2):
            with pytest.raises(CallFailed) as said:
                await caller.ask(request())
            assert said.value.reason == "not the JSON asked for"
        assert caller.standing.failed == {"not the JSON asked for": 2}

    calling(server, main, ledger=ledger)
    assert ledger.outcomes == ["not the JSON asked for"] * 6


def test_a_refusal_is_not_asked_for_again() -> None:
    server, ledger = Scripted(reply("", refusal="No.")), Kept()

    async def main(caller: Caller) -> None:
        with pytest.raises(CallFailed, match="refused"):
            await caller.ask(request())

    calling(server, main, ledger=ledger)
    assert ledger.outcomes == ["refused"]


def test_an_answer_cut_short_gets_twice_the_room_once() -> None:
    server, ledger = Scripted(reply('{"known"', "length"), GOOD), Kept()

    async def main(caller: Caller) -> None:
        assert (await caller.ask(request())).form.known
        assert (await caller.ask(request())).from_ledger, "found under the original's key"

    calling(server, main, ledger=ledger)
    assert [sent.max_tokens for sent in server.requests] == [100, 200]
    assert [call.max_tokens for call in ledger.calls] == [100, 200]
    always = Scripted(reply('{"known"', "length"))

    async def fails(caller: Caller) -> None:
        with pytest.raises(CallFailed, match="cut short"):
            await caller.ask(request())
        with pytest.raises(CallFailed, match="cut short"):
            await caller.ask(request(1, max_tokens=32_768))

    calling(always, fails)
    assert [sent.max_tokens for sent in always.requests] == [100, 200, 32_768]


@pytest.mark.parametrize(
    ("error", "exchanges", "reason"),
    [
        (Transient("HTTP 500"), ATTEMPTS, "server error"),
        (TooLong("4096", 4096), 1, "too long for the server"),
    ],
)
def test_errors_of_the_server_are_kept_and_fail_one_request(
    error: ServerError, exchanges: int, reason: str
) -> None:
    ledger = Kept()
    server = Scripted(*[error] * exchanges, GOOD)

    async def main(caller: Caller) -> None:
        with pytest.raises(CallFailed) as said:
            await caller.ask(request())
        assert said.value.reason == reason
        assert (await caller.ask(request(1))).form.known

    calling(server, main, ledger=ledger)
    assert ledger.outcomes == [reason] * exchanges + ["answered"]


def test_one_that_fails_cancels_no_other() -> None:
    class Picky(Scripted):
        async def send(self, request: Request[Any]) -> Reply:
            await asyncio.sleep(1)
            return reply("no" if request.task.endswith("7") else GOOD)

    async def main(caller: Caller) -> None:
        asked = (caller.ask(request(n)) for n in range(40))
        results = await asyncio.gather(*asked, return_exceptions=True)
        failed = [n for n, result in enumerate(results) if isinstance(result, CallFailed)]
        assert failed == [7, 17, 27, 37]
        assert caller.standing.answered == 36

    calling(Picky(), main)


def test_an_error_that_no_request_escapes_ends_the_run() -> None:
    server, ledger = Scripted(UserError("got no access …")), Kept()

    async def main(caller: Caller) -> None:
        asked = (caller.ask(request(n)) for n in range(100))
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert {str(result) for result in results} == {"got no access …"}
        with pytest.raises(UserError):
            await caller.ask(request(1000))

    calling(server, main, ledger=ledger)
    assert server.begun == 4, "those that were under way, no more"
    assert set(ledger.outcomes) == {"the run was stopped"}


def test_no_more_is_spent_than_allowed() -> None:
    server = Scripted(GOOD, price=Price(prompt=1.0, completion=10.0, cached=0.5))
    ledger = Kept()
    purses = [Purse(None, 10_000)]

    async def main(caller: Caller) -> None:
        asked = (caller.ask(request(n)) for n in range(100))
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(result) for result in results[20:]} == {BudgetSpent}
        spent = sum(1010 for result in results if not isinstance(result, Exception))
        assert 8000 < spent <= 10_000
        assert caller.standing.usd == pytest.approx(len(server.requests) * 9e-4)

    calling(server, main, ledger=ledger, purse=lambda: purses[0])
    assert purses[0].spent_tokens == 1010 * len(server.requests)
    assert {call.usd for call in ledger.calls} == {9e-4}


def test_what_was_never_answered_costs_nothing() -> None:
    purses = [Purse(None, 10_000)]

    async def main(caller: Caller) -> None:
        for number in range(50):
            with pytest.raises(CallFailed):
                await caller.ask(request(number))

    calling(Scripted(TooLong("4096")), main, purse=lambda: purses[0])
    assert purses[0].spent_tokens == 0 and not purses[0].is_spent


def test_refused_requests_wait_and_are_answered() -> None:
    server = Scripted(*[TooManyRequests("slow", 30.0)] * 3, GOOD)

    async def main(caller: Caller) -> float:
        await asyncio.gather(*(caller.ask(request(n)) for n in range(20)))
        return asyncio.get_running_loop().time()

    assert calling(server, main) > 30


def test_a_driver_starts_as_much_as_the_server_takes() -> None:
    server = Scripted(GOOD)
    most: list[int] = []

    async def main(caller: Caller) -> None:
        tasks = []
        for number in range(500):
            await caller.hungry()
            tasks.append(asyncio.create_task(caller.ask(request(number))))
            most.append(caller.standing.under_way - 2 * caller.standing.limit)
        await asyncio.gather(*tasks)
        assert caller.standing.calls_per_second > 10
        assert caller.standing.limit >= 64, "it was never short of work, and so it could grow"

    calling(server, main)
    assert max(most) <= 0, "one waits for each that runs, no more"


def test_the_estimate_of_a_prompt_is_more_than_it_has() -> None:
    english, chinese = request(prefix="The ferry lay at the quay. " * 100), "渡船停在码头。" * 100
    assert 700 <= estimated_tokens(english) <= 2 * 700
    assert estimated_tokens(request(prefix=chinese)) >= 600


def test_forms_are_not_mixed_up() -> None:
    async def main(caller: Caller) -> None:
        with pytest.raises(CallFailed):
            await caller.ask(request(form=Compared))
        assert (await caller.ask(request())).form.known

    calling(Scripted(GOOD), main)
