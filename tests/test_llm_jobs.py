"""longqa.llm.jobs: what there is to ask about, before anything is asked."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from making import write_books

from longdata.prompt_template import PAPERS_BORDER, TITLES_BORDER
from longdata.sources import Skip
from longqa.build import sources_of
from longqa.folder import Folder
from longqa.llm.jobs import PROMPT_ROOM, Reading, read_all
from longqa.llm.records import Endpoint
from longqa.order import ModelOrder, Order
from longqa.progress import Progress
from longqa.recipe import ModelRecipe, Recipe
from longqa.work import load_tokenizer

WORDS = (
    "river quay ferry lantern harbour tide captain rope winter signal letter keeper tower glass "
    "number ledger canvas anchor chimney garden orchard miller bridge market scholar portrait"
).split()


class Hearing(Progress):
    """Remembers what was left out."""

    def __init__(self) -> None:
        self.heard: list[Skip] = []

    def left_out(self, skip: Skip) -> None:
        self.heard.append(skip)


def write_paper(folder: Path, number: int, *, language: str = "en", sentences: int = 60) -> Path:
    """A paper by its front matter, unlike any other."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(number)
    said = [
        f"The {rng.choice(WORDS)} of {rng.randrange(10**6)} {rng.choice(WORDS)}s was measured."
        for _ in range(sentences)
    ]
    path = folder / f"paper-{number:02d}.md"
    path.write_text(
        f"---\ntitle: Paper {number}\ntype: article\nlang: {language}\n---\n\n## Results\n\n"
        + " ".join(said),
        encoding="utf-8",
    )
    return path


def order_for(sources: Path, **recipe: Any) -> Order:
    return Order(
        sources=(str(sources),),
        out=sources.with_name("out"),
        recipe=Recipe(**{"ctx": (8192,), "model": ModelRecipe(model="m"), **recipe}),
        generator="openai:m",
        model=ModelOrder(writer=Endpoint(model="m", base_url="http://127.0.0.1:9/v1")),
        workers=1,
    )


def reading_of(order: Order, progress: Progress | None = None) -> Reading:
    progress = progress or Progress()
    with Folder.claim(order.out) as folder:
        sources, _ = sources_of(order, progress)
        tokenizer = load_tokenizer(order.recipe.tokenizer)
        return read_all(order, folder, sources, tokenizer, progress)


def pairs_of(reading: Reading) -> list[tuple[str, ...]]:
    return [
        tuple(str(text.facts["title"]) for text in job.texts)
        for job in reading.jobs
        if len(job.texts) == 2
    ]


def test_each_document_is_a_job_and_is_loaded_when_it_is_wanted(tmp_path: Path) -> None:
    books = write_books(tmp_path / "books", 2)
    order = order_for(tmp_path / "books")
    reading = reading_of(order)
    assert [job.source for job in reading.jobs] == [path.name for path in books]
    for job in reading.jobs:
        document, (record,) = job.load()
        assert document.id == job.id and document.title == job.title == record.title
        assert record.sha256 == document.sha256 and job.tokens > 500
    assert (reading.num_read, reading.num_worked) == (2, 2)
    assert {path.name for path in (order.out / ".work" / "units").iterdir()} == reading.files
    again = reading_of(order)
    assert again.num_worked == 0 and again.files == reading.files
    assert [job.id for job in again.jobs] == [job.id for job in reading.jobs]


def test_what_repeats_another_is_left_out_before_anything_is_asked(tmp_path: Path) -> None:
    first, second = write_books(tmp_path / "books", 2)
    copy = first.read_text().replace("THE CHRONICLE", "A CHRONICLE")
    (tmp_path / "books" / "copy.txt").write_text(copy)
    progress = Hearing()
    reading = reading_of(order_for(tmp_path / "books"), progress)
    assert len(reading.jobs) == 2
    (skip,) = reading.repeated
    assert progress.heard == [skip]
    assert skip.reason == "near-duplicate"
    assert {job.source for job in reading.jobs} | {skip.name} == {
        first.name,
        second.name,
        "copy.txt",
    }
    assert skip.name in (first.name, "copy.txt")


def test_papers_are_compared_in_pairs_and_each_in_one(tmp_path: Path) -> None:
    for number in range(5):
        write_paper(tmp_path / "papers", number)
    write_books(tmp_path / "papers", 1)
    reading = reading_of(order_for(tmp_path / "papers"))
    pairs = pairs_of(reading)
    members = [title for pair in pairs for title in pair]
    assert len(pairs) == 2 and len(set(members)) == 4
    assert len(reading.jobs) == 6 + 2
    for job in reading.jobs:
        if len(job.texts) == 2:
            one, other = (text.load() for text in job.texts)
            document, records = job.load()
            assert document.kind == "papers"
            assert document.text == one.text + PAPERS_BORDER + other.text
            assert document.title == one.title + TITLES_BORDER + other.title
            assert [record.title for record in records] == [one.title, other.title]
            assert job.title == f"{one.title} and {other.title}"
            assert job.tokens == sum(text.tokens for text in job.texts)
            assert reading.groups[one.id] == reading.groups[other.id] == job.id
    assert len(reading.groups) == 4


def test_papers_are_paired_only_where_two_fit(tmp_path: Path) -> None:
    for number in range(2):
        write_paper(tmp_path / "papers", number)
    reading = reading_of(order_for(tmp_path / "papers"))
    longest = max(job.tokens for job in reading.jobs if len(job.texts) == 1)
    room = 2 * longest + PROMPT_ROOM
    fits, too_small = room + 2, room - 2
    assert len(pairs_of(reading_of(order_for(tmp_path / "papers", ctx=(fits,))))) == 1
    assert pairs_of(reading_of(order_for(tmp_path / "papers", ctx=(too_small,)))) == []
    shorter = reading_of(order_for(tmp_path / "papers", ctx=(256, fits)))
    assert len(pairs_of(shorter)) == 1  # the longest context counts


def test_papers_in_two_languages_are_not_compared(tmp_path: Path) -> None:
    write_paper(tmp_path / "papers", 1, language="en")
    write_paper(tmp_path / "papers", 2, language="de")
    assert pairs_of(reading_of(order_for(tmp_path / "papers"))) == []
    write_paper(tmp_path / "papers", 3, language="de")
    (pair,) = pairs_of(reading_of(order_for(tmp_path / "papers")))
    assert set(pair) == {"Paper 2", "Paper 3"}


@pytest.mark.parametrize(
    ("kinds", "count"), [({"detail": 2}, 0), ({"detail": None}, 0), ({"comparison": 2}, 1), ({}, 1)]
)
def test_papers_are_paired_only_where_comparisons_are_asked_for(
    kinds: dict[str, int | None], count: int, tmp_path: Path
) -> None:
    for number in range(2):
        write_paper(tmp_path / "papers", number)
    reading = reading_of(order_for(tmp_path / "papers", kinds=kinds))
    assert len(pairs_of(reading)) == count
    assert len(reading.groups) == 2 * count


def test_a_pair_is_named_after_both_papers_and_the_recipe(tmp_path: Path) -> None:
    for number in range(2):
        write_paper(tmp_path / "papers", number)
    order = order_for(tmp_path / "papers")
    jobs = {len(job.texts): job for job in reading_of(order).jobs}
    assert jobs[2].id == "+".join(text.id for text in jobs[2].texts)
    other = order_for(tmp_path / "papers", seed=1)
    names = {
        jobs[1].unit(order, "t"),
        jobs[2].unit(order, "t"),
        jobs[2].unit(order, "u"),
        jobs[2].unit(other, "t"),
    }
    assert len(names) == 4


def test_a_source_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    write_books(tmp_path / "books", 1)
    (tmp_path / "books" / "empty.txt").write_text(" \n")
    reading = reading_of(order_for(tmp_path / "books"))
    assert len(reading.jobs) == 1
    assert [(skip.name, skip.reason) for skip in reading.skips] == [("empty.txt", "empty")]
