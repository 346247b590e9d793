"""A question as the model wrote it, with its quotes found in the context: what checks look at.

Draft(kind="motive", question="Why …?", answer="Because …", spans=(Span(start=120, end=180),), …)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from longdata.documents import Span
from longdata.prompt_template import PAPERS_BORDER
from longqa.records import Material

_WORD = re.compile(r"\w+")
# Scripts without spaces: two characters are about a word.
_CHARACTER = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_ITEM = re.compile(r"^\s*(?:[-*•–]|\(?\d+[.)])\s+", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """One candidate. `spans` are in characters of the context, sorted; none for unanswerable."""

    kind: str
    question: str
    answer: str
    spans: tuple[Span, ...]
    material: Material

    @property
    def about(self) -> str:
        """Two drafts of a document with the same one are the same question."""
        return " ".join(_WORD.findall(self.question.casefold()))

    @cached_property
    def quotes(self) -> tuple[str, ...]:
        """What stands at the spans."""
        context = self.material.context
        return tuple(context[span.start : span.end] for span in self.spans)

    @property
    def spread(self) -> float:
        """From the middle of the first quote to that of the last, as a share of the context."""
        if not self.spans:
            return 0.0
        middles = [(span.start + span.end) / 2 for span in self.spans]
        return (max(middles) - min(middles)) / max(1, len(self.material.context))

    @cached_property
    def items(self) -> list[str]:
        """The answer's list items; its lines where it has no list marks."""
        if _ITEM.search(self.answer):
            parts = _ITEM.split(self.answer)
            return [part.strip() for part in parts[1:] if part.strip()]
        return [line.strip() for line in self.answer.splitlines() if line.strip()]

    @property
    def border(self) -> int:
        """Where the second of two papers begins; -1 in other contexts."""
        at = self.material.context.find(PAPERS_BORDER)
        return at + len(PAPERS_BORDER) if at >= 0 else -1


def count_words(text: str) -> int:
    """Words; in scripts without spaces, half the characters."""
    characters = len(_CHARACTER.findall(text))
    return len(_WORD.findall(_CHARACTER.sub(" ", text))) + (characters + 1) // 2
