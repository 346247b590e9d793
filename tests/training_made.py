"""A tiny random Llama and a few packed rows on disk, and a recipe that trains the one on the other.

recipe = made(tmp_path, steps=3, method="full")
run(recipe, data_of(recipe))
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from longdata.packed import FORMAT, schema_of
from longtune.config import Recipe, from_dict
from longtune.packed_batches import PackedBatches

VOCAB, CTX = 61, 32
DOCUMENTS = ((20, 12), (32,), (5, 9, 11), (16, 16), (31,), (8, 24), (3, 29), (10, 10, 10))


def write_rows(
    folder: Path,
    documents: Sequence[Sequence[int]] = DOCUMENTS,
    *,
    ctx: int = CTX,
    tokenizer: dict[str, Any] | None = None,
) -> Path:
    """Packed rows whose documents have these lengths; what is missing to `ctx` is padding.

    A text goes by threes, so that there is something to learn.
    """
    rng = np.random.default_rng(7)
    columns: dict[str, list[Any]] = {name: [] for name in schema_of(ctx).names}
    for row, lengths in enumerate(documents):
        pad = ctx - sum(lengths)
        texts = [(rng.integers(VOCAB) + 3 * np.arange(n)) % (VOCAB - 3) + 3 for n in lengths]
        columns["input_ids"].append(np.concatenate([*texts, np.zeros(pad)]).astype(np.int32))
        columns["seq_lengths"].append([*lengths, pad] if pad else list(lengths))
        columns["documents"].append([f"{row}:{at}" for at in range(len(lengths))])
        columns["sources"].append(["book"] * len(lengths))
        columns["starts"].append([0] * len(lengths))
        columns["document_lengths"].append(list(lengths))
        columns["n_pad"].append(pad)
    (folder / "data").mkdir(parents=True)
    name = "data/train-00000-of-00001.parquet"
    schema = schema_of(ctx)
    arrays = [
        pa.array(list(columns[field.name]), pa.list_(pa.int32(), ctx))
        if field.name == "input_ids"
        else pa.array(columns[field.name], field.type)
        for field in schema
    ]
    pq.write_table(pa.table(arrays, schema=schema), folder / name)
    facts = {"format": FORMAT, "ctx": ctx, "shards": {name: len(documents)}}
    if tokenizer is not None:
        facts["tokenizer"] = tokenizer
    (folder / "pack.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def write_model(folder: Path, *, tied: bool = False, **sizes: Any) -> Path:
    """A Llama of 8 tokens of context, the same weights each time, without a tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    config = LlamaConfig(
        **{
            "vocab_size": VOCAB,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 8,
            "tie_word_embeddings": tied,
            "bos_token_id": 1,
            "eos_token_id": 2,
            **sizes,
        }
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def made(folder: Path, *, tied: bool = False, **settings: Any) -> Recipe:
    """A recipe of four steps of four rows; its model and data are written into `folder`."""
    if not (folder / "model").exists():
        write_model(folder / "model", tied=tied)
        write_rows(folder / "packed")
    return from_dict(
        {
            "task": "extend",
            "model": str(folder / "model"),
            "data": str(folder / "packed"),
            "out": str(folder / "out"),
            "ctx": CTX,
            "steps": 4,
            "batch_size": 2,
            "accumulation": 2,
            "learning_rate": 3e-3,
            "warmup_steps": 0,
            "checkpointing": False,
            **settings,
        }
    )


def data_of(recipe: Recipe) -> PackedBatches:
    """Its data, as `longtune extend` opens them."""
    return PackedBatches.open(
        Path(recipe.data), ctx=recipe.ctx, documents=recipe.documents, positions=recipe.positions
    )
