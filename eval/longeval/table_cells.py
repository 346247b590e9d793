"""A table as data: rows of cells, each a number with its interval, not yet a text.

cell = Cell(value=8.3147, low=8.02, high=8.61)
cell.said, cell.interval                      -> "8.31", "[8.02, 8.61]"
Row(heads=("my-model", "longlora"), cells={"2,048": cell})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A number with its interval; `digits` after the point, `estimated`: of a part of the data.

    `is_p`: a probability, which is never said to be 0.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    digits: int = 2
    estimated: bool = False
    is_p: bool = False

    @property
    def said(self) -> str:
        if self.is_p and self.value < 10**-self.digits:
            return f"< {10**-self.digits:.{self.digits}f}"
        return ("≈ " if self.estimated else "") + self._number(self.value)

    @property
    def interval(self) -> str:
        if self.low is None or self.high is None:
            return ""
        return f"[{self._number(self.low)}, {self._number(self.high)}]"

    def _number(self, value: float) -> str:
        return f"{value:,.{self.digits if abs(value) < 1000 else 0}f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: what it is of, its cells by column, and where it stands if it is not ours."""

    heads: tuple[str, ...]
    cells: Mapping[str, Cell]
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`heads` name the first columns, `columns` the others, in order."""

    title: str
    kind: str
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
