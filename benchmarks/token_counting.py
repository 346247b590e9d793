"""What `Ruler` saves: spans of books counted by pieces, against encoding each span in full.

    python benchmarks/token_counting.py [--tokenizer NAME] [--spans 200] [--tokens 16000]

Reads the books in ../shared/data/books/clean, or examples/ when they are missing, one process, one
thread. Both ways are measured in the same run, in processor time, and every count of the one must
equal that of the other: a difference ends the run with an error.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from time import process_time
from typing import TypeVar

from longdata.tokenizers import Ruler, Tokenizer, single_threaded

ROOT = Path(__file__).parents[1]
WHOLE = 2_000_000  # characters encoded as one string; more takes long and says the same
Result = TypeVar("Result")


def main() -> None:
    """Measure, compare, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokenizer", default=None)
    parser.add_argument("--spans", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=16_000, help="length of a span, about")
    arguments = parser.parse_args()
    single_threaded()
    books = read_books()
    tokenizer = Tokenizer.load(arguments.tokenizer)
    megabytes = sum(len(book.encode()) for book in books) / 1e6
    print(f"{machine()}; tokenizer {tokenizer.name}, {len(books)} documents, {megabytes:.1f} MB\n")

    whole = "\n\n".join(books)[:WHOLE]
    in_full, full_s = timed(lambda: tokenizer.count(whole))
    fresh = Tokenizer.load(arguments.tokenizer)  # its own, so that no piece is known beforehand
    by_pieces, pieces_s = timed(lambda: Ruler(fresh, whole).total)
    require(in_full == by_pieces, "one long text")
    rulers, first_s = timed(lambda: [Ruler(tokenizer, book) for book in books])
    again, again_s = timed(lambda: [Ruler(tokenizer, book).total for book in books])
    require(again == [ruler.total for ruler in rulers], "the same books again")
    whole_mb = len(whole.encode()) / 1e6
    print("| a whole text | MB/s |\n|---|---|")
    print(f"| one string of {whole_mb:.1f} MB, encoded as it is | {whole_mb / full_s:.2f} |")
    print(f"| the same, a Ruler, no piece known before | {whole_mb / pieces_s:.2f} |")
    print(f"| all documents, a Ruler each, no piece known before | {megabytes / first_s:.2f} |")
    print(f"| all documents, a Ruler each, again | {megabytes / again_s:.2f} |")

    spans = draw_spans(rulers, arguments.spans, arguments.tokens)
    before, after = "Read this.\n", "\nWhat is it about?"
    slow, slow_s = timed(
        lambda: [tokenizer.count(before + r.text[start:end] + after) for r, start, end in spans]
    )
    fast, fast_s = timed(
        lambda: [r.count([before, (start, end), after]) for r, start, end in spans]
    )
    require(slow == fast, "spans")
    mean = sum(fast) / len(fast)
    print(f"\n| {len(spans)} spans of {mean:,.0f} tokens on average | ms per span | ratio |")
    print("|---|---|---|")
    print(f"| each encoded in full | {1e3 * slow_s / len(spans):.2f} | 1 |")
    print(f"| Ruler.count | {1e3 * fast_s / len(spans):.3f} | {slow_s / fast_s:.0f} |")
    ways = sorted({ruler.exact_by for ruler in rulers})
    print(f"\nAll {len(spans) + 2} comparisons equal; counted by {' and '.join(ways)}.")


def read_books() -> list[str]:
    """Texts with their hard line breaks joined, as the readers give them."""
    for folder in (ROOT.parent / "shared" / "data" / "books" / "clean", ROOT / "examples"):
        files = [path for path in sorted(folder.rglob("*")) if path.suffix in (".txt", ".md")]
        if files:
            texts = [path.read_text("utf-8") for path in files]
            return [re.sub(r"(?<=\S)\n(?=\S)", " ", text) for text in texts]
    sys.exit("no books: neither ../shared/data/books/clean nor examples/ has a .txt or .md file")


def draw_spans(rulers: list[Ruler], count: int, tokens: int) -> list[tuple[Ruler, int, int]]:
    """Spans of about `tokens` tokens, or whole documents where they are shorter."""
    draw = random.Random(1)
    spans = []
    for index in range(count):
        ruler = rulers[index % len(rulers)]
        length = min(len(ruler.text), tokens * len(ruler.text) // ruler.total)
        start = draw.randrange(len(ruler.text) - length + 1)
        spans.append((ruler, start, start + length))
    return spans


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """The result, and the processor seconds it took."""
    start = process_time()
    result = work()
    return result, process_time() - start


def require(equal: bool, what: str) -> None:
    """Stop when the two ways disagree."""
    if not equal:
        sys.exit(f"the counts of {what} differ: the numbers above mean nothing")


def machine() -> str:
    """Processor, cores, Python and tokenizers version in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = re.findall(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        model = names[0] if names else model
    return (
        f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"tokenizers {version('tokenizers')}"
    )


if __name__ == "__main__":
    main()
