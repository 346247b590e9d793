"""Perplexity of the small trained Llama on two books it has not seen, by every protocol.

    python benchmarks/perplexity_books.py [--model ../shared/data/models/hf/books-2.8M] [--out DIR]

The tables of docs/perplexity.md. *The War of the Worlds* and *A Princess of Mars* are cleaned as
for training and measured with each protocol at contexts up to the model's own 1,024, and beyond it
as the model is and with three ropes that reach further, without training. The same numbers come out
on every run; with --out, losses are kept there and a second run only prints.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from longeval.perplexity import Order, measure
from longeval.protocols import PROTOCOLS

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
BOOKS = ("raw/36_the-war-of-the-worlds.txt", "clean/62_a-princess-of-mars.txt")
WITHIN, BEYOND = (512, 1024), (1024, 2048, 4096)
ROPES = (None, "linear", "ntk", "yarn")


def main() -> None:
    """Measure, and print two tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=str(SHARED / "models" / "hf" / "books-2.8M"))
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--stride", type=int, default=256)
    parser.add_argument("--max-windows", type=int, default=None, help="for a quick look")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary)
        books = Path(temporary) / "books"
        books.mkdir()
        for book in BOOKS:
            source = SHARED / "books" / book
            if not source.is_file():
                sys.exit(f"{source} is missing")
            (books / source.name).symlink_to(source)
        common: dict[str, Any] = {
            "model": arguments.model,
            "data": str(books),
            "clean": True,
            "dtype": "float32",
            "device": "cpu",
            "stride": arguments.stride,
            "max_windows": arguments.max_windows,
        }
        within(common, out)
        beyond(common, out)


def within(common: dict[str, Any], out: Path) -> None:
    """Every protocol at contexts the model was trained for."""
    run = measured(contexts=WITHIN, protocols=tuple(PROTOCOLS), out=out / "within", **common)
    data = run["data"]
    print(f"{data['num_documents']} books, {data['num_tokens']:,} tokens\n")
    print("| protocol | " + " | ".join(f"{ctx:,}" for ctx in WITHIN) + " | bits a byte |")
    print("|---|" + "---|" * (len(WITHIN) + 1))
    for protocol in PROTOCOLS:
        cells = [cell(run, protocol, ctx) for ctx in WITHIN]
        bits = found(run, "bits_per_byte", protocol, WITHIN[-1])
        print(f"| `{protocol}` | {' | '.join(cells)} | {f'{bits:.3f}' if bits else '–'} |")


def beyond(common: dict[str, Any], out: Path) -> None:
    """Windows side by side, longer than the model was trained for."""
    print("\n| `disjoint`, rope | " + " | ".join(f"{ctx:,}" for ctx in BEYOND) + " |")
    print("|---|" + "---|" * len(BEYOND))
    for rope in ROPES:
        run = measured(
            contexts=BEYOND, protocols=("disjoint",), rope=rope, out=out / f"{rope}", **common
        )
        name = "as trained" if rope is None else f"{rope}, for {BEYOND[-1]:,}"
        print(f"| {name} | {' | '.join(cell(run, 'disjoint', ctx) for ctx in BEYOND)} |")


def measured(**settings: Any) -> dict[str, Any]:
    run = measure(Order(**settings), say=lambda line: print(line, file=sys.stderr))
    assert run is not None
    return run


def cell(run: dict[str, Any], protocol: str, ctx: int) -> str:
    value = found(run, "perplexity", protocol, ctx)
    return "–" if value is None else f"{value:.3f}"


def found(run: dict[str, Any], name: str, protocol: str, ctx: int) -> float | None:
    """A number of a run; of a sample its estimate."""
    for number in run["numbers"]:
        is_it = number["name"] in (name, f"estimated_{name}")
        if is_it and (number["protocol"], number["ctx"]) == (protocol, ctx):
            return float(number["value"])
    return None


if __name__ == "__main__":
    main()
