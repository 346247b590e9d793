"""Stages of packing: each task by itself, in any order, twice, and only for its own plan."""

from __future__ import annotations

import json
import os
import pickle
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from packing_runs import CTX, corpus, digests, order, run, tokenizer_file

from longdata import byte_ranges, packed
from longdata.errors import UserError
from longdata.pack_order import make_plan
from longdata.pack_plan import Plan
from longdata.pack_stages import (
    WORK,
    forget,
    is_finished,
    load_packing,
    stages_of,
    tokens_folder,
)
from longdata.packed import shards_of
from longdata.token_store import TokenStore


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_ranges, "SMALLEST", 8 << 10)
    monkeypatch.setattr(packed, "SHARD_TOKENS", 4096)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    forget()


@pytest.fixture
def words(tmp_path: Path) -> str:
    return tokenizer_file(tmp_path)


def planned(out: Path, source: Path, words: str, *, row_tasks: int = 5) -> Plan:
    plan = replace(make_plan(order(source, out, words)), row_tasks=row_tasks)
    plan.save(out / WORK)
    return plan


def test_tasks_in_any_order_and_twice_give_what_a_run_gives(tmp_path: Path, words: str) -> None:
    data = corpus(tmp_path / "data")
    run(data, tmp_path / "whole", words)
    out = tmp_path / "out"
    plan = planned(out, data, words)
    draw = random.Random(0)
    for stage in stages_of(out, plan):
        work = pickle.loads(pickle.dumps(stage.work))  # as it comes to another machine
        ranks = [*range(stage.tasks), *draw.choices(range(stage.tasks), k=3)]
        for rank in draw.sample(ranks, len(ranks)):
            work(rank)
    assert digests(out) == digests(tmp_path / "whole")
    assert is_finished(out, plan.hash, CTX)


def test_row_tasks_share_all_files_of_all_ctx(tmp_path: Path, words: str) -> None:
    out = tmp_path / "out"
    plan = planned(out, corpus(tmp_path / "data"), words)
    tokens, packing, rows, _ = stages_of(out, plan)
    for stage in (tokens, packing):
        for rank in range(stage.tasks):
            stage.work(rank)
    names = {
        f"ctx-{ctx}/{name}"
        for ctx in CTX
        for name, _ in shards_of(load_packing(out, ctx, plan.hash)[0])
    }
    made: set[str] = set()
    sizes = []
    for rank in range(rows.tasks):
        rows.work(rank)
        folder = out / WORK / "rows"
        now = {path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")}
        sizes.append(len(now - made))
        made = now
    assert made == names and len(names) > 8
    assert max(sizes) - min(sizes) <= 1


def test_the_packing_on_disk_is_the_packing(tmp_path: Path, words: str) -> None:
    out = tmp_path / "out"
    plan = planned(out, corpus(tmp_path / "data"), words)
    for stage in stages_of(out, plan)[:2]:
        for rank in range(stage.tasks):
            stage.work(rank)
    store = TokenStore.open(tokens_folder(out, plan), plan.settings)
    for ctx in CTX:
        packing, chosen, facts = load_packing(out, ctx, plan.hash)
        assert isinstance(packing.document, np.memmap)  # who writes some rows reads some of it
        assert packing.tokens == facts["tokens"] == int(store.lengths[chosen].sum())
        assert facts["plan"] == plan.hash and facts["ctx"] == ctx
        json.dumps(facts)


def test_tasks_of_another_plan_or_tokenizer_are_refused(tmp_path: Path, words: str) -> None:
    out = tmp_path / "out"
    data = corpus(tmp_path / "data")
    plan = planned(out, data, words)
    other = make_plan(order(data, out, words, seed=1))
    for stage in stages_of(out, other):
        with pytest.raises(UserError, match="another run has put its plan"):
            stage.work(0)
    tokenizer_file(tmp_path, largest_id=99)
    with pytest.raises(UserError, match="changed since the plan was made"):
        stages_of(out, plan)[0].work(0)


@pytest.mark.parametrize("gone", ["ctx-32/data/*.parquet", "ctx-128/pack.json", "README.md"])
def test_what_was_published_and_is_damaged_is_made_again(
    gone: str, tmp_path: Path, words: str
) -> None:
    out = tmp_path / "out"
    data = corpus(tmp_path / "data")
    hash = run(data, out, words).facts[32]["plan"]
    before = digests(out)
    assert is_finished(out, hash, CTX) and not is_finished(out, "another", CTX)
    next(out.glob(gone)).unlink()
    assert not is_finished(out, hash, CTX)
    assert run(data, out, words).is_new
    assert digests(out) == before


def test_fresh_makes_the_same_anew(tmp_path: Path, words: str) -> None:
    out = tmp_path / "out"
    data = corpus(tmp_path / "data")
    run(data, out, words)
    before = digests(out)
    path = next((out / "ctx-32" / "data").glob("*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes(100) + whole[300:])  # what no look at the metadata sees
    assert not run(data, out, words).is_new
    assert run(data, out, words, fresh=True).is_new
    assert digests(out) == before
