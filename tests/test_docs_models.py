"""docs/models.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from longqa.llm.examiner import LEAST_CLEAR, LEAST_CORRECT, LEAST_SUPPORTED
from longqa.llm.interview import ROUNDS
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.questions import UNANSWERABLE_SHARE
from longqa.taxonomy_page import checks_of, kinds_of_documents

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "models.md").read_text(encoding="utf-8")


def test_the_table_is_the_taxonomy() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \|$", PAGE, re.MULTILINE)
    assert rows == [
        (name, kind.asks, kinds_of_documents(kind.of), "; ".join(checks_of(kind)))
        for name, kind in MODEL_KINDS.items()
    ]


def test_the_numbers_are_those_of_the_code() -> None:
    said = " ".join(PAGE.split())
    assert f"about {UNANSWERABLE_SHARE:.0%} of the rows".replace("%", " %") in said
    assert f"Kept are scores of {LEAST_CORRECT} of 5 for correct and supported" in said
    assert LEAST_CORRECT == LEAST_SUPPORTED and f"and {LEAST_CLEAR} for clear" in said
    assert ROUNDS == 3 and "asked for again, twice" in said
