"""longqa.llm.interview: the rounds of one document's conversation, and the account of it."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, defaultdict
from typing import Any

import pytest
from fake_callers import FakeCaller, book_document, held, items, recipe, scripted
from hypothesis import given, settings
from hypothesis import strategies as st
from longqa_documents import paper
from virtual_time import run_virtually

from longdata.documents import Document
from longqa.llm.interview import NEAR_DUPLICATE, REFUSED, ROUNDS, SHARE_KEPT, TOO_FEW
from longqa.llm.records import Request
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.questions import UNANSWERABLE_SHARE
from longqa.recipe import Outcome, Recipe

BOOK = book_document(1)


def outcome_of(document: Document, made: Recipe, writer: FakeCaller) -> Outcome:
    return asyncio.run(held(document, made, writer))[0]


def must_add_up(outcome: Outcome) -> None:
    """For every kind, requested = kept + missing."""
    kept = Counter(example.question_kind for example in outcome.examples)
    missing: Counter[str] = Counter()
    for (kind, _), count in outcome.missing.items():
        assert count > 0
        missing[kind] += count
    assert set(kept) | set(missing) <= set(outcome.requested)
    for kind, asked in outcome.requested.items():
        assert asked == kept[kind] + missing[kind], kind


def test_every_question_asked_for_is_kept_or_missing_with_its_reason() -> None:
    outcome = outcome_of(BOOK, recipe(per_document=20), FakeCaller())
    assert outcome.is_complete and len(outcome.examples) >= 15
    must_add_up(outcome)


def test_what_is_missing_is_asked_for_again_with_what_was_tried() -> None:
    def replies(request: Request[Any]) -> str:
        if request.purpose != "write" or request.attempt == ROUNDS - 1:
            return scripted(request)
        return items((f"Who, in attempt {request.attempt}, did it?", "He did.", ["Nobody."]))

    writer = FakeCaller(replies)
    outcome = outcome_of(BOOK, recipe(kinds={"detail": 2}), writer)
    first, second, third = writer.asked("write")
    assert [r.attempt for r in (first, second, third)] == [0, 1, 2]
    assert "Ask nothing of what these ask" not in first.task
    assert "- Who, in attempt 0, did it?" in second.task
    assert "- Who, in attempt 0, did it?\n- Who, in attempt 1, did it?" in third.task
    assert len(outcome.examples) == 2
    assert outcome.rejected == {("detail", "a quote is not in the text"): 2}


def test_only_what_is_still_missing_is_asked_for_again() -> None:
    def replies(request: Request[Any]) -> str:
        reply = json.loads(scripted(request))
        if request.purpose == "write" and request.attempt == 0:
            reply["items"][-1]["quotes"] = ["The elephant of Samarkand never learned to whistle."]
        return json.dumps(reply)

    writer = FakeCaller(replies)
    outcome = outcome_of(BOOK, recipe(kinds={"detail": 3}), writer)
    first, second = writer.asked("write")
    assert "Write 3 questions" in first.task and "Write 1 question " in second.task
    assert second.max_tokens < first.max_tokens
    place = first.task.partition("\n3. ")[2].partition("\n")[0]
    assert place and f"Where to look:\n1. {place}\n\n" in second.task  # the one that is missing
    assert len(outcome.examples) == 3 and not outcome.missing


def test_after_the_last_round_what_is_missing_says_why() -> None:
    refused = FakeCaller(lambda request: items(("Who?", "He.", ["Not in the text at all."])))
    outcome = outcome_of(BOOK, recipe(kinds={"detail": 2}), refused)
    assert outcome.missing == {("detail", REFUSED): 2} and outcome.is_complete
    assert len(refused.asked("write")) == ROUNDS

    silent = FakeCaller(lambda request: items())
    outcome = outcome_of(BOOK, recipe(kinds={"detail": 2}), silent)
    assert outcome.missing == {("detail", TOO_FEW): 2} and outcome.is_complete
    assert not outcome.rejected
    assert len(silent.asked("write")) == ROUNDS


def test_more_items_than_were_asked_for_are_not_taken() -> None:
    def replies(request: Request[Any]) -> str:
        reply = json.loads(scripted(request))
        if request.purpose == "write":
            reply["items"] += json.loads(scripted(request))["items"]
            reply["items"][-1]["question"] = "A further question, about whom it was (77)?"
        return json.dumps(reply)

    outcome = outcome_of(BOOK, recipe(kinds={"detail": 2}), FakeCaller(replies))
    assert len(outcome.examples) == 2
    assert all("further question" not in example.question for example in outcome.examples)


def test_a_failed_call_costs_its_questions_and_nothing_else() -> None:
    made = recipe(kinds={"detail": 2, "motive": 2, "multi_hop": 1})
    writer = FakeCaller(
        fails=lambda r: "timed out" if r.purpose == "write" and r.kind == "motive" else None
    )
    outcome = outcome_of(BOOK, made, writer)
    assert outcome.missing == {("motive", "timed out"): 2}
    assert not outcome.is_complete
    assert len([r for r in writer.asked("write") if r.kind == "motive"]) == 1  # not this run again
    whole = outcome_of(BOOK, made, FakeCaller())
    expected = [e for e in whole.examples if e.question_kind != "motive"]
    assert list(outcome.examples) == expected
    must_add_up(outcome)


def test_an_examination_that_failed_costs_its_question_alone() -> None:
    hit: list[Request[Any]] = []

    def fails(request: Request[Any]) -> str | None:
        if request.purpose == "closed book" and not hit:
            hit.append(request)
            return "refused"
        return None

    outcome = outcome_of(BOOK, recipe(kinds={"detail": 3}), FakeCaller(fails=fails))
    assert outcome.missing == {("detail", "refused"): 1}
    assert len(outcome.examples) == 2 and not outcome.is_complete
    assert not outcome.rejected  # no check refused it


@settings(max_examples=12)
@given(st.integers(0, 10**6))
def test_the_order_in_which_answers_come_changes_nothing(seed: int) -> None:
    made = recipe(per_document=20, ctx=(512, 1024))

    def replies(request: Request[Any]) -> str:
        reply = json.loads(scripted(request))
        if request.purpose == "write" and len(request.task) % 3 == 0 and reply["items"]:
            reply["items"][0]["quotes"] = ["The elephant of Samarkand."]  # some are refused
        return json.dumps(reply)

    def run(delays: random.Random | None) -> tuple[Outcome, list[Any], Counter[str]]:
        writer = FakeCaller(replies, delays=delays)
        outcome, interview = run_virtually(lambda: held(BOOK, made, writer))
        return outcome, interview.decisions, Counter(r.key("m") for r in writer.requests)

    assert run(random.Random(seed)) == run(None)


def test_the_first_call_about_a_material_goes_alone() -> None:
    writer = FakeCaller(delays=random.Random(3))
    run_virtually(lambda: held(BOOK, recipe(ctx=(512,), per_document=40), writer))
    started: Counter[str] = Counter()
    first_is_done: set[str] = set()
    together = False
    for what, request in writer.log:
        if request.purpose != "write" or request.kind == "unanswerable":
            continue
        prefix = request.prefix_sha
        if what == "answered":
            first_is_done.add(prefix)
        elif started[prefix]:
            assert prefix in first_is_done, "a second call before the first filled the cache"
            together = True
        if what == "asked":
            started[prefix] += 1
    assert together and len(started) > 1


def test_all_calls_about_a_material_begin_with_the_same_bytes() -> None:
    writer = FakeCaller()
    outcome_of(BOOK, recipe(ctx=(512, 2048), per_document=30), writer)
    of: dict[str, set[str]] = defaultdict(set)
    for request in (*writer.asked("write"), *writer.asked("look")):
        text = request.messages[0]["content"] + request.messages[1]["content"]
        head, border, _ = text.partition("</text>\n\n")
        assert border and head + border == request.system + request.prefix
        of[request.prefix].add(request.prefix_sha)
    assert len(of) > 1 and all(len(shas) == 1 for shas in of.values())
    assert {r.prefix for r in writer.asked("look")} <= {r.prefix for r in writer.asked("write")}


def test_a_question_is_not_asked_twice_in_a_document_whatever_its_kind() -> None:
    asked = "What is told of the harbour, the lanterns and the number 40 that Greta guarded?"
    assert len(asked) > 60

    def replies(request: Request[Any]) -> str:
        reply = json.loads(scripted(request))
        for number, item in enumerate(reply.get("items", ())):
            item["question"] = asked.replace("40", str(40 + number))  # all but the same
        return json.dumps(reply)

    outcome = outcome_of(BOOK, recipe(kinds={"detail": 2, "multi_hop": 1}), FakeCaller(replies))
    assert len(outcome.examples) == 1
    reasons = Counter(reason for (_, reason), n in outcome.rejected.items() for _ in range(n))
    assert set(reasons) == {"asked before in this document, or nearly"}
    assert NEAR_DUPLICATE < 100
    must_add_up(outcome)


def test_unanswerable_questions_are_their_share_of_what_was_found() -> None:
    made = recipe(ctx=(1024,), per_document=60)
    outcome = outcome_of(book_document(2, paragraphs=30), made, FakeCaller())
    kept = Counter(example.question_kind for example in outcome.examples)
    assert kept["unanswerable"] == pytest.approx(UNANSWERABLE_SHARE * len(outcome.examples), abs=1)

    few = FakeCaller(lambda r: scripted(r) if r.kind in ("detail", "unanswerable") else items())
    outcome = outcome_of(book_document(2, paragraphs=30), made, few)
    kept = Counter(example.question_kind for example in outcome.examples)
    assert 0 < kept["detail"] < 20
    assert kept["unanswerable"] <= UNANSWERABLE_SHARE * len(outcome.examples) + 1
    assert outcome.missing["unanswerable", SHARE_KEPT] > 0
    must_add_up(outcome)


def test_without_answerable_questions_there_are_no_unanswerable_ones() -> None:
    made = recipe(ctx=(1024,), per_document=60)
    silent = FakeCaller(lambda r: scripted(r) if r.kind == "unanswerable" else items())
    outcome = outcome_of(BOOK, made, silent)
    assert len(outcome.examples) <= 1
    must_add_up(outcome)


def test_unanswerable_questions_alone_can_be_asked_for() -> None:
    for kinds in ({"unanswerable": 4}, {"unanswerable": None}):
        outcome = outcome_of(BOOK, recipe(kinds=kinds, per_document=4), FakeCaller())
        assert outcome.requested == {"unanswerable": 4} and len(outcome.examples) == 4
        assert all(e.checks["not_answered_by_text"] for e in outcome.examples)
        assert all(e.evidence == () for e in outcome.examples)


def test_exact_counts_are_asked_for_exactly() -> None:
    kinds = {"detail": 3, "motive": 2, "unanswerable": 2}
    writer = FakeCaller()
    outcome = outcome_of(BOOK, recipe(kinds=kinds), writer)
    assert outcome.requested == kinds and not outcome.missing
    assert Counter(e.question_kind for e in outcome.examples) == Counter(kinds)
    assert all(request.kind in kinds for request in writer.requests)


def test_rows_are_in_the_order_of_their_text() -> None:
    outcome = outcome_of(BOOK, recipe(ctx=(512, 1024), per_document=30), FakeCaller())
    places = [(e.ctx, BOOK.text.find(e.context)) for e in outcome.examples]
    assert places == sorted(places) and len(set(places)) > 2


def test_a_document_without_a_stretch_that_fits_costs_no_call() -> None:
    writer = FakeCaller()
    pair = book_document(3, kind="papers")  # a pair that does not fit is not halved
    outcome = outcome_of(pair, recipe(ctx=(256,)), writer)
    assert not writer.requests and not outcome.examples and outcome.is_complete
    must_add_up(outcome)
    assert outcome.missing


def test_a_paper_is_asked_what_papers_are_asked() -> None:
    writer = FakeCaller()
    outcome = outcome_of(paper(), recipe(ctx=(1024,), per_document=20), writer)
    must_add_up(outcome)
    for request in writer.requests:
        assert "paper" in MODEL_KINDS[request.kind].of
    assert {"method", "experiments"} <= {request.kind for request in writer.requests}


def test_what_was_decided_names_every_candidate() -> None:
    def replies(request: Request[Any]) -> str:
        if request.purpose == "judge":
            bad = {"correct": 1, "supported": 1, "clear": 1, "quotes": [1]}
            return json.dumps(bad)
        return scripted(request)

    judge = FakeCaller(replies)
    made = recipe(kinds={"detail": 2})
    outcome, interview = asyncio.run(held(BOOK, made, FakeCaller(), judge))
    assert not outcome.examples
    assert outcome.rejected == {("detail", "the judge scores it too low"): 2 * ROUNDS}
    verdicts = {decision.verdict for decision in interview.decisions}
    assert verdicts == {"the judge scores it too low"}
    assert len(interview.decisions) == 2 * ROUNDS
    assert all(json.loads(decision.scores)["correct"] == 1 for decision in interview.decisions)
    assert {decision.document_id for decision in interview.decisions} == {BOOK.id}


WORDS = st.sampled_from(
    ["", "Who?", "Greta", "the harbours of Alice", "I’m sorry, but I can’t help with that.", "4"]
)
SENTENCES = [part.strip() + "." for part in BOOK.text.replace("\n", " ").split(".")[:40]]
QUOTES = st.lists(st.one_of(WORDS, st.sampled_from(SENTENCES)), max_size=4)
ITEMS = st.lists(st.tuples(WORDS, WORDS, QUOTES), max_size=4)


@settings(max_examples=25)
@given(st.data())
def test_whatever_a_model_says_the_account_adds_up(data: st.DataObject) -> None:
    def replies(request: Request[Any]) -> str:
        kind = data.draw(st.sampled_from(("good", "made", "none")))
        if kind == "good" or request.purpose != "write":
            return scripted(request)
        return items(*data.draw(ITEMS)) if kind == "made" else items()

    def fails(request: Request[Any]) -> str | None:
        return data.draw(st.sampled_from((None, None, None, "timed out", "refused")))

    outcome = outcome_of(BOOK, recipe(per_document=12), FakeCaller(replies, fails=fails))
    must_add_up(outcome)
    is_failed = any(reason in ("timed out", "refused") for _, reason in outcome.missing)
    assert outcome.is_complete != is_failed
