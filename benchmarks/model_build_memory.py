"""How much memory and time a build with a model takes, by the number of its documents.

    python benchmarks/model_build_memory.py [--documents 100,1000,10000] [--profile]

Claims: (1) from 1,000 documents on, the building process needs at most 4 KiB more for one more:
its names are kept, all else waits on the disk but for the row group that is being written (below
1,000, buffers fill); (2) CPU time grows linearly: a document of a build ten times as large takes at
most 1.5 times as much; (3) two calls are made for each document, and hardly ever a third. Each size
is a build in a fresh process (`--workers 1`: reading included) of one JSON Lines file of small
documents, against a server of our own on this machine (tests/model_server.py with
tests/scripted_model.py), which takes a share of its processors.

The largest of three sizes takes a few minutes. `--profile` prints what the time goes into instead.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import json
import os
import platform
import pstats
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from model_server import ModelServer

from longqa.build import build
from longqa.llm.records import Endpoint
from longqa.order import ModelOrder, Order
from longqa.progress import Progress
from longqa.recipe import ModelRecipe, Recipe

NAMES = ("Alice", "Bertram", "Clara", "Edmund", "Greta", "Hugo", "Ines", "Jonas", "Karla", "Ludwig")
VERBS = ("crossed", "painted", "repaired", "measured", "guarded", "abandoned", "remembered", "sold")
THINGS = ("harbours", "lanterns", "orchards", "towers", "mills", "ferries", "maps", "bridges")
MOST_PER_DOCUMENT = 4.0  # KiB
MOST_SLOWER = 1.5


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One build. `peak` is in MiB, of the building process alone."""

    documents: int
    rows: int
    seconds: float
    cpu: float
    peak: float


def text(number: int, sentences: int) -> str:
    """A small document that no other is like."""
    rng = random.Random(number)
    said = (
        f"{rng.choice(NAMES)} {rng.choice(VERBS)} {rng.randrange(10, 1000)} "
        f"{rng.choice(THINGS)} in the year {rng.randrange(1000, 2000)}, "
        f"and {rng.randrange(10, 1000)} people heard of it."
        for _ in range(sentences)
    )
    return " ".join(said)


def write_documents(path: Path, count: int, sentences: int) -> None:
    with path.open("w", encoding="utf-8") as lines:
        for number in range(count):
            row = {"title": f"Chronicle {number}", "text": text(number, sentences)}
            lines.write(json.dumps(row) + "\n")


def peak_mib() -> float:
    """The largest resident set of this process; on Linux without what its parent had."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) / 1024
    unit = 1 << 20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def one_build(source: Path, out: Path, base_url: str, documents: int) -> Measured:
    """In this process."""
    order = Order(
        sources=(str(source),),
        out=out,
        recipe=Recipe(ctx=(1024,), kinds={"detail": 1}, model=ModelRecipe(model="test-model")),
        generator="openai:test-model",
        model=ModelOrder(writer=Endpoint(model="test-model", base_url=base_url)),
        workers=1,
    )
    started, cpu = time.perf_counter(), time.process_time()
    built = build(order, Progress())
    return Measured(
        documents=documents,
        rows=sum(built.facts["kept"].values()),
        seconds=time.perf_counter() - started,
        cpu=time.process_time() - cpu,
        peak=peak_mib(),
    )


def in_its_own_process(source: Path, out: Path, base_url: str, documents: int) -> Measured:
    command = [sys.executable, __file__, "--child", str(source), str(out), base_url, str(documents)]
    env = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}  # as the command does
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def profiled(source: Path, out: Path, base_url: str, documents: int) -> None:
    profile = cProfile.Profile()
    profile.runcall(one_build, source, out, base_url, documents)
    pstats.Stats(profile).sort_stats("cumulative").print_stats(60)


def machine() -> str:
    name = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpus.read_text()) if cpus.exists() else None
    return f"{os.cpu_count()} × {found[1] if found else name}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--documents", default="100,1000,10000", help="the sizes of the builds")
    parser.add_argument(
        "--sentences", type=int, default=16, help="of a document, 85 characters each"
    )
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        source, out, base_url, documents = given.child
        print(json.dumps(asdict(one_build(Path(source), Path(out), base_url, int(documents)))))
        return

    sizes = [int(size) for size in given.documents.split(",")]
    print(f"{machine()}; documents of {len(text(0, given.sentences)):,} characters", flush=True)
    print("documents    calls     rows  seconds  CPU ms/document  peak MiB", flush=True)
    done: list[Measured] = []
    asked: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            source = Path(folder) / f"{size}.jsonl"
            write_documents(source, size, given.sentences)
            with ModelServer(brain="scripted_model:brain") as server:
                if given.profile:
                    profiled(source, Path(folder) / f"out-{size}", server.base_url, size)
                    continue
                out = Path(folder) / f"out-{size}"
                made = in_its_own_process(source, out, server.base_url, size)
                asked.append(server.stats()["requests"])
            done.append(made)
            print(
                f"{made.documents:9,} {asked[-1]:8,} {made.rows:8,} {made.seconds:8.1f} "
                f"{1000 * made.cpu / size:16.2f} {made.peak:9.1f}",
                flush=True,
            )
    for before, after in itertools.pairwise(done):
        more = (after.peak - before.peak) * 1024 / (after.documents - before.documents)
        slower = (after.cpu / after.documents) / (before.cpu / before.documents)
        print(
            f"{before.documents:,} → {after.documents:,}: {more:.1f} KiB more for each document "
            f"(at most {MOST_PER_DOCUMENT:g}), {slower:.2f} times the CPU for each "
            f"(at most {MOST_SLOWER:g})"
        )


if __name__ == "__main__":
    main()
