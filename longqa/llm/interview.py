"""Read this second (after longqa.build): one document, a language model, and what came of it.

    outcome = await Interview(prepared, recipe, panel).hold()

The rounds are barriers, so that the result does not depend on which call returns first:

    write      every kind asks for its questions, document first; what is missing is asked for
               again, with the questions that were tried, up to ROUNDS times
    sift       quotes found in the text, form, length, language, kind's own check, duplicates
    examine    attempts without the text, the judge (longqa.llm.examiner)
    absent     unanswerable questions, as many as their share of what was found

A call that failed costs its questions and nothing else; they are missing with the call's reason,
and the outcome is not complete: a later run asks again.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rapidfuzz import fuzz

from longqa.checks import Counter
from longqa.llm import wording
from longqa.llm.calls import Caller
from longqa.llm.candidates import draft_of, example_of
from longqa.llm.drafts import Draft
from longqa.llm.examiner import Examiner, Verdict
from longqa.llm.forms import Item
from longqa.llm.plan import (
    Place,
    Task,
    absent_for,
)
from longqa.llm.preparing import Prepared, absent_tasks, write_request
from longqa.llm.quotes import Aligner
from longqa.llm.records import CallFailed, Decision
from longqa.recipe import Outcome, Recipe
from longqa.records import Example, Generator

ROUNDS = 3  # times that a missing question is asked for
NEAR_DUPLICATE = 88  # rapidfuzz ratio of two questions' words, 0 to 100
REFUSED = "every further candidate was refused by a check"
TOO_FEW = "the model wrote fewer questions than it was asked for"
SHARE_KEPT = "fewer answerable questions were found, and its share is kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Who is asked: the model that writes, and the one that judges, if any does."""

    writer: Caller
    judge: Caller | None = None


@dataclass(slots=True)
class _Seat:
    """A task on its way: what it still owes, what it tried, and why it failed."""

    task: Task
    open: list[Place]
    tried: list[str] = field(default_factory=list)
    failure: str | None = None
    was_refused: bool = False


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A question that passed every check that costs nothing."""

    seat: _Seat
    place: Place
    draft: Draft
    example: Example


class Interview:
    """One document's conversation."""

    def __init__(self, prepared: Prepared, recipe: Recipe, panel: Panel) -> None:
        assert recipe.model is not None
        self._prepared, self._recipe, self._model = prepared, recipe, recipe.model
        self._panel = panel
        self._examiner = Examiner(panel.writer, panel.judge, prepared.document.id)
        self._counter = Counter(prepared.ruler)
        self._aligners = [Aligner(material.context) for material in prepared.materials]
        self._asked: list[str] = []  # what every question so far is about, whatever its kind
        self._kept: list[tuple[tuple[object, ...], Example]] = []
        self._rejected: Tally[tuple[str, str]] = Tally()
        self.decisions: list[Decision] = []

    async def hold(self) -> Outcome:
        """All rounds; UserError: what ends the whole run."""
        plan = self._prepared.plan
        seats = [_Seat(task, list(task.places)) for task in plan.tasks]
        await self._rounds(seats)
        absent = self._absent_seats(plan.requested.get("unanswerable", 0))
        await self._rounds(absent)
        seats += absent
        return Outcome(
            examples=tuple(example for _, example in sorted(self._kept, key=lambda e: e[0])),
            requested=plan.requested,
            missing=self._missing(seats),
            rejected=dict(sorted(self._rejected.items())),
            document_tokens=self._prepared.document_tokens,
            counted_by=self._prepared.ruler.exact_by,
            is_complete=not any(seat.failure for seat in seats),
            overlap=self._prepared.guard.tally() if self._prepared.guard else None,
        )

    def _absent_seats(self, due: int) -> list[_Seat]:
        """Unanswerable questions, dealt over the materials: a share of what was found."""
        materials = len(self._prepared.materials)
        if not due or not materials:
            return []
        count = due
        if not self._recipe.exact and set(self._prepared.plan.requested) != {"unanswerable"}:
            found = len(self._kept)
            count = min(due, absent_for(found, self._prepared.document, self._recipe))
        return [_Seat(task, list(task.places)) for task in absent_tasks(count, materials)]

    async def _rounds(self, seats: Sequence[_Seat]) -> None:
        for number in range(ROUNDS):
            at_work = [seat for seat in seats if seat.open and not seat.failure]
            if not at_work:
                return
            written = await self._write(at_work, number)
            candidates = [
                candidate
                for seat, items in zip(at_work, written, strict=True)
                for candidate in self._sift(seat, items)
            ]
            verdicts = await asyncio.gather(*map(self._examine, candidates))
            for candidate, verdict in zip(candidates, verdicts, strict=True):
                self._decide(candidate, verdict)

    async def _write(self, seats: Sequence[_Seat], number: int) -> list[Sequence[Item]]:
        """What the model wrote for each seat; the first call about a material goes alone."""
        by_material: dict[int, list[_Seat]] = {}
        for seat in seats:
            by_material.setdefault(seat.task.material, []).append(seat)

        async def about_one(group: list[_Seat]) -> list[Sequence[Item]]:
            alone = 1 if number == 0 else 0  # it fills the server's cache for the others
            first = [await self._items(seat, number) for seat in group[:alone]]
            rest = await asyncio.gather(*(self._items(seat, number) for seat in group[alone:]))
            return [*first, *rest]

        groups = list(by_material.values())
        answers = await asyncio.gather(*map(about_one, groups))
        items = {
            id(seat): written
            for group, answer in zip(groups, answers, strict=True)
            for seat, written in zip(group, answer, strict=True)
        }
        return [items[id(seat)] for seat in seats]

    async def _items(self, seat: _Seat, number: int) -> Sequence[Item]:
        request = write_request(
            self._prepared, self._model, seat.task, seat.open, seat.tried, attempt=number
        )
        try:
            return (await self._panel.writer.ask(request)).form.items
        except CallFailed as failed:
            seat.failure = failed.reason
            return ()

    def _sift(self, seat: _Seat, items: Sequence[Item]) -> list[_Candidate]:
        """The items that pass what costs nothing; at most one for each place."""
        candidates = []
        index = seat.task.material
        places = tuple(seat.open)
        for item, place in zip(items, places, strict=False):
            seat.tried.append(" ".join(item.question.split()))
            draft = draft_of(
                item,
                seat.task.kind,
                places,
                self._prepared.materials[index],
                self._aligners[index],
                language=self._prepared.language,
            )
            if isinstance(draft, str):
                self._refuse(seat, item.question, draft)
                continue
            if any(fuzz.ratio(draft.about, about) >= NEAR_DUPLICATE for about in self._asked):
                self._refuse(seat, item.question, "asked before in this document, or nearly")
                continue
            example = example_of(
                draft, self._counter, self._generator(seat.task.kind), self._prepared.sources
            )
            guard = self._prepared.guard
            if guard is not None and not isinstance(example, str):
                example = guard.question(example.question, example.answer) or example
            if isinstance(example, str):
                self._refuse(seat, item.question, example)
                continue
            self._asked.append(draft.about)
            candidates.append(_Candidate(seat, place, draft, example))
        return candidates

    async def _examine(self, candidate: _Candidate) -> Verdict | CallFailed:
        aligner = self._aligners[candidate.seat.task.material]
        try:
            return await self._examiner.examine(candidate.draft, aligner)
        except CallFailed as failed:
            return failed

    def _decide(self, candidate: _Candidate, verdict: Verdict | CallFailed) -> None:
        seat, draft = candidate.seat, candidate.draft
        if isinstance(verdict, CallFailed):
            seat.failure = verdict.reason
            return
        if verdict.refusal is not None:
            self._refuse(seat, draft.question, verdict.refusal, verdict.scores)
            return
        seat.open.remove(candidate.place)
        example = candidate.example
        example = replace(example, checks={**example.checks, **verdict.passed})
        material = draft.material
        first = draft.spans[0].start if draft.spans else 0
        position = (material.ctx, material.start, first, draft.kind, draft.question)
        self._kept.append((position, example))
        self._note(draft.kind, draft.question, "kept", verdict.scores)

    def _refuse(self, seat: _Seat, question: str, reason: str, scores: str = "") -> None:
        seat.was_refused = True
        self._rejected[seat.task.kind, reason] += 1
        self._note(seat.task.kind, question, reason, scores)

    def _note(self, kind: str, question: str, verdict: str, scores: str) -> None:
        self.decisions.append(
            Decision(
                document_id=self._prepared.document.id,
                kind=kind,
                question=question,
                verdict=verdict,
                scores=scores,
            )
        )

    def _missing(self, seats: Sequence[_Seat]) -> dict[tuple[str, str], int]:
        """What was asked for and not kept, with the reason."""
        plan = self._prepared.plan
        missing = Tally(plan.missing)
        for seat in seats:
            if seat.open:
                reason = seat.failure or (REFUSED if seat.was_refused else TOO_FEW)
                missing[seat.task.kind, reason] += len(seat.open)
        absent = plan.requested.get("unanswerable", 0)
        tried = sum(len(seat.task.places) for seat in seats if seat.task.kind == "unanswerable")
        if absent > tried:
            reason = SHARE_KEPT if self._prepared.materials else plan.why_none
            missing["unanswerable", reason] += absent - tried
        return dict(sorted(missing.items()))

    def _generator(self, kind: str) -> Generator:
        sha = wording.wording_sha(kind)
        return Generator(backend="openai", model=self._model.public_model, prompt_sha=sha)
