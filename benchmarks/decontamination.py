"""What different texts share by chance, and what comparing costs against plain Python.

    python benchmarks/decontamination.py

Reads the books and papers of ../shared/data, or invented texts when they are missing; one process,
one thread. First every book is compared with all other books and every paper with all others: what
they share is the background that the rule has to stand above. Then one half of the books is the
evaluation set of the other half, into which one page of 300 words is copied, once with tables of
hashes and once with a Python set of tuples of words. Both are measured in the same run, in
processor time, and must find the same: a difference ends the run with an error.
"""

from __future__ import annotations

import os
import platform
import random
import re
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time
from typing import TypeVar

import numpy as np

from longdata.errors import SourceError
from longdata.gram_table import GramTable
from longdata.ngrams import WIDTH, distinct, hashes_of, words_of
from longdata.readers import read_source
from longdata.sources import Source, discover
from longqa.decontamination import contaminants
from longqa.overlap import DocumentOverlap, Index

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
WINDOW = 6000  # words: about 8,192 tokens
CONTEXT = 400_000  # characters of one context of the second part
PAGE = 300  # words
MOST_ROWS = 8
Text = tuple[str, str]  # name, text
Result = TypeVar("Result")


def main() -> None:
    """Measure, compare, print tables in Markdown."""
    print(f"{machine()}\n")
    books = texts_of("books/clean", "books/raw") or invented(12)
    papers = texts_of("papers/pdf", "papers/html", "papers/markdown", "papers/latex")
    for kind, texts in (("books", books), ("papers", papers)):
        if texts:
            print_background(kind, texts)
    print_cost(books)


def print_background(kind: str, texts: Sequence[Text]) -> None:
    """What each text shares with all the others of its kind."""
    words = [words_of(text) for _, text in texts]
    each_once = np.sort(np.concatenate([distinct(hashes_of(one.hashes)) for one in words]))
    elsewhere = distinct(each_once[1:][each_once[1:] == each_once[:-1]])
    rows = []
    for (name, _), own in zip(texts, words, strict=True):
        document = DocumentOverlap(own, {"others": np.isin(hashes_of(own.hashes), elsewhere)})
        last = max(1, len(own.hashes) - WINDOW + 1)
        windows = [
            document.of(int(own.starts[i]), int(own.ends[min(len(own.ends), i + WINDOW) - 1])).share
            for i in range(0, last, WINDOW // 2)
        ]
        whole = document.of()
        longest = max((shared.longest for shared in whole.by_set.values()), default=0)
        rows.append((max(windows), whole.share, longest, name))
    rows.sort(reverse=True)
    shown, rest = rows[:MOST_ROWS], rows[MOST_ROWS:]
    total = sum(len(one.hashes) for one in words)
    print(
        f"| {len(texts)} {kind}, {total:,} words | of {WINDOW:,} words | of all | words in a row |"
    )
    print("|---|---|---|---|")
    for window, share, longest, name in shown:
        print(f"| {name} | {window:.2%} | {share:.3%} | {longest} |")
    if rest:
        window, share, longest = (max(row[column] for row in rest) for column in range(3))
        print(f"| {len(rest)} others, at most | {window:.2%} | {share:.3%} | {longest} |")
    print()


def print_cost(books: Sequence[Text]) -> None:
    """Tables of hashes against a set of tuples."""
    evaluated = [text for _, text in books[::2]]
    contexts = [text[:CONTEXT] for _, text in books[1::2]]
    page = " ".join(evaluated[0].split()[2000 : 2000 + PAGE])
    contexts[0] = f"{contexts[0][: CONTEXT // 2]} {page} {contexts[0][CONTEXT // 2 :]}"
    megabytes = sum(len(text.encode()) for text in evaluated) / 1e6
    per_context = sum(map(len, contexts)) / len(contexts)

    plain, plain_build = timed(lambda: {gram for text in evaluated for gram in grams(text)})
    expected, plain_look = timed(
        lambda: [sum(gram in plain for gram in grams(text)) for text in contexts]
    )
    with tempfile.TemporaryDirectory() as folder:
        table, build = timed(lambda: GramTable.build(evaluated, Path(folder) / "table"))
        index = Index({"half": table})
        documents, look = timed(lambda: [index.document(text) for text in contexts])
        size = (Path(folder) / "table" / "hashes.npy").stat().st_size
    found = [document.of().num_shared for document in documents]
    require(table.grams == len(plain), "sequences of the set")
    require(found == expected, "shared sequences")

    draw = random.Random(1)
    cuts = [sorted(draw.sample(range(CONTEXT), 2)) for _ in range(200)]
    _, slices = timed(lambda: [d.of(*cut) for d in documents for cut in cuts])
    print(
        f"{len(evaluated)} books of {megabytes:.1f} MB, {table.grams:,} sequences; "
        f"{len(contexts)} contexts of {per_context:,.0f} characters\n"
    )
    print("| | set of tuples | table | ratio |")
    print("|---|---|---|---|")
    rate = f"{megabytes / plain_build:.1f} | {megabytes / build:.1f}"
    print(f"| indexing, MB/s | {rate} | {plain_build / build:.0f} |")
    each = f"{1e3 * plain_look / len(contexts):.1f} | {1e3 * look / len(contexts):.1f}"
    print(f"| one context, ms | {each} | {plain_look / look:.0f} |")
    print(f"| a stretch of it, ms | – | {1e3 * slices / len(documents) / len(cuts):.4f} | |")
    removed = [
        name
        for (name, _), document in zip(books[1::2], documents, strict=True)
        if contaminants(document.of())
    ]
    print(
        f"\n{sum(found):,} shared sequences in {sum(n > 0 for n in found)} contexts, the same both "
        f"ways. Removed: {', '.join(removed)}; the page was copied into {books[1][0]}. The table "
        f"has {size / table.grams:.0f} bytes per sequence on disk."
    )


def grams(text: str) -> list[tuple[str, ...]]:
    """The definition in plain Python (for scripts with spaces)."""
    found = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())
    return [tuple(found[i : i + WIDTH]) for i in range(len(found) - WIDTH + 1)]


def texts_of(*folders: str) -> list[Text]:
    """The documents of some folders; what cannot be read is said."""
    found: list[Text] = []
    for folder in folders:
        if not (DATA / folder).is_dir():
            continue
        for source in discover([str(DATA / folder)]):
            if isinstance(source, Source):
                try:
                    found += [(source.path.name, d.text) for d in read_source(source)]
                except SourceError as error:
                    print(f"{source.path.name}: {error}", file=sys.stderr)
    return found


def invented(count: int) -> list[Text]:
    """Texts of random words, some of which are frequent, for machines without the books."""
    draw = random.Random(0)
    words = [f"word{n}" for n in range(3000)]
    weights = [1 / (n + 1) for n in range(len(words))]
    return [(f"text {n}", " ".join(draw.choices(words, weights, k=90_000))) for n in range(count)]


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """The result, and the processor seconds it took."""
    start = process_time()
    result = work()
    return result, process_time() - start


def require(equal: bool, what: str) -> None:
    """Stop when the two ways disagree."""
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
