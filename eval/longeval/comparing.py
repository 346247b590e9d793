"""Two models on the same cases: is one better, or is it chance?

    found = compare_runs("runs/longlora", "runs/longchat")
    found.rows[0]   -> Row(group="num_topics 25", first=0.94, second=0.90, n=50, test="McNemar",
                           p=0.69, adjusted=1.0, …)

Cases are matched by what was asked, not by their order. Where answers are right or wrong it is
McNemar's exact test on the cases that the two differ on; for F1 and other means it is the paired
difference of documents. With several lengths there are several tests: `adjusted` are Holm's p
values, and the last row is of all together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from longdata.errors import UserError
from longeval.results import read
from longeval.retrieval import by_group, samples_of
from longeval.stats import Difference, Interval, Paired, compare, difference, holm

# What each kind of run is grouped by, and what is compared.
_GROUPS: dict[str, tuple[str, ...]] = {
    "topics": ("ctx_asked", "num_topics_asked", "asked"),
    "lines": ("ctx_asked", "num_lines"),
    "passkey": ("ctx",),
    "qa": ("ctx",),
}
_MEANS = ("f1", "rouge_l")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One test. `apart`: second minus first; `only_first`: cases that only the first had right."""

    group: str
    metric: str
    n: int
    first: float
    second: float
    apart: float
    interval: Interval | None
    only_first: int | None
    only_second: int | None
    test: str
    p: float
    adjusted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All tests of two runs. `unmatched`: cases that only one of them answered."""

    names: tuple[str, str]
    kind: str
    rows: tuple[Row, ...]
    unmatched: int


def compare_runs(first: str | Path, second: str | Path) -> Comparison:
    """The comparison of two results. UserError: of different kinds, or without a case in common."""
    facts = read(first), read(second)
    kinds = {str(one["kind"]) for one in facts}
    if len(kinds) != 1 or not kinds <= _GROUPS.keys():
        raise UserError(
            f"got runs of {' and '.join(sorted(kinds))}; allowed: two of one kind, of "
            f"{', '.join(_GROUPS)}; fix: name two runs of the same evaluation"
        )
    (kind,) = kinds
    tables = [
        {(row["id"], row.get("ctx_asked")): row for row in samples_of(run, one)}
        for run, one in zip((first, second), facts, strict=True)
    ]
    keys = [key for key in tables[0] if key in tables[1]]
    if not keys:
        raise UserError(
            f"got {first} and {second}, which have no case in common; allowed: runs of the same "
            "cases; fix: run both with the same options and seed; models with different tokenizers "
            "need lengths that are not tokens (--topics, --lines, --as-published)"
        )
    pairs = [{**tables[0][key], "_key": key, "_other": tables[1][key]} for key in keys]
    rows = _rows(kind, pairs)
    return Comparison(
        names=(_name(facts[0]), _name(facts[1])),
        kind=kind,
        rows=tuple(rows),
        unmatched=len(tables[0].keys() ^ tables[1].keys()),
    )


def _rows(kind: str, pairs: Sequence[Mapping[str, Any]]) -> list[Row]:
    if kind == "qa":
        pairs = [pair for pair in pairs if pair["part"] == "with the text"]
    groups = [
        (
            " ".join(
                f"{key} {value}"
                for key, value in zip(_GROUPS[kind], values, strict=True)
                if value is not None
            ),
            of,
        )
        for values, of in by_group(pairs, _GROUPS[kind])
    ]
    rows = [_mcnemar(name, of) for name, of in groups]
    adjusted = holm([row.p for row in rows])
    rows = [replace(row, adjusted=p) for row, p in zip(rows, adjusted, strict=True)]
    if len(groups) > 1:
        rows.append(_mcnemar("all", pairs))
    if kind == "qa":
        rows += [_difference(metric, pairs) for metric in _MEANS]
    return rows


def _mcnemar(group: str, pairs: Sequence[Mapping[str, Any]]) -> Row:
    found: Paired = compare(
        {pair["_key"]: bool(pair["right"]) for pair in pairs},
        {pair["_key"]: bool(pair["_other"]["right"]) for pair in pairs},
    )
    first = (found.both + found.only_first) / found.n
    second = (found.both + found.only_second) / found.n
    return Row(
        group=group,
        metric="right",
        n=found.n,
        first=first,
        second=second,
        apart=second - first,
        interval=None,
        only_first=found.only_first,
        only_second=found.only_second,
        test="McNemar",
        p=found.p,
        adjusted=found.p,
    )


def _difference(metric: str, pairs: Sequence[Mapping[str, Any]]) -> Row:
    first, second, counts = [], [], []
    for _, of in by_group(pairs, ("document",)):
        first.append(sum(float(pair[metric]) for pair in of))
        second.append(sum(float(pair["_other"][metric]) for pair in of))
        counts.append(len(of))
    found: Difference = difference(first, second, counts)
    return Row(
        group="all",
        metric=metric,
        n=len(pairs),
        first=sum(first) / len(pairs),
        second=sum(second) / len(pairs),
        apart=found.value,
        interval=found.interval,
        only_first=None,
        only_second=None,
        test="paired, by document",
        p=found.p,
        adjusted=found.p,
    )


def _name(facts: Mapping[str, Any]) -> str:
    return str(facts["model"].get("name") or "model")
