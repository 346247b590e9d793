"""sft_batches: answers alone are learned; rows that share a context do not see each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sft_tokenizers
from hypothesis import given
from hypothesis import strategies as st

from longtune.config import Recipe
from longtune.sft_batches import SftBatches
from longtune.sft_store import Prepared
from longtune.training_data import UNSCORED

TOKENIZER = sft_tokenizers.byte_level()
CTX = 64


def opened(folder: Path, lengths: list[int], **settings: Any) -> SftBatches:
    """Rows of n + 5 tokens: n of a prompt, 3 of its ending, an answer of one token, the end."""
    rows = [{"instruction": "z" * n, "output": "The"} for n in lengths]
    path = folder / "rows.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    recipe = Recipe(
        **{
            "task": "sft",
            "model": "m",
            "data": str(path),
            "ctx": CTX,
            "out": str(folder / "out"),
            **settings,
        }
    )
    return SftBatches.open(recipe, TOKENIZER)


def prepared_of(lengths: list[int]) -> Prepared:
    """Rows of 2 learned tokens each, numbered so that each token is another one."""
    starts = np.cumsum([0, *lengths])
    return Prepared(
        fingerprint="f",
        names=tuple(map(str, range(len(lengths)))),
        tokens=np.arange(1, starts[-1] + 1, dtype=np.int32),
        starts=starts,
        num_prompt=np.array(lengths) - 2,
        num_rows=len(lengths),
        refused={},
        refused_file=Path("none"),
    )


@pytest.mark.parametrize("packing", [True, False])
@given(lengths=st.lists(st.integers(3, CTX), min_size=1, max_size=20))
def test_every_answer_is_learned_once_and_nothing_else(packing: bool, lengths: list[int]) -> None:
    prepared = prepared_of(lengths)
    data = SftBatches(prepared=prepared, ctx=CTX, packing=packing)
    batch = data.collate([data[number] for number in range(len(data))])
    assert batch["input_ids"].shape[1] <= CTX
    ids = batch["input_ids"][batch["input_ids"] > 0]
    assert sorted(ids.tolist()) == prepared.tokens.tolist(), "every token stands once"
    learned = batch["labels"] != UNSCORED
    ends = prepared.starts[1:].tolist()
    wanted = sorted(n for end in ends for n in (end - 1, end))
    assert sorted(batch["labels"][learned].tolist()) == wanted
    assert bool((batch["labels"][learned] == batch["input_ids"][learned]).all())
    begins = (batch["position_ids"] == 0) & (batch["input_ids"] > 0)
    assert sorted((batch["input_ids"][begins] - 1).tolist()) == prepared.starts[:-1].tolist()


def test_rows_that_share_a_context_are_documents(tmp_path: Path) -> None:
    data = opened(tmp_path, [10, 42, 56])
    assert len(data) == 2, "15 and 47 tokens share a context, 61 have one for themselves"
    batch = data.collate([data[0], data[1]])
    begins = [int((row == 0).sum()) for row in batch["position_ids"]]
    assert begins == [2, 2], "two rows in one; in the other a row, and a token of padding"
    assert "rotary_position_ids" not in batch and "attention_mask" not in batch
    longest = max(len(data[0].ids), len(data[1].ids))
    assert batch["input_ids"].shape == (2, longest), "no longer than the longest example"


def test_the_four_ways_to_see_and_to_count(tmp_path: Path) -> None:
    for documents in ("mask", "ignore"):
        for positions in ("restart", "continue"):
            data = opened(tmp_path, [10, 12], documents=documents, positions=positions)
            batch = data.collate([data[0]])
            rotated = batch.get("rotary_position_ids", batch["position_ids"])
            starts = {"mask": 2, "restart": 2, "ignore": 1, "continue": 1}
            assert int((batch["position_ids"] == 0).sum()) == starts[documents]
            assert int((rotated == 0).sum()) == starts[positions]


def test_without_packing_an_example_is_a_row_and_padding_is_unseen(tmp_path: Path) -> None:
    data = opened(tmp_path, [10, 30], packing=False)
    batch = data.collate([data[0], data[1]])
    short, long = len(data[0].ids), len(data[1].ids)
    assert batch["input_ids"].shape == (2, long)
    assert (batch["input_ids"][0, short:] == TOKENIZER.eos_token_id).all(), (
        "it has no other padding"
    )
    assert (batch["labels"][0, short:] == UNSCORED).all()
    assert batch["position_ids"][0, short:].tolist() == list(range(long - short))


def test_sequence_parallelism_gets_lengths_that_divide(tmp_path: Path) -> None:
    data = opened(tmp_path, [10], sequence_parallel=8)
    batch = data.collate([data[0]])
    assert batch["input_ids"].shape[1] == 16 and len(data[0].ids) == 15


def test_two_rows_of_one_name_and_text_are_two_rows(tmp_path: Path) -> None:
    rows = [{"id": "same", "instruction": "a", "output": "b"}] * 3
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    recipe = Recipe(task="sft", model="m", data=str(path), ctx=CTX, out=str(tmp_path / "out"))
    data = SftBatches.open(recipe, TOKENIZER)
    assert len(data[0].bounds) == 4 and len(data) == 1


def test_facts_account_for_every_row_and_change_with_what_decides(tmp_path: Path) -> None:
    data = opened(tmp_path, [10, 12, 50, 300])
    facts = data.facts
    assert (facts["rows"], facts["used"], facts["refused"]) == (
        4,
        3,
        {"longer than the context": 1},
    )
    assert facts["learned_tokens"] == 6 and facts["examples"] == 2
    assert facts["filled"] == pytest.approx(facts["tokens"] / (2 * CTX))
    json.dumps(facts)
    prints = {
        opened(tmp_path, [10, 12, 50, 300], **settings).facts["fingerprint"]
        for settings in (
            {},
            {"packing": False},
            {"seed": 1},
            {"ctx": 80},
            {"positions": "continue"},
        )
    }
    assert len(prints) == 5 and facts["fingerprint"] in prints


def test_the_seed_decides_which_rows_share_a_context(tmp_path: Path) -> None:
    lengths = [8, 9, 10, 11, 12, 13, 14, 15] * 4
    first = [opened(tmp_path, lengths)[0].ids.tolist() for _ in range(2)]
    assert first[0] == first[1]
    assert opened(tmp_path, lengths, seed=1)[0].ids.tolist() != first[0]
