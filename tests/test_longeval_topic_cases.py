"""LongChat's cases are read as they are, and made cases have their form and any length."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from longdata.errors import UserError
from longeval.topic_cases import (
    Conversation,
    TopicCase,
    made,
    ordinal,
    place,
    read_cases,
    read_conversations,
)

POOL = [
    Conversation(
        topic=f"The art of number {n}",
        text=f"USER: I would like to discuss the topic of the art of number {n}. \n ASSISTANT: "
        + "Gladly. " * n,
    )
    for n in range(1, 9)
]


def words(text: str) -> int:
    return len(text.split()) + 10


def test_longchats_own_cases_are_unchanged_and_ask_for_the_first(shared_data: Path) -> None:
    cases = read_cases(str(shared_data / "longchat"), [5, 25])
    assert len(cases) == 100 and len({case.id for case in cases}) == 100
    lines = (shared_data / "longchat/topics/testcases/25_topics.jsonl").read_text().split("\n")
    row = json.loads(lines[0])
    assert (cases[50].prompt, cases[50].label) == (row["prompt"], row["topics"][0])
    assert cases[50].depth == 0 and len(cases[50].topics) == 25


def test_another_topic_is_asked_for_in_header_and_question(shared_data: Path) -> None:
    source = str(shared_data / "longchat")
    (own, third) = (read_cases(source, [15], asked=asked)[0] for asked in ("first", "3"))
    assert third.label == own.topics[2] and third.depth == pytest.approx(2 / 14)
    assert third.prompt.count("third topic") == 2 and "What is the third topic we" in third.prompt
    assert third.prompt.replace("third topic", "first topic") == own.prompt
    assert third.id != own.id


def test_made_cases_have_longchats_form_to_the_letter(shared_data: Path) -> None:
    source = str(shared_data / "longchat")
    pool = read_conversations(source)
    text = {one.topic: one.text for one in pool}
    own = read_cases(source, [5])[0]
    case = made(pool, num_topics=5, asked="first", count=1, seed=0)[0]
    mine = case.prompt.replace("".join(text[t] for t in case.topics), "…")
    theirs = own.prompt.replace("".join(text[t] for t in own.topics), "…")
    assert mine == theirs and len(mine) < 600


def test_the_place_of_the_topic_is_the_only_difference() -> None:
    first, last = (
        made(POOL, num_topics=6, asked=asked, count=3, seed=4) for asked in ("first", "last")
    )
    for one, other in zip(first, last, strict=True):
        assert one.label == other.label == one.topics[0] == other.topics[-1]
        assert one.topics[1:] == other.topics[:-1]
        assert (one.depth, other.depth) == (0, 1)


def test_chance_comes_from_the_seed_alone() -> None:
    def ids(seed: int) -> list[str]:
        return [c.id for c in made(POOL, num_topics=5, asked="2", count=20, seed=seed)]

    assert ids(0) == ids(0) and len(set(ids(0))) == 20
    assert not set(ids(0)) & set(ids(1))


def test_no_case_is_made_twice_while_there_are_others() -> None:
    cases = made(POOL[:3], num_topics=2, asked="first", count=6, seed=0)
    assert len({case.id for case in cases}) == 6  # all there are
    assert len(made(POOL[:3], num_topics=2, asked="first", count=9, seed=0)) == 6


def test_topics_are_different_while_the_pool_lasts_and_the_asked_one_always() -> None:
    (case,) = made(POOL, num_topics=8, asked="middle", count=1, seed=0)
    assert len(set(case.topics)) == 8 and "8 different topics" in case.prompt
    (case,) = made(POOL, num_topics=40, asked="33", count=1, seed=0)
    assert case.topics.count(case.label) == 1 and case.topics[32] == case.label
    assert "conversation on 40 topics" in case.prompt and "33rd topic" in case.prompt
    others = [topic for topic in case.topics if topic != case.label]
    assert all(a != b for a, b in pairwise(others))


@pytest.mark.parametrize("ctx", [150, 300, 1000])
def test_cases_fill_a_context_and_do_not_exceed_it(ctx: int) -> None:
    cases = made(POOL, ctx=ctx, asked="last", count=5, seed=1, tokens=words)
    longest = max(words(one.text) for one in POOL)
    for case in cases:
        assert ctx - 2 * longest < words(case.prompt) <= ctx


def test_a_context_without_room_is_refused() -> None:
    with pytest.raises(UserError, match="does not hold 2 conversations"):
        made(POOL, ctx=40, asked="first", count=1, seed=0, tokens=words)


def test_places_and_ordinals() -> None:
    assert [place(asked, 6) for asked in ("first", "middle", "last", "4")] == [1, 3, 6, 4]
    for asked in ("0", "7", "-1", "second", "²"):
        with pytest.raises(UserError, match="allowed: 1 to 6, first, middle, last"):
            place(asked, 6)
    numbers = (1, 12, 20, 21, 22, 23, 24, 111, 101)
    assert [ordinal(n) for n in numbers] == (
        ["first", "twelfth", "twentieth", "21st", "22nd", "23rd", "24th", "111th", "101st"]
    )


def test_files_that_are_not_longchats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no 5_topics\.jsonl"):
        read_cases(str(tmp_path), [5])
    with pytest.raises(UserError, match="7 topics; allowed: LongChat has cases of 5, 10, 15"):
        read_cases("longchat", [7])
    path = tmp_path / "5_topics.jsonl"
    path.write_text('{"prompt": "x", "topics": ["a"]}\n{"prompt": "x"\n')
    with pytest.raises(UserError, match="line 2 is no object with prompt, topics"):
        read_cases(str(tmp_path), [5])
    path.write_text('{"prompt": "What is the topic?", "topics": ["a", "b"]}\n')
    assert [case.label for case in read_cases(str(tmp_path), [5])] == ["a"]
    with pytest.raises(UserError, match="not in LongChat's form"):
        read_cases(str(tmp_path), [5], asked="2")
    path.write_text("\n")
    with pytest.raises(UserError, match="has no case"):
        read_cases(str(tmp_path), [5])
    (tmp_path / "conversations.jsonl").write_text('{"topic": "a", "conversation": "b"}\n')
    with pytest.raises(UserError, match="1 conversations"):
        read_conversations(str(tmp_path))


def test_depth_of_a_single_topic_is_the_beginning() -> None:
    assert TopicCase(id="a", prompt="", label="a", topics=("a",), asked=1).depth == 0
