"""Does a question need the document? Attempts without it, scores by a judge: reasons to refuse.

    refusal, passed = await examiner.examine(draft)
    -> ("answered without the text", {"closed_book_failed": False})
    -> (None, {"closed_book_failed": True, "judged_good": True})

An attempt gives the answer when the words agree beyond doubt (longqa.llm.agreement); where they
neither agree nor differ for certain, the model that made the attempt compares the two. The judge
returns numbers only: it has no way to change a question or an answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel

from longqa.llm import wording
from longqa.llm.agreement import agreement
from longqa.llm.calls import Caller
from longqa.llm.drafts import Draft, count_words
from longqa.llm.forms import Attempted, Compared, Judged, Looked
from longqa.llm.passages import Passages, surroundings
from longqa.llm.plan import THINKING_TOKENS
from longqa.llm.quotes import Aligner
from longqa.llm.records import Purpose, Request
from longqa.llm.taxonomy import MODEL_KINDS

Form = TypeVar("Form", bound=BaseModel)

LEAST_CORRECT, LEAST_SUPPORTED, LEAST_CLEAR = 4, 4, 3  # of 5


@dataclass(slots=True)
class Verdict:
    """`refusal` is None for a draft that passed; `passed` goes into the row's checks."""

    refusal: str | None = None
    passed: dict[str, bool] = field(default_factory=dict)
    scores: str = ""


class Examiner:
    """Examines the drafts of one document."""

    def __init__(self, writer: Caller, judge: Caller | None, document_id: str) -> None:
        self._writer, self._judge, self._document_id = writer, judge, document_id
        self._passages: dict[tuple[int, int], Passages] = {}  # by where the material lies

    async def examine(self, draft: Draft, aligner: Aligner) -> Verdict:
        """All that is asked of the kind, the cheapest first. CallFailed: a call got no answer."""
        kind = MODEL_KINDS[draft.kind]
        verdict = Verdict()
        if kind.quotes[1] == 0:
            verdict.passed["not_answered_by_text"] = not await self._found(draft, aligner)
            if not verdict.passed["not_answered_by_text"]:
                verdict.refusal = "the text answers it"
            return verdict
        if kind.closed_book:
            verdict.passed["closed_book_failed"] = not await self._known(draft)
            if not verdict.passed["closed_book_failed"]:
                verdict.refusal = "answered without the text"
                return verdict
        if kind.one_passage_must_fail:
            verdict.passed["one_passage_failed"] = not await self._one_passage_is_enough(draft)
            if not verdict.passed["one_passage_failed"]:
                verdict.refusal = "one passage is enough to answer it"
                return verdict
        if self._judge is not None:
            await self._score(self._judge, draft, verdict)
        return verdict

    async def _known(self, draft: Draft) -> bool:
        task = wording.closed_book(draft.question, draft.material)
        return await self._succeeds("closed book", task, draft)

    async def _one_passage_is_enough(self, draft: Draft) -> bool:
        material = draft.material
        place = material.start, material.end  # of two lengths, both may begin the document
        passages = self._passages.get(place)
        if passages is None:
            passages = self._passages[place] = Passages(material.context)
        best = passages.best(f"{draft.question} {draft.answer}")
        text = material.context[best.start : best.end]
        return await self._succeeds(
            "passage", wording.passage(draft.question, material, text), draft
        )

    async def _succeeds(self, purpose: Purpose, task: str, draft: Draft) -> bool:
        """Whether an attempt gives the draft's answer."""
        room = THINKING_TOKENS + 3 * count_words(draft.answer)
        attempt = await self._ask(purpose, task, Attempted, draft, room)
        if not attempt.known or not attempt.answer.strip():
            return False
        verdict = agreement(draft.answer, attempt.answer)
        if verdict != "unclear":
            return verdict == "same"
        task = wording.compare(draft.question, draft.answer, attempt.answer)
        return (await self._ask("compare", task, Compared, draft, THINKING_TOKENS)).same

    async def _found(self, draft: Draft, aligner: Aligner) -> bool:
        """Whether the text, read again, answers an unanswerable question with a real quote."""
        looked = await self._ask(
            "look",
            wording.look(draft.question),
            Looked,
            draft,
            THINKING_TOKENS,
            prefix=wording.shared(draft.material),
        )
        return looked.answered and any(aligner.align(quote) for quote in looked.quotes)

    async def _score(self, judge: Caller, draft: Draft, verdict: Verdict) -> None:
        shown = surroundings(draft.material.context, draft.spans)
        task = wording.judge(draft.question, draft.answer, shown)
        scores = await self._ask("judge", task, Judged, draft, THINKING_TOKENS, caller=judge)
        verdict.scores = json.dumps(scores.model_dump())
        known = set(range(1, len(shown) + 1))
        good = (
            scores.correct >= LEAST_CORRECT
            and scores.supported >= LEAST_SUPPORTED
            and scores.clear >= LEAST_CLEAR
        )
        if not scores.quotes or not set(scores.quotes) <= known:
            verdict.refusal = "the judge names no quote that supports it"
        elif not good:
            verdict.refusal = "the judge scores it too low"
        verdict.passed["judged_good"] = verdict.refusal is None

    async def _ask(
        self,
        purpose: Purpose,
        task: str,
        form: type[Form],
        draft: Draft,
        max_tokens: int,
        *,
        caller: Caller | None = None,
        prefix: str = "",
    ) -> Form:
        system = {
            "look": wording.READER,
            "judge": wording.EXAMINER,
            "compare": wording.EXAMINER,
        }.get(purpose, wording.EXAMINEE)
        request = Request(
            purpose=purpose,
            document_id=self._document_id,
            kind=draft.kind,
            system=system,
            prefix=prefix,
            task=task,
            form=form,
            max_tokens=max_tokens,
            temperature=0.0,
        )
        return (await (caller or self._writer).ask(request)).form
