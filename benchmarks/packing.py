"""What packing costs and leaves empty: best-fit, concat and plain first-fit; and reading rows.

    python benchmarks/packing.py [--documents 1000000] [--tokenizer NAME]

The lengths are drawn: as many tokens of each source as RedPajama has (its card), lengths lognormal
around a median of our own choice for each source. First-fit is plain: each document, in order, into
the first row that has room, a scan of rows for each document. Then the RedPajama sample of
../shared/data, or invented texts when it is missing, is encoded, packed and written, and its rows
are read in random order, mapped, as the 64-bit integers that training asks for. The aim is padding
below 0.2 % and no document cut that would fit. One process, one thread, in processor time; every
packing must hold every token.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import process_time
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from longdata.document_keys import keys_of
from longdata.encoding import Encoder
from longdata.mixing import Mixture, select
from longdata.pack_facts import pack_facts
from longdata.packed import RowPlan, publish, shards_of, write_rows
from longdata.packed_rows import PackedRows
from longdata.packing import Packing, pack
from longdata.token_shard import DocumentText, TokenSettings, write_shard
from longdata.token_store import TokenStore, seal
from longdata.tokenizers import Tokenizer, single_threaded

SAMPLE = Path(__file__).parents[2] / "shared" / "data" / "redpajama" / "sample.jsonl.zst"
CTX = (8192, 32768, 100_000)
# source: (billion tokens, median length, spread of its logarithm)
MIX = {
    "common_crawl": (878, 900, 1.1),
    "c4": (175, 300, 1.0),
    "github": (59, 700, 1.3),
    "book": (26, 90_000, 0.7),
    "arxiv": (28, 12_000, 0.8),
    "wikipedia": (24, 400, 1.1),
    "stackexchange": (20, 350, 0.9),
}
Result = TypeVar("Result")


def main() -> None:
    """Measure, check, print tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--tokenizer", default=None)
    arguments = parser.parse_args()
    single_threaded()
    print(f"{machine()}\n")
    compare(drawn_lengths(arguments.documents))
    with tempfile.TemporaryDirectory() as folder:
        store = encoded(Path(folder) / "tokens", Tokenizer.load(arguments.tokenizer))
        read_back(store, Path(folder))


def compare(lengths: NDArray[np.int64]) -> None:
    """Seconds, padding and documents cut."""
    keys = keys_of(str(number) for number in range(len(lengths)))
    print(f"{len(lengths):,} documents, {lengths.sum() / 1e6:,.0f} M tokens\n")
    print("| ctx | way | s | padding | documents that fit, cut |\n|---|---|---|---|---|")
    for ctx in CTX:
        for way in ("best-fit", "concat"):
            packing, seconds = timed(partial(pack, lengths, keys, ctx=ctx, strategy=way))
            require(packing.tokens == lengths.sum(), "tokens of a packing")
            print_way(lengths, ctx, way, seconds, packing.num_rows, cut_that_fit(packing, lengths))
        (rows, held), seconds = timed(partial(first_fit, lengths, ctx))
        require(held == lengths.sum(), "tokens of first-fit")
        print_way(lengths, ctx, "first-fit", seconds, rows, 0)


def print_way(
    sizes: NDArray[np.int64], ctx: int, way: str, seconds: float, rows: int, cut: int
) -> None:
    """One line of the table."""
    total = int(sizes.sum())
    padding = 1 - total / (rows * ctx)
    print(f"| {ctx:,} | {way} | {seconds:.2f} | {padding:.4%} | {cut / len(sizes):.1%} |")


def first_fit(sizes: NDArray[np.int64], ctx: int) -> tuple[int, int]:
    """Plain first-fit of what is left of documents after their full rows: rows, tokens in them."""
    rooms = np.full(len(sizes) + 1, ctx)
    rows = 0
    for rest in (sizes % ctx).tolist():
        at = int(np.argmax(rooms[: rows + 1] >= rest))  # the last of these is a new row
        rooms[at] -= rest
        rows = max(rows, at + 1)
    full = int((sizes // ctx).sum())
    return rows + full, int((ctx - rooms[:rows]).sum()) + full * ctx


def cut_that_fit(packing: Packing, sizes: NDArray[np.int64]) -> int:
    """Documents in more than one piece that would fit into one row."""
    pieces = packing.pieces_of
    return int(((pieces > 1) & (sizes[: len(pieces)] <= packing.ctx)).sum())


def drawn_lengths(count: int) -> NDArray[np.int64]:
    """Lengths of documents of all sources, mixed."""
    draw = np.random.default_rng(0)
    means = {name: median * np.exp(spread**2 / 2) for name, (_, median, spread) in MIX.items()}
    weights = np.array([tokens / means[name] for name, (tokens, _, _) in MIX.items()])
    source = draw.choice(len(MIX), size=count, p=weights / weights.sum())
    medians, spreads = (np.array([one[at] for one in MIX.values()]) for at in (1, 2))
    lengths = draw.lognormal(np.log(medians[source]), spreads[source])
    return np.maximum(20, lengths).astype(np.int64)


def encoded(folder: Path, tokenizer: Tokenizer) -> TokenStore:
    """The sample's tokens; printed is how fast they were made, against one call for each text."""
    documents = list(sample())
    megabytes = sum(len(one.text.encode()) for one in documents) / 1e6
    settings = TokenSettings.of(tokenizer, bos=True, eos=True)
    encoder = Encoder(tokenizer)
    facts, seconds = timed(lambda: write_shard(folder, "sample", settings, encoder, documents))
    store = seal(folder, ["sample"], settings)
    texts = [one.text for one in documents]
    whole, plain = timed(lambda: [tokenizer.encode(text) for text in texts])
    for number, ids in enumerate(whole):
        require(store.tokens(number).tolist()[1:-1] == ids, f"tokens of {documents[number].key}")
    print(
        f"\n{len(documents):,} documents of {megabytes:.1f} MB, {facts['tokens']:,} tokens, by "
        f"{tokenizer.name}: encoded and stored at {megabytes / seconds:.2f} MB/s, each text in one "
        f"call {megabytes / plain:.2f} MB/s; the ids are the same\n"
    )
    return store


def read_back(store: TokenStore, folder: Path) -> None:
    """Pack and write for each ctx, and read rows in random order."""
    print(
        "| ctx | rows | padding | documents that fit, cut | write, M tokens/s | B/token "
        "| random rows, M tokens/s |\n|" + 7 * "---|"
    )
    mixture = Mixture()
    chosen = select(store.lengths, store.keys, store.source, store.source_names, mixture)
    for ctx in CTX:
        lengths, keys = store.lengths[chosen.document], store.keys[chosen.document]
        packing = pack(lengths, keys, ctx=ctx)
        plan = RowPlan(store=store, packing=packing, document=chosen.document, pad_id=0)
        facts = pack_facts(plan, chosen, mixture, strategy="best-fit", seed=0)
        making, done = folder / "making", folder / f"rows-{ctx}"
        _, write_s = timed(partial(write_all, making, plan))
        publish(making, done, facts, packing)
        size = sum((done / name).stat().st_size for name, _ in shards_of(packing))
        rows = PackedRows.open(done)
        order = random.Random(0).choices(range(len(rows)), k=max(2000, 50_000_000 // ctx))
        _, read_s = timed(partial(read_all, rows, order))
        total = packing.num_rows * ctx
        print(
            f"| {ctx:,} | {len(rows):,} | {facts['padding_share']:.3%} | "
            f"{facts['cut']['that_fit']} | {total / write_s / 1e6:.0f} | {size / total:.2f} | "
            f"{len(order) * ctx / read_s / 1e6:,.0f} |"
        )


def write_all(folder: Path, plan: RowPlan) -> None:
    """All shards."""
    for name, rows in shards_of(plan.packing):
        write_rows(folder / name, plan, rows)


def read_all(rows: PackedRows, order: Sequence[int]) -> None:
    """Each row as 64-bit integers."""
    taken = np.zeros(rows.ctx, np.int64)
    for number in order:
        np.copyto(taken, rows.input_ids(number))


def sample() -> Iterator[DocumentText]:
    """The RedPajama sample, or texts of random words."""
    if not SAMPLE.is_file():
        draw = random.Random(0)
        words = [f"word{number}" for number in range(3000)]
        for number in range(600):
            text = " ".join(draw.choices(words, k=round(draw.lognormvariate(6.8, 1.4))))
            yield DocumentText(key=str(number), source="web", text=text)
        return
    import zstandard

    with SAMPLE.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        for number, line in enumerate(io.TextIOWrapper(stream, encoding="utf-8")):
            row = json.loads(line)
            yield DocumentText(
                key=f"{SAMPLE.name}:{number}",
                source=row.get("red_pajama_subset", "redpajama"),
                text=row["text"],
            )


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """The result, and the processor seconds it took."""
    start = process_time()
    result = work()
    return result, process_time() - start


def require(equal: bool, what: str) -> None:
    """Stop when something is lost."""
    if not equal:
        sys.exit(f"the {what} differ: the numbers above mean nothing")


def machine() -> str:
    """Processor, cores, Python and numpy version in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = re.findall(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        model = names[0] if names else model
    python = platform.python_version()
    return f"{model}, {os.cpu_count()} cores, Python {python}, numpy {np.__version__}"


if __name__ == "__main__":
    main()
