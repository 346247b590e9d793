"""longqa.llm.examiner: attempts without the text, from one passage, and the judge's scores."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fake_callers import FakeCaller, as_caller, book_document
from longqa_documents import story

from longdata.documents import Span
from longqa.llm.drafts import Draft
from longqa.llm.examiner import (
    LEAST_CLEAR,
    LEAST_CORRECT,
    LEAST_SUPPORTED,
    THINKING_TOKENS,
    Examiner,
    Verdict,
)
from longqa.llm.passages import Passages
from longqa.llm.quotes import Aligner
from longqa.llm.records import CallFailed, Request
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.llm.wording import EXAMINEE, EXAMINER, READER, shared
from longqa.records import Material

STORY = story()
MATERIAL = Material(document=STORY, ctx=2048, start=0, end=len(STORY.text))
QUOTES = (  # too far apart to be shown as one
    "Mr. Harrow rowed the old ferry across the grey water",
    "Mr. Harrow had never told her how long the winter would last",
)


def draft(kind: str = "detail", answer: str = "Ninety steps of the tower", **changes: Any) -> Draft:
    at = [STORY.text.index(quote) for quote in QUOTES]
    spans = [Span(start=a, end=a + len(q)) for a, q in sorted(zip(at, QUOTES, strict=True))]
    least, most = MODEL_KINDS[kind].quotes
    return Draft(
        kind=kind,
        question="How many steps did Odile count on her way up?",
        answer=answer,
        spans=tuple(spans[: max(least, min(2, most))]),
        material=changes.get("material", MATERIAL),
    )


def answers(**by_purpose: Any) -> FakeCaller:
    """Answers by purpose, with "_" for the blank in its name; an attempt fails by default."""
    given: dict[str, Any] = {
        "closed_book": {"known": False, "answer": ""},
        "passage": {"known": False, "answer": ""},
        "compare": {"same": True},
        "look": {"answered": False, "answer": "", "quotes": []},
        "judge": {"correct": 5, "supported": 5, "clear": 5, "quotes": [1]},
        **by_purpose,
    }
    return FakeCaller(lambda request: json.dumps(given[request.purpose.replace(" ", "_")]))


def examined(
    made: Draft, writer: FakeCaller | None = None, judge: FakeCaller | None = None
) -> Verdict:
    examiner = Examiner(
        as_caller(writer or answers()), as_caller(judge) if judge else None, STORY.id
    )
    return asyncio.run(examiner.examine(made, Aligner(MATERIAL.context)))


def known(answer: str) -> dict[str, Any]:
    return {"known": True, "answer": answer}


def test_a_question_nobody_can_answer_without_the_text_passes() -> None:
    writer = answers()
    verdict = examined(draft(), writer)
    assert verdict == Verdict(refusal=None, passed={"closed_book_failed": True}, scores="")
    (request,) = writer.requests
    assert request.purpose == "closed book" and request.kind == "detail"
    assert request.document_id == STORY.id and request.system == EXAMINEE
    assert STORY.title in request.task and "ninety" not in (request.prefix + request.task)
    assert request.temperature == 0 and request.max_tokens > THINKING_TOKENS


def test_a_question_that_is_answered_without_the_text_is_refused_and_nothing_else_is_asked() -> (
    None
):
    writer, judge = answers(closed_book=known("ninety steps of the tower")), answers()
    verdict = examined(draft("multi_hop"), writer, judge)
    assert verdict.refusal == "answered without the text"
    assert verdict.passed == {"closed_book_failed": False}
    assert [request.purpose for request in writer.requests] == ["closed book"]
    assert not judge.requests


def test_a_wrong_attempt_is_no_answer_and_costs_no_comparison() -> None:
    writer = answers(closed_book=known("12 steps"))
    assert examined(draft(answer="90 steps"), writer).refusal is None
    assert [request.purpose for request in writer.requests] == ["closed book"]


@pytest.mark.parametrize("attempt", [known(" "), {"known": False, "answer": "ninety steps"}])
def test_an_attempt_that_claims_nothing_is_none(attempt: dict[str, Any]) -> None:
    writer = answers(closed_book=attempt)
    assert examined(draft(answer="ninety steps"), writer).refusal is None
    assert len(writer.requests) == 1


LONG = "Because the keeper disliked visitors and had hidden the letter that told of the winter."
ATTEMPT = "The man in the lighthouse did not want anyone to read what had been written to Odile."


@pytest.mark.parametrize("same", [True, False])
def test_where_words_alone_are_not_certain_the_two_are_compared(same: bool) -> None:
    writer = answers(closed_book=known(ATTEMPT), compare={"same": same})
    verdict = examined(draft("motive", LONG), writer)
    assert (verdict.refusal == "answered without the text") == same
    assert [request.purpose for request in writer.requests] == ["closed book", "compare"]
    compare = writer.requests[1]
    assert LONG in compare.task and ATTEMPT in compare.task
    assert compare.system == EXAMINER and compare.prefix == ""


def test_one_passage_must_not_be_enough_for_what_asks_for_two() -> None:
    writer = answers(passage=known("ninety steps of the tower"))
    verdict = examined(draft("multi_hop"), writer)
    assert verdict.refusal == "one passage is enough to answer it"
    assert verdict.passed == {"closed_book_failed": True, "one_passage_failed": False}

    writer = answers()
    verdict = examined(draft("multi_hop"), writer)
    assert verdict.refusal is None
    assert verdict.passed == {"closed_book_failed": True, "one_passage_failed": True}
    request = writer.asked("passage")[0]
    best = Passages(MATERIAL.context).best(f"{draft().question} {draft().answer}")
    assert MATERIAL.context[best.start : best.end] in request.task
    assert request.prefix == ""  # the document is not sent with it


def test_other_kinds_are_not_shown_a_passage() -> None:
    for name, kind in MODEL_KINDS.items():
        if name == "unanswerable":
            continue
        writer = answers()
        examined(draft(name), writer)
        expected = ["closed book", "passage"] if kind.one_passage_must_fail else ["closed book"]
        assert [r.purpose for r in writer.requests] == expected, name
        assert kind.closed_book


def test_each_material_has_its_own_passages() -> None:
    document = book_document(1, paragraphs=20)
    text = document.text
    parts = [(0, len(text) // 4), (0, len(text)), (len(text) // 2, len(text)), (0, len(text) // 4)]
    asked = FakeCaller(lambda request: json.dumps({"known": False, "answer": ""}))
    examiner = Examiner(as_caller(asked), None, document.id)
    question = text[-300:].replace("\n", " ")  # what it asks about stands at the very end
    drafts = [
        Draft(
            kind="multi_hop",
            question=question,
            answer="Yes",
            spans=(Span(start=0, end=30), Span(start=60, end=90)),
            material=Material(document=document, ctx=512, start=start, end=stop),
        )
        for start, stop in parts
    ]

    async def all_of_them() -> None:
        for made in drafts:
            await examiner.examine(made, Aligner(made.material.context))

    asyncio.run(all_of_them())
    for made, request in zip(drafts, asked.asked("passage"), strict=True):
        context = made.material.context
        best = Passages(context).best(f"{made.question} {made.answer}")
        assert context[best.start : best.end] in request.task
    whole = asked.asked("passage")[1]
    assert text[-60:].strip() in whole.task.partition("</passage>")[0]


def test_a_text_that_answers_an_unanswerable_question_is_found_out() -> None:
    found = {"answered": True, "answer": "ninety", "quotes": [QUOTES[0]]}
    made = draft("unanswerable", "The text does not tell it.")
    writer = answers(look=found)
    verdict = examined(made, writer)
    assert verdict.refusal == "the text answers it"
    assert verdict.passed == {"not_answered_by_text": False}
    (request,) = writer.requests
    assert request.purpose == "look" and request.system == READER
    assert request.prefix == shared(MATERIAL)  # so that the server reads the text only once


@pytest.mark.parametrize(
    "looked",
    [
        {"answered": False, "answer": "", "quotes": []},
        {"answered": True, "answer": "ninety", "quotes": []},
        {"answered": True, "answer": "ninety", "quotes": ["She counted a thousand steps there."]},
        {"answered": False, "answer": "ninety", "quotes": [QUOTES[0]]},
    ],
)
def test_without_a_quote_that_stands_in_the_text_it_stays_unanswerable(
    looked: dict[str, Any],
) -> None:
    judge = answers()
    verdict = examined(
        draft("unanswerable", "The text does not tell it."), answers(look=looked), judge
    )
    assert verdict == Verdict(refusal=None, passed={"not_answered_by_text": True})
    assert not judge.requests  # there is nothing to score


def test_a_judge_sees_question_answer_and_quotes_and_its_scores_are_kept() -> None:
    writer, judge = answers(), answers()
    verdict = examined(draft("multi_hop"), writer, judge)
    assert verdict.passed["judged_good"] is True and verdict.refusal is None
    assert json.loads(verdict.scores) == {"correct": 5, "supported": 5, "clear": 5, "quotes": [1]}
    (request,) = judge.requests
    assert not writer.asked("judge")
    assert request.purpose == "judge" and request.system == EXAMINER and request.prefix == ""
    for shown in (draft().question, draft().answer, *(f"[[{quote}]]" for quote in QUOTES)):
        assert shown in request.task
    assert "[1] " in request.task and "[2] " in request.task and "[3] " not in request.task


@pytest.mark.parametrize(
    ("scores", "is_good"),
    [
        ((LEAST_CORRECT, LEAST_SUPPORTED, LEAST_CLEAR), True),
        ((LEAST_CORRECT - 1, 5, 5), False),
        ((5, LEAST_SUPPORTED - 1, 5), False),
        ((5, 5, LEAST_CLEAR - 1), False),
    ],
)
def test_each_score_has_its_least(scores: tuple[int, int, int], is_good: bool) -> None:
    names = ("correct", "supported", "clear")
    judge = answers(judge={**dict(zip(names, scores, strict=True)), "quotes": [2]})
    verdict = examined(draft("multi_hop"), None, judge)
    assert verdict.passed["judged_good"] is is_good
    assert verdict.refusal == (None if is_good else "the judge scores it too low")


@pytest.mark.parametrize("quotes", [[], [0], [3], [1, 2, 3], [-1]])
def test_a_judge_that_names_no_quote_that_was_shown_does_not_count(quotes: list[int]) -> None:
    judge = answers(judge={"correct": 5, "supported": 5, "clear": 5, "quotes": quotes})
    verdict = examined(draft("multi_hop"), None, judge)
    assert verdict.refusal == "the judge names no quote that supports it"
    assert verdict.passed["judged_good"] is False and verdict.scores


@pytest.mark.parametrize("purpose", ["closed book", "passage", "judge", "compare"])
def test_a_call_that_fails_is_told(purpose: str) -> None:
    def fails(request: Request[Any]) -> str | None:
        return "timed out" if request.purpose == purpose else None

    attempt = known(ATTEMPT) if purpose == "compare" else {"known": False, "answer": ""}
    caller = answers(closed_book=attempt)
    failing = FakeCaller(caller.replies, fails=fails)
    with pytest.raises(CallFailed, match="timed out"):
        examined(draft("multi_hop", LONG), failing, failing)


def test_what_a_judge_writes_beside_its_scores_reaches_nothing() -> None:
    scores = {"correct": 5, "supported": 5, "clear": 5, "quotes": [1], "answer": "a better one"}
    verdict = examined(draft("multi_hop"), None, answers(judge=scores))
    assert verdict.refusal is None and "a better one" not in verdict.scores
