"""S²-Attn first, full attention for the last share of the steps.

    schedule = Anneal(steps=1000, exact_last=0.1, group_size=8192, ctx=32768)
    schedule.group_size_at(899)      -> 8192       the 900th step
    schedule.group_size_at(900)      -> 32768      the last 100: nothing is cut

Sparse attention in training is a little worse than full attention, mostly at retrieval (arXiv
2409.12181); a model is used with full attention, so it may see some of it before it is done.
"""

from __future__ import annotations

from dataclasses import dataclass

from longtune.building import whole
from longtune.config import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Anneal:
    """Which group size each step of a run has."""

    steps: int
    exact_last: float
    group_size: int
    ctx: int

    @classmethod
    def of(cls, recipe: Recipe, steps: int) -> Anneal:
        """Full attention is full from the first step on."""
        share = 1.0 if recipe.attention == "full" else recipe.exact_last
        return cls(steps=steps, exact_last=share, group_size=recipe.group, ctx=recipe.ctx)

    @property
    def first_exact(self) -> int:
        """The first step, counted from 0, with full attention; `steps` if there is none."""
        return self.steps - round(self.exact_last * self.steps)

    def is_exact(self, step: int) -> bool:
        """Whether a step, counted from 0, has full attention."""
        return step >= self.first_exact

    def group_size_at(self, step: int) -> int:
        """The group size of a step, counted from 0."""
        return whole(self.ctx) if self.is_exact(step) else self.group_size
