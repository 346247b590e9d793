"""longqa.harvest: what the sources gave, and what of it repeats something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from making import book, count_words, write_books

from longdata.sources import Skip
from longqa import near_duplicates, work
from longqa.build import sources_of
from longqa.folder import Folder
from longqa.harvest import Harvest, offline, repeats
from longqa.order import Order
from longqa.progress import Progress
from longqa.recipe import Recipe
from longqa.work import load_tokenizer


class Hearing(Progress):
    """Remembers what was left out."""

    def __init__(self) -> None:
        self.heard: list[Skip] = []

    def left_out(self, skip: Skip) -> None:
        self.heard.append(skip)


@pytest.fixture(autouse=True)
def quick_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(work.GENERATORS, "extractive", lambda: count_words)


def harvest_of(folder: Path, progress: Progress | None = None, **more: Any) -> Harvest:
    progress = progress or Progress()
    order = Order(
        sources=(str(folder),),
        out=folder.with_name("out"),
        recipe=Recipe(ctx=(1024,), per_document=4),
        workers=1,
        **more,
    )
    with Folder.claim(order.out) as claimed:
        sources, _ = sources_of(order, progress)
        return offline(order, claimed, sources, load_tokenizer(None), progress)


def test_documents_come_in_the_order_of_their_sources(tmp_path: Path) -> None:
    paths = write_books(tmp_path / "books", 3)
    harvest = harvest_of(tmp_path / "books")
    assert [document.source for document in harvest.documents] == [path.name for path in paths]
    assert all(document.said.num_examples == 3 for document in harvest.documents)
    assert (harvest.num_read, harvest.num_worked) == (3, 3)
    assert len(harvest.units) == 3 and not harvest.skips and not harvest.repeated
    assert harvest.stopped is None and not harvest.groups


def test_what_is_there_is_not_worked_on_again(tmp_path: Path) -> None:
    write_books(tmp_path / "books", 3)
    first = harvest_of(tmp_path / "books")
    write_books(tmp_path / "books", 1, first=8)
    again = harvest_of(tmp_path / "books")
    assert (again.num_read, again.num_worked) == (4, 1)
    assert first.units < again.units


def test_what_repeats_another_is_left_out_and_told(tmp_path: Path) -> None:
    first, _ = write_books(tmp_path / "books", 2)
    (tmp_path / "books" / "zz.txt").write_text(f"{first.read_text()}\n\nAn afterword.\n")
    progress = Hearing()
    harvest = harvest_of(tmp_path / "books", progress)
    assert [document.source for document in harvest.documents] == ["book-000.txt", "book-001.txt"]
    (skip,) = harvest.repeated
    assert (skip.name, skip.reason) == ("zz.txt", "near-duplicate")
    assert skip.detail.startswith("“") and skip.detail.endswith("” repeats book-000.txt")
    assert progress.heard == [skip]
    assert harvest.num_read == 3  # it was read, and its unit is kept
    assert len(harvest.units) == 3


def test_of_things_known_by_a_sketch_the_first_stays(tmp_path: Path) -> None:
    texts = [book(1), book(2), book(1) + " The end.", book(1).replace("Alice", "Alicia", 2)]
    sketch_of = {
        name: near_duplicates.sketch(text) for name, text in zip("abcd", texts, strict=True)
    }

    def told(names: str) -> dict[int, Skip]:
        return repeats(
            tmp_path,
            Progress(),
            sketches=(sketch_of[name] for name in names),
            names=lambda: ((f"{name}.txt", f"Title {name}") for name in names),
        )

    assert told("abcd") == {
        2: Skip("c.txt", "near-duplicate", "“Title c” repeats a.txt"),
        3: Skip("d.txt", "near-duplicate", "“Title d” repeats a.txt"),
    }
    assert told("") == {}
    assert not list(tmp_path.iterdir())
