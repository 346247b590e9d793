"""The account at the end of a build: what was asked, kept and missing, and where everything is.

print_summary(built)
-> tables of splits, kinds, lengths and licences, then

Sources     40 used, 1 skipped: 1 damaged
Documents   39 used, 1 left out: 1 near-duplicate
Questions   3,200 asked = 3,104 kept + 96 missing: 90 the text holds no further question …
…
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from longdata.licenses import combined, normalise
from longqa.build import Built
from longqa.facts import BuildFacts
from longqa.overview import render_statistics
from longqa.progress import duration

_LEFT_OUT = ("near-duplicate", "part of another document")
_REASONS = 4  # named in a line; build.json has them all


def print_summary(built: Built, console: Console | None = None) -> None:
    """Print what came of a build to standard output."""
    console = console or Console()
    render_statistics(built.statistics, console, built.facts)
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="bold")
    for name, value in _lines(built):
        lines.add_row(name, Text(value))
    console.print(lines)


def _lines(built: Built) -> Iterable[tuple[str, str]]:
    facts = built.facts
    skipped = Counter(skip.reason for skip in built.skipped)
    left_out = Counter(
        entry["reason"] for entry in facts["skipped"] if entry["reason"] in _LEFT_OUT
    )
    yield (
        "Sources",
        f"{built.num_read:,} read, {built.num_worked:,} of them in this run"
        + _with_reasons(", {} skipped: ", skipped),
    )
    yield (
        "Documents",
        f"{len(facts['documents']):,} used" + _with_reasons(", {} left out: ", left_out),
    )
    asked, kept = sum(facts["requested"].values()), sum(facts["kept"].values())
    yield (
        "Questions",
        f"{asked:,} asked = {kept:,} kept + {asked - kept:,} missing"
        + _with_reasons(": ", _by_reason(facts, "missing")),
    )
    yield (
        "Candidates",
        f"{sum(_by_reason(facts, 'rejected').values()):,} refused"
        + _with_reasons(": ", _by_reason(facts, "rejected")),
    )
    if facts["dropped"]:
        yield "Left out of texts", _with_reasons("{} parts: ", facts["dropped"])
    how = {"pieces": "by pieces (checked against whole texts)", "full": "by encoding whole rows"}
    ways = " and ".join(how.get(way, way) for way in sorted(built.counted_by))
    yield "Tokens", f"exact, of {facts['tokenizer']['name']}, counted {ways}"
    yield "Licence", _license(facts)
    yield "Time", duration(built.seconds)
    yield "Dataset", f"{built.folder}   datasets.load_dataset({str(built.folder)!r})"
    yield "Report", f"{built.folder / 'report.html'}"


def _license(facts: BuildFacts) -> str:
    said = [document["license"] for document in facts["documents"] if document["kept"]]
    verdict = combined(said)
    if verdict.license == "unknown":
        return (
            f"WARNING: not known for {sum(normalise(one or '') is None for one in said):,} of "
            f"{len(said):,} documents{_quoted(verdict.unknown)}; find out before you publish, "
            "and say it with --license or --metadata"
        )
    named = ", ".join(verdict.sources)
    if not verdict.redistribution:
        return f"WARNING: some sources ({named}) do not allow their text to be passed on"
    if verdict.license == "other":
        return f"WARNING: no single licence honours those of all sources ({named})"
    return f"{verdict.license}, from sources under {named}"


def _quoted(spellings: Iterable[str]) -> str:
    named = [f"“{spelling}”" for spelling in spellings if spelling][:3]
    return f" (not understood: {', '.join(named)})" if named else ""


def _by_reason(facts: BuildFacts, what: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for entry in facts["missing"] if what == "missing" else facts["rejected"]:
        counts[entry["reason"]] += entry["count"]
    return counts


def _with_reasons(opening: str, counts: Mapping[str, int]) -> str:
    """ "opening 12 this, 3 that, 5 more"; nothing when there is nothing to count."""
    if not counts:
        return ""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{count:,} {reason}" for reason, count in ordered[:_REASONS]]
    if rest := sum(count for _, count in ordered[_REASONS:]):
        named.append(f"{rest:,} more")
    return opening.format(f"{sum(counts.values()):,}") + ", ".join(named)
