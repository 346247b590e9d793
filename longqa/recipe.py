"""What decides a document's examples, and what came of it.

Two builds with the same `Recipe`, document and version give the same examples, in any process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from longdata.errors import UserError
from longqa.decontamination import Against, Tally
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.questions import KINDS, Kind
from longqa.records import Example

SMALLEST_CTX = 256


def without_folder(model: str) -> str:
    """A model's name: "Qwen/Qwen3-32B" as it is, of "/data/models/mine" the last part."""
    is_path = model.startswith(("/", ".", "~")) or model[1:3] in (":\\", ":/")
    return (re.split(r"[/\\]", model.rstrip("/\\"))[-1] or model) if is_path else model


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecipe:
    """What a language model has to do with a document's examples; where it runs is not in here."""

    model: str
    judge: str | None = None  # the model that scores, None = nobody does
    language: str | None = None  # ISO 639-1, of the questions; None = as each document
    temperature: float = 0.7  # of writing; everything else is asked at 0

    @property
    def public_model(self) -> str:
        """The model's name without the folders of this machine."""
        return without_folder(self.model)

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 2:
            raise UserError(
                f"got --temperature {self.temperature:g}; allowed: 0 to 2; fix: --temperature 0.7"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The settings of question making; validated once, here.

    `ctx` are token budgets, `shares` how a document's questions divide over them (normalised).
    `kinds` is empty for all kinds by weight; {"speaker": None} restricts to some kinds by weight;
    {"speaker": 4} asks for exact counts per document (then `per_document` is their sum).
    """

    ctx: tuple[int, ...] = (8192, 16384, 32768)
    shares: tuple[float, ...] = ()  # () = equal
    per_document: int = 80
    kinds: Mapping[str, int | None] = field(default_factory=dict)
    tokenizer: str | None = None  # None = the offline default
    seed: int = 0
    model: ModelRecipe | None = None  # None = the offline generator
    against: Against | None = None  # evaluation sets that contexts and questions may not overlap

    @property
    def table(self) -> Mapping[str, Kind]:
        """The kinds that this recipe's generator knows."""
        return KINDS if self.model is None else MODEL_KINDS

    @property
    def exact(self) -> bool:
        """Whether `kinds` names counts, not only kinds."""
        return any(count is not None for count in self.kinds.values())

    @property
    def _kinds_as_typed(self) -> str:
        return ",".join(k if n is None else f"{k}={n}" for k, n in self.kinds.items())

    def __post_init__(self) -> None:
        if not self.ctx or any(ctx < SMALLEST_CTX for ctx in self.ctx):
            raise UserError(
                f"got --ctx {','.join(map(str, self.ctx))}; allowed: {SMALLEST_CTX} or more; "
                "fix: --ctx 8192,16384"
            )
        if list(self.ctx) != sorted(set(self.ctx)):
            raise UserError(
                f"got --ctx {','.join(map(str, self.ctx))}; allowed: each length once, "
                "smallest first; fix: sort them"
            )
        if self.shares and (
            len(self.shares) != len(self.ctx)
            or not all(0 < share < float("inf") for share in self.shares)
        ):
            raise UserError(
                f"got shares {','.join(map(str, self.shares))} for {len(self.ctx)} lengths; "
                "allowed: one positive number per length; fix: --ctx 8192,16384 --ctx-shares 2,1"
            )
        if self.per_document < 1:
            raise UserError(
                f"got --per-document {self.per_document}; allowed: 1 or more; fix: leave it out"
            )
        unknown = sorted(set(self.kinds) - set(self.table))
        if unknown:
            raise UserError(
                f"got --kinds {','.join(unknown)}; allowed: {', '.join(self.table)}; "
                "fix: take names from that list"
            )
        exact = [count for count in self.kinds.values() if count is not None]
        if exact and (len(exact) != len(self.kinds) or min(exact) < 1):
            raise UserError(
                f"got --kinds {self._kinds_as_typed}; allowed: names "
                "alone, or name=count for every one; fix: --kinds speaker=4,order=2"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one document gave. For every kind, requested = kept + sum of missing.

    `rejected` counts candidate questions that a check refused, by (kind, reason): they were
    replaced by other candidates where there were any. `is_complete` is False when calls to a model
    failed: asked again later, the document may give more.
    """

    examples: tuple[Example, ...]
    requested: Mapping[str, int]  # kind -> count
    missing: Mapping[tuple[str, str], int]  # (kind, reason) -> count
    rejected: Mapping[tuple[str, str], int]  # (kind, reason) -> candidates refused
    document_tokens: int  # of the whole document
    counted_by: str  # "pieces" or "full": how the exact counts were made (longdata.tokenizers)
    is_complete: bool = True
    overlap: Tally | None = None  # with the recipe's evaluation sets; None = it names none
