"""Documents that stand in evaluation sets are found; what decides is the document alone."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata import ngrams
from longdata.errors import UserError
from longdata.evaluation_sets import EVALUATION_SETS, Hub
from longdata.ngrams import WIDTH
from longdata.pack_decontamination import (
    SHARE,
    STRETCH_WORDS,
    Checker,
    Overlap,
    _Run,
    arguments_of,
    prepare,
)
from longqa import decontamination

EVALUATED = " ".join(f"evaluated{n}" for n in range(4000))


def words(start: int, count: int) -> str:
    return " ".join(EVALUATED.split()[start : start + count])


def fresh(name: str, count: int) -> str:
    return " ".join(f"{name}{n}" for n in range(count))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sets") / "own.jsonl"
    path.write_text(json.dumps({"id": 1, "context": EVALUATED}) + "\n")
    return path


@pytest.fixture(scope="module")
def checker(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Checker:
    said: list[str] = []
    made = prepare(str(own), tmp_path_factory.mktemp("grams"), tell=said.append)
    assert said == ["own.jsonl: indexing what stands in it, once"]
    return made


def test_the_rule_is_the_one_of_longqa_build() -> None:
    assert (SHARE, STRETCH_WORDS) == (decontamination.CONTEXT_SHARE, decontamination.STRETCH_WORDS)


def test_a_copy_is_found_with_all_that_it_shares(checker: Checker) -> None:
    found = checker.overlap(EVALUATED.upper().replace(" ", ", "))
    assert found == Overlap(set="own.jsonl", share=1.0, longest=4000)
    assert found.reason == "overlaps own.jsonl"
    assert found.detail == "100.00% of its sequences of 13 words, 4,000 words in a row"


def test_fifty_words_in_a_row_are_too_many_and_forty_nine_are_a_quotation(
    checker: Checker,
) -> None:
    def quoting(count: int) -> str:
        return f"{fresh('a', 9000)} {words(70, count)} {fresh('b', 9000)}"

    found = checker.overlap(quoting(STRETCH_WORDS))
    assert found is not None and found.longest == STRETCH_WORDS and found.share < SHARE
    assert checker.overlap(quoting(STRETCH_WORDS - 1)) is None


def test_one_per_cent_in_short_pieces_is_too_much(checker: Checker) -> None:
    def with_pieces(count: int) -> str:
        """One sequence of a thousand is shared for each piece."""
        pieces = " ".join(f"{words(40 * n, WIDTH)} break{n}" for n in range(count))
        return f"{pieces} {fresh('a', 1000 + WIDTH - 1 - 14 * count)}"

    assert checker.overlap(with_pieces(9)) is None
    found = checker.overlap(with_pieces(10))
    assert found is not None and found.share == SHARE and found.longest == WIDTH


def test_texts_without_a_sequence_are_no_copies(checker: Checker) -> None:
    assert checker.overlap("") is None
    assert checker.overlap(words(0, WIDTH - 1)) is None
    assert checker.overlap(words(0, WIDTH)) is not None


def test_a_run_goes_on_over_the_pieces_of_a_long_text(
    checker: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{fresh('a', 20_000)} {words(100, STRETCH_WORDS)} {fresh('b', 20_000)}"
    whole = checker.overlap(text)
    assert whole is not None
    for size in (500, 777, 5000):
        monkeypatch.setattr(ngrams, "_CHUNK", size)
        assert checker.overlap(text) == whole


@given(marks=st.lists(st.booleans(), max_size=60), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_runs_are_those_of_the_whole(marks: list[bool], cuts: list[int]) -> None:
    run = _Run()
    ends = sorted({min(cut, len(marks)) for cut in cuts} | {0, len(marks)})
    for start, end in pairwise(ends):
        run.add(np.array(marks[start:end], np.bool_))
    longest = max(map(len, "".join("x" if m else " " for m in marks).split()), default=0)
    assert run.shared == sum(marks)
    assert run.words == (longest + WIDTH - 1 if longest else 0)


def test_of_several_sets_the_one_with_most_is_named(own: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(words(0, 60) + "\n")
    both = prepare(f"{own},{other}", tmp_path / "grams")
    found = both.overlap(EVALUATED)
    assert found is not None and found.set == "own.jsonl"
    assert [one["name"] for one in both.facts["sets"]] == ["own.jsonl", "other.txt"]
    assert both.facts["sets"][0]["grams"] == 4000 - WIDTH + 1
    assert json.loads(json.dumps(both.facts)) == both.facts


def test_sets_of_one_name_are_told_apart_and_one_set_is_taken_once(
    own: Path, tmp_path: Path
) -> None:
    copy, other = tmp_path / "a" / "own.jsonl", tmp_path / "b" / "own.jsonl"
    for path in (copy, other):
        path.parent.mkdir()
    shutil.copy(own, copy)
    other.write_text(json.dumps({"context": fresh("other", 200)}) + "\n")
    keys = prepare(f"{own},{copy},{other}", tmp_path / "grams").sets
    assert [key.name for key in keys] == ["own.jsonl", f"own.jsonl {keys[1].fingerprint[:8]}"]


def test_a_table_is_made_once(own: Path, tmp_path: Path) -> None:
    said: list[str] = []
    first = prepare(str(own), tmp_path, tell=said.append)
    assert prepare(str(own), tmp_path, tell=said.append) == first
    assert len(said) == 1


def _overlap_of(arguments: tuple[Checker, str]) -> Overlap | None:
    return arguments[0].overlap(arguments[1])


def test_another_process_decides_the_same(checker: Checker) -> None:
    assert checker.overlap(EVALUATED) is not None  # its tables are open
    sent = pickle.dumps(checker)
    assert len(sent) < 1000
    assert pickle.loads(sent) == checker
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(_overlap_of, [(checker, EVALUATED), (checker, fresh("a", 500))])
    assert found == [checker.overlap(EVALUATED), None]


def test_tables_that_are_gone_are_one_line(checker: Checker, tmp_path: Path) -> None:
    elsewhere = Checker(folder=tmp_path, sets=checker.sets)
    with pytest.raises(UserError, match=r"--decontaminate own\.jsonl, whose table is no longer"):
        elsewhere.overlap(EVALUATED)


@pytest.mark.parametrize("typed", ["", "pg19,,x", ",", "no-such-file.jsonl"])
def test_what_is_no_set_is_refused(typed: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"got --decontaminate .*allowed: pg19") as refusal:
        prepare(typed, tmp_path)
    assert "--against" not in str(refusal.value)


def test_a_set_without_thirteen_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("Too short to hold anything against it.\n")
    with pytest.raises(UserError, match="no text of 13 words or more"):
        prepare(str(tmp_path / "short.txt"), tmp_path / "grams")


def test_a_folder_that_cannot_be_written_is_one_line(own: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        prepare(str(own), tmp_path / "file" / "grams")


def test_a_set_that_was_never_fetched_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = Hub(repo="nobody/nothing", commit="0" * 40, files=("x.parquet",))
    monkeypatch.setitem(EVALUATION_SETS, "pg19", where)
    with pytest.raises(UserError, match="got --decontaminate pg19, which is not on this machine"):
        prepare("pg19", tmp_path, offline=True)


def test_commas_part_what_was_typed_unless_a_file_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b.txt").write_text("x")
    assert arguments_of("pg19, proof-pile,x.jsonl") == ("pg19", "proof-pile", "x.jsonl")
    assert arguments_of("a,b.txt") == ("a,b.txt",)
    assert arguments_of("proof-pile") == ("proof-pile",)
