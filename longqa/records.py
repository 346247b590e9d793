"""The records that cross the borders between the steps, and the row that reaches the disk.

    Document ─ materials ─► Material ─ questions ─► Question ─ checks ─► Example ─► Parquet row

Offsets of a `Question` count characters of the *document*; offsets of an `Example`'s evidence
count characters of its *context*, so that `context[start:end] == text` holds in every row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from longdata.documents import Document, Span

Part = str | tuple[int, int]  # literal text, or text[start:end] of the document


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """text[start:end] of the document is left out; `replacement` stands in its place."""

    start: int
    end: int
    replacement: str = ""


@dataclass(frozen=True, kw_only=True)
class Material:
    """A stretch of one document that fits the budget `ctx` (tokens) with template and answer.

    The context is document.text[start:end] without the cuts, which are in order and do not overlap.
    """

    document: Document
    ctx: int
    start: int
    end: int
    cuts: tuple[Cut, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the context is the document from its first to its last character."""
        return self.start == 0 and self.end == len(self.document.text)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The context as slices of the document and literal replacements, in order."""
        parts: list[Part] = []
        at = self.start
        for cut in self.cuts:
            if cut.start > at:
                parts.append((at, cut.start))
            if cut.replacement:
                parts.append(cut.replacement)
            at = cut.end
        if at < self.end:
            parts.append((at, self.end))
        return tuple(parts)

    @cached_property
    def context(self) -> str:
        """The text a model reads."""
        text = self.document.text
        return "".join(p if isinstance(p, str) else text[p[0] : p[1]] for p in self.parts)

    def place(self, span: Span) -> Span | None:
        """Offsets of the document → of the context; None outside it or where something was cut."""
        if not self.start <= span.start <= span.end <= self.end:
            return None
        moved = self.start
        for cut in self.cuts:
            if cut.start >= span.end:
                break
            if cut.end > span.start:
                return None
            moved += cut.end - cut.start - len(cut.replacement)
        return Span(start=span.start - moved, end=span.end - moved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with its answer and where the document shows it (document offsets).

    `about` is what it asks about, whatever the phrasing: two questions of a kind about the same
    thing are duplicates. `cuts` are what must be removed from the context: the abstract, say.
    """

    kind: str
    about: str
    text: str
    answer: str
    evidence: tuple[Span, ...]
    cuts: tuple[Cut, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """context[start:end] == text; `depth` is where its middle lies in the context, 0 to 1."""

    start: int
    end: int
    text: str
    depth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """Where the context came from, for attribution and licence."""

    title: str
    author: str | None
    year: int | None
    license: str | None
    url: str | None
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """What wrote the question; `model` is None offline, `prompt_sha` is that of the wording."""

    backend: str
    model: str | None
    prompt_sha: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row of the dataset. All token counts are of the target tokenizer.

    `context_tokens` counts the context alone; `row_tokens` the whole training row: BOS, template,
    context, question, answer, EOS. row_tokens + CHAT_MARKUP_TOKENS <= ctx always.
    """

    document_id: str
    question: str
    answer: str
    context: str
    ctx: int
    context_tokens: int
    row_tokens: int
    question_kind: str
    material_kind: str
    is_whole: bool  # the context is the whole document, not a part of it
    evidence: tuple[Evidence, ...]
    sources: tuple[SourceRecord, ...]
    generator: Generator
    checks: Mapping[str, bool]

    @property
    def spread(self) -> float:
        """From the first piece of evidence to the last, as a share of the context; 0 with one."""
        depths = [piece.depth for piece in self.evidence]
        return round(max(depths) - min(depths), 4) if depths else 0.0

    @property
    def id(self) -> str:
        """16 hexadecimal digits that depend on what the row says and on nothing else."""
        parts = (self.question_kind, self.question, self.answer, self.context)
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]

    def row(self) -> dict[str, Any]:
        """The example as the Parquet schema has it (longqa.dataset.SCHEMA)."""
        return {
            "id": self.id,
            "question": self.question,
            "answer": self.answer,
            "context": self.context,
            "ctx": self.ctx,
            "context_tokens": self.context_tokens,
            "row_tokens": self.row_tokens,
            "question_kind": self.question_kind,
            "material_kind": self.material_kind,
            "is_whole": self.is_whole,
            "evidence": [
                {"start": e.start, "end": e.end, "text": e.text, "depth": e.depth}
                for e in self.evidence
            ],
            "spread": self.spread,
            "sources": [
                {
                    "title": s.title,
                    "author": s.author,
                    "year": s.year,
                    "license": s.license,
                    "url": s.url,
                    "sha256": s.sha256,
                }
                for s in self.sources
            ],
            "generator": {
                "backend": self.generator.backend,
                "model": self.generator.model,
                "prompt_sha": self.generator.prompt_sha,
            },
            "checks": dict(self.checks),
        }
