"""Is a checkpoint what it should be? Load it, look for what is known to go wrong, read a text.

    report = check("llama2-7b-32k", text=story)
    report.facts["rope"]          -> "linear, factor 8, theta 10,000, 32,768 tokens …"
    report.reading.short, report.reading.long     -> 1.92, 1.87      nats per token
    report.problems               -> []

The text is read twice, and the same last tokens of it are scored: with only the original context
before them, and with as much as the model was extended to. A model that was extended well predicts
them no worse with more to go by; one that lost its rope, its embeddings or its norms does far
worse. What is found is a line each; nothing is mended.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longdata.errors import UserError
from longtune.adapters import Group, trained_groups
from longtune.checkpoint import Loaded, load

WORSE = 0.5  # nats a token by which a longer context may not be worse
SCORED = 512  # tokens
_SHORTEST = 64  # tokens of a text that tell anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Mean NLL, in nats a token, of the same tokens with a short and with a long context."""

    scored: int
    short_ctx: int
    short: float
    long_ctx: int
    long: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found. `reading` is None where no text was read; `problems` is empty if all is well.

    `notes` say what was not looked at, or is unusual without being wrong.
    """

    facts: Mapping[str, str]
    trained: list[Group]
    reading: Reading | None
    notes: list[str]
    problems: list[str]


def check(
    model: str,
    *,
    adapter: str | None = None,
    text: str | None = None,
    dtype: str = "auto",
    ctx: int | None = None,
    max_tokens: int | None = None,
    device: str = "cpu",
) -> Report:
    """Load `model` (and `adapter`), and look. UserError: it cannot be loaded at all.

    `text` is read up to `max_tokens`; without it nothing is read. `ctx` is for LongLoRA's
    checkpoints, as in `checkpoint.load`.
    """
    loaded = load(model, adapter=adapter, dtype=dtype, ctx=ctx)
    trained: list[Group] = []
    if loaded.description["kind"] == "adapter":
        loaded.model.set_adapter("default")  # marks what was trained, to count it
        trained = trained_groups(loaded.model)
        loaded.model.requires_grad_(False)
    problems = [*_rope(loaded), *_numbers(loaded), *_vocabulary(loaded), *_parts(loaded, trained)]
    notes: list[str] = []
    reading = None
    if loaded.facts is None and loaded.description["kind"] == "adapter":
        notes.append("longtune did not make this adapter: the rope is that of its base")
    if text is None or loaded.tokenizer is None:
        notes.append("no text was read" + ("" if text is None else ": there is no tokenizer"))
    elif not problems:
        reading = _read(loaded, text, max_tokens=max_tokens, device=device)
        problems += _reads_badly(loaded, reading)
        if reading.long_ctx < loaded.ctx:
            notes.append(
                f"{reading.long_ctx:,} of {loaded.ctx:,} tokens were read: more need a longer text"
                + (" and a larger --max-tokens" if max_tokens is not None else "")
            )
    return Report(
        facts=_facts(loaded), trained=trained, reading=reading, notes=notes, problems=problems
    )


def _facts(loaded: Loaded) -> dict[str, str]:
    said = loaded.description
    head = "the embeddings (tied)" if said["tied"] else "a matrix of its own"
    facts = {
        "kind": said["kind"],
        "model": said["model"],
        "adapter": said["adapter"],
        "origin": said["origin"],
        "rope": said["rope_in_words"],
        "context": f"{loaded.ctx:,} tokens",
        "dtype": said["dtype"],
        "vocabulary": f"{said['vocab_size']:,}",
        "output head": head,
    }
    return {name: str(value) for name, value in facts.items() if value is not None}


def _rope(loaded: Loaded) -> Iterator[str]:
    """A context that grew while the positions stayed: LongLoRA's models wrote blanks of it."""
    rope, facts = loaded.rope, loaded.facts
    if rope is None or rope.ctx <= rope.original_ctx or rope.factor > 1:
        return
    method = (facts.recipe or {}).get("rope") if facts else None
    if rope.kind != "default" or method in ("ntk", "theta"):
        return
    if method is not None or rope.theta <= 10_000:
        yield (
            f"the context grew from {rope.original_ctx:,} to {rope.ctx:,} tokens, but the rope is "
            f"as before ({rope}): its factor is 1"
        )


def _numbers(loaded: Loaded) -> Iterator[str]:
    import torch

    bad = [
        name
        for name, weight in loaded.model.named_parameters()
        if weight.is_floating_point() and not torch.isfinite(weight).all()
    ]
    if bad:
        yield f"{bad[0]} holds NaN or infinity, as do {len(bad) - 1} other weights"


def _vocabulary(loaded: Loaded) -> Iterator[str]:
    rows = loaded.description["vocab_size"]
    if loaded.tokenizer is not None and len(loaded.tokenizer) > rows:
        yield f"the tokenizer has {len(loaded.tokenizer):,} tokens, the embeddings {rows:,} rows"


def _parts(loaded: Loaded, trained: list[Group]) -> Iterator[str]:
    """An adapter that lost, or never got, what its recipe trained."""
    if loaded.description["kind"] != "adapter":
        return
    recipe = (loaded.facts.recipe if loaded.facts else None) or {}
    present = {group.name for group in trained}
    for flag, group in (("train_embeddings", "embeddings"), ("train_norms", "norms")):
        if recipe.get(flag) and group not in present:
            yield f"the recipe trains {group}, and the adapter holds none"
    ups = [p for name, p in loaded.model.named_parameters() if ".lora_B." in name]
    if ups and not any(weight.any() for weight in ups):
        yield "LoRA does nothing: every B is zero, as before the first step of training"


def _read(loaded: Loaded, text: str, *, max_tokens: int | None, device: str) -> Reading:
    """Score the last tokens of the longest stretch that text and limit allow, read twice."""
    ids = loaded.tokenizer(text, return_tensors="pt", verbose=False)["input_ids"]
    longest = min(loaded.ctx, ids.shape[1], max_tokens or loaded.ctx)
    if longest < min(_SHORTEST, loaded.ctx):
        raise UserError(
            f"got a text of {longest} tokens; allowed: {_SHORTEST} or more, best as many as the "
            f"context of {loaded.ctx:,}; fix: name a longer one with --text"
        )
    original = loaded.rope.original_ctx if loaded.rope else loaded.ctx
    short = min(original, longest)
    scored = min(SCORED, short // 2)
    loaded.model.to(device)
    means = [
        _mean_nll(loaded.model, ids[:, longest - n : longest], scored) for n in (short, longest)
    ]
    return Reading(scored=scored, short_ctx=short, short=means[0], long_ctx=longest, long=means[1])


def _mean_nll(model: Any, ids_1N: Any, scored: int) -> float:
    """Mean NLL of the last `scored` tokens; only their logits are made."""
    import torch
    from torch.nn.functional import cross_entropy

    ids_1N = ids_1N.to(model.device)
    with torch.inference_mode():
        logits = model(ids_1N, logits_to_keep=scored + 1, use_cache=False).logits[0, :-1]
        return float(cross_entropy(logits.float(), ids_1N[0, -scored:]))


def _reads_badly(loaded: Loaded, reading: Reading) -> Iterator[str]:
    blind = math.log(loaded.description["vocab_size"])
    if not reading.short < blind:
        yield (
            f"it predicts a text worse than chance ({reading.short:.2f} nats a token with "
            f"{reading.short_ctx:,} tokens of context; chance is {blind:.2f})"
        )
    elif not reading.long <= reading.short + WORSE:
        yield (
            f"it reads worse with more context: {reading.long:.2f} nats a token with "
            f"{reading.long_ctx:,} tokens, {reading.short:.2f} with {reading.short_ctx:,}"
        )


def example_text() -> Path | None:
    """The story among the examples of the repository; None where longtune was installed alone."""
    path = Path(__file__).resolve().parents[2] / "examples" / "the-lamps-of-saltreve.txt"
    return path if path.is_file() else None
