"""longqa.llm.limit: the decisions themselves, one at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from longqa.llm.limit import Limit


class Fed:
    """A limit and the answers it is given, at a rate for each number of calls at once."""

    def __init__(self, most: int = 256) -> None:
        self.limit = Limit(most=most, now=0.0)
        self.now, self.number = 0.0, 0

    def answer(self, rate: float, times: int, *, is_busy: bool = True) -> None:
        for _ in range(times):
            self.now += 1 / rate
            self.number += 1
            self.limit.answered(
                self.number, now=self.now, next_number=self.number + 1, is_busy=is_busy
            )

    def refuse(self) -> None:
        self.limit.pushed_back(now=self.now, next_number=self.number + 1, is_refusal=True)


def test_it_doubles_while_that_brings_more() -> None:
    fed = Fed()
    for value in (4, 8, 16, 32):
        assert fed.limit.value == value
        fed.answer(rate=value, times=value)
    assert fed.limit.value == 64


def test_it_looks_twice_before_it_believes_in_a_queue() -> None:
    fed = Fed()
    fed.answer(rate=4, times=4)
    fed.answer(rate=4.1, times=8)
    assert fed.limit.value == 8
    fed.answer(rate=4.1, times=8)
    assert fed.limit.value == 4


def test_refused_on_trial_it_goes_back_and_refused_again_it_shrinks() -> None:
    fed = Fed()
    for value in (4, 8, 16, 32):
        fed.answer(rate=value, times=value)
    fed.refuse()
    assert fed.limit.value == 32
    fed.refuse()
    assert fed.limit.value == 24


def test_without_enough_to_do_nothing_is_learned() -> None:
    fed = Fed()
    fed.answer(rate=100, times=1000, is_busy=False)
    assert fed.limit.value == 4


@given(
    st.lists(st.sampled_from(["slow", "fast", "idle", "refused", "hung"]), max_size=300),
    st.integers(1, 300),
)
def test_it_stays_within_its_bounds_whatever_happens(events: list[str], most: int) -> None:
    fed = Fed(most)
    for event in events:
        if event in ("refused", "hung"):
            is_refusal = event == "refused"
            fed.limit.pushed_back(now=fed.now, next_number=fed.number + 1, is_refusal=is_refusal)
        else:
            fed.answer(1.0 if event == "slow" else 50.0, 20, is_busy=event != "idle")
        assert 1 <= fed.limit.value <= most


@given(st.integers(1, 60))
def test_hung_or_refused_for_ever_it_ends_at_one(start: int) -> None:
    fed = Fed()
    for _ in range(start):
        fed.answer(rate=fed.limit.value, times=fed.limit.value)
    for _ in range(40):
        fed.refuse()
    assert fed.limit.value == 1
