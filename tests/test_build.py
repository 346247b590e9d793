"""The same dataset whatever the machine does, and every source and question accounted for."""

from __future__ import annotations

import dataclasses
import errno
import json
import multiprocessing
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from making import book, count_words, write_books

from longdata.errors import UserError
from longdata.sources import Skip
from longdata.workers import Died, run
from longqa import build as build_module
from longqa import source_work, work
from longqa.build import Built, build
from longqa.facts import read_facts
from longqa.order import Order
from longqa.progress import Progress
from longqa.recipe import Recipe
from longqa.source_work import Crash

RECIPE = Recipe(ctx=(1024,), per_document=6)
REAL = Recipe(ctx=(512, 1024), per_document=6)


class Hearing(Progress):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.worked: list[str] = []
        self.skips: list[Skip] = []

    def done(self, source: str, documents: int, questions: int, num_bytes: int) -> None:
        self.worked.append(source)

    def skipped(self, skip: Skip) -> None:
        self.skips.append(skip)


@pytest.fixture
def quick_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(work.GENERATORS, "extractive", lambda: count_words)


def build_in(
    out: Path, *sources: Path | str, progress: Progress | None = None, **more: Any
) -> Built:
    order = {"recipe": RECIPE, "workers": 1, **more}
    return build(Order(sources=tuple(map(str, sources)), out=out, **order), progress or Progress())


def parquet(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "data").iterdir())}


def ids(out: Path) -> list[str]:
    tables = [pq.read_table(path, columns=["id"]) for path in sorted((out / "data").iterdir())]
    return [value for table in tables for value in table["id"].to_pylist()]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several") / "books"
    write_books(folder, 4, paragraphs=6)
    return folder


@pytest.fixture(scope="module")
def expected(books: Path) -> dict[str, bytes]:
    build_in(books.with_name("one"), books, recipe=REAL)
    assert len(ids(books.with_name("one"))) > 10
    return parquet(books.with_name("one"))


@pytest.mark.usefixtures("quick_generator")
class TestInOneProcess:
    """With an invented generator."""

    def test_a_folder_becomes_a_dataset_that_is_accounted_for(self, tmp_path: Path) -> None:
        paths = write_books(tmp_path / "books", 12)
        (tmp_path / "books" / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
        hearing = Hearing()
        built = build_in(tmp_path / "out", tmp_path / "books", progress=hearing, license="CC0-1.0")
        facts = read_facts(tmp_path / "out")
        assert facts == built.facts
        text = (tmp_path / "out" / "build.json").read_text(encoding="utf-8")
        assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"
        assert facts["requested"] == {"count": 72} and facts["kept"] == {"count": 60}
        assert facts["missing"] == [{"kind": "count", "reason": "no more paragraphs", "count": 12}]
        assert facts["rejected"] == [{"kind": "count", "reason": "too long", "count": 24}]
        assert sorted(d["source"] for d in facts["documents"]) == [path.name for path in paths]
        assert {d["license"] for d in facts["documents"]} == {"CC0-1.0"}
        assert sum(facts["splits"]["documents"].values()) == 12
        assert set(facts["splits"]["documents"]) == {"train", "validation", "test"}
        assert [(s["name"], s["reason"]) for s in facts["skipped"]] == [("bad.pdf", "damaged")]
        assert [skip.name for skip in hearing.skips] == ["bad.pdf"]
        assert [skip.name for skip in built.skipped] == ["bad.pdf"]
        assert built.num_worked == 12 and built.counted_by == {"full"}
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            ".work",
            "README.md",
            "build.json",
            "data",
            "report.html",
        ]

    def test_rows_stand_by_document_and_no_document_is_in_two_splits(self, tmp_path: Path) -> None:
        write_books(tmp_path / "books", 12)
        build_in(tmp_path / "out", tmp_path / "books")
        facts = read_facts(tmp_path / "out")
        split_of = {d["sha256"]: d["split"] for d in facts["documents"]}
        id_of = {d["sha256"]: d["id"] for d in facts["documents"]}
        for path in (tmp_path / "out" / "data").iterdir():
            rows = pq.read_table(path).to_pylist()
            shas = [row["sources"][0]["sha256"] for row in rows]
            assert {split_of[sha] for sha in shas} == {path.name.split("-")[0]}
            assert [id_of[sha] for sha in shas] == sorted(id_of[sha] for sha in shas)
            depths = [row["evidence"][0]["start"] for row in rows[:5]]
            assert depths == sorted(depths)

    def test_neither_the_order_of_arguments_nor_their_folder_changes_a_byte(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a, b, c, d = write_books(tmp_path / "books", 4)
        build_in(tmp_path / "one", a, b, c, d)
        build_in(tmp_path / "two", d, b, b, a, c)
        for path in write_books(tmp_path / "elsewhere", 4):
            path.touch()
        monkeypatch.chdir(tmp_path)
        build_in(tmp_path / "three", "elsewhere/*.txt")
        assert parquet(tmp_path / "one") == parquet(tmp_path / "two") == parquet(tmp_path / "three")

    def test_only_an_added_document_is_worked_on(self, tmp_path: Path) -> None:
        write_books(tmp_path / "books", 3)
        build_in(tmp_path / "out", tmp_path / "books")
        units = tmp_path / "out" / ".work" / "units"
        before = {path: path.stat().st_mtime_ns for path in units.iterdir()}
        write_books(tmp_path / "books", 1, first=3)
        hearing = Hearing()
        built = build_in(tmp_path / "out", tmp_path / "books", progress=hearing)
        assert hearing.worked == ["book-003.txt"] and built.num_worked == 1
        assert len(built.facts["documents"]) == 4
        assert {path: path.stat().st_mtime_ns for path in before} == before
        build_in(tmp_path / "fresh", tmp_path / "books")
        assert parquet(tmp_path / "out") == parquet(tmp_path / "fresh")

    def test_another_recipe_makes_new_units_and_the_old_ones_go(self, tmp_path: Path) -> None:
        write_books(tmp_path / "books", 3)
        build_in(tmp_path / "out", tmp_path / "books")
        units = tmp_path / "out" / ".work" / "units"
        before = set(units.iterdir())
        recipe = dataclasses.replace(RECIPE, per_document=3)
        built = build_in(tmp_path / "out", tmp_path / "books", recipe=recipe)
        assert built.num_worked == 3 and built.facts["kept"] == {"count": 6}
        assert len(set(units.iterdir())) == 3 and not before & set(units.iterdir())

    def test_a_removed_document_is_gone_from_the_dataset(self, tmp_path: Path) -> None:
        paths = write_books(tmp_path / "books", 3)
        build_in(tmp_path / "out", tmp_path / "books")
        paths[0].unlink()
        built = build_in(tmp_path / "out", tmp_path / "books")
        assert built.num_worked == 0
        assert [d["source"] for d in built.facts["documents"]] == ["book-001.txt", "book-002.txt"]
        assert len(ids(tmp_path / "out")) == 10

    def test_a_second_edition_is_left_out_and_said(self, tmp_path: Path) -> None:
        (path,) = write_books(tmp_path / "books", 1)
        other = path.with_name("a-second-edition.txt")
        other.write_text(path.read_text() + "\nPrinted again in the same town.\n")
        write_books(tmp_path / "books", 2, first=1)
        built = build_in(tmp_path / "out", tmp_path / "books")
        assert [s for s in built.facts["skipped"] if s["reason"] == "near-duplicate"] == [
            {
                "name": "book-000.txt",
                "reason": "near-duplicate",
                "detail": "“THE CHRONICLE OF YEAR 1000” repeats a-second-edition.txt",
            }
        ]
        assert built.facts["requested"] == {"count": 18}
        assert built.skipped == ()

    def test_the_same_bytes_twice_are_read_once_and_are_no_failure(self, tmp_path: Path) -> None:
        (path,) = write_books(tmp_path / "books", 1)
        path.with_name("copy.txt").write_bytes(path.read_bytes())
        built = build_in(tmp_path / "out", tmp_path / "books")
        assert built.num_worked == 1 and built.skipped == ()
        assert [s["reason"] for s in built.facts["skipped"]] == ["duplicate"]

    def test_strict_stops_at_the_first_source_that_cannot_be_used(self, tmp_path: Path) -> None:
        write_books(tmp_path / "books", 3)
        (tmp_path / "books" / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
        with pytest.raises(UserError, match=r"bad\.pdf: damaged.*--strict"):
            build_in(tmp_path / "out", tmp_path / "books", strict=True)
        assert not (tmp_path / "out" / "data").exists()
        (tmp_path / "books" / "empty.txt").touch()
        with pytest.raises(UserError, match=r"empty\.txt: empty.*--strict"):
            build_in(tmp_path / "out", tmp_path / "books", strict=True)

    def test_nothing_usable_writes_nothing_and_keeps_what_was_there(self, tmp_path: Path) -> None:
        write_books(tmp_path / "books", 1)
        build_in(tmp_path / "out", tmp_path / "books")
        before = parquet(tmp_path / "out")
        (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
        (tmp_path / "empty.txt").touch()
        with pytest.raises(UserError, match=r"no document that can be used \(1 damaged, 1 empty\)"):
            build_in(tmp_path / "out", tmp_path / "bad.pdf", tmp_path / "empty.txt")
        assert parquet(tmp_path / "out") == before
        with pytest.raises(UserError, match=r"gave no question \(no more paragraphs\)"):
            recipe = dataclasses.replace(RECIPE, per_document=1)
            build_in(tmp_path / "out", tmp_path / "books", recipe=recipe)
        assert parquet(tmp_path / "out") == before

    def test_a_source_that_vanishes_is_one_line_and_the_rest_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        paths = write_books(tmp_path / "books", 3)

        class Vanishing(Hearing):
            def begin(self, **counts: int) -> None:
                paths[1].unlink()

        hearing = Vanishing()
        built = build_in(tmp_path / "out", tmp_path / "books", progress=hearing)
        assert [(s.name, s.reason) for s in built.skipped] == [("book-001.txt", "vanished")]
        assert len(built.facts["documents"]) == 2

    def test_a_source_that_kills_its_worker_twice_is_counted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_books(tmp_path / "books", 2)

        def killing(run_work: Any, tasks: Any, *, workers: int, on_event: Any) -> None:
            on_event(Died(tasks[0], -9))
            run(run_work, tasks[1:], workers=1, on_event=on_event)

        monkeypatch.setattr(source_work, "run", killing)
        built = build_in(tmp_path / "out", tmp_path / "books")
        (skip,) = built.skipped
        assert (skip.reason, skip.detail) == (
            "worker died",
            "twice: killed, perhaps for lack of memory",
        )
        assert len(built.facts["documents"]) == 1

    def test_the_date_can_be_set_for_reproducible_builds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_books(tmp_path / "books", 1)
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
        assert build_in(tmp_path / "out", tmp_path / "books").facts["created"] == "1970-01-02"

    def test_a_bug_at_one_document_shows_it_and_keeps_the_work_on_the_others(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_books(tmp_path / "books", 3)

        def fails(document: Any, *more: Any) -> Any:
            if "YEAR 1001" in document.text:
                raise ZeroDivisionError("one of ours")
            return count_words(document, *more)

        monkeypatch.setitem(work.GENERATORS, "extractive", lambda: fails)
        with pytest.raises(Crash) as caught:
            build_in(tmp_path / "out", tmp_path / "books")
        assert list(caught.value.traces) == ["book-001.txt"]
        assert "ZeroDivisionError: one of ours" in caught.value.traces["book-001.txt"]
        assert not (tmp_path / "out" / "data").exists()
        monkeypatch.setitem(work.GENERATORS, "extractive", lambda: count_words)
        assert build_in(tmp_path / "out", tmp_path / "books").num_worked == 1

    def test_an_account_that_does_not_balance_is_never_published(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_books(tmp_path / "books", 1)

        def loses_one(*arguments: Any) -> Any:
            return dataclasses.replace(count_words(*arguments), requested={"count": 7})

        monkeypatch.setitem(work.GENERATORS, "extractive", lambda: loses_one)
        with pytest.raises(ValueError, match="asked 7, kept 5, missing 1"):
            build_in(tmp_path / "out", tmp_path / "books")
        assert not (tmp_path / "out" / "data").exists()

    @pytest.mark.parametrize("where", ["write_card", "write_report", "_write_facts"])
    def test_a_disk_that_is_full_at_the_end_leaves_what_was_there(
        self, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_books(tmp_path / "books", 2)
        build_in(tmp_path / "out", tmp_path / "books")
        before = parquet(tmp_path / "out")
        write_books(tmp_path / "books", 1, first=2)

        def full(*arguments: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(build_module, where, full)
            with pytest.raises(UserError, match="make room and run the same command again"):
                build_in(tmp_path / "out", tmp_path / "books")
        assert parquet(tmp_path / "out") == before
        assert sorted(p.name for p in tmp_path.iterdir()) == ["books", "out"]
        built = build_in(tmp_path / "out", tmp_path / "books")
        assert built.num_worked == 0 and len(built.facts["documents"]) == 3

    def test_nothing_that_is_published_or_kept_names_a_folder_of_this_machine(
        self, tmp_path: Path
    ) -> None:
        (source := tmp_path / "secret-place").mkdir()
        write_books(source, 2)
        (source / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
        (source / "rows.jsonl").write_text(json.dumps({"text": book(9)}) + '\n{"text": 1}\n')
        built = build_in(tmp_path / "out", source)
        assert len(built.skipped) == 2
        files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
        assert len(files) > 6
        for path in files:
            assert b"secret-place" not in path.read_bytes(), path

    def test_the_datasets_library_reads_it_and_does_not_see_the_units(self, tmp_path: Path) -> None:
        datasets = pytest.importorskip("datasets")
        write_books(tmp_path / "books", 12)
        built = build_in(tmp_path / "out", tmp_path / "books")
        loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
        assert {name: len(split) for name, split in loaded.items()} == built.statistics.by_split
        assert loaded["train"][0]["question"].startswith("How many words")

    def test_wrong_orders_are_refused_before_anything_is_made(self, tmp_path: Path) -> None:
        (path,) = write_books(tmp_path / "books", 1)
        wrong: Sequence[tuple[dict[str, Any], str]] = (
            ({"workers": 0}, "--workers 0"),
            ({"generator": "oracle"}, "--generator oracle; allowed: extractive"),
            ({"shares": {"train": 0.5, "validation": 0.1, "test": 0.1}}, "sum to 1"),
        )
        for change, said in wrong:
            with pytest.raises(UserError, match=said):
                build_in(tmp_path / "out", path, **change)
        with pytest.raises(UserError, match="where there is no file"):
            build_in(tmp_path / "out", tmp_path / "absent.txt")
        with pytest.raises(UserError, match="--tokenizer"):
            recipe = dataclasses.replace(RECIPE, tokenizer="./absent")
            build_in(tmp_path / "out", path, recipe=recipe)
        assert not (tmp_path / "out").exists()


class TestInSeveralProcesses:
    """With the real generator, because other processes do not know the invented one."""

    def test_the_number_of_workers_does_not_change_a_byte(
        self, books: Path, expected: dict[str, bytes], tmp_path: Path
    ) -> None:
        built = build_in(tmp_path / "out", books, recipe=REAL, workers=3)
        assert built.num_worked == 4
        assert parquet(tmp_path / "out") == expected

    def test_a_killed_worker_loses_nothing(
        self, books: Path, expected: dict[str, bytes], tmp_path: Path
    ) -> None:
        class Killing(Hearing):
            def done(self, source: str, *counts: int) -> None:
                super().done(source, *counts)
                if len(self.worked) == 1:
                    child = multiprocessing.active_children()[0]
                    assert child.pid is not None
                    os.kill(child.pid, signal.SIGKILL)

        built = build_in(tmp_path / "out", books, recipe=REAL, workers=2, progress=Killing())
        assert built.skipped == ()
        assert parquet(tmp_path / "out") == expected
