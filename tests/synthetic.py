"""Invented datasets of any size for the tests of what reads and writes them.

rows(num_documents=4) -> rows of longqa.dataset.SCHEMA, each with its "split"
facts_of(rows)        -> the build.json that belongs to them
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from longqa.dataset import SCHEMA, write_split
from longqa.facts import FORMAT, FORMAT_VERSION, SPLITS, BuildFacts, SplitName
from longqa.records import Evidence, Example, Generator, SourceRecord

KINDS = ("order", "speaker", "place", "count", "unanswerable")
SPLIT_OF: tuple[SplitName, ...] = ("train", "train", "validation", "test")


def example(
    *,
    context: str,
    question: str,
    passages: Iterable[tuple[int, int]],
    kind: str = "order",
    title: str = "A Book",
    license: str | None = "CC0-1.0",
    ctx: int = 8192,
) -> Example:
    """An example whose evidence is context[start:end] of each passage."""
    size = max(1, len(context))
    words = len(context.split())
    return Example(
        document_id=title,
        question=question,
        answer=f"The answer to {question}",
        context=context,
        ctx=ctx,
        context_tokens=words,
        row_tokens=words + 60,
        question_kind=kind,
        material_kind="book",
        is_whole=False,
        evidence=tuple(
            Evidence(start=s, end=e, text=context[s:e], depth=(s + e) / 2 / size)
            for s, e in passages
        ),
        sources=(
            SourceRecord(
                title=title,
                author="A. Writer",
                year=1901,
                license=license,
                url=None,
                sha256=f"{title!s:.>64.64}",
            ),
        ),
        generator=Generator(backend="extractive", model=None, prompt_sha="cd34"),
        checks={},
    )


def prose(rng: random.Random, paragraphs: int) -> str:
    """Paragraphs of invented sentences with some characters beyond ASCII and beyond 16 bits."""
    words = [
        "river",
        "lantern",
        "Margaret",
        "café",
        "“quiet”",
        "north",
        "😀",
        "winter",
        "of",
        "the",
    ]
    sentences = (
        " ".join(rng.choices(words, k=rng.randint(5, 18))).capitalize() + "."
        for _ in range(4 * paragraphs)
    )
    return "\n\n".join(" ".join(next(sentences) for _ in range(4)) for _ in range(paragraphs))


def rows(
    num_documents: int = 4, *, windows: int = 2, per_window: int = 3, paragraphs: int = 20
) -> Iterator[dict[str, Any]]:
    """Rows of documents whose contexts are overlapping windows; the fourth document is test, …"""
    for number in range(num_documents):
        rng = random.Random(number)
        blocks = prose(rng, paragraphs).split("\n\n")
        for window in range(windows):
            start = window * len(blocks) // (windows + 1)
            context = "\n\n".join(blocks[start : start + 2 * len(blocks) // (windows + 1)])
            for index in range(per_window):
                at = rng.randrange(len(context) - 60)
                made = example(
                    context=context,
                    question=f"What of {number}.{window}.{index}?",
                    passages=[(at, at + 40), (len(context) - 20, len(context))][: 1 + index % 2],
                    kind=KINDS[(number + index) % len(KINDS)],
                    title=f"Book {number}",
                    ctx=8192 * (1 + window % 2),
                )
                yield {**made.row(), "split": SPLIT_OF[number % len(SPLIT_OF)]}


def write(folder: Any, found: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Write rows to a dataset folder by their "split"; what each split's writer reported."""
    held = list(found)
    return [
        write_split(
            ({n: row[n] for n in SCHEMA.names} for row in held if row["split"] == split),
            folder,
            split,
        )
        for split in SPLITS
    ]


def facts_of(found: Iterable[Mapping[str, Any]]) -> BuildFacts:
    """A `build.json` that agrees with the rows; two questions of kind "order" were not kept."""
    held = list(found)
    kept = Counter(row["question_kind"] for row in held)
    split_of = {row["sources"][0]["title"]: row["split"] for row in held}
    source_of = {row["sources"][0]["title"]: row["sources"][0] for row in held}
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": "0.1.0",
        "command": "longqa build books --out dataset",
        "created": None,
        "seed": 0,
        "tokenizer": {"name": "tekken", "fingerprint": "ab12", "vocab_size": 131072},
        "recipe": {"ctx": [8192, 16384], "shares": [0.5, 0.5], "per_document": 6, "kinds": {}},
        "generator": {"backend": "extractive", "model": None, "prompt_sha": "cd34"},
        "splits": {
            "shares": {"train": 0.9, "validation": 0.05, "test": 0.05},
            "documents": dict(Counter(split_of.values())),
        },
        "documents": [
            {
                "id": f"{index:016x}",
                "title": title,
                "author": source_of[title]["author"],
                "year": source_of[title]["year"],
                "license": source_of[title]["license"],
                "language": "en",
                "url": source_of[title]["url"],
                "source": f"book-{index}.txt",
                "sha256": source_of[title]["sha256"],
                "kind": "book",
                "tokens": 9000,
                "split": split,
                "kept": sum(row["sources"][0]["title"] == title for row in held),
            }
            for index, (title, split) in enumerate(split_of.items())
        ],
        "skipped": [{"name": "broken.pdf", "reason": "damaged", "detail": "no trailer"}],
        "dropped": {"page number": 7},
        "requested": {**kept, "order": kept["order"] + 2},
        "kept": dict(kept),
        "missing": [{"kind": "order", "reason": "too few events", "count": 2}],
        "rejected": [{"kind": "speaker", "reason": "answer in question", "count": 5}],
        "timing": {"read": 0.5},
    }
