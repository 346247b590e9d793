"""How `longdata pack` scales: with workers, with the corpus, with one huge document.

    python benchmarks/pack_scaling.py [--megabytes 60] [--scaled 150] [--huge 100] [--times 10]

1. The same corpus of short documents with one worker and with two, by the tokenizer itself and by
   gigatoken: wall time, and the same bytes. Starting takes two seconds or so of each run, whatever
   its size.
2. The largest process for that corpus, for one ten times as large, and for one with a document of
   100 MB in it. Counted is the most memory that was ever resident in one process, mapped files too,
   and beside it the part that is no file.
3. Each stage by itself in this process, in processor time, with both encoders: rates for one core,
   and from them what RedPajama 1T takes (pack_estimate.py).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time

import numpy as np
from pack_corpus import digest
from pack_estimate import Rates, estimate, table
from pack_measuring import Cost, corpus, machine, measure, text_bytes, texts

from longdata.document_keys import keys_of
from longdata.mixing import Mixture, select
from longdata.pack_order import Order, make_plan
from longdata.pack_stages import WORK, packed_folder, stages_of, tokens_folder
from longdata.packing import pack
from longdata.tokenizers import single_threaded

CTX = (8192,)
ENCODERS = {"--no-fast": "the tokenizer itself", "--fast": "gigatoken"}
LIMIT = 1 << 30  # bytes of a worker
SPEEDUP = 1.7
PLANNED = 2_000_000  # documents


def main() -> None:
    """Measure, compare, print tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=60)
    parser.add_argument("--huge", type=float, default=100, help="MB of the one document")
    parser.add_argument("--times", type=float, default=10, help="the larger corpus")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--tokenizer", default=None)
    parser.add_argument("--scaled", type=float, default=150, help="MB for one worker and two")
    parser.add_argument("--documents", type=int, default=PLANNED, help="of the plan of step 3")
    arguments = parser.parse_args()
    single_threaded()
    print(f"{machine()}\n")
    with tempfile.TemporaryDirectory(prefix="pack-scaling-") as name:
        folder = Path(name)
        corpus("short", arguments.megabytes, folder / "once")
        corpus("short", arguments.scaled, folder / "scaled")
        print_workers(folder, arguments)
        print_memory(folder, arguments)
        planned = planning(arguments.documents)
        for encoder in ENCODERS:
            print_stages(folder, encoder, planned, arguments)


def print_workers(folder: Path, arguments: argparse.Namespace) -> None:
    """One worker against two, both encoders in turns."""
    size = text_bytes(sorted((folder / "scaled").iterdir())) / 1e6
    best: dict[tuple[str, int], Cost] = {}
    digests = set()
    for _ in range(arguments.repeat):
        for encoder in ENCODERS:
            for workers in (1, 2):
                cost = packed(folder, "scaled", encoder, workers, arguments)
                key = (encoder, workers)
                best[key] = min(cost, best.get(key, cost), key=lambda one: one.wall)
                digests.add(digest(packed_folder(folder / "out", CTX[0]) / "data"))
    if len(digests) != 1:
        sys.exit("the rows of one worker and of two differ: the numbers mean nothing")
    print(f"{size:.1f} MB of short documents\n")
    print("| encoded by | workers | wall s | CPU s | MB/s | times as fast | aim |\n|" + 7 * "---|")
    for (encoder, workers), cost in best.items():
        ratio, aim = best[encoder, 1].wall / cost.wall, SPEEDUP if workers == 2 else ""
        print(
            f"| {ENCODERS[encoder]} | {workers} | {cost.wall:.2f} | {cost.cpu:.2f} | "
            f"{size / cost.wall:.1f} | {ratio:.2f} | {aim} |"
        )
    print()


def print_memory(folder: Path, arguments: argparse.Namespace) -> None:
    """The largest process for three corpora."""
    corpus("short", arguments.times * arguments.megabytes, folder / "larger")
    shutil.copytree(folder / "once", folder / "huge")
    with (folder / "huge" / "huge.jsonl").open("w", encoding="utf-8") as file:
        file.write(json.dumps({"text": huge_text(arguments.huge), "meta": {}}) + "\n")
    titles = {
        "once": f"{arguments.megabytes:g} MB",
        "larger": f"{arguments.times * arguments.megabytes:g} MB",
        "huge": f"{arguments.megabytes:g} MB and a document of {arguments.huge:g} MB",
    }
    print("| corpus | largest process, MB | of it no file, MB | below 1 GiB |\n|---|---|---|---|")
    for name, title in titles.items():
        cost = packed(folder, name, "--fast", 2, arguments)
        fits = "yes" if cost.peak < LIMIT else "NO"
        print(f"| {title} | {cost.peak / 1e6:.0f} | {cost.anonymous / 1e6:.0f} | {fits} |")
    print()


def print_stages(
    folder: Path, encoder: str, planned: tuple[float, float], arguments: argparse.Namespace
) -> None:
    """Rates of one core, and what they mean for RedPajama 1T."""
    out = folder / f"stages{encoder}"
    order = Order(
        sources=(str(folder / "once"),),
        out=out,
        ctx=CTX,
        tokenizer=arguments.tokenizer,
        fast=encoder == "--fast",
    )
    plan = make_plan(order)
    plan.save(out / WORK)
    seconds = {}
    for stage in stages_of(out, plan):
        seconds[stage.name] = timed(partial(all_ranks, stage.work, stage.tasks))
    facts = json.loads((packed_folder(out, CTX[0]) / "pack.json").read_text())
    tokens, rows = facts["tokens"], facts["rows"] * CTX[0]
    size = text_bytes(sorted((folder / "once").iterdir()))
    plan_s, plan_bytes = planned
    rates = Rates(
        text_mb_per_core_s=size / 1e6 / seconds["tokens"],
        rows_mtokens_per_core_s=rows / 1e6 / seconds["rows"],
        plan_mdocuments_per_s=arguments.documents / 1e6 / plan_s,
        store_bytes_per_token=tree_size(tokens_folder(out, plan)) / tokens,
        rows_bytes_per_token=tree_size(packed_folder(out, CTX[0]) / "data") / rows,
        plan_bytes_per_document=plan_bytes / arguments.documents,
    )
    print(f"Encoded by {ENCODERS[encoder]}:\n\n| stage | CPU s | rate of one core |\n|---|---|---|")
    print(f"| tokens | {seconds['tokens']:.2f} | {rates.text_mb_per_core_s:.1f} MB/s of text |")
    print(f"| rows | {seconds['rows']:.2f} | {rates.rows_mtokens_per_core_s:.1f} M tokens/s |")
    print(
        f"| plan of {arguments.documents:,} documents | {plan_s:.2f} | "
        f"{rates.plan_mdocuments_per_s:.2f} M documents/s, "
        f"{rates.plan_bytes_per_document:.0f} bytes of memory for each |"
    )
    print(f"| publish | {seconds['publish']:.2f} | |")
    print(
        f"\nOn disk: {rates.store_bytes_per_token:.2f} bytes a token in the store, "
        f"{rates.rows_bytes_per_token:.2f} in rows; {size / tokens:.2f} bytes of text a token.\n"
    )
    for contexts in (1, 3):
        print(f"RedPajama 1T, {contexts} ctx (computed from these rates, not run):\n")
        print(table(estimate(rates, contexts=contexts)) + "\n")


def planning(count: int) -> tuple[float, float]:
    """Seconds, and bytes of memory, of selecting and placing so many documents for one ctx."""
    draw = np.random.default_rng(0)
    lengths = np.maximum(20, draw.lognormal(6.8, 1.1, count)).astype(np.int64)
    keys = keys_of(str(number) for number in range(count))
    source = np.zeros(count, np.int64)

    def plan() -> None:
        chosen = select(lengths, keys, source, ["all"], Mixture())
        pack(lengths[chosen.document], keys[chosen.document], ctx=CTX[0])

    seconds = timed(plan)
    tracemalloc.start()
    plan()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return seconds, peak + lengths.nbytes + keys.nbytes + source.nbytes


def packed(
    folder: Path, name: str, encoder: str, workers: int, arguments: argparse.Namespace
) -> Cost:
    """The command itself, into folder/out."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    tokenizer = ["--tokenizer", arguments.tokenizer] if arguments.tokenizer else []
    return measure(
        [
            str(Path(sys.executable).with_name("longdata")), "pack", str(folder / name), *tokenizer,
            "--ctx", ",".join(map(str, CTX)), "--out", str(folder / "out"), "--quiet",
            "--workers", str(workers), encoder,
        ]
    )  # fmt: skip


def huge_text(megabytes: float) -> str:
    """Books one behind the other."""
    parts: list[str] = []
    left = megabytes * 1e6
    while left > 0:
        for _, text in texts("long"):
            parts.append(text[: int(left) + 1])
            left -= len(text)
            if left <= 0:
                break
    return "\n".join(parts)


def all_ranks(work: Callable[[int], None], tasks: int) -> None:
    for rank in range(tasks):
        work(rank)


def timed(work: Callable[[], None]) -> float:
    """Processor seconds of this process."""
    begin = process_time()
    work()
    return process_time() - begin


def tree_size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
