from __future__ import annotations

import pytest
from longeval_small import random_tokens, small_llama

from longeval.forecast import Cost, Forecast, Rate, cost_of, duration, measure_rate
from longeval.nll import Scorer
from longeval.passes import Pass, merge
from longeval.windows import longlora, strided

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


def test_operations_are_those_that_torch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model = small_llama(num_attention_heads=4, num_key_value_heads=4)
    model.set_attn_implementation("eager")  # its products are counted, and all pairs with them
    one = Pass(0, 200, False, ((150, 200),))
    scorer = Scorer(model, bos_id=None)
    with FlopCounterMode(display=False) as counter:
        scorer.batch(random_tokens(200), [one])
    cost = cost_of(model)
    masked = 2 * cost.attention * 200 * 200  # that half of the scores which is thrown away
    assert counter.get_total_flops() == cost.of(one) + masked


def test_a_longer_pass_costs_more_than_its_tokens() -> None:
    cost = cost_of(small_llama())
    one, two = (Pass(0, n, False, ((1, n),)) for n in (1000, 2000))
    assert 2 * cost.of(one) < cost.of(two) < 4 * cost.of(one)


def test_a_forecast_is_divided_among_processes_and_adds_up() -> None:
    cost = Cost(
        matrices=100, attention=10, head=50, weights=1 << 20, width=8, scores=0, itemsize=4,
        vocab_size=100,
    )  # fmt: skip
    rate = Rate(cost=cost, a_second=1e6, logits=1000, available=1 << 30)
    passes = merge([longlora(num_tokens=5000, ctx=100, stride=50)], prefixes=True).passes
    one = rate.forecast(passes, batch_size=None)
    two = rate.of_processes(2).forecast(passes, batch_size=None)
    assert one.seconds == pytest.approx(2 * two.seconds)
    assert one.seconds == pytest.approx(sum(cost.of(p) for p in passes) / 1e6)
    assert (one.num_read, one.num_scored) == (97 * 100, 97 * 99)
    assert one.disk == 4 * 97 * 99
    assert one.memory > 1 << 20
    assert not one.warnings
    assert "97 passes, 9,700 tokens read" in str(one)


def test_eager_attention_needs_memory_for_its_scores() -> None:
    eager, sdpa = small_llama(), small_llama()
    eager.set_attn_implementation("eager")
    passes = [Pass(0, 4000, False, ((1, 4000),))]
    needed = [cost_of(m).memory(passes, batch_size=1, logits=0) for m in (eager, sdpa)]
    assert needed[0] > needed[1] + 4000 * 4000 * 4


def test_too_little_memory_is_warned_of() -> None:
    foreseen = Forecast(
        passes=1, num_read=1, num_scored=1, seconds=1, memory=8 << 30, disk=1, available=1 << 30
    )
    (line,) = foreseen.warnings
    assert "8.0 GiB" in line and "1.0 GiB are free" in line and "fix:" in line


def test_a_rate_is_measured_without_reading_it_all() -> None:
    model = small_llama()
    scorer = Scorer(model, bos_id=None)
    read = []
    batch = scorer.batch
    scorer.batch = lambda tokens, passes: read.append(passes[0].length) or batch(tokens, passes)  # type: ignore[method-assign,func-returns-value]
    passes = merge([strided(num_tokens=20_000, ctx=256, stride=128)], prefixes=True).passes
    rate = measure_rate(scorer, random_tokens(20_000), passes)
    assert rate.a_second > 0
    assert sum(read) <= sum(one.length for one in passes) / 20


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (40, "40 s"), (720, "12 min"), (61_200, "17.0 h")]
)
def test_times_are_said_as_a_person_does(seconds: float, said: str) -> None:
    assert duration(seconds) == said
