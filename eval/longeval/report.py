"""Results → a page with pictures, or tables as text.

    write_report([Path("runs/ppl"), Path("runs/topics")], Path("report.html"), command="…")
    -> report.html, report-perplexity-1.png, report-loss-2.png, report-topics-3.png

    table_text([Path("runs/ppl")], "latex")      the tables alone

Everything is made from the frames of results.load. What a result says is checked before anything is
written: it may be from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from longdata.atomic import disk_errors, write_file
from longdata.errors import UserError
from longeval.paper import NAMES, NONE
from longeval.report_comparisons import comparisons
from longeval.report_page import Contents, Picture, Run, page
from longeval.report_plots import DARK, LIGHT, draw
from longeval.report_series import Chart, charts_of
from longeval.results import Frames, load
from longeval.table_text import as_text
from longeval.tables import labels_of, tables_of

PERPLEXITIES = tuple(name for name in NAMES if name not in ("topics", "passkey"))
MOST_RUNS = 200
_INTEGERS = ("ctx", "n", "num_topics", "num_lines", "context_from", "context_to")
_NUMBERS = ("value", "depth", *_INTEGERS)
_MOST = 1e300
_RUN = {"run", "kind", "model", "data"}  # what a frame says of the run
_WORDS = ("name", "protocol", "rule", "asked", "part", "question_kind", "task")


def read_runs(runs: Sequence[Path]) -> Frames:
    """The frames of these runs. UserError: no run, one twice, too many, or no result of ours."""
    places = [path.resolve() for path in runs]
    twice = [path for number, path in enumerate(runs) if places[number] in places[:number]]
    if twice:
        raise UserError(f"got {twice[0]} twice; allowed: each run once; fix: leave one out")
    if len(runs) > MOST_RUNS:
        raise UserError(
            f"got {len(runs)} runs; allowed: {MOST_RUNS} or fewer; fix: make several reports"
        )
    frames = load(*runs)
    for path, facts in zip(runs, frames.runs["facts"], strict=True):
        if (wrong := next(_wrong(facts), None)) is not None:
            raise UserError(
                f"got {path}, which is no result of longeval ({wrong}); allowed: a folder that "
                "longeval wrote; fix: run the evaluation again"
            )
    return frames


def write_report(
    runs: Sequence[Path], out: Path, *, command: str, beside: str | None = None
) -> list[Path]:
    """Write the page and its pictures beside it; their paths, the page first. UserError."""
    _check_beside(beside)
    frames = read_runs(runs)
    labels = labels_of(frames)
    pictures = [_drawn(chart, out) for chart in charts_of(frames, beside=beside)]
    html = page(
        Contents(
            runs=[
                Run(label=labels[run["run"]], name=run["run"], facts=run["facts"])
                for run in frames.runs.to_dict("records")
            ],
            pictures=pictures,
            tables=tables_of(frames, beside=beside),
            comparisons=comparisons(runs, frames),
            command=command,
        )
    )
    paths = [out.with_name(picture.file_name) for picture in pictures]
    with disk_errors(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        for path, picture in zip(paths, pictures, strict=True):
            write_file(path, picture.pngs[False, False])
        write_file(out, html)
    return [out, *paths]


def table_text(runs: Sequence[Path], format: str, *, beside: str | None = None) -> str:
    """All tables of these runs, comparisons too, as Markdown, CSV or LaTeX."""
    _check_beside(beside)
    frames = read_runs(runs)
    found = [*tables_of(frames, beside=beside), *comparisons(runs, frames).tables]
    return as_text(found, format)


def _drawn(chart: Chart, out: Path) -> Picture:
    return Picture(
        chart=chart,
        pngs={
            (is_dark, is_narrow): draw(chart, DARK if is_dark else LIGHT, is_narrow=is_narrow)
            for is_dark, is_narrow in product((False, True), repeat=2)
        },
        file_name=f"{out.stem}-{chart.name}.png",
    )


def _check_beside(beside: str | None) -> None:
    if beside is not None and beside not in (*PERPLEXITIES, NONE):
        raise UserError(
            f"got --published {beside}; allowed: {', '.join(PERPLEXITIES)} and {NONE}; fix: leave "
            "it out for what fits the data"
        )


def _wrong(facts: Mapping[str, Any]) -> Iterator[str]:
    """What a result says that cannot be shown as a number or a name."""
    for number in facts["numbers"]:
        for key in _RUN & number.keys():
            yield f"a number has a {key} of its own"
        for key in _NUMBERS:
            if not _is_number(number.get(key)):
                yield f"{key} is {number[key]!r:.40}, not a number"
        for key in _INTEGERS:
            value = number.get(key)
            if value is not None and (value != int(value) or value < (key == "ctx")):
                yield f"{key} is {value!r}, not a count"
        for key in _WORDS:
            if not isinstance(number.get(key, ""), str | None):
                yield f"{key} is {number[key]!r:.40}, not a word"
        if not all(_is_number(end) for end in number.get("interval") or ()):
            yield f"an interval is {number['interval']!r:.60}, not two numbers"


def _is_number(value: Any) -> bool:
    """Nothing, or a number that can be drawn."""
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST
