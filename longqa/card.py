"""`README.md` of a dataset folder: the card that the Hub shows and `datasets` reads.

    write_card(folder, facts, files, statistics)      # files: what each split's writer returned

Everything in it comes from the build: the licence from the sources (`longdata.licenses`), the
numbers from the rows, the example from the first row that is short enough to print. What documents
say of themselves is escaped, so that a title is never markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import yaml

from longdata.atomic import write_file
from longdata.licenses import LICENSES, Verdict, normalise
from longdata.markdown import link, plain, table
from longdata.prompt_template import SHORT
from longqa.attribution import Attributed, Sources, verdict_of
from longqa.card_header import header, pretty_name
from longqa.card_making import making
from longqa.card_row import row_section
from longqa.dataset import SplitFiles
from longqa.facts import SPLITS, BuildFacts
from longqa.overview import Statistics, about, in_order, spark

FILE_NAME = "README.md"
_MOST_SOURCES = 1000


def write_card(
    folder: Path, facts: BuildFacts, files: Sequence[SplitFiles], statistics: Statistics
) -> Path:
    """Write `README.md` for the rows in a dataset folder; its path."""
    sources = Sources(facts, statistics)
    verdict = verdict_of(sources)
    fields = header(facts, files, statistics, sources, verdict)
    yaml_header = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=100)
    parts = (
        f"---\n{yaml_header}---",
        f"# {pretty_name(sources)}",
        _license_notice(verdict),
        _introduction(facts, statistics),
        _loading(statistics),
        row_section(folder),
        _numbers(statistics),
        _kinds(facts, statistics),
        making(facts, statistics),
        _sources(sources, statistics),
        _license(facts, sources, verdict),
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


def _introduction(facts: BuildFacts, statistics: Statistics) -> str:
    model = facts["model"]
    written = (
        f" A language model, {plain(model['model'])}, wrote the questions and the answers."
        if model
        else ""
    )
    short = (
        f"\n\nOf the training split, {100 * statistics.short_share:.1f} % "
        f"({statistics.num_short:,} of {statistics.by_split['train']:,} rows) are short "
        "instructions with their answers and no text to read (`material_kind` is `short`), mixed "
        "in so that a model stays good at short chats."
        if statistics.num_short
        else ""
    )
    return (
        f"{statistics.num_long:,} questions on {len(statistics.documents):,} long documents, each "
        f"with its answer, the text to read (a row has up to {max(statistics.by_ctx):,} tokens) "
        "and the places in the text that show the answer. For training and testing language "
        f"models on long contexts.{written}{short}"
    )


def _loading(statistics: Statistics) -> str:
    every = "every long example" if statistics.num_short else "every example"
    return f"""## Loading

```python
from datasets import load_dataset

rows = load_dataset("path/to/this/folder")["train"]  # or its name on the Hub
```

The same prompt for training and use, with `pip install longqa`:

```python
from longdata.prompt_template import prompt_of

row = rows[0]
text = prompt_of(row)
answer = " " + row["answer"]
```

`report.html` shows {every} with its evidence in its context; it needs no network."""


def _numbers(statistics: Statistics) -> str:
    has_short = statistics.num_short > 0
    splits = table(
        ("Split", "Documents", "Examples", *(["Of them short"] * has_short)),
        [
            (
                split,
                f"{statistics.documents_of(split):,}",
                f"{statistics.by_split[split]:,}",
                *([f"{statistics.by_kind_and_split[SHORT, split]:,}"] * has_short),
            )
            for split in SPLITS
            if statistics.by_split[split]
        ],
    )
    lengths = table(
        ("Token budget (`ctx`)", "Examples"),
        [(f"{ctx:,}", f"{count:,}") for ctx, count in sorted(statistics.by_ctx.items())],
    )
    tokens = statistics.row_tokens
    a_row = "A long row" if has_short else "A row"
    bins = table(
        [f"{10 * tenth}–{10 * tenth + 10} %" for tenth in range(10)],
        [[f"{value:,.0f}" for value in statistics.depth.bins]],
    )
    apart = (
        "\n\nThe short rows are counted in the table of splits alone; they have "
        f"{statistics.short_tokens.mean:,.0f} tokens on average."
        if has_short
        else ""
    )
    return f"""## Numbers

No document is in two splits.

{splits}

{lengths}

{a_row} has {tokens.mean:,.0f} tokens on average, {tokens.quantile(0.5):,} in the middle one, and \
{tokens.largest:,} at most. {100 * statistics.unanswerable_share:.1f} % of the questions cannot be \
answered from the text, and their answers say so.

Where in the context the evidence lies (examples; one with several passages counts in parts):

{bins}{apart}"""


def _kinds(facts: BuildFacts, statistics: Statistics) -> str:
    has_model = facts["model"] is not None
    rows = []
    for kind in in_order({*facts["requested"], *statistics.by_kind}):
        missing = Counter[str]()
        for entry in facts["missing"]:
            if entry["kind"] == kind:
                missing[entry["reason"]] += entry["count"]
        why = "; ".join(f"{plain(reason)} ({n:,})" for reason, n in sorted(missing.items()))
        depth = statistics.depth_by_kind.get(kind)
        rows.append(
            (
                f"`{kind}`",
                "; ".join(filter(None, about(kind, has_model=has_model))),
                f"{facts['requested'].get(kind, 0):,}",
                f"{statistics.by_kind[kind]:,}",
                f"`{spark(depth.bins).replace(' ', '·')}`" if depth and any(depth.bins) else "",
                why,
            )
        )
    head = ("Kind", "Asks for; basis", "Asked", "Kept", "Depth 0 → 1", "Not kept, and why")
    return f"## Kinds of questions\n\n{table(head, rows)}"


def _sources(sources: Sources, statistics: Statistics) -> str:
    rows = [
        (
            link(source.title, source.url) + " (short instructions)" * source.is_short,
            plain(source.author or "–"),
            str(source.year or "–"),
            plain(source.license or "not stated"),
            source.split,
            f"{source.num_rows:,}",
        )
        for source in _first_sources(sources)
    ]
    head = ("Title", "Author", "Year", "Licence", "Split", "Examples")
    more = len(sources) - len(rows)
    rest = f"\n\n… and {more:,} more, all in `build.json`." if more > 0 else ""
    twice = "\n\nAn example that compares two papers counts for both." * bool(statistics.by_pair)
    return f"## Sources\n\n{table(head, rows)}{rest}{twice}"


def _first_sources(sources: Sources) -> list[Attributed]:
    """As many documents as are listed, and the file of short instructions in any case."""
    return [*islice(sources.documents(), _MOST_SOURCES), *sources.short()]


def _license(facts: BuildFacts, sources: Sources, verdict: Verdict) -> str:
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
            + (
                " The licence of short instructions is said in a `--metadata` file alone."
                if any(normalise(source.license) is None for source in sources.short())
                else ""
            )
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
    if facts["model"]:
        parts.append(
            "The questions and answers were written by a language model. A model's licence, or "
            "the terms of the service it was used through, may bind the use of what it writes, "
            "training other models on it included: read them before the dataset is published or "
            "used."
        )
    parts.append("This follows from what the sources say about themselves; it is no legal advice.")
    return "\n\n".join(parts)


def _use(facts: BuildFacts, statistics: Statistics) -> str:
    patterns = (
        " The questions follow fixed patterns, so a model trained on nothing else will learn the "
        "patterns too; mix in other instructions."
        if facts["generator"]["backend"] == "extractive"
        else ""
    )
    written = (
        " What a language model wrote can be wrong where no check saw it, and repeats its habits "
        "and biases; read a sample in `report.html` before you rely on it."
        if facts["model"]
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
        f"testing whether they do.{patterns}{written} Answers are right by the text, which "
        "need not be right about the world: a novel invents, and an old paper may be outdated. "
        "Models may know famous books by heart and answer without reading. The documents keep the "
        f"opinions and the language of their time.{kept_apart}"
    )
