"""Invented books on disk and an invented generator, for the tests of the build.

write_books(folder, 3)      -> three .txt files with chapters and dialogue, no two alike
count_words(document, …)    -> an Outcome, at once: what `ask` gives, without its cost
"""

from __future__ import annotations

import random
from pathlib import Path

from longdata.documents import Document
from longdata.tokenizers import Tokenizer
from longqa.recipe import Outcome, Recipe
from longqa.records import Evidence, Example, Generator, SourceRecord

_NAMES = ("Alice Marlow", "Bertram Hale", "Clara Winter", "Edmund Frost", "Greta Vane", "Hugo Lind")
_VERBS = ("crossed", "painted", "repaired", "measured", "guarded", "abandoned", "remembered")
_THINGS = ("harbours", "lanterns", "orchards", "towers", "mills", "ferries", "maps", "bridges")
_WHEN = ("at dawn", "before the storm", "in the long winter", "on the third day", "that evening")


def book(seed: int, *, chapters: int = 4, paragraphs: int = 12) -> str:
    """A Gutenberg-like text; another seed is another book."""
    rng = random.Random(seed)

    def number() -> int:  # no eight words in a row are without one: books are not alike
        return rng.randrange(10, 90_000)

    def sentence() -> str:
        who, verb, thing, when = (rng.choice(x) for x in (_NAMES, _VERBS, _THINGS, _WHEN))
        return f"{who} {verb} {number()} {thing} {when}, and {number()} people heard of it."

    lines = [f"THE CHRONICLE OF YEAR {1000 + seed}", ""]
    for chapter in range(1, chapters + 1):
        lines += [f"CHAPTER {'I' * chapter}", ""]
        for _ in range(paragraphs):
            speaker = rng.choice(_NAMES).split()[0]
            lines += [
                f"“Keep {number()} {rng.choice(_THINGS)} until number {number()} is called,” "
                f"said {speaker}. {sentence()} {sentence()} {sentence()}",
                "",
            ]
    return "\n".join(lines)


def write_books(folder: Path, count: int, *, first: int = 0, paragraphs: int = 12) -> list[Path]:
    """Books `first` to `first + count - 1` as text files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"book-{seed:03d}.txt" for seed in range(first, first + count)]
    for seed, path in enumerate(paths, first):
        path.write_text(book(seed, paragraphs=paragraphs), encoding="utf-8")
    return paths


def count_words(document: Document, tokenizer: Tokenizer, recipe: Recipe) -> Outcome:
    """Asks how many words each of the first paragraphs has; one more is asked and not kept."""
    examples = []
    start = 0
    for paragraph in document.text.split("\n\n")[: recipe.per_document - 1]:
        end = start + len(paragraph)
        examples.append(
            Example(
                document_id=document.id,
                question=f"How many words has the paragraph at {start}?",
                answer=str(len(paragraph.split())),
                context=document.text[: max(end, 2_000)],
                ctx=recipe.ctx[0],
                context_tokens=1,
                row_tokens=2,
                question_kind="count",
                material_kind=document.kind,
                is_whole=False,
                evidence=(Evidence(start=start, end=end, text=paragraph, depth=0.5),),
                sources=(
                    SourceRecord(
                        title=document.title,
                        author=document.author,
                        year=document.year,
                        license=document.license,
                        url=document.url,
                        sha256=document.sha256,
                    ),
                ),
                generator=Generator(backend="extractive", model=None, prompt_sha="ab" * 32),
                checks={},
            )
        )
        start = end + 2
    return Outcome(
        examples=tuple(examples),
        requested={"count": len(examples) + 1},
        missing={("count", "no more paragraphs"): 1},
        rejected={("count", "too long"): 2},
        document_tokens=len(document.text.split()),
        counted_by="full",
    )
