"""What the retrieval evaluations share: cases are asked, scored and written as one result.

asked = ask(backend, prompts_of(cases, max_new_tokens=50), out)
number = share([True, True, False], name="accuracy", ctx=8192)
-> {"name": "accuracy", "ctx": 8192, "value": 0.667, "interval": [0.208, 0.939], "n": 3}
write_result(out, kind="topics", backend=backend, data={…}, protocol={…}, numbers=[number, …],
             refused=asked.refused, rows=[{"id": …, "right": True}, …])
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from longdata.errors import UserError
from longeval.ask import Backend, Prompt
from longeval.results import SAMPLES, write
from longeval.stats import Mean, wilson

SHOWN = 1_200  # characters of an example prompt: its beginning and its end


class Case(Protocol):
    """What is asked; each evaluation has its own kind."""

    @property
    def id(self) -> str:
        """Of what is asked, the same in every run: two models are compared by it."""

    @property
    def prompt(self) -> str:
        """What the user says."""


def prompts_of(cases: Sequence[Case], *, max_new_tokens: int) -> list[Prompt]:
    """A prompt for each case."""
    return [Prompt(id=case.id, text=case.prompt, max_new_tokens=max_new_tokens) for case in cases]


def share(right: Sequence[bool], *, name: str, **about: Any) -> dict[str, Any]:
    """A share of right answers with Wilson's interval, as a result holds it."""
    low, high = wilson(sum(right), len(right))
    return {
        "name": name,
        **about,
        "value": sum(right) / len(right),
        "interval": [low, high],
        "n": len(right),
    }


def mean(found: Mean, *, name: str, n: int, **about: Any) -> dict[str, Any]:
    """A mean with its interval, as a result holds it; `n`: of answers, not of clusters."""
    interval = None if found.interval is None else list(found.interval)
    return {"name": name, **about, "value": found.value, "interval": interval, "n": n}


def by_group(
    rows: Sequence[Mapping[str, Any]], keys: Sequence[str]
) -> list[tuple[tuple[Any, ...], list[Mapping[str, Any]]]]:
    """Rows that have the same values under these keys, in the order of the first of each."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return list(groups.items())


def by_depth(
    rows: Sequence[Mapping[str, Any]], *, bins: int = 5
) -> list[tuple[float, list[Mapping[str, Any]]]]:
    """Rows by where their answer stands: the middle of each of `bins` parts, and its rows."""
    groups: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(min(bins - 1, int(row["depth"] * bins)), []).append(row)
    return [((2 * part + 1) / (2 * bins), groups[part]) for part in sorted(groups)]


def mean_tokens(rows: Sequence[Mapping[str, Any]]) -> int | None:
    """The mean length of prompts, where it is known."""
    counts = [row["prompt_tokens"] for row in rows if row["prompt_tokens"] is not None]
    return round(sum(counts) / len(counts)) if counts else None


def samples_of(run: str | Path, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a result's samples. UserError: it has none, or they are not its own."""
    import pyarrow.parquet

    said = facts["samples"]
    folder = Path(run) if Path(run).is_dir() else Path(run).parent
    path = folder / SAMPLES
    if said is None or not path.is_file():
        why = "has no samples"
    elif hashlib.sha256(path.read_bytes()).hexdigest() != said["sha256"]:
        why = "has samples of another result"
    else:
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
        return rows
    raise UserError(
        f"got {run}, which {why}; allowed: a folder as longeval wrote it; fix: run it again"
    )


def write_result(
    out: Path,
    *,
    kind: str,
    backend: Backend,
    cases: Sequence[Case],
    data: Mapping[str, Any],
    protocol: Mapping[str, Any],
    numbers: Sequence[Mapping[str, Any]],
    refused: Mapping[str, int],
    rows: Sequence[Mapping[str, Any]],
) -> Path:
    """result.json and samples.parquet of a run; an example shows what the model got."""
    import pyarrow as pa

    ids = hashlib.sha256("\n".join(sorted(case.id for case in cases)).encode()).hexdigest()[:32]
    run = {
        "kind": kind,
        "model": dict(backend.model),
        "data": {**data, "cases": len(cases), "fingerprint": ids},
        "protocol": {**protocol, **backend.protocol, "example": _example(backend, cases[0])},
        "numbers": [dict(number) for number in numbers],
        "skipped": dict(refused),
    }
    return write(out, run, pa.Table.from_pylist([dict(row) for row in rows]))


def _example(backend: Backend, case: Case) -> str:
    shown = backend.show(case.prompt)
    if len(shown) <= SHOWN:
        return shown
    return f"{shown[: SHOWN // 2]} […] {shown[-SHOWN // 2 :]}"
