"""Topics, lines and passkeys from cases to results: who answers right gets the number due."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_backend import Scripted

from longdata.errors import UserError
from longeval.comparing import compare_runs
from longeval.lines import LineOrder
from longeval.lines import measure as measure_lines
from longeval.passkey import PasskeyOrder
from longeval.passkey import measure as measure_passkey
from longeval.results import load
from longeval.stats import wilson
from longeval.topics import TopicOrder
from longeval.topics import measure as measure_topics

NAMES = ("tea ceremonies", "river ferries", "paper kites", "salt marshes", "old clocks", "bees")


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    path = tmp_path / "conversations.jsonl"
    rows = [
        {"topic": f"The art of {name}", "conversation": f"USER: Now {name}. " + "Yes. " * 20}
        for name in NAMES
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def topic_reader(*, misses: str = "") -> Callable[[str], str]:
    """Knows which topic is asked for; of the records that begin with `misses` it names another."""

    def read(prompt: str) -> str:
        order = re.findall(r"USER: Now (.*?)\. ", prompt)
        asked = re.findall(r"What is the (\w+) topic", prompt)[0]
        place = ["first", "second", "third", "fourth", "fifth"].index(asked)
        wrong = misses and order[0] == misses
        return f"The topic was the art of {order[place - 1 if wrong else place]}."

    return read


def named(run: dict[str, Any], **about: Any) -> dict[str, Any]:
    (number,) = (
        number for number in run["numbers"] if all(number.get(k) == v for k, v in about.items())
    )
    return number


def test_topics_are_scored_by_length_and_place(pool: Path, tmp_path: Path) -> None:
    order = TopicOrder(cases=str(pool), sizes=(3, 5), make=True, asked=("first", "last"), count=20)
    run = measure_topics(order, Scripted(topic_reader(misses="bees")), tmp_path / "out")
    frames = load(tmp_path / "out")
    for asked in ("first", "last"):
        for size in (3, 5):
            number = named(run, name="accuracy", rule="nearest", num_topics=size, asked=asked)
            of = frames.samples.query("asked == @asked and num_topics == @size")
            assert number["n"] == 20 == len(of)
            assert number["value"] == of["right"].mean()
            assert number["interval"] == list(wilson(int(of["right"].sum()), 20))
    first = frames.samples[frames.samples["asked"] == "first"]
    assert not first[first["label"] == "The art of bees"]["right"].any()
    assert first[first["label"] != "The art of bees"]["right"].all()
    assert run["kind"] == "topics" and "nearest" in run["protocol"]["rules"]
    assert run["protocol"]["example"].startswith("Below is a record")


def test_first_and_one_are_the_same_question(pool: Path, tmp_path: Path) -> None:
    order = TopicOrder(cases=str(pool), sizes=(3,), make=True, asked=("first", "1"), count=5)
    assert measure_topics(order, Scripted(topic_reader()), tmp_path / "out")["data"]["cases"] == 5


def test_a_context_is_filled_and_stands_in_the_numbers(pool: Path, tmp_path: Path) -> None:
    order = TopicOrder(cases=str(pool), contexts=(250, 400), count=4)
    run = measure_topics(order, Scripted(topic_reader(), ctx=399), tmp_path / "out")
    number = named(run, name="accuracy", rule="nearest", ctx=250)
    assert 150 < number["prompt_tokens"] <= 200 and number["value"] == 1
    kept = [n for n in run["numbers"] if n["ctx"] == 400]
    assert run["skipped"].get("longer than the context", 0) == 4 - (kept[0]["n"] if kept else 0)


def test_a_judge_is_reported_beside_the_rules(pool: Path, tmp_path: Path) -> None:
    order = TopicOrder(cases=str(pool), sizes=(3,), make=True, count=6)
    said = iter(["Yes.", "no", "**Yes**", "perhaps", "No, it does not", "yes"] * 2)
    judge = Scripted(lambda text: next(said), name="judge")
    run = measure_topics(order, Scripted(topic_reader()), tmp_path / "out", judge=judge)
    assert named(run, rule="nearest")["value"] == 1
    assert named(run, rule="judge")["n"] in (4, 5, 6)  # "perhaps" is no verdict
    assert run["protocol"]["judge"]["name"] == "judge" and judge.asked <= 6
    asked_before = judge.asked
    measure_topics(order, Scripted(topic_reader()), tmp_path / "out", judge=judge)
    assert judge.asked == asked_before


def line_reader(prompt: str) -> str:
    asked = re.findall(r"in line (\S+)\?", prompt)[0]
    return re.findall(rf"line {asked}: REGISTER_CONTENT is <(\d+)>", prompt)[0]


def test_lines_are_scored_by_length_and_depth(tmp_path: Path) -> None:
    order = LineOrder(sizes=(20, 40), make=True, count=10, questions=5)
    run = measure_lines(order, Scripted(line_reader), tmp_path / "out")
    assert named(run, num_lines=20)["value"] == named(run, num_lines=40)["value"] == 1
    depths = [n for n in run["numbers"] if n.get("is_detail")]
    assert [round(n["depth"], 1) for n in depths] == [0.1, 0.3, 0.5, 0.7, 0.9]
    assert sum(n["n"] for n in depths) == 20
    filled = LineOrder(contexts=(600,), count=4)
    run = measure_lines(filled, Scripted(line_reader), tmp_path / "filled")
    assert 500 < named(run, ctx=600)["prompt_tokens"] <= 550
    with pytest.raises(UserError, match="--questions 0"):
        LineOrder(questions=0)


def test_contexts_that_hold_the_same_lines_are_both_reported(tmp_path: Path) -> None:
    order = LineOrder(contexts=(600, 601, 602), count=4)
    for name in ("one", "two"):
        backend = Scripted(line_reader, name=name)
        run = measure_lines(order, backend, tmp_path / name)
        assert [n["n"] for n in run["numbers"] if not n.get("is_detail")] == [4, 4, 4]
        assert backend.asked < 12
    assert compare_runs(tmp_path / "one", tmp_path / "two").rows[-1].n == 12


def shallow(prompt: str) -> str:
    """Finds keys in the first half only."""
    at = prompt.index("The pass key is ")
    found = re.findall(r"The pass key is (\d+)", prompt)[0]
    return f" {found}." if at < len(prompt) / 2 else " 12"


def test_passkeys_make_a_grid_and_a_picture(tmp_path: Path) -> None:
    order = PasskeyOrder(format="longlora", contexts=(200, 400), depths=(0.0, 0.5, 1.0), keys=4)
    run = measure_passkey(order, Scripted(shallow), tmp_path / "out")
    for ctx in (200, 400):
        cells = {
            n["depth"]: n["value"] for n in run["numbers"] if n["ctx"] == ctx and n.get("is_detail")
        }
        assert cells[0.0] == 1 and cells[1.0] == 0 and set(cells) == {0.0, 0.5, 1.0}
        assert named(run, name="first_number", ctx=ctx)["n"] == 12
    picture = (tmp_path / "out/passkey.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert "the server does not show" in run["protocol"]["in_words"]
    measure_passkey(order, Scripted(shallow), tmp_path / "again")
    assert (tmp_path / "again/passkey.png").read_bytes() == picture


def test_keys_are_compared_by_their_tokens_where_there_are_any(tmp_path: Path) -> None:
    backend = Scripted(shallow)
    backend.answer_ids = lambda text: [int(digit) for digit in text]  # type: ignore[method-assign]
    order = PasskeyOrder(contexts=(200,), depths=(0.0,), keys=3)
    run = measure_passkey(order, backend, tmp_path / "out")
    assert named(run, name="accuracy", ctx=200, depth=None)["value"] == 0  # replies without tokens
    assert named(run, name="first_number", ctx=200)["value"] == 1


def test_a_paper_is_followed_without_a_grid(tmp_path: Path) -> None:
    order = PasskeyOrder(format="landmark", contexts=(0, 500), as_published=True, keys=6)
    run = measure_passkey(order, Scripted(shallow), tmp_path / "out")
    assert [n["n"] for n in run["numbers"]] == [6] * 4
    assert run["protocol"]["ctx_means"] == "characters of filler"
    assert not (tmp_path / "out/passkey.png").exists()


def test_two_models_are_compared_case_by_case(pool: Path, tmp_path: Path) -> None:
    order = TopicOrder(cases=str(pool), sizes=(3, 5), make=True, count=20)
    one = measure_topics(order, Scripted(topic_reader(), name="one"), tmp_path / "one")
    measure_topics(order, Scripted(topic_reader(misses="bees"), name="two"), tmp_path / "two")
    found = compare_runs(tmp_path / "one", tmp_path / "two")
    *groups, whole = found.rows
    assert [row.n for row in found.rows] == [20, 20, 40] and whole.group == "all"
    assert whole.only_second == 0 and whole.only_first is not None and whole.only_first > 0
    assert whole.p == pytest.approx(2 / 2**whole.only_first)
    assert all(row.adjusted >= row.p for row in groups)
    assert found.names == ("one", "two") and found.unmatched == 0
    assert whole.first == named(one, rule="nearest", num_topics=3)["value"] == 1
    other = LineOrder(sizes=(20,), make=True, count=2)
    measure_lines(other, Scripted(line_reader), tmp_path / "lines")
    with pytest.raises(UserError, match="runs of lines and topics"):
        compare_runs(tmp_path / "one", tmp_path / "lines")
    measure_topics(
        TopicOrder(cases=str(pool), sizes=(3,), make=True, count=2, seed=9),
        Scripted(topic_reader()),
        tmp_path / "else",
    )
    with pytest.raises(UserError, match="no case in common"):
        compare_runs(tmp_path / "one", tmp_path / "else")


def test_samples_of_another_result_are_found_out(pool: Path, tmp_path: Path) -> None:
    order = TopicOrder(cases=str(pool), sizes=(3,), make=True, count=2)
    for name in ("one", "two"):
        measure_topics(order, Scripted(topic_reader(), name=name), tmp_path / name)
    (tmp_path / "two/samples.parquet").write_bytes(b"else")
    with pytest.raises(UserError, match="samples of another result"):
        compare_runs(tmp_path / "one", tmp_path / "two")
