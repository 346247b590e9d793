"""longqa.short: how many short rows, which ones, and the account of all that were read."""

from __future__ import annotations

import json
import random
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longdata.prompt_template import CHAT_MARKUP_TOKENS, prompt_of, short_prompt
from longdata.tokenizers import Tokenizer
from longqa.dataset import SCHEMA, read_rows, write_split
from longqa.short import Mixed, load_short, mix, num_short

TOKENIZER = Tokenizer.load()


def rows(count: int, first: int = 0) -> list[dict[str, str]]:
    return [
        {"instruction": f"Say {n} twice.", "input": "", "output": f"{n}, {n}."}
        for n in range(first, first + count)
    ]


def mixed(path: Path, found: list[Any], *, long: int = 74, **changes: Any) -> Mixed:
    path.write_text("\n".join(map(json.dumps, found)), encoding="utf-8")
    arguments: dict[str, Any] = {"share": 0.26, "seed": 0, "ctx": 512, **changes}
    share = arguments.pop("share")
    return mix(long, share, load_short(path), tokenizer=TOKENIZER, **arguments)


def questions(found: Mixed) -> list[str]:
    return [row["question"] for row in found.rows]


@given(long=st.integers(0, 10**6), share=st.floats(0.001, 0.999).map(lambda x: round(x, 3)))
def test_the_number_of_short_rows_is_the_nearest_integer(long: int, share: float) -> None:
    exact = Fraction(str(share)) * long / (1 - Fraction(str(share)))
    number = num_short(long, share)
    assert abs(number - exact) <= Fraction(1, 2)
    assert number - exact > -Fraction(1, 2)  # half of one is rounded upwards


def test_longalpacas_mix_is_three_thousand_to_nine_thousand() -> None:
    assert num_short(9_000, 0.25) == 3_000
    assert num_short(74, 0.26) == 26
    assert num_short(1, 1 / 3) == 0  # 0.3333333333333333 is less than a third
    assert num_short(1, 0.5) == 1


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan"), float("inf")])
def test_a_share_that_is_none_is_one_line(share: float) -> None:
    with pytest.raises(UserError, match="fix: --short-share"):
        num_short(10, share)


def test_a_short_row_is_a_row_of_the_schema_and_marked_as_short(tmp_path: Path) -> None:
    found = mixed(tmp_path / "a.jsonl", rows(200))
    assert len(found.rows) == 26
    row = found.rows[0]
    assert list(row) == SCHEMA.names
    number = row["question"].split()[1]
    file = load_short(tmp_path / "a.jsonl")
    expected = {
        "answer": f"{number}, {number}.",
        "context": "",
        "ctx": 512,
        "context_tokens": 0,
        "question_kind": "short",
        "material_kind": "short",
        "is_whole": False,
        "evidence": [],
        "generator": {"backend": "mixed in", "model": None, "prompt_sha": ""},
        "checks": {},
    }
    assert {name: row[name] for name in expected} == expected
    (source,) = row["sources"]
    assert (source["title"], source["sha256"], source["license"]) == ("a.jsonl", file.sha256, None)
    write_split(found.rows, tmp_path / "qa", "train")
    assert [read["question"] for read in read_rows(tmp_path / "qa")] == questions(found)
    assert len({row["id"] for row in found.rows}) == 26


def test_row_tokens_are_those_of_the_whole_training_row(tmp_path: Path) -> None:
    for row in mixed(tmp_path / "a.jsonl", rows(40)).rows:
        assert prompt_of(row) == short_prompt(row["question"]) == f"{row['question']}\nAnswer:"
        text = f"{row['question']}\nAnswer: {row['answer']}"
        assert row["row_tokens"] == 1 + TOKENIZER.count(text) + 1
        assert row["row_tokens"] + CHAT_MARKUP_TOKENS <= row["ctx"]


def test_the_choice_does_not_depend_on_the_order_in_the_file(tmp_path: Path) -> None:
    given = [*rows(900), *rows(50), {"instruction": "Say 3 twice.", "output": "Never."}]
    first = mixed(tmp_path / "a.jsonl", given, long=300)
    for seed in range(3):
        random.Random(seed).shuffle(given)
        again = mixed(tmp_path / "a.jsonl", given, long=300)
        assert [{**row, "sources": []} for row in again.rows] == [
            {**row, "sources": []} for row in first.rows
        ]
        assert again.facts["skipped"] == first.facts["skipped"] == {"duplicate": 51}


def test_a_file_that_grows_keeps_most_of_its_choice(tmp_path: Path) -> None:
    few = mixed(tmp_path / "a.jsonl", rows(1_000), long=300)
    more = mixed(tmp_path / "a.jsonl", rows(1_100), long=300)
    new = {f"Say {n} twice." for n in range(1_000, 1_100)}
    assert set(questions(more)) - new <= set(questions(few))
    assert len(set(questions(few)) & set(questions(more))) > 80  # of 105


def test_another_seed_chooses_others_and_every_row_has_its_chance(tmp_path: Path) -> None:
    times: Counter[str] = Counter()
    for seed in range(40):
        times.update(questions(mixed(tmp_path / "a.jsonl", rows(60), long=43, seed=seed)))
    assert len(times) == 60 and max(times.values()) < 30  # 10 of 40 are expected of each


def test_the_rows_that_are_taken_are_the_first_of_all_ranks(tmp_path: Path) -> None:
    """What is forgotten on the way was not among the first: all files and one agree."""
    whole = questions(mixed(tmp_path / "a.jsonl", rows(3_000), long=9_000_000))
    assert len(whole) == 3_000
    for long in (0, 3, 300):
        number = num_short(long, 0.26)
        assert questions(mixed(tmp_path / "a.jsonl", rows(3_000), long=long)) == whole[:number]


def test_where_too_few_are_there_all_are_taken_and_the_rest_is_said(tmp_path: Path) -> None:
    facts = mixed(tmp_path / "a.jsonl", rows(10)).facts
    assert (facts["asked"], facts["mixed"], facts["missing"]) == (26, 10, 16)
    assert facts["reached"] == round(10 / 84, 4) and facts["share"] == 0.26


def test_every_row_that_was_read_is_in_the_account(tmp_path: Path) -> None:
    found: list[Any] = [
        *rows(60),
        *rows(4),
        {"instruction": "Go on.", "output": "word " * 600},
        {"instruction": "Go on and on.", "output": "x" * 10_000},
        {"instruction": "", "output": "b"},
        [],
    ]
    facts = mixed(tmp_path / "a.jsonl", found).facts
    assert facts["skipped"] == {
        "duplicate": 4,
        "no instruction": 1,
        "not an object": 1,
        "over the token budget": 2,
    }
    assert facts["read"] == len(found) == facts["usable"] + sum(facts["skipped"].values())
    assert facts["asked"] == facts["mixed"] + facts["missing"] == 26
    assert facts["reached"] == 0.26
    assert (facts["file"], facts["license"]) == ("a.jsonl", None)


def test_a_row_of_exactly_the_budget_is_kept_and_one_token_more_is_not(tmp_path: Path) -> None:
    row = {"instruction": "Count.", "output": "one two three four five six " * 5}
    tokens = 2 + TOKENIZER.count(f"{short_prompt(row['instruction'])} {row['output'].strip()}")
    fits = tokens + CHAT_MARKUP_TOKENS
    assert mixed(tmp_path / "a.jsonl", [row, *rows(1)], ctx=fits).facts["usable"] == 2
    skipped = mixed(tmp_path / "a.jsonl", [row, *rows(1)], ctx=fits - 1).facts["skipped"]
    assert skipped == {"over the token budget": 1}


@pytest.mark.parametrize("found", [[], [{"instruction": "a", "output": ""}]])
def test_a_file_without_a_usable_row_is_one_line(tmp_path: Path, found: list[Any]) -> None:
    with pytest.raises(UserError, match="no row can be used"):
        mixed(tmp_path / "a.jsonl", found)
