"""Results as the evaluations write them, of answers and losses that are made up: for the report."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from longeval import lines, passkey, qa, topics
from longeval.results import write

SIZES = {5: 3276, 10: 6210, 15: 9600, 20: 12_900, 25: 16_100}


def result(
    folder: Path,
    *,
    kind: str,
    model: str,
    data: str,
    numbers: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]] = (),
    about: Mapping[str, Any] | None = None,
    fingerprint: str | None = None,
    protocol: Mapping[str, Any] | None = None,
) -> Path:
    """A result with these numbers; its folder."""
    run = {
        "kind": kind,
        "command": f"longeval {kind} --model {model} --out {folder.name}",
        "model": {
            "name": model,
            "fingerprint": fingerprint or f"weights of {model}",
            "rope": {"factor": 8.0},
        },
        "data": {"name": data, "contexts": [], **(about or {})},
        "protocol": {"in_words": f"how {kind} is scored", "template": "raw", **(protocol or {})},
        "numbers": [dict(number) for number in numbers],
        "skipped": {"longer than the context": 3} if kind == "topics" else {},
    }
    write(folder, run, pa.Table.from_pylist([dict(row) for row in rows]) if rows else None)
    return folder


def perplexity_run(
    folder: Path,
    *,
    model: str = "ours",
    data: str = "pg19",
    at: Mapping[int, float] | None = None,
    protocol: str = "longlora",
    prefix: str = "",
    seed: int = 0,
    tokens: str = "tokens",
    scored: int = 1,
) -> Path:
    """Perplexities at these contexts, a curve of losses, and 40 windows of each context, in which
    ctx - `scored` tokens are scored."""
    import math

    rng = random.Random(seed)
    at = at or {2048: 8.4, 4096: 7.9, 8192: 7.6}
    numbers: list[dict[str, Any]] = []
    rows = []
    for ctx, value in at.items():
        common = {"protocol": protocol, "ctx": ctx, "n": 40, "of": 40, "scored": 40 * (ctx - 1)}
        interval = [value * 0.97, value * 1.03]
        numbers.append(
            {"name": f"{prefix}perplexity", "value": value, "interval": interval, **common}
        )
        nll = math.log(value)
        numbers.append({"name": f"{prefix}mean_nll", "value": nll, "interval": None, **common})
        step = 1
        while step < ctx:
            numbers.append(
                {
                    "name": f"{prefix}mean_nll_at",
                    "value": nll + 0.6 / step**0.3,
                    "interval": None,
                    "protocol": protocol,
                    "ctx": ctx,
                    "n": 40 * step,
                    "context_from": step,
                    "context_to": 2 * step,
                }
            )
            step *= 2
        hard = random.Random(7)  # the same texts are hard for every model
        rows += [
            {
                "protocol": protocol,
                "ctx": ctx,
                "window": window,
                "start": window * ctx,
                "first": window * ctx,
                "end": (window + 1) * ctx,
                "document": window // 10,
                "nll": (ctx - 1) * (nll + hard.gauss(0, 0.3) + rng.gauss(0, 0.01)),
                "scored": ctx - scored,
            }
            for window in range(40)
        ]
    words = {f"{protocol} at {ctx}": "every token of every window" for ctx in at}
    return result(
        folder,
        kind="perplexity",
        model=model,
        data=data,
        numbers=numbers,
        rows=rows,
        about={"sha256": f"{tokens} of {data}"},
        protocol={"words": words, "in_words": None},
    )


def topics_run(
    folder: Path, *, model: str = "ours", right: Sequence[int] = (50, 49, 49, 49, 47)
) -> Path:
    """LongChat's five lengths, 50 cases each, so many of them right."""
    rows = [
        {
            "id": f"topic {size} {case}",
            "asked": "first",
            "ctx_asked": None,
            "num_topics_asked": size,
            "num_topics": size,
            "prompt_tokens": tokens,
            "nearest": case < of,
            "strict": case < of - 1,
            "judge": None,
            "right": case < of,
            "lists": False,
        }
        for (size, tokens), of in zip(SIZES.items(), right, strict=True)
        for case in range(50)
    ]
    return result(
        folder,
        kind="topics",
        model=model,
        data="longchat topics",
        numbers=topics.numbers_of(rows),
        rows=rows,
        about={"num_topics": list(SIZES)},
    )


def lines_run(folder: Path, *, model: str = "ours", share: float = 0.8) -> Path:
    rows = [
        {
            "id": f"line {size} {case}",
            "ctx_asked": None,
            "num_lines": size,
            "depth": case / 20,
            "prompt_tokens": size * 24,
            "right": case < 20 * share,
        }
        for size in (200, 400, 680)
        for case in range(20)
    ]
    numbers = lines.numbers_of(rows)
    return result(
        folder, kind="lines", model=model, data="longchat lines", numbers=numbers, rows=rows
    )


def passkey_run(folder: Path, *, model: str = "ours", reach: int = 16_384, keys: int = 5) -> Path:
    """A grid of depths and lengths; keys are found up to `reach` tokens, mostly."""
    rng = random.Random(1)
    rows = [
        {
            "id": f"key {ctx} {depth} {key}",
            "ctx": ctx,
            "asked_depth": depth / 10,
            "prompt_tokens": ctx - 20,
            "right": rng.random() < (0.97 if ctx <= reach else 0.25),
            "first_number": True,
        }
        for ctx in (2048, 4096, 8192, 16_384, 24_576, 32_768)
        for depth in range(0, 11)
        for key in range(keys)
    ]
    return result(
        folder,
        kind="passkey",
        model=model,
        data="passkey longlora, grid",
        numbers=passkey.numbers_of(rows),
        rows=rows,
        about={"contexts": [2048, 4096, 8192, 16_384, 24_576, 32_768]},
    )


def qa_run(folder: Path, *, model: str = "ours", f1: float = 0.6) -> Path:
    rng = random.Random(2)
    rows = []
    for question in range(60):
        for part, level in ((qa.WITH, f1), (qa.WITHOUT, 0.1)):
            score = min(1.0, max(0.0, level + rng.gauss(0, 0.15)))
            rows.append(
                {
                    "id": f"question {question}{' closed' * (part == qa.WITHOUT)}",
                    "question": f"question {question}",
                    "part": part,
                    "ctx": 8192,
                    "question_kind": ("order", "list_all", "speaker")[question % 3],
                    "document": f"document {question // 6}",
                    "depth": (question % 20) / 20,
                    "prompt_tokens": 8000,
                    "exact_match": score > 0.7,
                    "f1": score,
                    "rouge_l": score * 0.9,
                    "contains": score > 0.6,
                    "right": score > 0.7,
                }
            )
    numbers = qa.numbers_of(rows)
    return result(folder, kind="qa", model=model, data="my-dataset", numbers=numbers, rows=rows)


def all_runs(folder: Path) -> list[Path]:
    """Two models in every evaluation."""
    return [
        perplexity_run(folder / "ppl"),
        perplexity_run(
            folder / "ppl-b", model="theirs", at={2048: 8.1, 4096: 8.0, 8192: 9.9}, seed=1
        ),
        topics_run(folder / "topics"),
        topics_run(folder / "topics-b", model="theirs", right=(50, 50, 44, 30, 12)),
        lines_run(folder / "lines"),
        lines_run(folder / "lines-b", model="theirs", share=0.4),
        passkey_run(folder / "passkey"),
        passkey_run(folder / "passkey-b", model="theirs", reach=4096),
        qa_run(folder / "qa"),
        qa_run(folder / "qa-b", model="theirs", f1=0.45),
    ]
