"""The part of a dataset's card that shows a row: an example, and what every column says.

row_section(folder)     # the first row that is short enough to print, and a table of columns
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longdata.markdown import fenced
from longqa.dataset import FEATURES, read_rows

_EXAMPLE_CHARACTERS = 240  # of a question or answer that is printed whole
_CONTEXT_CHARACTERS = 160  # printed on each side of the evidence
_ABOUT_COLUMN = {
    "id": "16 hexadecimal digits that depend on question, answer and context alone",
    "question": "",
    "answer": "",
    "context": "the text to read; many rows share one",
    "ctx": "the token budget the row fits",
    "context_tokens": "tokens of the context alone",
    "row_tokens": "tokens of the training row: BOS, template, context, question, answer, EOS",
    "question_kind": "one of the kinds below",
    "material_kind": "book, paper, other, papers (two papers to compare) or short (no text)",
    "is_whole": "whether the context is the whole document",
    "evidence": "`context[start:end] == text`; `depth` is where its middle lies, 0 to 1",
    "spread": "from the first piece of evidence to the last, 0 to 1; 0 with one or none",
    "sources": "where the context came from, for attribution; both of two papers",
    "generator": "what wrote the question",
    "checks": "what was checked; null where a check was not run",
}


def row_section(folder: Path) -> str:
    """An example of the rows in a dataset folder, and its columns, as Markdown."""
    columns = "\n".join(
        f"| `{name}` | {_type(kind)} | {_ABOUT_COLUMN[name]} |" for name, kind in FEATURES.items()
    )
    row = _example(folder)
    shown = ""
    if row is not None:
        shown = f"\n\n{fenced(json.dumps(_shortened(row), indent=2, ensure_ascii=False), 'json')}"
    return (
        f"## What a row looks like{shown}\n\nThe context is shortened here, and only here.\n\n"
        f"| Column | Type | What it says |\n| :-- | :-- | :-- |\n{columns}"
    )


def _type(kind: Any) -> str:
    if isinstance(kind, list):
        return "list of struct"
    return str(kind["dtype"]) if "dtype" in kind else "struct"


def _example(folder: Path) -> dict[str, Any] | None:
    """The first row with evidence that is short enough to print; else the first row."""
    first = None
    for index, row in enumerate(read_rows(folder)):
        first = first or row
        longest = max(len(row["question"]), len(row["answer"]))
        if row["evidence"] and longest <= _EXAMPLE_CHARACTERS:
            return row
        if index == 200:
            break
    return first


def _shortened(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with the middle of its long texts left out, visibly, around its first evidence."""
    context = row["context"]
    at = row["evidence"][0]["start"] if row["evidence"] else 0
    low, high = max(0, at - _CONTEXT_CHARACTERS), min(len(context), at + _CONTEXT_CHARACTERS)
    before = f"[… {low:,} characters …] " if low else ""
    after = f" [… {len(context) - high:,} characters …]" if high < len(context) else ""
    evidence = [{**e, "text": _cut(e["text"])} for e in row["evidence"]]
    return {
        **{name: row[name] for name in FEATURES},
        "question": _cut(row["question"]),
        "answer": _cut(row["answer"]),
        "context": f"{before}{context[low:high]}{after}",
        "evidence": evidence[:3] + [f"[… {len(evidence) - 3} more …]"] * (len(evidence) > 3),
    }


def _cut(text: str) -> str:
    left = len(text) - 2 * _EXAMPLE_CHARACTERS
    return text if left <= 0 else f"{text[: 2 * _EXAMPLE_CHARACTERS]} [… {left:,} characters …]"
