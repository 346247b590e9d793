"""`README.md` of a dataset folder: the card that the Hub shows and `datasets` reads.

    write_card(folder, facts, files, statistics)      # files: what each split's writer returned

Everything in it comes from the build: the licence from the sources (`longdata.licenses`), the
numbers from the rows, the example from the first row that is short enough to print. What documents
say of themselves is escaped, so that a title is never markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from longdata.atomic import write_file
from longdata.licenses import LICENSES, Verdict, combined
from longqa.card_header import header, pretty_name
from longqa.card_row import row_section
from longqa.dataset import SplitFiles
from longqa.facts import SPLITS, BuildFacts
from longqa.llm.taxonomy import ALL_KINDS
from longqa.markdown import fenced, link, plain, table
from longqa.overview import Statistics, spark

FILE_NAME = "README.md"
_MOST_SOURCES = 1000


def write_card(
    folder: Path, facts: BuildFacts, files: Sequence[SplitFiles], statistics: Statistics
) -> Path:
    """Write `README.md` for the rows in a dataset folder; its path."""
    documents = [document for document in facts["documents"] if document["kept"]]
    verdict = combined(document["license"] for document in documents)
    yaml_header = yaml.safe_dump(
        header(facts, files, statistics, verdict), sort_keys=False, allow_unicode=True, width=100
    )
    parts = (
        f"---\n{yaml_header}---",
        f"# {pretty_name(facts)}",
        _license_notice(verdict),
        _introduction(statistics),
        _loading(),
        row_section(folder),
        _numbers(statistics),
        _kinds(facts, statistics),
        _making(facts),
        _sources(facts),
        _license(verdict),
        _use(facts, statistics),
    )
    path = folder / FILE_NAME
    write_file(path, "\n\n".join(part for part in parts if part) + "\n")
    return path


def _license_notice(verdict: Verdict) -> str:
    if verdict.license == "unknown":
        return (
            "> **Do not publish this dataset yet.** The licence of some of its sources is not "
            "known; see [Licence](#licence)."
        )
    if not verdict.redistribution:
        return (
            "> **Do not publish this dataset.** Some of its sources do not allow their text to be "
            "passed on; see [Licence](#licence)."
        )
    if verdict.license == "other":
        return (
            "> **Settle the licence before publishing this dataset.** No single licence honours "
            "those of all its sources; see [Licence](#licence)."
        )
    return ""


def _introduction(statistics: Statistics) -> str:
    return (
        f"{statistics.num_rows:,} questions on {len(statistics.documents):,} long documents, each "
        f"with its answer, the text to read (a row has up to {max(statistics.by_ctx):,} tokens) "
        "and the places in the text that show the answer. For training and testing language "
        "models on long contexts."
    )


def _loading() -> str:
    return """## Loading

```python
from datasets import load_dataset

rows = load_dataset("path/to/this/folder")["train"]  # or its name on the Hub
```

The same prompt for training and use, with `pip install longqa`:

```python
from longqa.prompts import prompt

row = rows[0]
source = row["sources"][0]
text = prompt(
    context=row["context"],
    question=row["question"],
    title=source["title"],
    author=source["author"],
    kind=row["material_kind"],
    is_whole=row["is_whole"],
)
answer = " " + row["answer"]
```

`report.html` shows every example with its evidence in its context; it needs no network."""


def _numbers(statistics: Statistics) -> str:
    splits = table(
        ("Split", "Documents", "Examples"),
        [
            (split, f"{statistics.documents_of(split):,}", f"{statistics.by_split[split]:,}")
            for split in SPLITS
            if statistics.by_split[split]
        ],
    )
    lengths = table(
        ("Token budget (`ctx`)", "Examples"),
        [(f"{ctx:,}", f"{count:,}") for ctx, count in sorted(statistics.by_ctx.items())],
    )
    tokens = statistics.row_tokens
    bins = table(
        [f"{10 * tenth}–{10 * tenth + 10} %" for tenth in range(10)],
        [[f"{value:,.0f}" for value in statistics.depth.bins]],
    )
    return f"""## Numbers

No document is in two splits.

{splits}

{lengths}

A row has {tokens.mean:,.0f} tokens on average, {tokens.quantile(0.5):,} in the middle one, and \
{tokens.largest:,} at most. {100 * statistics.unanswerable_share:.1f} % of the questions cannot be \
answered from the text, and their answers say so.

Where in the context the evidence lies (examples; one with several passages counts in parts):

{bins}"""


def _kinds(facts: BuildFacts, statistics: Statistics) -> str:
    names = set(facts["requested"]) | set(statistics.by_kind)
    rows = []
    for kind in sorted(
        names, key=lambda k: (list(ALL_KINDS).index(k) if k in ALL_KINDS else 99, k)
    ):
        missing = Counter[str]()
        for entry in facts["missing"]:
            if entry["kind"] == kind:
                missing[entry["reason"]] += entry["count"]
        why = "; ".join(f"{plain(reason)} ({n:,})" for reason, n in sorted(missing.items()))
        depth = statistics.depth_by_kind.get(kind)
        rows.append(
            (
                f"`{kind}`",
                f"{ALL_KINDS[kind].asks}; {ALL_KINDS[kind].basis}" if kind in ALL_KINDS else "",
                f"{facts['requested'].get(kind, 0):,}",
                f"{statistics.by_kind[kind]:,}",
                f"`{spark(depth.bins).replace(' ', '·')}`" if depth and any(depth.bins) else "",
                why,
            )
        )
    head = ("Kind", "Asks for; basis", "Asked", "Kept", "Depth 0 → 1", "Not kept, and why")
    return f"## Kinds of questions\n\n{table(head, rows)}"


def _making(facts: BuildFacts) -> str:
    tokenizer, recipe, generator = facts["tokenizer"], facts["recipe"], facts["generator"]
    refused = Counter[str]()
    for entry in facts["rejected"]:
        refused[entry["reason"]] += entry["count"]
    skipped = Counter(entry["reason"] for entry in facts["skipped"])
    lengths = ", ".join(
        f"{ctx:,} ({100 * share:.0f} %)"
        for ctx, share in zip(recipe["ctx"], recipe["shares"], strict=True)
    )
    model = f", model {plain(generator['model'])}" if generator["model"] else ""
    date = f", {plain(facts['created'])}" if facts["created"] else ""
    said = [
        f"- longqa {plain(facts['version'])}{date}",
        f"- seed {facts['seed']}; token budgets {lengths}; up to {recipe['per_document']:,} "
        "questions a document",
        f"- questions by the {plain(generator['backend'])} generator{model}",
        f"- tokens counted with {plain(tokenizer['name'])} ({tokenizer['vocab_size']:,} tokens, "
        f"fingerprint {plain(tokenizer['fingerprint'][:16])})",
        "- every row was checked: its evidence stands at its offsets, the question does not "
        "contain its answer, and the row fits its budget",
    ]
    parts = ["## How it was made"]
    if facts["command"]:
        parts.append(fenced(facts["command"], "sh"))
    parts.append("\n".join(said))
    for heading, counts in (
        ("Candidate questions refused by a check", refused),
        ("Parts of documents left out when they were read", Counter(facts["dropped"])),
        ("Sources that could not be used", skipped),
    ):
        if counts:
            rows = [(plain(reason), f"{n:,}") for reason, n in sorted(counts.items())]
            parts.append(table((heading, "Count"), rows))
    return "\n\n".join(parts)


def _sources(facts: BuildFacts) -> str:
    documents = [document for document in facts["documents"] if document["kept"]]
    rows = [
        (
            link(document["title"], document["url"]),
            plain(document["author"] or "–"),
            str(document["year"] or "–"),
            plain(document["license"] or "not stated"),
            document["split"],
            f"{document['kept']:,}",
        )
        for document in documents[:_MOST_SOURCES]
    ]
    head = ("Title", "Author", "Year", "Licence", "Split", "Examples")
    more = len(documents) - _MOST_SOURCES
    rest = f"\n\n… and {more:,} more, all in `build.json`." if more > 0 else ""
    return f"## Sources\n\n{table(head, rows)}{rest}"


def _license(verdict: Verdict) -> str:
    known = ", ".join(f"[{LICENSES[id].name}]({LICENSES[id].url})" for id in verdict.sources)
    parts = ["## Licence"]
    if known:
        parts.append(f"The sources are under: {known}.")
    if verdict.unknown:
        unclear = ", ".join(f"“{plain(spelling)}”" for spelling in verdict.unknown if spelling)
        parts.append(
            "For some sources no licence is stated"
            + (f", or one that is not known to us: {unclear}" if unclear else "")
            + ". Before the dataset is published, find it out and build again with `--license` or "
            "a `--metadata` file, or leave those sources out."
        )
    if verdict.license in LICENSES:
        parts.append(f"The dataset as a whole is under {LICENSES[verdict.license].name}.")
    duties = [
        text
        for holds, text in (
            (verdict.attribution, "name the authors of the sources (see the table above)"),
            (verdict.share_alike, "share what you derive under the same licence"),
            (verdict.non_commercial, "do not use it commercially"),
            (verdict.no_derivatives, "some sources allow no changed versions"),
            (
                not all(LICENSES[id].redistribution for id in verdict.sources),
                "do not pass on the texts of some sources",
            ),
        )
        if holds
    ]
    if duties:
        parts.append("Together they ask: " + "; ".join(duties) + ".")
    parts.append("This follows from what the sources say about themselves; it is no legal advice.")
    return "\n\n".join(parts)


def _use(facts: BuildFacts, statistics: Statistics) -> str:
    patterns = (
        " The questions follow fixed patterns, so a model trained on nothing else will learn the "
        "patterns too; mix in other instructions."
        if facts["generator"]["backend"] == "extractive"
        else ""
    )
    kept_apart = (
        f"\n\nThe {statistics.by_split['test']:,} test examples are on documents that are in no "
        "other split; a model may still have seen those documents in its pretraining."
        if statistics.by_split["test"]
        else ""
    )
    return (
        "## Use and limits\n\nMade for fine-tuning language models to use long contexts, and for "
        f"testing whether they do.{patterns} Answers are right by the text, which need not be "
        "right about the world: a novel invents, and an old paper may be outdated. Models may "
        "know famous books by heart and answer without reading. The documents keep the opinions "
        f"and the language of their time.{kept_apart}"
    )
