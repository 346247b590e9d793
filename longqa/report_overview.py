"""The part of the report that needs no script: totals, charts, sources, and how it was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice

from longdata.prompt_template import SHORT
from longqa.attribution import Sources
from longqa.charts import Bar, bars, columns
from longqa.facts import SPLITS, BuildFacts
from longqa.llm.taxonomy import ALL_KINDS
from longqa.overview import Statistics, about

_MOST_LISTED = 500  # sources or skipped files; more would make the page slow to open


def title(facts: BuildFacts, sources: Sources) -> str:
    """What the page is called."""
    only = facts["documents"][0]["title"] if len(facts["documents"]) == 1 else ""
    return escape(f"LongQA: {only}" if only else f"LongQA: {sources.num_documents:,} documents")


def overview(statistics: Statistics, facts: BuildFacts, sources: Sources, *, num_shown: int) -> str:
    """The overview as HTML."""
    note = ""
    if num_shown < statistics.num_long:
        note = (
            f'<p class="notice">This page holds {num_shown:,} of the {statistics.num_long:,} '
            "examples, to open quickly; the numbers and charts are those of all.</p>"
        )
    return "".join(
        (
            _totals(statistics, facts),
            note,
            _section("Kinds of questions", _kinds(statistics, facts)),
            '<div class="pair">',
            _section("Lengths", _lengths(statistics)),
            _section("Where the evidence lies", _depth(statistics)),
            "</div>",
            _section("Splits", _splits(statistics)),
            _section("Asked for and not kept", _missing(facts)),
            _section("Sources", _sources(sources, statistics)),
            _section("Skipped", _skipped(facts)),
            _section("How it was made", _made(facts)),
        )
    )


def _section(heading: str, body: str) -> str:
    return f"<section><h2>{heading}</h2>{body}</section>" if body else ""


def _totals(statistics: Statistics, facts: BuildFacts) -> str:
    largest = max(statistics.by_ctx, default=0)
    has_short = statistics.num_short > 0
    tiles = [
        (f"{statistics.num_long:,}", "examples with a text" if has_short else "examples"),
        (f"{len(statistics.documents):,}", "documents"),
        (f"{len(statistics.by_kind) - has_short:,}", "kinds of questions"),
        (f"{statistics.row_tokens.mean:,.0f}", "tokens a row on average"),
        (f"{largest:,}", "tokens is the largest budget"),
        (f"{100 * statistics.unanswerable_share:.1f} %", "cannot be answered from the text"),
    ]
    cells = "".join(f"<div><dd>{value}</dd><dt>{name}</dt></div>" for value, name in tiles)
    asked = sum(count for kind, count in facts["requested"].items() if kind != SHORT)
    kept = sum(count for kind, count in facts["kept"].items() if kind != SHORT)
    said = f"{kept:,} of the {asked:,} questions asked for were kept."
    if has_short:
        said += (
            f" Beside them, {statistics.num_short:,} short instructions are mixed into the "
            f"training split, {100 * statistics.short_share:.1f} % of it; they have no text to "
            "read, are not shown on this page and not counted in its charts."
        )
    return f'<dl class="totals">{cells}</dl><p class="lead">{said}</p>'


def _kinds(statistics: Statistics, facts: BuildFacts) -> str:
    has_model = facts["model"] is not None
    known = [kind for kind in ALL_KINDS if statistics.by_kind[kind]]
    others = sorted(set(statistics.by_kind) - {*ALL_KINDS, SHORT})
    order = sorted(known, key=lambda kind: -statistics.by_kind[kind]) + others
    return bars(
        [
            Bar(
                label=kind.replace("_", " "),
                value=statistics.by_kind[kind],
                note=about(kind, has_model=has_model)[0],
                filters=("kind", kind),
            )
            for kind in order
        ]
    )


def _lengths(statistics: Statistics) -> str:
    budgets = bars(
        [
            Bar(label=f"ctx {ctx:,}", value=count, filters=("ctx", str(ctx)))
            for ctx, count in sorted(statistics.by_ctx.items())
        ]
    )
    real = bars([Bar(label=name, value=count) for name, count in statistics.row_tokens.buckets()])
    return f"<h3>Token budget</h3>{budgets}<h3>Tokens of a row</h3>{real}"


def _depth(statistics: Statistics) -> str:
    shown = columns(
        statistics.depth.bins,
        caption="Examples by the place of their evidence in the context; the line is an even "
        "spread. An example with several passages counts in parts.",
    )
    several = sum(statistics.spread.bins)
    if several:
        far = sum(statistics.spread.bins[5:]) / several
        shown += (
            f'<p class="small">Of the {several:,.0f} examples with several passages, '
            f"{100 * far:.0f} % have them more than half a context apart.</p>"
        )
    none = statistics.num_without_evidence
    if none:
        shown += f'<p class="small">{none:,} examples have no evidence, for there is none.</p>'
    return shown


def _splits(statistics: Statistics) -> str:
    has_short = statistics.num_short > 0
    rows = [
        (
            split,
            f"{statistics.documents_of(split):,}",
            f"{statistics.by_split[split]:,}",
            *([f"{statistics.by_kind_and_split[SHORT, split]:,}"] * has_short),
        )
        for split in SPLITS
    ]
    head = ("Split", "Documents", "Examples", *(["Of them short"] * has_short))
    return _table(head, rows, numbers=(1, 2, 3))


def _missing(facts: BuildFacts) -> str:
    entries = sorted(facts["missing"], key=lambda e: (e["kind"], -e["count"], e["reason"]))
    rows = [
        (escape(e["kind"].replace("_", " ")), escape(e["reason"]), f"{e['count']:,}")
        for e in entries
    ]
    return _table(("Kind", "Why", "Questions"), rows, numbers=(2,)) if rows else ""


def _sources(sources: Sources, statistics: Statistics) -> str:
    rows = [
        (
            _link(source.title, source.url) + " (short instructions)" * source.is_short,
            escape(source.author or "–"),
            str(source.year or "–"),
            escape(source.license or "not stated"),
            source.split,
            f"{source.num_rows:,}",
        )
        for source in [*islice(sources.documents(), _MOST_LISTED), *sources.short()]
    ]
    head = ("Title", "Author", "Year", "Licence", "Split", "Examples")
    twice = '<p class="small">An example that compares two papers counts for both.</p>'
    return (
        _table(head, rows, numbers=(5,))
        + _and_more(sources.num_documents)
        + twice * bool(statistics.by_pair)
    )


def _skipped(facts: BuildFacts) -> str:
    entries = facts["skipped"]
    if not entries:
        return ""
    counts = Counter(entry["reason"] for entry in entries)
    said = ", ".join(f"{count:,} {escape(reason)}" for reason, count in sorted(counts.items()))
    rows = [
        (escape(e["name"]), escape(e["reason"]), escape(e["detail"]))
        for e in entries[:_MOST_LISTED]
    ]
    return f"<p>{said}</p>" + _table(("Source", "Why", "Detail"), rows) + _and_more(len(entries))


def _made(facts: BuildFacts) -> str:
    tokenizer, recipe, generator = facts["tokenizer"], facts["recipe"], facts["generator"]
    lengths = ", ".join(
        f"{ctx:,} ({100 * share:.0f} %)"
        for ctx, share in zip(recipe["ctx"], recipe["shares"], strict=True)
    )
    model = f", {generator['model']}" if generator["model"] else ""
    entries = [
        ("Command", f"<code>{escape(facts['command'])}</code>" if facts["command"] else "–"),
        ("Version", f"longqa {escape(facts['version'])}"),
        ("Date", escape(facts["created"] or "–")),
        ("Seed", str(facts["seed"])),
        ("Lengths", f"{lengths} tokens"),
        ("Questions", f"up to {recipe['per_document']:,} a document"),
        ("Generator", escape(f"{generator['backend']}{model}")),
        *_model(facts),
        (
            "Tokenizer",
            f"{escape(tokenizer['name'])}, {tokenizer['vocab_size']:,} tokens, "
            f"<code>{escape(tokenizer['fingerprint'][:16])}</code>",
        ),
    ]
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in entries)
    return f'<dl class="facts">{cells}</dl>'


def _model(facts: BuildFacts) -> list[tuple[str, str]]:
    model = facts["model"]
    if model is None:
        return []
    entries = [
        ("Judge", escape(model["judge"] or "–")),
        ("Temperature", f"{model['temperature']:g}"),
        ("Language", escape(model["language"] or "that of each document")),
    ]
    if model["notes"]:
        entries.append(("Server", "<br>".join(escape(note) for note in model["notes"])))
    return entries


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: tuple[int, ...] = ()
) -> str:
    """A table of cells that are HTML already."""

    def line(tag: str, cells: Sequence[str]) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        return "".join(
            f"<{tag}{scope}{' class=number' if index in numbers else ''}>{cell}</{tag}>"
            for index, cell in enumerate(cells)
        )

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return (
        f'<div class="table"><table><thead><tr>{line("th", head)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _and_more(count: int) -> str:
    more = count - _MOST_LISTED
    return f'<p class="small">… and {more:,} more in build.json</p>' if more > 0 else ""


def _link(text: str, url: str | None) -> str:
    """A link to the web; an address of another kind is not one to click."""
    if url is None or not url.lower().startswith(("https://", "http://")):
        return escape(text)
    return f'<a href="{escape(url)}" rel="noopener noreferrer">{escape(text)}</a>'
