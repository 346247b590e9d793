"""Ulysses among processes without a GPU, for a test: two halves of a row against the whole row.

    python -m ulysses_on_cpu       in each of two processes; ends with an error where they differ

DeepSpeed wraps the attention function, exchanges heads for tokens and calls ours; the loss of each
process is that of its part of the row. Losses and gradients add up to those of one process.
"""

from __future__ import annotations

from typing import Any

import deepspeed
import deepspeed.comm.torch
import torch
import torch.distributed as dist
from deepspeed.runtime.sequence_parallel import parallel_state_sp
from deepspeed.runtime.sequence_parallel.ulysses_sp import UlyssesSPAttentionHF
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

import longtune
from longtune.attention import s2_attention
from longtune.config import Recipe
from longtune.loss import targets_of
from longtune.sharding import share_heads
from longtune.training_data import UNSCORED
from longtune.training_forward import install

LENGTH, GROUP, DOCUMENT, VOCAB = 64, 16, 40, 61
HEADS = ((8, 8), (8, 4), (8, 2), (8, 1))  # of queries, and of keys and values


def model_of(num_heads: int, num_kv_heads: int) -> Any:
    ALL_ATTENTION_FUNCTIONS["s2_attn"] = s2_attention  # not the one that DeepSpeed wrapped
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=64,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=num_heads,
        num_key_value_heads=num_kv_heads,
        max_position_embeddings=LENGTH,
        attn_implementation="s2_attn",
    )
    model = LlamaForCausalLM(config).train()
    longtune.set_group_size(model, GROUP)
    install(model, loss="chunked")
    return model


def compare(num_heads: int, num_kv_heads: int) -> None:
    rank, parts = dist.get_rank(), dist.get_world_size()
    model = model_of(num_heads, num_kv_heads)
    ids = torch.randint(VOCAB, (1, LENGTH))
    positions = torch.cat([torch.arange(DOCUMENT), torch.arange(LENGTH - DOCUMENT)])[None]
    labels = ids.masked_fill(positions == 0, UNSCORED)
    whole = model(input_ids=ids, position_ids=positions, labels=labels).loss
    whole.backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()

    parallel_state_sp._SEQUENCE_PARALLEL_GROUP = None  # of the model before this one
    parallel_state_sp._SEQUENCE_DATA_PARALLEL_GROUP = None
    UlyssesSPAttentionHF.register_with_transformers(
        model_name_or_path=model,
        core_attn_implementation="s2_attn",
        sequence_parallel_size=parts,
        micro_batch_size=1,
    )
    recipe = Recipe(
        task="extend", model="m", data="d", ctx=LENGTH, out="o", sequence_parallel=parts
    )
    share_heads(model, recipe, rank=rank)
    targets = targets_of(labels)
    ids, positions, here = (x.chunk(parts, dim=1)[rank] for x in (ids, positions, targets))
    part = model(
        input_ids=ids,
        position_ids=positions,
        labels=here,
        shift_labels=here,
        num_items_in_batch=(targets != UNSCORED).sum(),
    ).loss
    part.backward()
    total = part.detach().clone()
    dist.all_reduce(total)
    torch.testing.assert_close(total, whole.detach(), rtol=1e-6, atol=0)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        dist.all_reduce(parameter.grad)
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


if __name__ == "__main__":
    torch.set_num_threads(1)
    deepspeed.comm.torch.build_shm_op = lambda: None  # a kernel for one machine, minutes to compile
    dist.init_process_group("gloo")
    deepspeed.init_distributed("gloo")
    for heads in HEADS:
        compare(*heads)
