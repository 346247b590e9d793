"""Charts, tables and settings → the one HTML page of a report.

    html = page(Contents(title="…", runs=…, sections=…, comparisons=…, pictures=…))

It needs no network and no script: pictures are in it as `data:` URIs, in light and dark, wide and
narrow, and the reader's browser chooses. A content security policy allows this one style, these
pictures and nothing else. Names come from files that others may have written: all are escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from longeval.report_comparisons import Comparisons
from longeval.report_plots import DPI
from longeval.report_series import Chart, Heat
from longeval.table_cells import Row, Table

HEADINGS = {
    "perplexity": "Perplexity",
    "topics": "Topics",
    "lines": "Lines",
    "passkey": "Passkeys",
    "qa": "Questions",
    "harness": "lm-eval",
}
_NARROW = "(max-width: 40rem)"
_DARK = "(prefers-color-scheme: dark)"
_SCREEN = 96  # pixels of an inch
_LONGEST = 4_000  # characters of one setting
_APART = ("command", "numbers", "format", "samples")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The PNGs of a chart by (is_dark, is_narrow), and the name of the file beside the page."""

    chart: Chart
    pngs: Mapping[tuple[bool, bool], bytes]
    file_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as the page names it: its label, its folder's name, all its facts."""

    label: str
    name: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything on a page. `command`: the line that made it."""

    runs: Sequence[Run]
    pictures: Sequence[Picture]
    tables: Sequence[Table]
    comparisons: Comparisons
    command: str


def page(contents: Contents) -> str:
    """The page as HTML."""
    style = (files("longeval") / "report.css").read_text(encoding="utf-8")
    kinds = [kind for kind in HEADINGS if any(run.facts["kind"] == kind for run in contents.runs)]
    places = [(kind, HEADINGS[kind]) for kind in kinds]
    has_pairs = bool(contents.comparisons.tables or contents.comparisons.left_out)
    if has_pairs:
        places.append(("comparison", "Comparison"))
    places.append(("settings", "Settings"))
    title = _title(contents.runs)
    links = "".join(f'<li><a href="#{place}">{escape(name)}</a></li>' for place, name in places)
    sections = [_section(kind, contents) for kind in kinds]
    if has_pairs:
        sections.append(_comparison(contents.comparisons))
    sections.append(_settings(contents))
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(style)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            f"<header><h1>{escape(title)}</h1>{_overview(contents.runs)}</header>",
            f'<nav aria-label="Sections"><ul>{links}</ul></nav>',
            f"<main>{''.join(sections)}</main>",
            "<footer>Made by longeval report. Intervals are of 95 %.</footer>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def _title(runs: Sequence[Run]) -> str:
    models = list(dict.fromkeys(str(run.facts["model"].get("name")) for run in runs))
    if len(models) > 3:
        return f"{len(models)} models, long contexts"
    return " and ".join(models) if len(models) < 3 else ", ".join(models)


def _overview(runs: Sequence[Run]) -> str:
    """One line for each run: what was measured of which model, on which data."""
    rows = "".join(
        "<tr>"
        f"<th scope=row>{escape(run.label)}</th>"
        f"<td>{escape(HEADINGS[run.facts['kind']])}</td>"
        f"<td>{escape(str(run.facts['data'].get('name')))}</td>"
        f"<td>{escape(_left_out(run.facts['skipped']))}</td>"
        "</tr>"
        for run in runs
    )
    return (
        f"<p class=small>{_count(len(runs), 'run')} of longeval.</p>"
        '<div class="scroll runs" tabindex="0" role="region" aria-label="Runs"><table><thead><tr>'
        "<th scope=col>model</th><th scope=col>measured</th><th scope=col>data</th>"
        f"<th scope=col>left out</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _left_out(skipped: Mapping[str, Any]) -> str:
    return "; ".join(f"{count} {reason}" for reason, count in skipped.items()) or "nothing"


def _section(kind: str, contents: Contents) -> str:
    pictures = [picture for picture in contents.pictures if picture.chart.kind == kind]
    tables = [table for table in contents.tables if table.kind == kind]
    words = list(
        dict.fromkeys(
            word
            for run in contents.runs
            if run.facts["kind"] == kind
            for word in _in_words(run.facts["protocol"])
        )
    )
    parts = [f'<section id="{kind}"><h2>{escape(HEADINGS[kind])}</h2>']
    parts += [_picture(picture) for picture in pictures]
    parts += [_table(table) for table in tables]
    if not tables:
        parts.append("<p class=note>The runs of this kind hold no number.</p>")
    if words:
        items = "".join(f"<p class=note>{escape(word)}</p>" for word in words)
        parts.append(
            f"<details><summary>What was scored with which context</summary>{items}</details>"
        )
    return "".join([*parts, "</section>"])


def _in_words(protocol: Mapping[str, Any]) -> list[str]:
    """What the runs say of how they were scored: one text, or one for each protocol."""
    words = protocol.get("words")
    if isinstance(words, Mapping):
        return [f"{name}: {text}" for name, text in words.items()]
    said = protocol.get("in_words")
    return [str(said)] if said else []


def _picture(picture: Picture) -> str:
    chart = picture.chart
    sources = "".join(
        f'<source media="{media}" srcset="{_data_uri(picture.pngs[variant])}">'
        for variant, media in (
            ((True, True), f"{_DARK} and {_NARROW}"),
            ((True, False), _DARK),
            ((False, True), _NARROW),
        )
    )
    shown = picture.pngs[False, False]
    note = f"{chart.note} " if chart.note else ""
    return (
        f"<figure><picture>{sources}"
        f'<img width="{_width(shown)}" alt="{escape(_said(chart))}" '
        f'src="{_data_uri(shown)}"></picture>'
        f"<figcaption>{escape(note)}Beside this page: {escape(picture.file_name)}"
        "</figcaption></figure>"
    )


def _said(chart: Chart) -> str:
    """A chart in a sentence; its numbers are in the tables."""
    if isinstance(chart, Heat):
        return f"Heat map. {chart.title}: {chart.note}"
    shown = "; ".join(
        f"{one.label}: {one.points[0].y:.3g} at {one.points[0].x:,g} to "
        f"{one.points[-1].y:.3g} at {one.points[-1].x:,g}"
        for one in chart.series
        if one.colour is not None
    )
    return f"Lines. {chart.title}. {chart.y} by {chart.x}: {shown}"


def _width(png: bytes) -> int:
    """How wide it is shown: as many pixels of a screen as it was drawn for."""
    drawn = int.from_bytes(png[16:20])  # of the header of a PNG
    return round(drawn * _SCREEN / DPI)


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _table(table: Table) -> str:
    heads = "".join(f"<th scope=col>{escape(head)}</th>" for head in table.heads)
    heads += "".join(f'<th scope=col class="num">{escape(column)}</th>' for column in table.columns)
    rows = "".join(_row(row, table.columns) for row in table.rows)
    notes = "".join(f"<p class=note>{escape(note)}</p>" for note in table.notes)
    return (
        f"<h3>{escape(table.title)}</h3>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{notes}"
    )


def _row(row: Row, columns: Iterable[str]) -> str:
    first, *others = row.heads
    source = f" <small>{escape(row.source)}</small>" if row.source else ""
    cells = [f"<th scope=row>{escape(first)}{source}</th>"]
    cells += [f"<td>{escape(head)}</td>" for head in others]
    for column in columns:
        cell = row.cells.get(column)
        if cell is None:
            cells.append('<td class="num"></td>')
        else:
            interval = f"<small>{escape(cell.interval)}</small>" if cell.interval else ""
            cells.append(f'<td class="num">{escape(cell.said)}{interval}</td>')
    kind = ' class="published"' if row.source else ""
    return f"<tr{kind}>{''.join(cells)}</tr>"


def _comparison(found: Comparisons) -> str:
    parts = ['<section id="comparison"><h2>Comparison</h2>']
    if found.tables:
        parts.append(
            "<p class=note>Both on the same cases. p is the chance of a difference as large as "
            "this one if there were none; p (Holm) counts in that several lengths were tested."
            "</p>"
        )
    parts += [_table(table) for table in found.tables]
    parts += [f"<p class=note>Not compared: {escape(why)}</p>" for why in found.left_out]
    return "".join([*parts, "</section>"])


def _settings(contents: Contents) -> str:
    parts = [
        '<section id="settings"><h2>Settings</h2>',
        "<p class=note>What is needed to measure it again. This page was made by</p>",
        f"<pre>{escape(contents.command)}</pre>",
    ]
    for run in contents.runs:
        facts = {key: value for key, value in run.facts.items() if key not in _APART}
        rows = "".join(
            f"<tr><th scope=row>{escape(key)}</th><td>{escape(value)}</td></tr>"
            for key, value in _flat("", facts)
        )
        name = f"{HEADINGS[run.facts['kind']]}, {run.facts['data'].get('name')}"
        parts.append(
            f"<details><summary>{escape(run.label)} "
            f"<span>{escape(name)} · {escape(run.name)}</span></summary>"
            f"<pre>{escape(str(run.facts.get('command', '')))}</pre>"
            f'<div class="scroll facts" tabindex="0" role="region" '
            f'aria-label="Settings of {escape(run.name)}"><table><tbody>{rows}</tbody></table>'
            "</div></details>"
        )
    return "".join([*parts, "</section>"])


def _flat(above: str, value: Any) -> Iterable[tuple[str, str]]:
    """Settings one by one, named by their path: model.rope.factor."""
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from _flat(f"{above}.{key}" if above else str(key), below)
    elif value is not None and value != {} and value != []:
        said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield above, said if len(said) <= _LONGEST else f"{said[:_LONGEST]} […]"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
