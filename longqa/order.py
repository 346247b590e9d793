"""What a build is asked for: from what, where to, and how much of the machine it may use.

Order(sources=("books/", "gutenberg:36"), out=Path("out"), recipe=Recipe(ctx=(8192,)))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from longdata.engines import Engine
from longdata.errors import UserError
from longdata.workers import available_cpus
from longqa.facts import SplitName
from longqa.llm.purse import Purse, require_prices
from longqa.llm.records import Endpoint
from longqa.recipe import Recipe
from longqa.short import num_short
from longqa.short_file import ShortFile
from longqa.splits import SHARES
from longqa.work import GENERATORS


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOrder:
    """Where the models of a recipe are, and what they may cost in this folder, all runs together.

    None of it decides what a row says.
    """

    writer: Endpoint
    judge: Endpoint | None = None
    max_usd: float | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        require_prices(self.max_usd, self.endpoints)
        Purse(self.max_usd, self.max_tokens)  # wrong limits end here

    @property
    def endpoints(self) -> list[Endpoint]:
        """The writer, and the judge if there is one."""
        return [self.writer] if self.judge is None else [self.writer, self.judge]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to build, from what, and how much of the machine to use for it."""

    sources: tuple[str, ...]  # as `longdata.sources.discover` takes them
    out: Path
    recipe: Recipe = field(default_factory=Recipe)
    generator: str = "extractive"
    model: ModelOrder | None = None  # of the recipe's model; None = the offline generator
    short: ShortFile | None = None  # mixed into the training split
    short_share: float = 0.26  # of the training split, as in LongAlpaca
    license: str | None = None
    metadata: Path | None = None
    text_column: str = "text"
    shares: Mapping[SplitName, float] = field(default_factory=lambda: dict(SHARES))
    workers: int = field(default_factory=available_cpus)
    engine: Engine = field(default_factory=Engine)  # another one than local reads the sources
    strict: bool = False
    offline: bool = False
    cache_dir: Path | None = None
    command: str = ""  # as typed, for build.json

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"got --workers {self.workers}; allowed: 1 or more; fix: leave it out")
        num_short(1, self.short_share)  # a wrong share ends here
        if (self.model is None) != (self.recipe.model is None):
            raise ValueError("a recipe with a model needs an order that says where it is")
        if self.model is None and self.generator not in GENERATORS:
            raise UserError(
                f"got --generator {self.generator}; allowed: {', '.join(GENERATORS)}; "
                "fix: leave it out"
            )
