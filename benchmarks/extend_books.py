"""A small model taken from 1,024 to 4,096 tokens by the public commands, and how it reads then.

    python benchmarks/extend_books.py [--work FOLDER] [--steps 60] [--only lora,full]

`books-2.8M` of ../shared/data is a Llama trained on 33 books with a context of 1,024 tokens; two
more books it has never seen. `longdata pack` makes rows of 4,096 tokens of the 33, `longtune
extend` trains in four ways for 60 steps of 2 rows each, and every result reads the two books in
windows of 4,096 tokens with full attention: mean negative log-likelihood in nats a token, over all
positions. The adapters are merged with `longtune merge` and must give the same logits.

Limits: what a plain loop reached in as many steps. The order, from LoRA alone to all parameters,
must come out as well. Times are medians of a step, of one thread, as ratios to the quickest: they
say what attention costs on this machine. In a --work folder an interrupted run is gone on with.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CTX, BEFORE = 4096, 1024
UNSEEN = ("36_the-war-of-the-worlds.txt", "62_a-princess-of-mars.txt")
COMMON = {
    "ctx": str(CTX),
    "batch-size": "2",
    "accumulation": "1",
    "warmup-steps": "5",
    "save-steps": "1000",
    "loss": "plain",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to train, what it may cost at most in nats a token, and its own arguments."""

    title: str
    limit: float
    arguments: Sequence[str]


def _rate(rate: str, schedule: str = "constant_with_warmup") -> list[str]:
    return ["--learning-rate", rate, "--schedule", schedule]


VARIANTS = {
    "lora": Variant(
        title="LoRA",
        limit=3.62,
        arguments=[*_rate("4e-3", "linear"), "--no-train-embeddings", "--no-train-norms"],
    ),
    "lora-embed-norm": Variant(
        title="LoRA, embeddings, norms", limit=3.60, arguments=_rate("1e-3")
    ),
    "lora-embed-norm-exact": Variant(
        title="the same with full attention",
        limit=3.58,
        arguments=[*_rate("1e-3"), "--attention", "full"],
    ),
    "full": Variant(
        title="all parameters",
        limit=3.56,
        arguments=[*_rate("1e-3"), "--method", "full"],
    ),
}
ORDER = tuple(VARIANTS)  # from worse to better


def main() -> None:
    """Pack, train, merge, read, print a table, and say whether the limits hold."""
    arguments = _arguments()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    model = arguments.data / "models" / "hf" / "books-2.8M"
    if not model.is_dir():
        sys.exit(f"{model} is missing: nothing to extend")
    with tempfile.TemporaryDirectory() as scratch:
        work = arguments.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        _pack(arguments.data, model, work / "packed")
        books = _books(arguments.data, model)
        rows = [
            {"title": "as it was", "nll": _read(model, books)},
            {"title": "position interpolation alone", "nll": _read(model, books, rope=True)},
        ]
        for name in arguments.only:
            rows.append(_variant(name, model, work, books, arguments.steps))
        _report(rows, arguments.steps)


def _variant(
    name: str, model: Path, work: Path, books: Mapping[str, Any], steps: int
) -> dict[str, Any]:
    """Train one way, merge what is an adapter, read the books."""
    variant, out = VARIANTS[name], work / name
    options = {**COMMON, "model": str(model), "data": str(work / "packed"), "out": str(out)}
    options["steps"] = str(steps)
    flags = [part for key, value in options.items() for part in (f"--{key}", value)]
    _run("longtune", "extend", *flags, *variant.arguments, "--no-checkpointing", "--quiet")
    row: dict[str, Any] = {
        "name": name,
        "title": variant.title,
        "seconds": _seconds_a_step(out / "metrics.jsonl"),
        "nll": _read(out / "model", books),
    }
    print(f"{variant.title}: {sum(row['nll']) / 4:.3f}", flush=True)
    if name != "full":
        merged = work / f"{name}-merged"
        if not merged.exists():
            _run("longtune", "merge", "--adapter", str(out / "model"), "--out", str(merged))
        row["difference"] = _difference(out / "model", merged, books)
    return row


def _pack(data: Path, model: Path, out: Path) -> None:
    files = [path for form in ("clean", "raw") for path in (data / "books" / form).glob("*.txt")]
    seen = sorted(str(path) for path in files if path.name not in UNSEEN)
    options = ["--ctx", str(CTX), "--tokenizer", str(model), "--out", str(out)]
    _run("longdata", "pack", *seen, *options, "--workers", "1", "--offline", "--quiet")


def _run(*words: str) -> None:
    """A command as a user gives it."""
    books = [word for word in words if word.endswith(".txt")]
    shown = [word for word in words if word not in books[1:]]
    print("$", " ".join(shown).replace(".txt", f".txt … ({len(books)} books)"), flush=True)
    command = [str(Path(sys.executable).with_name(words[0])), *words[1:]]
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words[:2])} ended with exit code {done.returncode}")


def _seconds_a_step(metrics: Path) -> float:
    lines = metrics.read_text(encoding="utf-8").splitlines()
    return median(json.loads(line)["seconds"] for line in lines)


def _books(data: Path, model: Path) -> dict[str, Any]:
    """The tokens of the two books, as `longdata pack` would make them."""
    from transformers import AutoTokenizer

    from longdata.readers import read_source
    from longdata.sources import Source, sha256_of

    tokenizer = AutoTokenizer.from_pretrained(model)
    books = {}
    for name in UNSEEN:
        (path,) = (data / "books").glob(f"*/{name}")
        (book,) = read_source(Source(path=path, name=name, sha256=sha256_of(path)))
        ids = tokenizer(book.text, add_special_tokens=False, verbose=False)["input_ids"]
        books[name] = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id]
    return books


def _read(model: Path, books: Mapping[str, Any], *, rope: bool = False) -> list[float]:
    """Mean NLL in each quarter of the windows, with full attention; `rope`: interpolated."""
    import torch
    from torch.nn.functional import cross_entropy

    loaded = _loaded(model, rope=rope)
    quarters = torch.zeros(4, dtype=torch.float64)
    windows = 0
    with torch.inference_mode():
        for ids in books.values():
            for start in range(0, len(ids) - CTX + 1, CTX):
                row = torch.tensor([ids[start : start + CTX]])
                logits = loaded(row, use_cache=False).logits[0, :-1]
                nll = cross_entropy(logits, row[0, 1:], reduction="none").double()
                quarters += torch.stack([part.mean() for part in nll.chunk(4)])
                windows += 1
    return (quarters / windows).tolist()


def _loaded(model: Path, *, rope: bool = False) -> Any:
    from longtune.checkpoint import load
    from longtune.rope import extend_context

    if not rope:
        return load(model, attn_implementation="sdpa").model
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(model)
    extend_context(config, ctx=CTX)
    return AutoModelForCausalLM.from_pretrained(model, config=config).eval()


def _difference(adapter: Path, merged: Path, books: Mapping[str, Any]) -> float:
    """The largest difference of the logits of one window."""
    import torch

    row = torch.tensor([next(iter(books.values()))[:CTX]])
    with torch.inference_mode():
        one, other = (_loaded(path)(row).logits for path in (adapter, merged))
    return float((one - other).abs().max())


def _report(rows: Sequence[dict[str, Any]], steps: int) -> None:
    import torch
    import transformers

    quickest = min((row["seconds"] for row in rows if "seconds" in row), default=1.0)
    print(
        f"\n{steps} steps of 2 × {CTX:,} tokens; {os.environ['OMP_NUM_THREADS']} thread, "
        f"{platform.machine()}, torch {torch.__version__}, transformers "
        f"{transformers.__version__}\n"
    )
    print("| trained | nats a token | by quarter of the window | limit | step | merged logits |")
    print("|---|---:|---|---:|---:|---:|")
    for row in rows:
        quarters = " / ".join(f"{value:.2f}" for value in row["nll"])
        limit = f"{VARIANTS[row['name']].limit:.2f}" if "name" in row else ""
        time = f"{row['seconds'] / quickest:.2f}×" if "seconds" in row else ""
        same = f"{row['difference']:.1e}" if "difference" in row else ""
        mean = sum(row["nll"]) / 4
        print(f"| {row['title']} | {mean:.3f} | {quarters} | {limit} | {time} | {same} |")
    wrong = list(_wrong(rows))
    print("\n" + ("\n".join(wrong) if wrong else "All limits hold, in the order that is expected."))
    if wrong:
        sys.exit(1)


def _wrong(rows: Sequence[dict[str, Any]]) -> list[str]:
    nll = {row["name"]: sum(row["nll"]) / 4 for row in rows if "name" in row}
    wrong = [
        f"{name}: {value:.3f} is above its limit of {VARIANTS[name].limit}"
        for name, value in nll.items()
        if round(value, 2) > VARIANTS[name].limit
    ]
    there = [name for name in ORDER if name in nll]
    for worse, better in pairwise(there):
        if nll[better] >= nll[worse]:
            wrong.append(f"{better} ({nll[better]:.3f}) is not better than {worse}")
    wrong += [
        f"{row['title']}: merged logits differ by {row['difference']:.1e}"
        for row in rows
        if row.get("difference", 0) > 1e-4
    ]
    return wrong


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, help="keep what is made here, and go on with it")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(VARIANTS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
