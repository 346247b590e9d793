"""A question on its material → an example, or the reason to refuse it.

    checked = check(question, material, counter)   # Example | str

What is checked, in every row that is kept: no part is empty; the question does not contain its
answer; every piece of evidence stands at its offsets and nothing of it was cut away; what was
removed does not stand elsewhere in the context; the row with its template, question, answer, BOS
and EOS fits the budget, counted exactly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from longdata.documents import Document
from longdata.prompt_template import CHAT_MARKUP_TOKENS, tail
from longdata.tokenizers import Ruler
from longqa.materials import FRAME_TOKENS, opening
from longqa.phrasings import wording_sha
from longqa.records import (
    Evidence,
    Example,
    Generator,
    Material,
    Part,
    Question,
    SourceRecord,
)

CHECKS = {
    "evidence_exact": True,
    "answer_not_in_question": True,
    "within_budget": True,
}
_WORDS = re.compile(r"\w+")
_LEAK_CHARACTERS = 120  # this much of a removed answer, word for word, gives it away
_LEAK_STEP = 60  # pieces begin this far apart: every 180 characters hold a whole one


@dataclass(slots=True)
class Counter:
    """Exact token counts over one document; a context's own count is remembered."""

    ruler: Ruler
    _contexts: dict[tuple[Part, ...], int] = field(default_factory=dict)

    def context(self, material: Material) -> int:
        """Tokens of the context alone."""
        if material.parts not in self._contexts:
            self._contexts[material.parts] = self.ruler.count(material.parts)
        return self._contexts[material.parts]

    def row(self, material: Material, question: str, answer: str) -> int:
        """Tokens of the training row, BOS and EOS and the room for chat markers included."""
        parts: Sequence[Part] = [
            opening(material),
            *material.parts,
            f"{tail(question)} {answer}",
        ]
        return self.ruler.count(parts) + FRAME_TOKENS


def check(
    question: Question,
    material: Material,
    counter: Counter,
    *,
    generator: Generator | None = None,
    sources: tuple[SourceRecord, ...] = (),
) -> Example | str:
    """The example this question makes on this material, or why it makes none.

    Without `generator`, it was the offline one; without `sources`, the material's document.
    """
    text, answer = question.text.strip(), question.answer.strip()
    if not text or not answer:
        return "empty"
    if contains_words(text, answer):
        return "the question contains its answer"
    if question.cuts:
        material = Material(
            document=material.document,
            ctx=material.ctx,
            start=material.start,
            end=material.end,
            cuts=question.cuts,
        )
        if _leaks(answer, material.context):
            return "the removed answer stands elsewhere in the context"
    context = material.context
    evidence: list[Evidence] = []
    for span in question.evidence:
        placed = material.place(span)
        if placed is None or placed.end <= placed.start:
            return "evidence outside the context"
        if context[placed.start : placed.end] != material.document.text[span.start : span.end]:
            return "evidence not at its offsets"
        middle = (placed.start + placed.end) / 2
        evidence.append(
            Evidence(
                start=placed.start,
                end=placed.end,
                text=context[placed.start : placed.end],
                depth=round(middle / len(context), 4),
            )
        )
    tokens = counter.row(material, text, answer)
    if tokens > material.ctx:
        return "over the token budget"
    return Example(
        document_id=material.document.id,
        question=text,
        answer=answer,
        context=context,
        ctx=material.ctx,
        context_tokens=counter.context(material),
        row_tokens=tokens - CHAT_MARKUP_TOKENS,
        question_kind=question.kind,
        material_kind=material.document.kind,
        is_whole=material.is_whole,
        evidence=tuple(evidence),
        sources=sources or (source_record(material.document),),
        generator=generator
        or Generator(backend="extractive", model=None, prompt_sha=wording_sha(question.kind)),
        checks=CHECKS,
    )


def source_record(document: Document) -> SourceRecord:
    """Where a context came from."""
    return SourceRecord(
        title=document.title,
        author=document.author,
        year=document.year,
        license=document.license,
        url=document.url,
        sha256=document.sha256,
    )


def contains_words(text: str, answer: str) -> bool:
    """Whether the answer's words stand in the text in a row, whatever the case and punctuation."""
    inner = " ".join(_WORDS.findall(answer.casefold()))
    return f" {inner} " in f" {' '.join(_WORDS.findall(text.casefold()))} "


def _leaks(answer: str, context: str) -> bool:
    """Whether a long removed answer can still be read in the context, word for word."""
    folded = " ".join(context.split())
    whole = " ".join(answer.split())
    if len(whole) < _LEAK_CHARACTERS:
        return len(whole) > 40 and whole in folded
    last = len(whole) - _LEAK_CHARACTERS
    starts = [*range(0, last, _LEAK_STEP), last]
    return any(whole[at : at + _LEAK_CHARACTERS] in folded for at in starts)
