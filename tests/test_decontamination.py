"""The rule by which contexts and questions are removed, and the account of it."""

from __future__ import annotations

import json
import multiprocessing
import re
from pathlib import Path

import pytest

from longdata.errors import UserError
from longdata.evaluation_sets import EVALUATION_SETS, Hub
from longqa import decontamination
from longqa.decontamination import (
    CONTEXT_OVERLAPS,
    CONTEXT_SHARE,
    QUESTION_OVERLAPS,
    STRETCH_WORDS,
    Against,
    Check,
    Mode,
    arguments_of,
    load_index,
    prepare,
    report,
)

EVALUATED = " ".join(f"evaluated{n}" for n in range(400))


def words(text: str, start: int, end: int) -> str:
    return " ".join(text.split()[start:end])


def fresh(name: str, count: int) -> str:
    return " ".join(f"{name}{n}" for n in range(count))


@pytest.fixture
def against(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Against:
    """An own test set of one long text, indexed in a cache of this test."""
    monkeypatch.setenv("LONGQA_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"id": 1, "context": EVALUATED}) + "\n")
    said: list[str] = []
    found = prepare([str(path)], tell=said.append)
    assert said == ["own.jsonl: indexing what stands in it, once"]
    return found


def check(against: Against, text: str, mode: Mode = "remove") -> Check:
    return Check(load_index(against), text, mode)


def test_a_copied_page_removes_its_context_and_no_other(against: Against) -> None:
    page = words(EVALUATED, 0, 300)
    text = f"{fresh('a', 9000)} {page} {fresh('b', 9000)}"
    at = text.index(page)
    found = check(against, text)
    assert found.context(at - 10_000, at + 10_000) == CONTEXT_OVERLAPS
    assert found.context(0, at) is None
    assert found.context(0, len(text)) == CONTEXT_OVERLAPS


def test_a_quotation_removes_nothing(against: Against) -> None:
    text = f"{fresh('a', 3000)} {words(EVALUATED, 10, 10 + STRETCH_WORDS - 1)} {fresh('b', 3000)}"
    assert check(against, text).context(0, len(text)) is None


def test_fifty_words_in_a_row_are_no_quotation(against: Against) -> None:
    text = f"{fresh('a', 9000)} {words(EVALUATED, 10, 10 + STRETCH_WORDS)} {fresh('b', 9000)}"
    assert check(against, text).context(0, len(text)) == CONTEXT_OVERLAPS


def test_many_short_pieces_are_a_copy_with_errors(against: Against) -> None:
    def with_errors(pieces: int) -> str:
        noisy = [f"{words(EVALUATED, 20 * n, 20 * n + 19)} err{n}" for n in range(pieces)]
        return " ".join([*noisy, fresh("a", 2012 - 20 * pieces)])

    text = with_errors(3)  # 3 × 7 sequences of 2,000
    assert check(against, text).document.of().share == pytest.approx(21 / 2000)
    assert check(against, text).context(0, len(text)) == CONTEXT_OVERLAPS
    assert CONTEXT_SHARE > 14 / 2000
    assert check(against, with_errors(2)).context(0, len(text)) is None


def test_one_sequence_is_enough_for_a_question_or_an_answer(against: Against) -> None:
    found = check(against, fresh("a", 50))
    thirteen, twelve = words(EVALUATED, 7, 20), words(EVALUATED, 7, 19)
    assert found.question(f"Who said that {thirteen}?", "Emma") == QUESTION_OVERLAPS
    assert found.question("What did Emma say?", f"“{thirteen.title()}.”") == QUESTION_OVERLAPS
    assert found.question(f"Who said that {twelve}?", f"{twelve}, Emma did.") is None
    assert found.tally()["questions"] == {
        "checked": 3,
        "removed": 2,
        "reported": 0,
        "by_set": {"own.jsonl": 2},
    }


def test_the_mode_report_counts_and_keeps(against: Against) -> None:
    found = check(against, EVALUATED, "report")
    assert found.context(0, len(EVALUATED)) is None
    assert found.question(EVALUATED, "Yes") is None
    hits = {"checked": 1, "removed": 0, "reported": 1, "by_set": {"own.jsonl": 1}}
    assert found.tally()["contexts"] == found.tally()["questions"] == hits


def test_the_report_adds_up_and_names_the_worst_first(against: Against) -> None:
    half = f"{words(EVALUATED, 0, 200)} {fresh('a', 200)}"
    tallies = []
    for title, text in (("None", fresh("c", 99)), ("Half", half), ("All", EVALUATED)):
        found = check(against, text)
        found.context(0, len(text))
        found.question(title, "?")
        tallies.append((title, json.loads(json.dumps(found.tally()))))
    facts = report(against, tallies)
    assert facts["contexts"] == {
        "checked": 3,
        "removed": 2,
        "reported": 0,
        "by_set": {"own.jsonl": 2},
    }
    assert facts["questions"]["checked"] == 3 and facts["questions"]["removed"] == 0
    assert [entry["title"] for entry in facts["worst"]] == ["All", "Half"]
    assert facts["worst"][0]["share"] == 1.0 and facts["worst"][0]["longest"] == 400
    assert facts["worst"][1]["by_set"] == {"own.jsonl": 188}
    (own,) = facts["sets"]
    assert (own["name"], own["texts"], own["grams"], own["skipped"]) == ("own.jsonl", 1, 388, [])
    assert own["revision"].startswith("sha256:")
    assert (facts["width"], facts["context_share"], facts["stretch_words"]) == (13, 0.01, 50)
    assert "/" not in json.dumps(facts)  # no folder of this machine


def test_a_build_without_documents_still_says_what_it_was_compared_with(against: Against) -> None:
    facts = report(against, [])
    assert facts["sets"] and facts["worst"] == []
    assert facts["contexts"] == {"checked": 0, "removed": 0, "reported": 0, "by_set": {}}


def test_a_set_is_indexed_once_and_again_when_it_changes(tmp_path: Path) -> None:
    path, cache = tmp_path / "own.txt", tmp_path / "cache"
    said: list[str] = []
    path.write_text(EVALUATED)
    first = prepare([str(path)], cache_dir=cache, tell=said.append)
    assert prepare([str(path)], cache_dir=cache, tell=said.append) == first
    assert len(said) == 1
    path.write_text(EVALUATED + " more")
    assert prepare([str(path)], cache_dir=cache, tell=said.append) != first
    assert len(said) == 2


def test_files_of_one_name_stay_two_and_the_same_file_counts_once(tmp_path: Path) -> None:
    for folder, text in (("a", EVALUATED), ("b", fresh("b", 99)), ("c", EVALUATED)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "test.txt").write_text(text)
    paths = [str(tmp_path / folder / "test.txt") for folder in "abc"]
    found = prepare(paths, cache_dir=tmp_path / "cache", tell=lambda line: None)
    assert [key.name for key in found.sets] == [
        "test.txt",
        f"test.txt {found.sets[1].fingerprint[:8]}",
    ]
    assert len(load_index(found, tmp_path / "cache").tables) == 2


def test_a_set_of_nothing_but_short_texts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"text": "a short one"}\n{"text": broken\n')
    with pytest.raises(
        UserError, match=r"holds no text of 13 words or more \(own.jsonl:2: bad row"
    ):
        prepare([str(path)], cache_dir=tmp_path / "cache", tell=lambda line: None)


def test_what_cannot_be_read_of_a_set_is_in_the_report(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"text": EVALUATED}) + "\nno JSON\n" * 60)
    cache = tmp_path / "cache"
    facts = report(prepare([str(path)], cache_dir=cache, tell=lambda line: None), [], cache)
    skipped = facts["sets"][0]["skipped"]
    assert skipped[0] == "own.jsonl:2: bad row" and skipped[-1] == "and 10 more"


def test_a_cache_that_went_away_is_said(against: Against, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no longer in the cache"):
        load_index(against, tmp_path / "other")


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text(EVALUATED)
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        prepare([str(tmp_path / "own.txt")], cache_dir=tmp_path / "cache")


def test_the_argument_is_a_list_of_names_and_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b.txt").write_text(EVALUATED)
    assert arguments_of("pg19") == ("pg19",)
    assert arguments_of("pg19, proof-pile,own.jsonl") == ("pg19", "proof-pile", "own.jsonl")
    assert arguments_of("a,b.txt") == ("a,b.txt",)
    for typed in ("", "pg19,", " , "):
        with pytest.raises(UserError, match="--against"):
            arguments_of(typed)
    with pytest.raises(UserError, match="allowed: pg19, proof-pile, longbench, longchat"):
        prepare(["pg20"])


def _share(against: Against, cache: Path) -> float:
    return load_index(against, cache).overlap(EVALUATED).share


@pytest.mark.soak
def test_several_processes_look_up_in_one_table(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text(EVALUATED)
    cache = tmp_path / "cache"
    found = prepare([str(tmp_path / "own.txt")], cache_dir=cache, tell=lambda line: None)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.starmap(_share, [(found, cache)] * 4) == [1.0] * 4


def test_a_book_is_found_in_another_edition_and_not_in_other_books(
    shared_data: Path, tmp_path: Path
) -> None:
    raw = shared_data / "books" / "raw"
    epub = shared_data / "books" / "epub" / "se_h-g-wells_the-invisible-man.epub"
    found = prepare([str(epub)], cache_dir=tmp_path, tell=lambda line: None)
    for name, is_copy in (("5230_the-invisible-man.txt", True), ("1260_jane-eyre.txt", False)):
        text = (raw / name).read_text("utf-8")[20_000:260_000]
        text = re.sub(r"(?<=\S)\n(?=\S)", " ", text)
        reason = Check(load_index(found, tmp_path), text, "remove").context(0, len(text))
        assert reason == (CONTEXT_OVERLAPS if is_copy else None)


def test_the_rule_is_what_the_documentation_says() -> None:
    page = Path(__file__).parents[1] / "docs" / "decontamination.md"
    said = page.read_text("utf-8")
    assert f"at least {decontamination.CONTEXT_SHARE:.0%}" in said.replace(" %", "%")
    assert f"{decontamination.STRETCH_WORDS} words" in said
    table = said.split("## What it is compared with", 1)[1].split("\n##", 1)[0]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(EVALUATION_SETS)
    for where in EVALUATION_SETS.values():
        assert not isinstance(where, Hub) or f"`{where.repo}`" in table
