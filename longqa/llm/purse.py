"""Hard limits on what language models may cost, kept before a request is sent.

    purse = Purse(max_usd=5.0, max_tokens=None, spent_usd=spent.usd, spent_tokens=spent.tokens)
    held = await purse.room_for(prompt_tokens=9000, completion_tokens=4096, price=price)
    …
    purse.settle(held, reply.usage)     # or purse.cancel(held): it never reached the server

At every moment spent + held ≤ limit. What is held for a request is the most it can cost: no token
of the prompt from the cache, and an answer as long as it may be. What was spent before counts, so
that a limit is one on the output folder and not on a run. Once a request has been refused, all are:
a run that is over its limit ends cleanly, and does not go on with whatever happens to be small.

Money is counted in whole millionths of a millionth of a dollar, always rounded up: no drift.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from longdata.errors import UserError
from longqa.llm.records import BudgetSpent, Endpoint, Price, Usage

REASON = "the budget is spent"
_PICO = 10**12  # a price for a million tokens is, in these, a whole number for one token


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """What is held for one request."""

    tokens: int
    pico: int  # dollars
    price: Price | None


class Purse:
    """What is left of --max-usd and --max-tokens, for one event loop."""

    def __init__(
        self,
        max_usd: float | None,
        max_tokens: int | None,
        spent_usd: float = 0,
        spent_tokens: int = 0,
    ) -> None:
        """UserError: a limit that is negative or no number."""
        self._limits = [_limit("--max-tokens", max_tokens), _limit("--max-usd", max_usd, _PICO)]
        self._spent = [spent_tokens, math.ceil(_exact(spent_usd) * _PICO)]
        self._held = [0, 0]
        self._open: set[Reservation] = set()
        self._refusal: BudgetSpent | None = None
        self._turn = asyncio.Lock()  # first come, first served
        self._given_back = asyncio.Event()

    @property
    def spent_tokens(self) -> int:
        """Prompt and completion tokens of settled requests, and of earlier runs."""
        return self._spent[0]

    @property
    def spent_usd(self) -> float:
        """US dollars of settled requests that had a price, and of earlier runs."""
        return self._spent[1] / _PICO

    @property
    def is_spent(self) -> bool:
        """Whether a request was refused, and so every later one will be."""
        return self._refusal is not None

    def reserve(
        self, prompt_tokens: int, completion_tokens: int, price: Price | None
    ) -> Reservation:
        """Hold the most that a request can cost.

        BudgetSpent: spent + held + this could pass a limit, or a request was refused before.
        """
        return self._take(_worst(prompt_tokens, completion_tokens, price))

    async def room_for(
        self, prompt_tokens: int, completion_tokens: int, price: Price | None
    ) -> Reservation:
        """Hold the most that a request can cost, as soon as there is room for it.

        Much is held for requests under way, and most of it comes back. So a request that fits
        without them waits for them, in the order of asking; whoever waits must hold nothing.
        BudgetSpent: spent + this could pass a limit, or a request was refused before.
        """
        wanted = _worst(prompt_tokens, completion_tokens, price)
        async with self._turn:
            while self._held_back(wanted):
                self._given_back.clear()
                await self._given_back.wait()
            return self._take(wanted)

    def settle(self, reservation: Reservation, usage: Usage) -> None:
        """Count what a request used, in place of the most that it could have.

        A server that counts more tokens than were held is believed: then less is left for others.
        """
        self._give_back(reservation)
        self._spent[0] += usage.prompt + usage.completion
        self._spent[1] += _cost(usage, reservation.price)

    def cancel(self, reservation: Reservation) -> None:
        """The request used nothing."""
        self._give_back(reservation)

    def _take(self, wanted: Reservation) -> Reservation:
        if self._refusal is None and not self._fits(wanted, self._held):
            self._refusal = BudgetSpent(REASON, self._why(wanted))
        if self._refusal is not None:
            raise BudgetSpent(self._refusal.reason, self._refusal.detail)
        self._hold(wanted, +1)
        self._open.add(wanted)
        return wanted

    def _give_back(self, reservation: Reservation) -> None:
        if reservation not in self._open:
            raise ValueError("a reservation is settled or cancelled once, at the purse it is from")
        self._open.remove(reservation)
        self._hold(reservation, -1)
        self._given_back.set()

    def _hold(self, reservation: Reservation, sign: int) -> None:
        self._held[0] += sign * reservation.tokens
        self._held[1] += sign * reservation.pico

    def _held_back(self, wanted: Reservation) -> bool:
        """Whether only what is held for others stands in the way."""
        return (
            self._refusal is None
            and not self._fits(wanted, self._held)
            and self._fits(wanted, [0, 0])
        )

    def _fits(self, wanted: Reservation, held: list[int]) -> bool:
        if self._limits[1] is not None and wanted.price is None:
            raise ValueError("max_usd is set and a price is missing: see require_prices")
        sizes = zip(self._limits, self._spent, held, (wanted.tokens, wanted.pico), strict=True)
        return all(limit is None or spent + h + size <= limit for limit, spent, h, size in sizes)

    def _why(self, wanted: Reservation) -> str:
        said = []
        tokens, usd = self._limits
        if tokens is not None:
            said.append(
                f"--max-tokens {tokens:,}: {self._spent[0]:,} used, {self._held[0]:,} held for "
                f"requests under way, {wanted.tokens:,} may be needed for the next"
            )
        if usd is not None:
            said.append(
                f"--max-usd {usd / _PICO:,.2f}: {self.spent_usd:,.4f} spent, "
                f"{self._held[1] / _PICO:,.4f} held for requests under way, "
                f"{wanted.pico / _PICO:,.4f} may be needed for the next"
            )
        return "; ".join(said)


def require_prices(max_usd: float | None, endpoints: Iterable[Endpoint]) -> None:
    """UserError when dollars are limited and a model has no price, or one that is no price."""
    if max_usd is None:
        return
    for endpoint in endpoints:
        price = endpoint.price
        if price is None:
            raise UserError(
                f"got --max-usd {max_usd:g} without --price for {endpoint.model!r}; allowed: a "
                "limit in dollars for models whose price is given; fix: give --price, in dollars "
                "for a million tokens (0 for a model of your own), or limit --max-tokens instead"
            )
        for value in (price.prompt, price.completion, price.cached or 0.0):
            if not 0 <= value < math.inf:
                raise UserError(
                    f"got a price of {value} for {endpoint.model!r}; allowed: 0 or more dollars "
                    "for a million tokens; fix: see your provider's price list"
                )


def _worst(prompt_tokens: int, completion_tokens: int, price: Price | None) -> Reservation:
    usage = Usage(prompt=prompt_tokens, completion=completion_tokens)
    dearest = max(_cost(usage, price), _cost(replace(usage, cached=prompt_tokens), price))
    return Reservation(prompt_tokens + completion_tokens, dearest, price)


def _cost(usage: Usage, price: Price | None) -> int:
    if price is None:
        return 0
    cached = min(usage.cached, usage.prompt)  # whatever the server says
    return (
        (usage.prompt - cached) * _for_one(price.prompt)
        + cached * _for_one(price.prompt if price.cached is None else price.cached)
        + usage.completion * _for_one(price.completion)
    )


def _for_one(usd_for_a_million: float) -> int:
    return math.ceil(_exact(usd_for_a_million) * 10**6)


def _exact(number: float) -> Fraction:
    return Fraction(repr(float(number)))  # 0.15 is meant where the nearest float is written 0.15


def _limit(name: str, value: float | None, unit: int = 1) -> int | None:
    if value is None:
        return None
    if not 0 <= value < math.inf:
        raise UserError(
            f"got {name} {value}; allowed: 0 or more; fix: leave it out for no limit at all"
        )
    return math.floor(_exact(value) * unit)
