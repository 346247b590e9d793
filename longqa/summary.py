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

from longdata.licenses import normalise
from longdata.prompt_template import SHORT
from longqa.attribution import Sources, verdict_of
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
        f"{_num_documents(facts):,} used" + _with_reasons(", {} left out: ", left_out),
    )
    asked = sum(count for kind, count in facts["requested"].items() if kind != SHORT)
    kept = sum(count for kind, count in facts["kept"].items() if kind != SHORT)
    yield (
        "Questions",
        f"{asked:,} asked = {kept:,} kept + {asked - kept:,} missing"
        + _with_reasons(": ", _by_reason(facts, "missing")),
    )
    if (short := facts["short"]) is not None:
        missing = f", {short['missing']:,} more asked for" if short["missing"] else ""
        yield (
            "Short rows",
            f"{short['mixed']:,} of {short['usable']:,} in {short['file']} mixed into train, "
            f"{100 * short['reached']:.1f} % of it{missing}"
            + _with_reasons("; {} skipped: ", short["skipped"]),
        )
    if (found := facts["decontamination"]) is not None:
        names = ", ".join(one["name"] for one in found["sets"])
        done = "left out" if found["mode"] == "remove" else "found and kept"
        hit = {
            what: found[what]["removed"] + found[what]["reported"]
            for what in ("contexts", "questions")
        }
        yield (
            "Evaluation sets",
            f"{names}: {hit['contexts']:,} of {found['contexts']['checked']:,} contexts and "
            f"{hit['questions']:,} of {found['questions']['checked']:,} questions overlap, {done}",
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
    yield "Licence", _license(built)
    yield "Time", duration(built.seconds)
    yield "Dataset", f"{built.folder}   datasets.load_dataset({str(built.folder)!r})"
    yield "Report", f"{built.folder / 'report.html'}"


def _num_documents(facts: BuildFacts) -> int:
    """Two papers that are compared are no third one."""
    return sum(document["kind"] != "papers" for document in facts["documents"])


def _license(built: Built) -> str:
    sources = Sources(built.facts, built.statistics)
    verdict = verdict_of(sources)
    if verdict.license == "unknown":
        unclear = [source for source in sources if normalise(source.license) is None]
        what = "sources" if built.statistics.num_short else "documents"
        options = (
            "--metadata" if all(one.is_short for one in unclear) else "--license or --metadata"
        )
        return (
            f"WARNING: not known for {len(unclear):,} of {len(sources):,} {what}"
            f"{_quoted(verdict.unknown)}; find out before you publish, and say it with {options}"
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
        if entry["kind"] != SHORT:  # these have their own line
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
