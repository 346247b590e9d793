"""How long a measurement will take, and how much memory and disk, before it begins.

    rate = measure_rate(scorer, tokens, plan.passes)
    str(rate.of_processes(8).forecast(plan.passes, batch_size=None))
    -> "38,936 passes, 1,275,854,848 tokens read, …: about 17 h, 16 GiB of memory, 4.8 GiB of disk"

A pass over n tokens, s of them scored, costs 2 P n + 2 L q n² + 2 d V s operations: matrices (P
parameters), causal attention (L layers, q = heads · head size) and head. How many of them a second
this machine does with this model is measured, on a beginning of the text.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from longeval.nll import Scorer
from longeval.passes import Pass, default_batch_size

_PROBE_ON_CPU, _PROBE_ON_GPU = 2_048, 16_384  # tokens
_SHORTEST_PROBE = 64
_BYTES_OF_A_LOSS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What decides operations and memory of a model."""

    matrices: int  # parameters that each token is multiplied with
    attention: int  # layers · heads · head size
    head: int  # hidden size · vocabulary
    weights: int  # bytes
    width: int  # numbers that are alive for each token of a batch, at most
    scores: int  # numbers for each pair of tokens: heads, where attention keeps its scores
    itemsize: int
    vocab_size: int

    def of(self, one: Pass) -> float:
        """Operations of one pass."""
        n = one.length
        return 2.0 * (self.matrices * n + self.attention * n * n + self.head * one.num_scored)

    def memory(self, passes: Sequence[Pass], *, batch_size: int | None, logits: int) -> int:
        """Bytes at the highest moment: weights, a batch's activations, and logits at a time."""
        most = 0
        for length in {one.length for one in passes}:
            rows = batch_size or default_batch_size(length)
            numbers = rows * length * (self.width + self.scores * length)
            most = max(most, numbers * self.itemsize)
        return self.weights + most + logits * (self.itemsize + 2 * 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is to come. `available` is the memory that is free; None where that is unknown."""

    passes: int
    num_read: int
    num_scored: int
    seconds: float
    memory: int
    disk: int
    available: int | None

    def __str__(self) -> str:
        return (
            f"{self.passes:,} passes, {self.num_read:,} tokens read, {self.num_scored:,} losses: "
            f"about {duration(self.seconds)}, {_size(self.memory)} of memory, "
            f"{_size(self.disk)} of disk"
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line where the memory will not do."""
        if self.available is None or self.memory <= self.available:
            return ()
        return (
            f"{_size(self.memory)} of memory will be needed and {_size(self.available)} are free; "
            "fix: --batch-size 1, --attention sdpa, --dtype bfloat16, or a smaller --ctx",
        )


def cost_of(model: Any) -> Cost:
    """The cost of a model, counted on what was loaded."""
    core = model.get_base_model() if hasattr(model, "peft_config") else model
    config = core.config.get_text_config(decoder=True)
    heads = config.num_attention_heads
    hidden = config.hidden_size
    head_dim = getattr(config, "head_dim", None) or hidden // heads
    ff = getattr(config, "intermediate_size", None) or 4 * hidden
    tables = {id(core.get_input_embeddings().weight)}
    if core.get_output_embeddings() is not None:
        tables.add(id(core.get_output_embeddings().weight))
    weights = list(model.parameters())
    vocab_size = int(core.get_input_embeddings().weight.shape[0])
    return Cost(
        matrices=sum(w.numel() for w in weights if w.ndim > 1 and id(w) not in tables),
        attention=config.num_hidden_layers * heads * head_dim,
        head=hidden * vocab_size,
        weights=sum(w.numel() * w.element_size() for w in weights),
        width=4 * hidden + 3 * heads * head_dim + 3 * ff,
        scores=2 * heads if getattr(config, "_attn_implementation", "") == "eager" else 0,
        itemsize=core.get_input_embeddings().weight.element_size(),
        vocab_size=vocab_size,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What passes cost on this machine, at so many operations a second in each process."""

    cost: Cost
    a_second: float
    logits: int  # at a time
    available: int | None
    world: int = 1

    def of_processes(self, world: int) -> Rate:
        """The same where so many share the work."""
        return replace(self, world=world)

    def seconds(self, passes: Sequence[Pass]) -> float:
        return sum(map(self.cost.of, passes)) / self.a_second / self.world

    def forecast(self, passes: Sequence[Pass], *, batch_size: int | None) -> Forecast:
        """Of these passes."""
        num_scored = sum(one.num_scored for one in passes)
        return Forecast(
            passes=len(passes),
            num_read=sum(one.length for one in passes),
            num_scored=num_scored,
            seconds=self.seconds(passes),
            memory=self.cost.memory(passes, batch_size=batch_size, logits=self.logits),
            disk=num_scored * _BYTES_OF_A_LOSS,
            available=self.available,
        )


def measure_rate(scorer: Scorer, tokens: Any, passes: Sequence[Pass]) -> Rate:
    """Read the beginning of the longest pass, twice, no more than a twentieth of the work."""
    cost, longest = cost_of(scorer.model), passes[0]
    most = _PROBE_ON_CPU if scorer.device.type == "cpu" else _PROBE_ON_GPU
    share = sum(one.length for one in passes) // 40
    read = min(longest.end - longest.start, most, max(_SHORTEST_PROBE, share))
    ratio = longest.num_scored / longest.length
    probe = _scored(Pass(longest.start, longest.start + read, longest.bos, ()), ratio)
    seconds = min(_seconds(scorer, tokens, probe) for _ in range(2))  # the first one warms up
    return Rate(
        cost=cost,
        a_second=cost.of(probe) / max(1e-9, seconds),
        logits=scorer.most_logits,
        available=available_memory(scorer.device, weights=cost.weights),
    )


def available_memory(device: Any, *, weights: int) -> int | None:
    """Bytes for the model and its work, the model being there already; None: not known."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0]) + weights
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 + weights if found else None


def duration(seconds: float) -> str:
    """As a person says it: 40 s, 12 min, 17 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _seconds(scorer: Scorer, tokens: Any, one: Pass) -> float:
    begun = time.perf_counter()
    scorer.batch(tokens, [one])
    return time.perf_counter() - begun


def _scored(one: Pass, ratio: float) -> Pass:
    """The same with this share of its tokens scored, the last ones."""
    count = max(1, min(round(ratio * one.length), one.end - one.start - 1))
    return Pass(one.start, one.end, one.bos, ((one.end - count, one.end),))


def _size(num_bytes: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if num_bytes < 1024:
            return f"{num_bytes:.0f} {unit}"
        num_bytes /= 1024
    return f"{num_bytes:.1f} GiB"
