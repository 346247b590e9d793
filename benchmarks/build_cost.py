"""What `longqa build` costs beside only reading and tokenizing the same documents.

    python benchmarks/build_cost.py [SOURCE …] [--ctx 8192,16384,32768]

Claims: (1) building takes at most 4 times the time of reading and tokenizing; (2) time grows
linearly with the number of documents (a quarter, half, all of them); (3) a worker stays below
1.5 GiB. Both sides run in the same session, each in a fresh process with one worker, in turn;
CPU seconds are the child's own, memory is the largest resident set of any process below it.
Without arguments: the real books and papers beside the checkout, else examples/.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from longdata.errors import SourceError
from longdata.readers import read_source
from longdata.sources import Source, discover
from longdata.tokenizers import Ruler, Tokenizer

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
ROUNDS = 2


def read_and_tokenize(sources: list[str]) -> None:
    """The baseline: every document read, cleaned and tokenized once, nothing kept."""
    tokenizer = Tokenizer.load(None)
    documents = characters = tokens = 0
    for source in discover(sources):
        if not isinstance(source, Source):
            continue
        try:
            for document in read_source(source):
                documents += 1
                characters += len(document.text)
                tokens += Ruler(tokenizer, document.text).count([(0, len(document.text))])
        except SourceError as error:
            print(f"skipped {source.name}: {error}", file=sys.stderr)
    print(json.dumps({"documents": documents, "characters": characters, "tokens": tokens}))


def measured(command: list[str]) -> tuple[dict[str, float], str]:
    """Wall and CPU seconds and peak MiB of a command, and what it printed last."""
    script = (
        "import json,resource,subprocess,sys,time; t=time.monotonic(); "
        "p=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE,text=True); "
        "u=resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(json.dumps([time.monotonic()-t,u.ru_utime+u.ru_stime,u.ru_maxrss/1024,"
        "p.returncode,p.stdout]))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, *command], check=True, capture_output=True, text=True
    )
    wall, cpu, peak, code, printed = json.loads(out.stdout)
    if code not in (0, 1):  # 1: built, some sources skipped
        raise SystemExit(f"{' '.join(command)} ended with {code}\n{out.stderr}")
    return {"wall": wall, "cpu": cpu, "MiB": peak}, printed


def compare(sources: list[str], ctx: str) -> tuple[dict[str, float], dict[str, float], int, int]:
    """Best of ROUNDS, in turn: (baseline, build, documents, accepted pairs)."""
    best: list[dict[str, float]] = []
    documents = pairs = 0
    for _ in range(ROUNDS):
        base, printed = measured([sys.executable, __file__, "--baseline", *sources])
        documents = json.loads(printed.splitlines()[-1])["documents"]
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            command = [sys.executable, "-m", "longqa", "build", *sources, "--out", str(out)]
            built, _ = measured([*command, "--workers", "1", "--ctx", ctx, "--quiet"])
            facts = json.loads((out / "build.json").read_text())
            pairs = sum(facts["kept"].values())
        rows = [base, built]
        best = (
            rows
            if not best
            else [min(a, b, key=lambda r: r["cpu"]) for a, b in zip(best, rows, strict=True)]
        )
    return best[0], best[1], documents, pairs


def machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, one worker"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*")
    parser.add_argument("--ctx", default="8192,16384,32768")
    parser.add_argument("--baseline", action="store_true", help="only read and tokenize")
    options = parser.parse_args()
    given = options.sources or (
        [str(SHARED / "books"), str(SHARED / "papers")]
        if SHARED.is_dir()
        else [str(ROOT / "examples")]
    )
    if options.baseline:
        read_and_tokenize(given)
        return
    files = sorted(s.name for s in discover(given) if isinstance(s, Source))
    print(f"{machine()}\n{'given: ' + ', '.join(Path(g).name for g in given)}; --ctx {options.ctx}")
    print(f"{'':>6} {'docs':>5} {'pairs':>6} {'read+tok CPU s':>15} {'build CPU s':>12} "
          f"{'ratio':>6} {'wall ratio':>10} {'peak MiB':>9} {'s/doc vs all':>13}")  # fmt: skip
    rows = []
    for part, step in (("1/4", 4), ("1/2", 2), ("all", 1)):
        # every fourth, every second, every file: the mix of long and short stays the same
        sources = given if step == 1 else files[::step]
        rows.append((part, *compare(sources, options.ctx)))
    whole = rows[-1][2]["cpu"] / rows[-1][3]
    for part, base, built, documents, pairs in rows:
        print(f"{part:>6} {documents:>5} {pairs:>6} {base['cpu']:>15.2f} {built['cpu']:>12.2f} "
              f"{built['cpu'] / base['cpu']:>6.2f} {built['wall'] / base['wall']:>10.2f} "
              f"{built['MiB']:>9.0f} {built['cpu'] / documents / whole:>13.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
