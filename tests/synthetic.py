"""Invented datasets of any size for the tests of what reads and writes them.

rows(num_documents=4) -> rows of longqa.dataset.SCHEMA, each with its "split"
pair_rows(), short_rows(count=4) -> the same, on two papers, and without a text
facts_of(rows)        -> the build.json that belongs to them
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from longdata.documents import Block, Document, assemble
from longdata.prompt_template import SHORT
from longqa.dataset import SCHEMA, write_split
from longqa.facts import FORMAT, FORMAT_VERSION, SPLITS, BuildFacts, DocumentFacts, SplitName
from longqa.llm.pairs import join
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
                sha256=_sha(title),
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


def paper(title: str, *, license: str | None = "CC-BY-4.0") -> Document:
    """A paper of four paragraphs."""
    blocks = [Block(text) for text in prose(random.Random(title), 4).split("\n\n")]
    made = assemble(blocks, title=title, kind="paper", source=f"{title}.tex", sha256=_sha(title))
    return replace(made, author="B. Author", year=2020, license=license, language="en")


def pair_rows(
    first: Document | None = None, second: Document | None = None, *, split: SplitName = "train"
) -> list[dict[str, Any]]:
    """Two rows that compare two papers: evidence in both, then in the second alone."""
    document, sources = join(
        first or paper("On Groups"), second or paper("On Rivers", license="CC0-1.0")
    )
    text = document.text
    end = len(text)
    found = []
    for number, passages in enumerate(([(0, 40), (end - 40, end)], [(end - 90, end - 60)])):
        made = example(
            context=text,
            question=f"How do the two papers compare ({number})?",
            passages=passages,
            kind="comparison",
            title=document.title,
        )
        compared = replace(
            made,
            material_kind="papers",
            is_whole=True,
            sources=sources,
            generator=Generator(backend="openai", model="writer", prompt_sha="ef56"),
            checks={"evidence_exact": True, "closed_book_failed": True},
        )
        found.append({**compared.row(), "split": split})
    return found


def short_rows(count: int = 4, *, license: str | None = None) -> list[dict[str, Any]]:
    """Short instructions, as `longqa.short` mixes them in."""
    source = SourceRecord(
        title="short.jsonl",
        author=None,
        year=None,
        license=license,
        url=None,
        sha256=_sha("short.jsonl"),
    )
    made = (
        replace(
            example(context="", question=f"Say {number} twice.", passages=[], kind=SHORT),
            material_kind=SHORT,
            ctx=8192,
            context_tokens=0,
            row_tokens=20 + number,
            sources=(source,),
            generator=Generator(backend="mixed in", model=None, prompt_sha=""),
        )
        for number in range(count)
    )
    return [{**one.row(), "split": "train"} for one in made]


def _sha(title: str) -> str:
    return f"{title!s:.>64.64}"


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
    documents = _documents(row for row in held if row["material_kind"] != SHORT)
    short = [row for row in held if row["material_kind"] == SHORT]
    in_train = sum(row["split"] == "train" for row in held)
    models = {row["generator"]["model"] for row in held} - {None}
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": "0.1.0",
        "command": "longqa build books --out dataset",
        "created": None,
        "seed": 0,
        "tokenizer": {"name": "tekken", "fingerprint": "ab12", "vocab_size": 131072},
        "recipe": {"ctx": [8192, 16384], "shares": [0.5, 0.5], "per_document": 6, "kinds": {}},
        "generator": {"backend": "extractive", "model": None, "prompt_sha": "cd34"}
        if not models
        else {"backend": "openai", "model": "writer", "prompt_sha": "cd34"},
        "model": {
            "model": "writer",
            "judge": None,
            "temperature": 0.7,
            "language": None,
            "notes": [],
        }
        if models
        else None,
        "short": {
            "file": "short.jsonl",
            "sha256": short[0]["sources"][0]["sha256"],
            "license": short[0]["sources"][0]["license"],
            "share": 0.26,
            "reached": len(short) / in_train,
            "read": len(short) + 3,
            "usable": len(short) + 1,
            "skipped": {"duplicate": 2},
            "asked": len(short),
            "mixed": len(short),
            "missing": 0,
        }
        if short
        else None,
        "decontamination": None,
        "splits": {
            "shares": {"train": 0.9, "validation": 0.05, "test": 0.05},
            "documents": dict(Counter(document["split"] for document in documents)),
        },
        "documents": documents,
        "skipped": [{"name": "broken.pdf", "reason": "damaged", "detail": "no trailer"}],
        "dropped": {"page number": 7},
        "requested": {**kept, "order": kept["order"] + 2},
        "kept": dict(kept),
        "missing": [{"kind": "order", "reason": "too few events", "count": 2}],
        "rejected": [{"kind": "speaker", "reason": "answer in question", "count": 5}],
        "timing": {"read": 0.5},
    }


def _documents(held: Iterable[Mapping[str, Any]]) -> list[DocumentFacts]:
    """One for each document with rows of its own, and for each paper that is in a pair."""
    found: dict[tuple[str, str], DocumentFacts] = {}
    for row in held:
        alone = [(source, "book") for source in row["sources"]]
        if len(alone) > 1:
            alone = [(source, "paper") for source, _ in alone]
            joined, _ = join(*(_stub(source) for source, _ in alone))
            pair = {name: getattr(joined, name) for name in alone[0][0]}
            alone.append((pair, "papers"))
        for source, kind in alone:
            found.setdefault(
                (source["title"], source["sha256"]),
                {
                    "id": f"{len(found):016x}",
                    "title": source["title"],
                    "author": source["author"],
                    "year": source["year"],
                    "license": source["license"],
                    "language": "en",
                    "url": source["url"],
                    "source": f"book-{len(found)}.txt",
                    "sha256": source["sha256"],
                    "kind": kind,
                    "tokens": 9000,
                    "split": row["split"],
                    "kept": 0,
                },
            )
        found[source["title"], source["sha256"]]["kept"] += 1  # the last: the document itself
    return list(found.values())


def _stub(source: Mapping[str, Any]) -> Document:
    """A document that `join` takes for the one of a source."""
    made = paper(source["title"], license=source["license"])
    return replace(made, sha256=source["sha256"])
