"""What `longeval perplexity` saves, against what the published script does, in one run.

    python benchmarks/perplexity.py [--ctx 8192] [--windows 8] [--cases longlora,strided,…]

A random Llama with a vocabulary of 32,000 and random tokens, so that nothing has to be downloaded.
Each measurement is a process of its own; its time is from the model's folder to the number, without
the imports; its memory is the highest of the process (VmHWM), with the interpreter and libraries.

    longlora    eval.py of LongLoRA: transformers' own loss and all logits, one window at a time
    strided     the sliding window of transformers' documentation: all logits, most labels ignored
    contexts    five contexts in one run against five runs
    processes   two processes of one thread against one

Numbers must agree to 1e-6 wherever two ways measure the same: a difference ends the run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

VOCAB = 32_000
STRIDE = 256
AGREE = 1e-6  # nats


def main() -> None:
    """Run the cases that were asked for and print their tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", default="longlora,strided,contexts,processes")
    parser.add_argument("--ctx", type=int, default=8192)
    parser.add_argument("--windows", type=int, default=8, help="of longlora, strided, processes")
    parser.add_argument("--longest", type=int, default=32768, help="of the five contexts")
    parser.add_argument("--starts", type=int, default=8, help="windows of the longest context")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(child(json.loads(arguments.child))))
        return
    print(f"{machine()}; {arguments.threads} threads, float32\n")
    with tempfile.TemporaryDirectory() as folder:
        for case in arguments.cases.split(","):
            CASES[case](Path(folder), arguments)


def against_published(folder: Path, arguments: argparse.Namespace, protocol: str) -> None:
    """One protocol: the published way, and ours."""
    ctx, windows = arguments.ctx, arguments.windows
    model = make_model(folder, hidden=256, layers=2, heads=8)
    beyond = (windows + 1) * STRIDE if protocol == "longlora" else windows * STRIDE
    tokens = make_tokens(folder, ctx + beyond)
    task = {"model": model, "tokens": tokens, "ctx": [ctx], "protocol": protocol}
    published = run({**task, "way": "published"}, arguments.threads)
    ours = run({**task, "way": "ours"}, arguments.threads)
    agree(published["mean_nll"], ours["mean_nll"], protocol)
    print(f"| {protocol}, ctx {ctx:,}, {windows} windows | s | CPU s | peak MB | mean nll |")
    print("|---|---|---|---|---|")
    print(row("published", published))
    print(row("longeval", ours))
    speed, cpu = (published[key] / ours[key] for key in ("seconds", "cpu_seconds"))
    memory = published["peak_mb"] / ours["peak_mb"]
    above = (published["peak_mb"] - published["start_mb"]) / (ours["peak_mb"] - ours["start_mb"])
    print(
        f"\n{speed:.2f} times as fast ({cpu:.2f} in CPU time), 1/{memory:.1f} of the memory "
        f"(1/{above:.1f} of what comes on top of interpreter, libraries and model)\n"
    )


def several_contexts(folder: Path, arguments: argparse.Namespace) -> None:
    """Five contexts at once, and one after the other."""
    contexts = [arguments.longest >> shift for shift in range(4, -1, -1)]
    model = make_model(folder, hidden=512, layers=1, heads=4)
    # a text so long that all contexts have nearly the same starts, of which the same are drawn
    tokens = make_tokens(folder, 40 * contexts[-1])
    task = {"model": model, "tokens": tokens, "protocol": "longlora", "way": "ours"}
    limit = {"starts": arguments.starts}
    single = [run({**task, **limit, "ctx": [ctx]}, arguments.threads) for ctx in contexts]
    together = run({**task, **limit, "ctx": contexts}, arguments.threads)
    print(f"| longlora, {arguments.starts} windows of each context | s |\n|---|---|")
    for ctx, one in zip(contexts, single, strict=True):
        agree(one["mean_nll"], together[f"mean_nll_{ctx}"], f"ctx {ctx}")
        print(f"| {ctx:,} | {one['seconds']:.1f} |")
    total = sum(one["seconds"] for one in single)
    print(f"| five runs | {total:.1f} |\n| one run of five | {together['seconds']:.1f} |")
    cpu = sum(one["cpu_seconds"] for one in single) / together["cpu_seconds"]
    print(f"\n{total / together['seconds']:.2f} times as fast ({cpu:.2f} in CPU time)\n")


def several_processes(folder: Path, arguments: argparse.Namespace) -> None:
    """Two processes that share a store, and one."""
    model = make_model(folder, hidden=256, layers=2, heads=8)
    windows = 8 * arguments.windows
    ctx = arguments.ctx // 4
    tokens = make_tokens(folder, ctx + (windows + 1) * STRIDE)
    found = {}
    for world in (1, 2):
        task = {"model": model, "tokens": tokens, "ctx": [ctx], "protocol": "longlora"}
        out = str(folder / f"out-{world}")
        children = [
            start({**task, "way": "ours", "out": out}, 1, RANK=str(rank), WORLD_SIZE=str(world))
            for rank in range(world)
        ]
        ended = [finish(one) for one in children]
        first = next(one for one in ended if "mean_nll" in one)
        found[world] = {**first, "seconds": max(one["seconds"] for one in ended)}
    agree(found[1]["mean_nll"], found[2]["mean_nll"], "processes")
    same = found[1]["mean_nll"] == found[2]["mean_nll"]
    print(f"| longlora, ctx {ctx:,}, {windows} windows, one thread each | s |\n|---|---|")
    print(f"| 1 process | {found[1]['seconds']:.1f} |\n| 2 processes | {found[2]['seconds']:.1f} |")
    ratio = found[1]["seconds"] / found[2]["seconds"]
    print(f"\n{ratio:.2f} times as fast; the number is {'the same' if same else 'close'}\n")


CASES = {
    "longlora": lambda folder, arguments: against_published(folder, arguments, "longlora"),
    "strided": lambda folder, arguments: against_published(folder, arguments, "strided"),
    "contexts": several_contexts,
    "processes": several_processes,
}


def child(task: dict[str, Any]) -> dict[str, Any]:
    """One measurement in this process."""
    import torch
    import transformers  # noqa: F401  (imports are not what is measured)

    import longeval.perplexity  # noqa: F401

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    begun, used = time.perf_counter(), time.process_time()
    found: dict[str, Any] = {"start_mb": 0.0}
    if task["way"] == "published":
        found.update(published(task))
    else:
        found.update(ours(task))
    found["seconds"] = time.perf_counter() - begun
    found["cpu_seconds"] = time.process_time() - used
    found["peak_mb"] = memory("VmHWM")
    return found


def published(task: dict[str, Any]) -> dict[str, Any]:
    import numpy as np
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(task["model"], dtype="float32").eval()
    tokens = np.memmap(task["tokens"], np.uint16, "r")
    start_mb = memory("VmRSS")
    measure = {"longlora": published_longlora, "strided": published_strided}[task["protocol"]]
    return {"mean_nll": measure(model, tokens, ctx=task["ctx"][0]), "start_mb": start_mb}


def published_longlora(
    model: Any, tokens: Any, *, ctx: int, stride: int = STRIDE, batch_size: int = 1
) -> float:
    """The loss that LongLoRA's eval.py prints, computed as it does.

    Windows of ctx tokens at starts 0, stride, … below len(tokens) - ctx, the last start left out,
    in batches; the model's own loss with the inputs as labels; accuracy over all logits beside it;
    the mean of the losses of batches, as float32.
    """
    import numpy as np
    import torch

    starts = list(range(0, len(tokens) - ctx, stride))[:-1]
    losses, accuracies = [], []
    with torch.no_grad():
        for at in range(0, len(starts), batch_size):
            batch = starts[at : at + batch_size]
            x = torch.stack([torch.from_numpy(tokens[i : i + ctx].astype(np.int64)) for i in batch])
            y = torch.stack(
                [torch.from_numpy(tokens[i + 1 : i + 1 + ctx].astype(np.int64)) for i in batch]
            )
            out = model(input_ids=x, labels=x, use_cache=False)
            losses.append(out.loss.item())
            accuracies.append((out.logits.argmax(-1) == y).float().sum().item() / ctx)
    return float(torch.tensor(losses).mean())


def published_strided(model: Any, tokens: Any, *, ctx: int, stride: int = STRIDE) -> float:
    """The sliding window of transformers' documentation, with the weights of Press et al.: all
    logits of every window, and a loss over the labels that are new. The first window is scored
    whole; len(tokens) - ctx must be a multiple of stride."""
    import numpy as np
    import torch

    total, count = 0.0, 0
    with torch.no_grad():
        for begin in range(0, len(tokens) - ctx + 1, stride):
            x = torch.from_numpy(tokens[begin : begin + ctx].astype(np.int64))[None]
            new = ctx - 1 if begin == 0 else stride
            labels = x.clone()
            labels[:, : ctx - new] = -100
            total += model(input_ids=x, labels=labels, use_cache=False).loss.item() * new
            count += new
    return total / count


def ours(task: dict[str, Any]) -> dict[str, Any]:
    from longeval.perplexity import Order, measure

    out = task.get("out")
    order = Order(
        model=task["model"],
        data=task["tokens"],
        contexts=tuple(task["ctx"]),
        protocols=(task["protocol"],),
        stride=STRIDE,
        dtype="float32",
        device="cpu",
        max_windows=task.get("starts"),
        out=None if out is None else Path(out),
    )
    start: list[float] = []
    run = measure(order, tell=lambda done, of: start.append(memory("VmRSS")) if not done else None)
    found: dict[str, Any] = {"start_mb": start[0]}
    for number in run["numbers"] if run else ():
        if number["name"] in ("mean_nll", "estimated_mean_nll"):
            found["mean_nll"] = number["value"]
            found[f"mean_nll_{number['ctx']}"] = number["value"]
    return found


def start(task: dict[str, Any], threads: int, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--child", json.dumps(task)]
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), **environment}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    printed, _ = process.communicate()
    if process.returncode:
        sys.exit(f"a measurement ended with exit code {process.returncode}")
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def run(task: dict[str, Any], threads: int) -> dict[str, Any]:
    return finish(start(task, threads))


def make_model(folder: Path, *, hidden: int, layers: int, heads: int) -> str:
    """A random Llama in a folder; head size 32."""
    path = folder / f"llama-{hidden}-{layers}-{heads}"
    if not path.exists():
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=VOCAB,
            hidden_size=hidden,
            intermediate_size=4 * hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=heads // 2,
            head_dim=32,
            max_position_embeddings=1 << 17,
        )
        LlamaForCausalLM(config).save_pretrained(path)
    return str(path)


def make_tokens(folder: Path, count: int) -> str:
    import numpy as np

    path = folder / f"tokens-{count}.bin"
    np.random.default_rng(0).integers(3, VOCAB, count).astype("<u2").tofile(path)
    return str(path)


def agree(one: float, other: float, what: str) -> None:
    if not math.isclose(one, other, rel_tol=0, abs_tol=AGREE * max(1.0, abs(one))):
        sys.exit(f"{what}: {one!r} and {other!r} differ")


def row(name: str, found: dict[str, Any]) -> str:
    return (
        f"| {name} | {found['seconds']:.1f} | {found['cpu_seconds']:.1f} "
        f"| {found['peak_mb']:,.0f} | {found['mean_nll']:.7f} |"
    )


def memory(what: str) -> float:
    """VmRSS or VmHWM of this process in MB: its own, not that of the process it came from."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(what))
    return int(line.split()[1]) / 1024


def machine() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    return f"{platform.machine()}, {os.cpu_count()} CPUs, {libraries}"


if __name__ == "__main__":
    main()
