"""The offline rules give what was published for recorded replies; each step does its part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longeval.topic_scoring import (
    first_answer,
    lists_topics,
    nearest,
    normalise,
    recorded,
    similarity,
    strict,
)

SIZES = (5, 10, 15, 20, 25)
PUBLISHED = {  # LongLoRA, table 5
    "chatglm2-6b": (0.88, 0.46, 0.02, 0.02, 0.02),
    "longchat-13b-16k": (1.0, 1.0, 1.0, 0.98, 0.90),
}


def shares(folder: Path, model: str) -> tuple[list[float], list[float]]:
    by_nearest, by_strict = [], []
    for size in SIZES:
        lines = (folder / f"testcases/{size}_topics.jsonl").read_text().split("\n")
        topics = [json.loads(line)["topics"] for line in lines if line]
        replies = list(recorded(folder / f"predictions/{model}/{size}_response.txt"))
        assert len(replies) == 50
        by_nearest.append(
            sum(
                nearest(reply, label=label, topics=of)
                for (label, reply), of in zip(replies, topics, strict=True)
            )
            / 50
        )
        by_strict.append(sum(strict(reply, label=label) for label, reply in replies) / 50)
    return by_nearest, by_strict


@pytest.mark.parametrize("model", list(PUBLISHED))
def test_recorded_replies_score_as_published(shared_data: Path, model: str) -> None:
    found, found_strictly = shares(shared_data / "longchat/topics", model)
    for mine, mine_strictly, published in zip(found, found_strictly, PUBLISHED[model], strict=True):
        assert abs(mine - published) < 0.0201
        assert abs(mine_strictly - published) < 0.0201
    assert sum(a != pytest.approx(b) for a, b in zip(found, PUBLISHED[model], strict=True)) <= 1


@pytest.mark.parametrize(
    ("reply", "first"),
    [
        ("The first topic was tea.", "The first topic was tea."),
        ("['Tea and cake']", "Tea and cake"),
        ("['1. Tea\\n2. Cake']", "Tea"),
        ("  ASSISTANT: : Tea\n\nUSER: more?", "Tea"),
        ("assistant assistant - Tea USER: what", "Tea "),
        ("1) Tea\n 2) Cake", "Tea"),
        ("Tea\n ### next", "Tea"),
        ("Tea, the user's drink", "Tea, the user's drink"),
        ("Assistants are a topic", "Assistants are a topic"),
    ],
)
def test_the_first_answer_ends_before_a_second(reply: str, first: str) -> None:
    assert first_answer(reply) == first


def test_the_nearest_topic_of_the_conversation_decides() -> None:
    topics = ["The future of renewable energy storage", "The future of renewable energy technology"]
    reply = "We talked about the future of renewable energy technologies."
    assert not nearest(reply, label=topics[0], topics=topics)
    assert nearest(reply, label=topics[1], topics=topics)
    assert nearest(reply, label=topics[0], topics=topics[:1])  # nothing else is nearer


def test_what_is_only_rather_like_the_label_is_wrong() -> None:
    label = "The future of space tourism"
    assert similarity(label, normalise("the future of paper mills")) == pytest.approx(14 / 19)
    assert not nearest("the future of paper mills", label=label, topics=[label])
    assert nearest("the future of face tourists", label=label, topics=[label])


def test_words_that_are_split_or_joined_are_found() -> None:
    assert similarity("greenhouse gases", "we spoke of green house gases today") > 0.95
    assert similarity("green house gases", "of greenhouse gases") > 0.95


def test_a_tie_for_the_nearest_is_right_and_a_reply_unlike_any_is_wrong() -> None:
    assert nearest("tea", label="Tea", topics=["Tea", "The tea"])
    assert not nearest("I do not remember.", label="Space tourism", topics=["Space tourism"])
    assert not nearest("", label="Space tourism", topics=["Space tourism"])


def test_words_of_the_same_meaning_are_the_same_to_the_strict_rule() -> None:
    label = "The impact of social media on adults"
    assert strict("the effects of social media on adult people", label=label)
    assert not strict("the effects of social media", label=label)
    assert not strict("anything", label="the of and")


def test_lists_are_flagged_from_two_items_on() -> None:
    assert lists_topics("['1. Tea\\n2. Cake']")
    assert lists_topics("* Tea\n* Cake")
    assert not lists_topics("1. Tea")
    assert not lists_topics("Tea 1. Cake 2. Milk")


def test_the_ratio_takes_the_topic_first() -> None:
    # the Gestalt ratio is not symmetric: these two differ by the order of the sequences
    assert similarity("tide", normalise("diet")) == pytest.approx(0.25)
    assert similarity("diet", normalise("tide")) == pytest.approx(0.5)


@given(st.text(max_size=80), st.text(min_size=1, max_size=30))
def test_any_reply_gets_a_verdict(reply: str, label: str) -> None:
    assert nearest(reply, label=label, topics=[label]) in (True, False)
    assert strict(reply, label=label) in (True, False)
    assert 0 <= similarity(label, normalise(reply)) <= 1
    assert normalise(normalise(reply)) == normalise(reply)


def test_a_reply_of_line_feeds_takes_no_time() -> None:
    assert not nearest("\n" * 100_000, label="Tea", topics=["Tea"])
    assert not lists_topics(" \n" * 50_000)


def test_a_line_that_is_no_record_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "5_response.txt"
    path.write_text("Label: Tea, and cake, Predict: ['Tea, Predict: x'], prompt length: -1  \n\n")
    assert list(recorded(path)) == [("Tea, and cake", "['Tea, Predict: x']")]
    path.write_text("Label: Tea, Predict: Tea\n")
    with pytest.raises(UserError, match="line 1 is no recorded reply"):
        list(recorded(path))
