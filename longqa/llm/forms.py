"""The forms a model fills in: what JSON it must answer with, one class per purpose of a call.

Every field is required and no other is allowed, as strict structured output wants it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Item(_Form):
    """One question that was written, its answer and quotes of the text that prove it."""

    question: str
    answer: str
    quotes: list[str]


class Written(_Form):
    """The questions asked for ("write")."""

    items: list[Item]


class Looked(_Form):
    """Whether the text answers a question, and how ("look")."""

    answered: bool
    answer: str
    quotes: list[str]


class Attempted(_Form):
    """An attempt without the text, or from one passage of it ("closed book", "passage")."""

    known: bool
    answer: str


class Compared(_Form):
    """Whether an attempt says what the answer says ("compare")."""

    same: bool


_Score = Annotated[int, Field(ge=1, le=5)]


class Judged(_Form):
    """Scores from 1 to 5, and the numbers of the quotes that support the answer ("judge").

    There is no field for text: a judge cannot rewrite anything.
    """

    correct: _Score
    supported: _Score
    clear: _Score
    quotes: list[int]
