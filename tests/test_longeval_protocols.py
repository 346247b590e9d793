from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longeval.protocols import (
    PROTOCOLS,
    Stream,
    protocol_of,
    sampled,
    scripts_perplexity,
    spread,
)
from longeval.sampling import affordable, draw, num_draws
from longeval.windows import longlora, strided

lists = st.lists(st.tuples(st.floats(0.1, 50), st.integers(1, 40)), min_size=1, max_size=30)


def arrays(rows: list[tuple[float, int]]) -> tuple[Any, Any]:
    return np.array([a for a, _ in rows]), np.array([float(b) for _, b in rows])


@given(st.lists(st.floats(0.1, 50), min_size=1, max_size=40), st.integers(1, 9))
def test_longlora_is_the_mean_of_batch_losses_however_small_the_last_batch_is(
    losses: list[float], batch_size: int
) -> None:
    counts = [7] * len(losses)  # all of its windows are of one length
    batches = []
    for start in range(0, len(losses), batch_size):
        batch = losses[start : start + batch_size]
        batches.append(sum(batch) / (7 * len(batch)))
    found = PROTOCOLS["longlora"].mean(
        np.array(losses), np.array(counts, float), batch_size=batch_size
    )
    assert math.isclose(found, sum(batches) / len(batches), rel_tol=1e-12)


@given(lists)
def test_strided_weighs_tokens_and_yarn_windows(rows: list[tuple[float, int]]) -> None:
    sums, counts = arrays(rows)
    total = sum(a for a, _ in rows) / sum(b for _, b in rows)
    for name in ("strided", "disjoint", "document"):
        assert math.isclose(PROTOCOLS[name].mean(sums, counts), total, rel_tol=1e-12)
    means = sum(a / b for a, b in rows) / len(rows)
    for name in ("yarn", "yarn-truncated"):
        assert math.isclose(PROTOCOLS[name].mean(sums, counts), means, rel_tol=1e-12)


def test_every_protocol_says_in_words_what_it_scores() -> None:
    for protocol in PROTOCOLS.values():
        words = protocol.words(ctx=8192, stride=256, bos=False)
        assert "8,192" in words and "mean is over" in words and "{" not in words
        assert ("BOS before each window" in words) == (protocol.has_bos is None)
        assert "BOS before each" not in PROTOCOLS["longlora"].words(ctx=8, stride=2, bos=True)
    assert "BOS before" in PROTOCOLS["strided"].words(ctx=8, stride=2, bos=True)


def test_an_unknown_protocol_is_one_line() -> None:
    with pytest.raises(UserError, match="allowed: longlora, strided"):
        protocol_of("press")


def test_a_protocol_of_documents_needs_to_know_them() -> None:
    with pytest.raises(UserError, match="documents are unknown"):
        PROTOCOLS["yarn"].windows(Stream(num_tokens=9, offsets=None), ctx=4, stride=1, bos=False)


def test_the_script_raises_no_e() -> None:
    assert scripts_perplexity(2.0) == 2.71828**2.0
    assert abs(scripts_perplexity(2.0) / math.exp(2.0) - 1) < 2e-6


def test_an_interval_is_over_documents_where_there_are_enough_else_over_blocks() -> None:
    rng = np.random.default_rng(0)
    sums, counts = rng.normal(20, 3, 400), np.full(400, 10.0)
    starts = np.arange(400) * 256
    common: dict[str, Any] = {"starts": starts, "ctx": 1024}
    many = spread(PROTOCOLS["strided"], sums, counts, documents=np.arange(400) // 10, **common)
    assert many.over == "40 documents" and many.interval is not None
    few = spread(PROTOCOLS["strided"], sums, counts, documents=np.arange(400) // 200, **common)
    assert few.over == "50 blocks of 2,048 tokens and more"
    assert few.interval is not None and few.interval[0] < 2 < few.interval[1]
    unknown = spread(PROTOCOLS["strided"], sums, counts, documents=None, **common)
    assert unknown == few
    one = spread(
        PROTOCOLS["strided"], sums[:1], counts[:1], documents=None, starts=starts[:1], ctx=9
    )
    assert one.interval is None
    own = spread(PROTOCOLS["document"], sums[:3], counts[:3], documents=np.arange(3), **common)
    assert own.over == "3 documents"


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Neighbouring windows are alike: blocks of them cover, windows by themselves would not."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        noise = rng.normal(0, 1, 1300)
        smooth = np.convolve(noise, np.ones(16) / 4, "valid")[:1280]  # overlap of 16 windows
        found = spread(
            PROTOCOLS["longlora"],
            (smooth + 3) * 100,
            np.full(1280, 100.0),
            documents=None,
            starts=np.arange(1280) * 64,
            ctx=1024,
        )
        assert found.interval is not None
        hits += found.interval[0] < 3 < found.interval[1]
    assert 180 <= hits <= 199


def test_a_sample_is_unbiased_and_its_interval_covers_the_full_number() -> None:
    windows = strided(num_tokens=60_000, ctx=64, stride=16)
    rng = np.random.default_rng(2)
    counts = windows.scored.astype(float)
    sums = counts * rng.gamma(4, 0.6, len(windows))
    full = PROTOCOLS["strided"].mean(sums, counts)
    of = num_draws(windows)
    values, hits = [], 0
    for seed in range(300):
        kept = draw(windows, 60, seed=seed)
        found = sampled(
            PROTOCOLS["strided"], sums[kept], counts[kept], draws=windows.start[kept], of=of
        )
        assert found.interval is not None
        values.append(found.value)
        hits += found.interval[0] < full < found.interval[1]
    assert abs(np.mean(values) / full - 1) < 0.01
    assert 270 <= hits <= 297


def test_every_start_is_drawn_as_often_as_any_other() -> None:
    windows = longlora(num_tokens=2000, ctx=64, stride=64)
    times = np.zeros(len(windows))
    for seed in range(2000):
        times[draw(windows, 6, seed=seed)] += 1
    expected = 2000 * 6 / len(windows)
    assert (np.abs(times - expected) < 5 * math.sqrt(expected)).all()


def test_contexts_share_what_is_drawn() -> None:
    short = longlora(num_tokens=50_000, ctx=64, stride=32)
    long = longlora(num_tokens=50_000, ctx=1024, stride=32)
    one, two = (set(w.start[draw(w, 50, seed=3)].tolist()) for w in (short, long))
    assert len(one) == len(two) == 50
    assert len(one & two) >= 45
    assert one != set(short.start[draw(short, 50, seed=4)].tolist())


def test_all_are_drawn_where_there_are_no_more() -> None:
    windows = strided(num_tokens=100, ctx=32, stride=8)
    assert draw(windows, 1000, seed=0).tolist() == list(range(len(windows)))


@given(st.integers(0, 50), st.floats(0, 100), st.floats(0.1, 5))
def test_a_budget_buys_as_much_as_it_can(most: int, budget: float, price: float) -> None:
    found = affordable(most=most, seconds_of=lambda count: count * price, budget=budget)
    assert found == max(count for count in range(most + 1) if count == 0 or count * price <= budget)
