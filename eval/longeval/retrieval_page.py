"""The table of a retrieval run on the terminal.

show(run, Path("out"))
ctx    topics  asked  accuracy             strict  …  answers
3,276  5       first  0.88 (0.76 – 0.94)   0.88    …  50
template: raw; refused: 3 longer than the context
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What tells the rows of the table apart, and what it is called there.
_KEYS = {
    "part": "",
    "num_topics": "topics",
    "num_lines": "lines",
    "asked": "asked",
    "format": "format",
    "depth": "depth",
    "ctx": "ctx",
}
_NAMES = {"accuracy nearest": "accuracy", "accuracy strict": "strict", "accuracy judge": "judge"}


def show(run: Mapping[str, Any], out: Path) -> None:
    """Print the numbers, one line for each length or part, and what was refused."""
    from rich.console import Console
    from rich.table import Table

    numbers = [number for number in run["numbers"] if not number.get("is_detail")]
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
    console = Console()
    console.print(table)
    refused = ", ".join(f"{count:,} {reason}" for reason, count in run["skipped"].items())
    said = f"template: {run['protocol']['template']}"
    console.print(said + (f"; refused: {refused}" if refused else ""), highlight=False)
    Console(stderr=True).print(f"{out / 'result.json'}: written", highlight=False)


def _name(number: Mapping[str, Any]) -> str:
    rule = number.get("rule")
    name = f"{number['name']} {rule}" if rule else str(number["name"])
    return _NAMES.get(name, name.replace("_", " "))


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if _is_float(value) else value


def _is_float(value: Any) -> bool:
    return isinstance(value, float)


def _cell(number: Mapping[str, Any] | None, index: int) -> str:
    """A value; the first of a row with its interval."""
    if number is None:
        return "–"
    interval = number["interval"]
    if index or interval is None:
        return f"{number['value']:.2f}"
    return f"{number['value']:.2f} ({interval[0]:.2f} – {interval[1]:.2f})"
