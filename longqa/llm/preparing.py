"""A document made ready to be asked about: all that costs time and no money.

prepared = prepare(document, sources, tokenizer, recipe)
prepared.plan.tasks                         what is asked where
write_request(prepared, model, task, …)     the call that asks for it
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass

from longdata.documents import Document
from longdata.languages import name_of
from longdata.tokenizers import Ruler, Tokenizer
from longqa.decontamination import CONTEXT_OVERLAPS, Check
from longqa.extractive import guard_of
from longqa.llm import wording
from longqa.llm.forms import Written
from longqa.llm.plan import (
    ANYWHERE,
    THINKING_TOKENS,
    Place,
    Plan,
    Task,
    answer_tokens,
    make_plan,
    most_at_once,
)
from longqa.llm.records import Request
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.materials import cut_materials
from longqa.reading import Reading
from longqa.recipe import ModelRecipe, Recipe
from longqa.records import Material, SourceRecord
from longqa.texts import language_from

QUESTIONS_PER_MATERIAL = 10  # a context is paid for once, whatever the number of its questions


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A document ready to be asked about: everything that costs time and no money."""

    document: Document
    sources: tuple[SourceRecord, ...]
    materials: tuple[Material, ...]
    plan: Plan
    ruler: Ruler
    document_tokens: int
    guard: Check | None  # keeps it apart from evaluation sets
    language: str | None  # ISO 639-1, of the questions

    @property
    def spoken(self) -> str | None:
        """The language by its English name, for prompts; None = that of the text."""
        return name_of(self.language) if self.language else None


def prepare(
    document: Document, sources: tuple[SourceRecord, ...], tokenizer: Tokenizer, recipe: Recipe
) -> Prepared:
    """Cuts the materials and makes the plan."""
    assert recipe.model is not None
    ruler = Ruler(tokenizer, document.text)
    exact = sum(n or 0 for k, n in recipe.kinds.items() if document.kind in MODEL_KINDS[k].of)
    materials = cut_materials(
        Reading(document),
        ruler,
        ctx=recipe.ctx,
        shares=recipe.shares or tuple(1.0 for _ in recipe.ctx),
        questions=exact if recipe.exact else recipe.per_document,
        per_material=QUESTIONS_PER_MATERIAL,
    )
    if document.kind == "papers":  # half of a pair compares nothing
        materials = [(material, places) for material, places in materials if material.is_whole]
    guard = guard_of(document, recipe)
    used = [
        (material, places)
        for material, places in materials
        if places and not (guard and guard.context(material.start, material.end))
    ]
    why_none = CONTEXT_OVERLAPS if any(places for _, places in materials) else None
    return Prepared(
        document=document,
        sources=sources,
        materials=tuple(material for material, _ in used),
        plan=make_plan(document, used, recipe, why_none=why_none),
        ruler=ruler,
        document_tokens=ruler.count([(0, len(document.text))]),
        guard=guard,
        language=recipe.model.language or language_from(document),
    )


def write_request(
    prepared: Prepared,
    recipe: ModelRecipe,
    task: Task,
    places: Sequence[Place],
    asked: Sequence[str] = (),
    attempt: int = 0,
) -> Request[Written]:
    """The call that asks for questions of one kind on one material."""
    material, kind = prepared.materials[task.material], MODEL_KINDS[task.kind]
    return Request(
        purpose="write",
        document_id=prepared.document.id,
        kind=task.kind,
        system=wording.READER,
        prefix=wording.shared(material),
        task=wording.write(
            task.kind,
            places=[place.words for place in places],
            asked=asked,
            language=prepared.spoken,
        ),
        form=Written,
        max_tokens=THINKING_TOKENS + len(places) * answer_tokens(kind),
        temperature=recipe.temperature,
        attempt=attempt,
    )


def absent_tasks(count: int, materials: int) -> list[Task]:
    """So many unanswerable questions, dealt over the materials."""
    dealt = Tally(number % materials for number in range(count if materials else 0))
    at_once = most_at_once(MODEL_KINDS["unanswerable"])
    return [
        Task(material=index, kind="unanswerable", places=(ANYWHERE,) * min(at_once, number - start))
        for index, number in sorted(dealt.items())
        for start in range(0, number, at_once)
    ]
