"""What RedPajama 1T takes is arithmetic on rates: each of them counts where it should."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.pack_estimate import Rates, estimate, table

RATES = Rates(
    text_mb_per_core_s=50,
    rows_mtokens_per_core_s=100,
    plan_mdocuments_per_s=1,
    store_bytes_per_token=2,
    rows_bytes_per_token=1.5,
    plan_bytes_per_document=64,
)


def test_core_hours_are_those_of_all_parts() -> None:
    found = estimate(RATES)
    assert found.encode_hours == pytest.approx(5e12 / 50e6 / 3600)
    assert found.rows_hours == pytest.approx(1.21e12 / 100e6 / 3600)
    assert found.plan_hours == pytest.approx(1.21e12 / 1300 / 1e6 / 3600)
    assert found.core_hours == found.encode_hours + found.rows_hours + found.plan_hours
    assert found.core_hours == pytest.approx(31.4, abs=0.1)


def test_text_is_encoded_once_for_all_lengths() -> None:
    one, three = estimate(RATES), estimate(RATES, contexts=3)
    assert three.encode_hours == one.encode_hours
    assert three.rows_hours == pytest.approx(3 * one.rows_hours)
    assert three.disk_bytes == pytest.approx(1.21e12 * (2 + 3 * 1.5))


def test_more_cores_do_not_make_the_plan_faster() -> None:
    found = estimate(RATES)
    assert found.wall_hours(1) == pytest.approx(found.core_hours)
    assert found.wall_hours(1024) > found.plan_hours
    assert found.wall_hours(10**9) == pytest.approx(found.plan_hours)


def test_faster_encoding_saves_its_own_part_alone() -> None:
    slow = estimate(replace(RATES, text_mb_per_core_s=5))
    assert slow.core_hours - estimate(RATES).core_hours == pytest.approx(0.9 * slow.encode_hours)


def test_the_table_says_it_in_words_of_time() -> None:
    head, rule, row = table(estimate(RATES)).splitlines()
    assert head.count("|") == rule.count("|") == row.count("|") == 8
    assert "| 1 core | 64 cores | 1,024 cores |" in head
    assert row.endswith("| 31.4 h | 45 min | 17 min |")
    assert "4.2 TB" in row and "60 GB" in row
    slow = estimate(replace(RATES, text_mb_per_core_s=5))
    assert "days" in table(slow)
