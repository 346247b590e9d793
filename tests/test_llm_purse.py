"""No sequence of requests costs more than the limit, and none within it is refused for nothing."""

from __future__ import annotations

import asyncio
import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longqa.llm.purse import REASON, Purse, Reservation, require_prices
from longqa.llm.records import BudgetSpent, Endpoint, Price, Usage

DIME = Price(prompt=0.1, completion=0.1)
PRICES = st.builds(
    Price,
    prompt=st.floats(0, 50),
    completion=st.floats(0, 50),
    cached=st.none() | st.floats(0, 80),
)
TOKENS = st.integers(0, 200_000)
SHARE = st.floats(0, 1)
# One step: ask for this much at this price; or give back one of those held, used to these shares.
STEPS = st.lists(
    st.tuples(st.just("ask"), TOKENS, TOKENS, PRICES)
    | st.tuples(st.just("settle"), st.integers(0, 99), SHARE, SHARE, SHARE)
    | st.tuples(st.just("cancel"), st.integers(0, 99)),
    max_size=40,
)


def bill(usage: Usage, price: Price) -> Fraction:
    """What a provider asks for, without any rounding."""
    cached = price.prompt if price.cached is None else price.cached
    return (
        (usage.prompt - usage.cached) * Fraction(repr(price.prompt))
        + usage.cached * Fraction(repr(cached))
        + usage.completion * Fraction(repr(price.completion))
    ) / 10**6


def worst(prompt: int, completion: int, price: Price) -> Fraction:
    """The largest bill of a request."""
    return max(
        bill(Usage(prompt=prompt, completion=completion, cached=cached), price)
        for cached in (0, prompt)
    )


@given(
    STEPS,
    st.none() | st.floats(0, 20),
    st.none() | st.integers(0, 2_000_000),
    st.floats(0, 5),
    st.integers(0, 500_000),
)
def test_no_bill_passes_a_limit_whatever_the_order_and_what_fits_is_let_through(
    steps: list[tuple[Any, ...]],
    max_usd: float | None,
    max_tokens: int | None,
    usd: float,
    tokens: int,
) -> None:
    purse = Purse(max_usd, max_tokens, usd, tokens)
    usd_limit = Fraction(repr(max_usd)) if max_usd is not None else math.inf
    tokens_limit = max_tokens if max_tokens is not None else math.inf
    held: list[tuple[Reservation, int, int, Price]] = []
    spent = Fraction(repr(usd))
    for what, *values in steps:
        usd_if_worst = spent + sum(worst(*request) for _, *request in held)
        tokens_if_worst = tokens + sum(request[1] + request[2] for request in held)
        if what == "ask":
            prompt, completion, price = values
            usd_if_worst += worst(prompt, completion, price)
            tokens_if_worst += prompt + completion
            was_refused = purse.is_spent
            try:
                held.append((purse.reserve(prompt, completion, price), *values))
                assert not was_refused  # the first refusal is the end
                assert usd_if_worst <= usd_limit
                assert tokens_if_worst <= tokens_limit
            except BudgetSpent as refusal:
                assert refusal.reason == REASON
                almost = usd_limit - Fraction(1, 10_000)  # a token's price is rounded up
                assert was_refused or usd_if_worst > almost or tokens_if_worst > tokens_limit
        elif held:
            reservation, prompt, completion, price = held.pop(values[0] % len(held))
            if what == "cancel":
                purse.cancel(reservation)
                continue
            prompt, completion = int(prompt * values[1]), int(completion * values[2])
            usage = Usage(prompt=prompt, completion=completion, cached=int(prompt * values[3]))
            purse.settle(reservation, usage)
            spent += bill(usage, price)
            tokens += prompt + completion
    assert purse.spent_tokens == tokens
    assert abs(Fraction(purse.spent_usd) - spent) < Fraction(1, 10_000)


def test_sums_of_dimes_do_not_creep() -> None:
    """0.1 + 0.1 + 0.1 is more than 0.3 in floats, and ten dimes less than a dollar."""
    for limit, dimes in ((0.3, 3), (1.0, 10)):
        purse = Purse(limit, None)
        for _ in range(dimes):
            purse.settle(purse.reserve(900_000, 100_000, DIME), Usage(prompt=1_000_000))
        assert purse.spent_usd == limit
        with pytest.raises(BudgetSpent):
            purse.reserve(1, 0, DIME)


def test_nothing_creeps_in_ten_thousand_settlements() -> None:
    purse = Purse(None, None)
    price = Price(prompt=0.15, completion=0.6, cached=0.075)
    for _ in range(10_000):
        purse.settle(purse.reserve(10, 10, price), Usage(prompt=7, completion=3, cached=2))
    assert purse.spent_usd == 0.027


def test_a_limit_is_one_on_all_runs_together() -> None:
    purse = Purse(1.0, 5_000_000, spent_usd=0.9, spent_tokens=4_000_000)
    held = purse.reserve(600_000, 400_000, DIME)
    with pytest.raises(
        BudgetSpent, match=r"--max-usd 1\.00: 0\.9000 spent, 0\.1000 held"
    ) as refusal:
        purse.reserve(1, 0, DIME)
    assert "--max-tokens 5,000,000: 4,000,000 used, 1,000,000 held" in refusal.value.detail
    purse.cancel(held)
    with pytest.raises(BudgetSpent) as again:  # it would fit now, but a run that ends stays ended
        purse.reserve(1, 0, DIME)
    assert str(again.value) == str(refusal.value)


def test_the_most_is_held_and_what_was_not_used_comes_back() -> None:
    purse = Purse(None, 1000)
    held = purse.reserve(300, 700, None)
    purse.settle(held, Usage(prompt=290, completion=10))
    assert purse.spent_tokens == 300
    purse.reserve(300, 400, None)


def test_a_prompt_from_the_cache_that_costs_more_is_held_for_too() -> None:
    dearer = Price(prompt=1, completion=0, cached=2)
    with pytest.raises(BudgetSpent):
        Purse(1.5, None).reserve(1_000_000, 0, dearer)
    Purse(2.0, None).reserve(1_000_000, 0, dearer)


def test_a_server_that_counts_more_is_believed_and_one_that_caches_too_much_is_not() -> None:
    purse = Purse(1.0, None)
    held = purse.reserve(1_000_000, 0, DIME)
    purse.settle(held, Usage(prompt=9_500_000))
    assert purse.spent_usd == 0.95
    with pytest.raises(BudgetSpent):
        purse.reserve(1_000_000, 0, DIME)
    purse = Purse(1.0, None)
    price = Price(prompt=1, completion=1, cached=0)
    purse.settle(purse.reserve(100_000, 0, price), Usage(prompt=100_000, cached=10_000_000))
    assert purse.spent_usd == 0


def test_a_reservation_is_given_back_once_and_where_it_is_from() -> None:
    purse = Purse(None, 100)
    held = purse.reserve(10, 10, None)
    purse.settle(held, Usage(prompt=10))
    for give_back in (
        lambda: purse.settle(held, Usage()),
        lambda: purse.cancel(held),
        lambda: purse.cancel(Purse(None, None).reserve(1, 1, None)),
    ):
        with pytest.raises(ValueError, match="once, at the purse it is from"):
            give_back()


def test_who_waits_for_room_gets_it_in_turn_when_others_settle() -> None:
    async def run() -> list[str]:
        purse, order = Purse(None, 1000), []
        first = await purse.room_for(250, 250, None)

        async def ask(name: str, tokens: int) -> None:
            held = await purse.room_for(tokens, 0, None)
            order.append(name)
            await asyncio.sleep(0)
            purse.settle(held, Usage(prompt=10))

        tasks = [asyncio.create_task(ask(f"{n}", n)) for n in (900, 100, 800)]
        await asyncio.sleep(0)
        assert order == []  # the second would fit, and does not overtake the first
        purse.settle(first, Usage(prompt=50))
        await asyncio.gather(*tasks)
        assert purse.spent_tokens == 80
        return order

    assert asyncio.run(run()) == ["900", "100", "800"]


def test_who_waits_for_room_that_never_comes_is_refused_and_so_is_everybody_after() -> None:
    async def run() -> None:
        purse = Purse(None, 1000)
        first = await purse.room_for(500, 500, None)
        tasks = [asyncio.create_task(purse.room_for(n, 0, None)) for n in (900, 1, 1)]
        await asyncio.sleep(0)
        purse.settle(first, Usage(prompt=101))
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in found] == [BudgetSpent] * 3
        with pytest.raises(BudgetSpent):
            await purse.room_for(0, 0, None)

    asyncio.run(run())


def test_a_request_too_large_for_what_is_left_does_not_wait() -> None:
    async def run() -> None:
        purse = Purse(None, 1000)
        await purse.room_for(500, 0, None)
        with pytest.raises(BudgetSpent):
            await purse.room_for(1001, 0, None)

    asyncio.run(run())


def test_who_stops_waiting_holds_nobody_up() -> None:
    async def run() -> None:
        purse = Purse(None, 1000)
        first = await purse.room_for(1000, 0, None)
        waiting = asyncio.create_task(purse.room_for(900, 0, None))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        purse.cancel(first)
        await purse.room_for(1000, 0, None)

    asyncio.run(run())


@pytest.mark.parametrize("limit", [-1, math.nan, math.inf])
def test_a_limit_that_is_none_is_one_line(limit: float) -> None:
    with pytest.raises(UserError, match=r"got --max-usd .*; allowed: 0 or more; fix: leave it out"):
        Purse(limit, None)


def test_a_limit_of_nothing_lets_only_what_is_free_pass() -> None:
    free = Price(prompt=0, completion=0)
    Purse(0, None).reserve(1000, 1000, free)
    for price in (DIME, Price(prompt=1e-9, completion=0)):
        with pytest.raises(BudgetSpent):
            Purse(0, None).reserve(1, 0, price)


def endpoint(price: Price | None) -> Endpoint:
    return Endpoint(model="m", base_url="http://localhost:8000/v1", price=price)


def test_dollars_are_limited_only_where_prices_are_known() -> None:
    require_prices(None, [endpoint(None)])
    require_prices(5, [endpoint(DIME)])
    with pytest.raises(UserError, match=r"got --max-usd 5 without --price for 'm'; allowed: "):
        require_prices(5, [endpoint(DIME), endpoint(None)])
    with pytest.raises(ValueError, match="see require_prices"):
        Purse(5, None).reserve(1, 1, None)


@pytest.mark.parametrize("wrong", [-0.5, math.nan, math.inf])
def test_a_price_that_is_none_is_one_line(wrong: float) -> None:
    for price in (
        Price(prompt=wrong, completion=1),
        Price(prompt=1, completion=wrong),
        Price(prompt=1, completion=1, cached=wrong),
    ):
        with pytest.raises(UserError, match=r"got a price of .*; allowed: 0 or more dollars"):
            require_prices(5, [endpoint(price)])
