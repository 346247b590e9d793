"""What the model wrote → drafts whose quotes stand in the text, or the reason to refuse them.

    draft = draft_of(item, task, material, aligner, language="en")   # Draft | str
    example = example_of(draft, counter, generator, sources)         # Example | str

Nothing here asks a model anything: these checks cost no money and come first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from longdata.documents import Span
from longdata.languages import language_of
from longqa.checks import Counter, check
from longqa.llm.drafts import Draft, count_words
from longqa.llm.forms import Item
from longqa.llm.plan import Place
from longqa.llm.quotes import Aligner
from longqa.llm.replies import is_refusal
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.records import Example, Generator, Material, Question, SourceRecord

LONGEST_QUESTION = 120  # words
_UNSEEN = re.compile(
    r"\b(?:the|this|that|these) (?:(?:above|given|provided|following|quoted) )?"
    r"(?:passages?|excerpts?|quotes?|quotations?|stretch|snippets?)\b|\btext above\b",
    re.IGNORECASE,
)


def draft_of(
    item: Item,
    kind_name: str,
    places: Sequence[Place],
    material: Material,
    aligner: Aligner,
    *,
    language: str | None,
) -> Draft | str:
    """The item as a draft; `aligner` is that of the material's context."""
    kind = MODEL_KINDS[kind_name]
    question, answer = item.question.strip(), item.answer.strip()
    if not question or not answer:
        return "empty"
    if is_refusal(answer):
        return "the answer is a refusal"
    if count_words(question) > LONGEST_QUESTION:
        return "the question is too long"
    if _UNSEEN.search(question):
        return "the question speaks of a passage that nobody is shown"
    least, most = kind.words
    if not least <= count_words(answer) <= most:
        return "the answer is too short or too long for its kind"
    spoken = language_of(f"{question}\n{answer}")
    if language and spoken and spoken != language:
        return "written in another language"
    spans: list[Span] = []
    for quote in item.quotes if kind.quotes[1] else ():
        parts = aligner.align(quote)
        if not parts:
            return "a quote is not in the text"
        spans += (Span(start=part.start, end=part.end) for part in parts)
    spans = _distinct(spans)
    if len(spans) < kind.quotes[0]:
        return "too few quotes"
    if len(spans) > kind.quotes[1]:
        return "too many quotes"
    if kind.focus == "a section" and not _any_inside(spans, places):
        return "its quotes lie outside the part it is about"
    draft = Draft(
        kind=kind_name, question=question, answer=answer, spans=tuple(spans), material=material
    )
    if draft.spread < kind.spread:
        return "its quotes lie too close together"
    if kind.own_check is not None and (reason := kind.own_check(draft)):
        return reason
    return draft


def example_of(
    draft: Draft, counter: Counter, generator: Generator, sources: tuple[SourceRecord, ...]
) -> Example | str:
    """The row a draft makes, or why it makes none (longqa.checks)."""
    start = draft.material.start
    question = Question(
        kind=draft.kind,
        about=draft.about,
        text=draft.question,
        answer=draft.answer,
        evidence=tuple(Span(start=s.start + start, end=s.end + start) for s in draft.spans),
    )
    return check(question, draft.material, counter, generator=generator, sources=sources)


def _distinct(spans: Sequence[Span]) -> list[Span]:
    """In order; what lies inside another, or overlaps it, makes one with it."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, s.end)):
        if merged and span.start < merged[-1].end:
            merged[-1] = Span(start=merged[-1].start, end=max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def _any_inside(spans: Sequence[Span], places: Sequence[Place]) -> bool:
    return any(place.start <= span.start < place.end for span in spans for place in places)
