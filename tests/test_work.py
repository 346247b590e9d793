"""One source becomes one unit, whose name says all that decides its content."""

from __future__ import annotations

import dataclasses
import errno
import gzip
import io
import json
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from making import book, count_words, write_books

from longdata.errors import SourceError, UserError
from longdata.sources import Facts, Source, sha256_of
from longqa import code_fingerprint, near_duplicates, work
from longqa.dataset import SCHEMA
from longqa.recipe import Recipe
from longqa.work import public_name, read_unit, rows_of, unit_name, work_on

RECIPE = Recipe(ctx=(1024,), per_document=6)


@pytest.fixture(autouse=True)
def quick_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(work.GENERATORS, "extractive", lambda: count_words)


def source_of(path: Path, **more: Any) -> Source:
    return Source(path=path, name=str(path), sha256=sha256_of(path), **more)


def test_a_unit_gives_back_the_document_its_account_and_its_rows(tmp_path: Path) -> None:
    (path,) = write_books(tmp_path / "books", 1)
    told: list[tuple[int, int]] = []
    source = source_of(path, facts=Facts(author="A. Writer", license="CC0-1.0"))
    unit = read_unit(work_on(source, RECIPE, units=tmp_path, tell=told.append))
    assert unit is not None and unit.problems == []
    (document,) = unit.documents
    assert document.author == "A. Writer" and document.license == "CC0-1.0"
    assert document.sha256 == source.sha256
    assert document.num_examples == 5 and told == [(1, 5)]
    assert document.requested == {"count": 6}
    assert document.missing == {("count", "no more paragraphs"): 1}
    assert document.rejected == {("count", "too long"): 2}
    rows = list(rows_of(document))
    assert [list(row) for row in rows] == [SCHEMA.names] * 5
    assert rows[0]["evidence"][0]["text"] == rows[0]["context"][: rows[0]["evidence"][0]["end"]]
    assert rows[0]["sources"][0]["author"] == "A. Writer"
    assert rows[0]["context"] is rows[1]["context"]
    whole = " ".join(path.read_text().split())
    assert all(" ".join(row["evidence"][0]["text"].split()) in whole for row in rows)


def test_the_sketch_of_a_unit_is_that_of_its_text(tmp_path: Path) -> None:
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path, width in zip(paths, (40, 70), strict=True):
        words, lines = book(1, chapters=1).split(), []
        while words:
            line = ""
            while words and len(line) < width:
                line += f"{words.pop(0)} "
            lines.append(line)
        path.write_text("\n".join(lines))
    sketches = []
    for path in paths:
        unit = read_unit(work_on(source_of(path), RECIPE, units=tmp_path))
        assert unit is not None
        sketches.append(unit.documents[0].sketch())
    assert sketches[0].dtype == np.uint64
    assert list(near_duplicates.find(sketches)) == [1]


def test_many_documents_of_one_file_stay_in_order_and_bad_rows_are_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for seed in range(5):
            file.write(json.dumps({"text": book(seed), "title": f"Year {seed}"}) + "\n")
        file.write('{"text": 7}\n')
    unit = read_unit(work_on(source_of(path), RECIPE, units=tmp_path))
    assert unit is not None
    assert [document.title for document in unit.documents] == [f"Year {i}" for i in range(5)]
    (problem,) = unit.problems
    assert problem.name.startswith("rows.jsonl.gz")
    assert str(tmp_path) not in problem.name + problem.detail
    for seed, document in enumerate(unit.documents):
        assert f"YEAR {1000 + seed}" in next(rows_of(document))["context"]


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "00" * 32},
        {"url": "https://example.org/a"},
        {"text_column": "body"},
        {"facts": Facts(license="CC0-1.0")},
        {"defaults": Facts(license="CC0-1.0")},
        {"name": "other.txt"},
    ],
)
def test_whatever_decides_the_content_changes_the_name(
    change: dict[str, Any], tmp_path: Path
) -> None:
    (path,) = write_books(tmp_path, 1)
    source = source_of(path)
    name = unit_name(source, RECIPE, "extractive", "t1")
    assert unit_name(dataclasses.replace(source, **change), RECIPE, "extractive", "t1") != name


def test_recipe_generator_tokenizer_and_code_change_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = write_books(tmp_path, 1)
    source = source_of(path)
    names = {
        unit_name(source, RECIPE, "extractive", "t1"),
        unit_name(source, RECIPE, "other", "t1"),
        unit_name(source, RECIPE, "extractive", "t2"),
        unit_name(source, dataclasses.replace(RECIPE, seed=1), "extractive", "t1"),
        unit_name(source, dataclasses.replace(RECIPE, kinds={"order": None}), "extractive", "t1"),
    }
    monkeypatch.setattr(work, "code_fingerprint", lambda: "another version")
    names.add(unit_name(source, RECIPE, "extractive", "t1"))
    assert len(names) == 6


def test_where_a_source_or_a_tokenizer_lies_does_not_change_the_name(tmp_path: Path) -> None:
    names = set()
    for folder in ("a", "b"):
        (path,) = write_books(tmp_path / folder, 1)
        recipe = dataclasses.replace(RECIPE, tokenizer=f"/models/{folder}")
        names.add(unit_name(source_of(path), recipe, "extractive", "t1"))
    assert len(names) == 1


def test_the_public_name_has_no_folder_but_an_address_stays_whole() -> None:
    assert public_name("/home/me/a.txt") == "a.txt"
    assert public_name("books/a.txt") == "a.txt"
    assert public_name("gutenberg:36") == "gutenberg:36"
    assert public_name("https://example.org/a/b.txt") == "https://example.org/a/b.txt"


def test_a_source_that_cannot_be_used_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.4 and then nothing of the kind")
    (units := tmp_path / "units").mkdir()
    with pytest.raises(SourceError):
        work_on(source_of(path), RECIPE, units=units)
    assert list(units.iterdir()) == []


@pytest.mark.parametrize("what", ["changes", "vanishes"])
def test_a_source_that_changes_while_it_is_read_is_refused(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = write_books(tmp_path, 1)
    (units := tmp_path / "units").mkdir()

    def meddle(*arguments: Any) -> Any:
        if what == "changes":
            path.write_text("something else")
        else:
            path.unlink()
        return count_words(*arguments)

    monkeypatch.setitem(work.GENERATORS, "extractive", lambda: meddle)
    with pytest.raises(SourceError, match="changed"):
        work_on(source_of(path), RECIPE, units=units)
    assert list(units.iterdir()) == []


def test_a_full_disk_is_a_line_for_the_user_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = write_books(tmp_path, 1)
    (units := tmp_path / "units").mkdir()

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    opened = Path.open

    def open_full(self: Path, mode: str = "r", *more: Any, **named: Any) -> IO[Any]:
        if self.parent == units and "w" in mode:
            return Full(str(self), "w")  # type: ignore[return-value]
        return opened(self, mode, *more, **named)

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(UserError, match=r"No space left on device.*make room"):
        work_on(source_of(path), RECIPE, units=units)
    assert list(units.iterdir()) == []


def test_a_damaged_unit_counts_as_none_and_goes(tmp_path: Path) -> None:
    (path,) = write_books(tmp_path, 1)
    unit = work_on(source_of(path), RECIPE, units=tmp_path)
    unit.write_bytes(unit.read_bytes()[:-40])
    assert read_unit(unit) is None
    assert not unit.exists()
    assert read_unit(unit) is None


def test_a_check_that_the_dataset_does_not_know_is_no_silent_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = write_books(tmp_path, 1)

    def with_new_check(*arguments: Any) -> Any:
        outcome = count_words(*arguments)
        first = dataclasses.replace(outcome.examples[0], checks={"is_new": True})
        return dataclasses.replace(outcome, examples=(first,))

    monkeypatch.setitem(work.GENERATORS, "extractive", lambda: with_new_check)
    with pytest.raises(ValueError, match="is_new"):
        work_on(source_of(path), RECIPE, units=tmp_path)


def test_what_does_not_decide_a_unit_is_listed_by_its_right_name() -> None:
    import longdata
    import longqa

    folders = [Path(str(package.__file__)).parents[1] for package in (longdata, longqa)]
    for name in code_fingerprint._NOT_IN_UNITS:
        assert any((folder / name).is_file() for folder in folders), name
