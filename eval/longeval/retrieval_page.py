"""The tables of a retrieval run on the terminal.

    show(run, Path("out"))
    ctx    topics  asked  accuracy             strict  …  answers
    3,276  5       first  0.88 (0.76 – 0.94)   0.88    …  50
    template: raw; refused: 3 longer than the context

Parts of a run (kinds of question, depths) are a second table; the grid of passkeys is a picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# What tells the rows of a table apart, and what it is called there.
_KEYS = {
    "part": "",
    "num_topics": "topics",
    "num_lines": "lines",
    "asked": "asked",
    "question_kind": "question",
    "depth": "depth",
    "ctx": "ctx",
}
_NAMES = {"accuracy nearest": "accuracy", "accuracy strict": "strict", "accuracy judge": "judge"}


def show(run: Mapping[str, Any], out: Path) -> None:
    """Print the numbers, one line for each length or part, and what was refused."""
    from rich.console import Console

    console = Console()
    numbers = run["numbers"]
    console.print(_table([number for number in numbers if not number.get("is_detail")]))
    details = [number for number in numbers if number.get("is_detail")]
    if details and run["kind"] != "passkey":
        console.print()
        console.print(_table([{**number, "part": None} for number in details]))
    refused = ", ".join(f"{count:,} {reason}" for reason, count in run["skipped"].items())
    said = f"template: {run['protocol']['template']}"
    console.print(said + (f"; refused: {refused}" if refused else ""), highlight=False)
    Console(stderr=True).print(f"{out / 'result.json'}: written", highlight=False, soft_wrap=True)


def _table(numbers: Sequence[Mapping[str, Any]]) -> Any:
    from rich.table import Table

    keys = [key for key in _KEYS if any(number.get(key) is not None for number in numbers)]
    rows: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for number in numbers:
        row = rows.setdefault(tuple(number.get(key) for key in keys), {})
        row[_name(number)] = number
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    table = Table(box=None, pad_edge=False)
    for head in (*(_KEYS[key] for key in keys), *names, "answers"):
        table.add_column(head, justify="right")
    for values, row in rows.items():
        answers = max(number["n"] for number in row.values())
        cells = [_cell(row.get(name), index) for index, name in enumerate(names)]
        table.add_row(*map(_value, values), *cells, f"{answers:,}")
    return table


def _name(number: Mapping[str, Any]) -> str:
    rule = number.get("rule")
    name = f"{number['name']} {rule}" if rule else str(number["name"])
    return _NAMES.get(name, name.replace("_", " "))


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _cell(number: Mapping[str, Any] | None, index: int) -> str:
    """A value; the first of a row with its interval."""
    if number is None:
        return "–"
    interval = number["interval"]
    if index or interval is None:
        return f"{number['value']:.2f}"
    return f"{number['value']:.2f} ({interval[0]:.2f} – {interval[1]:.2f})"
