"""One window of a large model: `longeval perplexity` against the published way, and the device.

    python benchmarks/perplexity_large.py --shape 7b --device cuda --ctx 32768 --peak-tflops 989

A Llama of random weights in bfloat16, built where it runs, and one window of LongLoRA's protocol,
in which every token is scored. The published way is transformers' own loss, with all logits. Each
way is a process of its own; the fastest of three windows counts, after one that warms up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

_COMMON = {"vocab_size": 32_000, "max_position_embeddings": 1 << 17}
SHAPES: dict[str, dict[str, int]] = {
    "small": {
        **_COMMON,
        "hidden_size": 256,
        "intermediate_size": 688,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
    },
    "7b": {
        **_COMMON,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
}
WINDOWS = 3


def main() -> None:
    """Measure both ways and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", default="small", choices=SHAPES)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--ctx", type=int, default=1024)
    parser.add_argument("--peak-tflops", type=float, help="of the device, in bfloat16")
    parser.add_argument("--way", choices=("published", "longeval"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(one_window(arguments)))
        return
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    print(f"{libraries}; {arguments.device}\n")
    print(f"| {arguments.shape}, ctx {arguments.ctx:,} | tokens/s | peak GB | mean nll |")
    print("|---|---|---|---|")
    found: dict[str, Any] = {}
    for way in ("published", "longeval"):
        found = in_a_process(way)
        speed = arguments.ctx / found["seconds"]
        print(f"| {way} | {speed:,.0f} | {found['peak_gb']:.1f} | {found['mean_nll']:.5f} |")
    if arguments.peak_tflops:
        share = found["operations"] / found["seconds"] / (arguments.peak_tflops * 1e12)
        print(f"\nlongeval: {share:.1%} of {arguments.peak_tflops:g} TFLOPs a second")


def in_a_process(way: str) -> dict[str, Any]:
    command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if ended.returncode:
        sys.exit(f"{way} ended with exit code {ended.returncode}")
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def one_window(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time, memory and loss of one window, one way."""
    import numpy as np
    import torch

    from longeval.forecast import cost_of
    from longeval.nll import Scorer
    from longeval.passes import Pass

    ctx, device = arguments.ctx, torch.device(arguments.device)
    model = built(SHAPES[arguments.shape], device)
    tokens = np.random.default_rng(0).integers(3, _COMMON["vocab_size"], ctx).astype(np.uint16)
    one = Pass(0, ctx, False, ((1, ctx),))
    scorer = Scorer(model, bos_id=None)

    def longeval() -> float:
        return float(scorer.batch(tokens, [one])[0].mean(dtype=np.float64))

    def published() -> float:
        x = torch.from_numpy(tokens.astype(np.int64))[None].to(device)
        with torch.no_grad():
            return float(model(input_ids=x, labels=x, use_cache=False).loss)

    measure = longeval if arguments.way == "longeval" else published
    mean_nll, seconds = measure(), []
    for _ in range(WINDOWS):
        begun = time.perf_counter()
        mean_nll = measure()  # a number on the host: the device has finished
        seconds.append(time.perf_counter() - begun)
    return {
        "mean_nll": mean_nll,
        "seconds": min(seconds),
        "peak_gb": peak_gb(device),
        "operations": cost_of(model).of(one),
    }


def built(shape: dict[str, int], device: Any) -> Any:
    """A random model in bfloat16, its frequencies in float32, as in one that is loaded."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with device:
        model = LlamaForCausalLM(LlamaConfig(**shape)).eval()
    torch.set_default_dtype(torch.float32)
    rotary = model.model.rotary_emb
    fresh = type(rotary)(model.config).to(device)
    rotary.inv_freq, rotary.original_inv_freq = fresh.inv_freq, fresh.original_inv_freq
    return model


def peak_gb(device: Any) -> float:
    """The most memory of the device, or of this process where that is the CPU."""
    import torch

    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated() / 2**30)
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


if __name__ == "__main__":
    main()
