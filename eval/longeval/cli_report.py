"""`longeval report`: its arguments. The work is in report.py."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from longdata.errors import UserError

SHORT_HELP = "A page of results with pictures; or tables as in the paper."
EXAMPLES = (
    "longeval report ppl topics passkey --out report.html",
    "longeval report runs/* --format latex --out tables.tex",
    "longeval report ppl ppl-of-another-model --format md",
)
FORMATS = ("html", "md", "csv", "latex")
_ENDINGS = {".html": "html", ".htm": "html", ".md": "md", ".csv": "csv", ".tex": "latex"}


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN…",
            help="Folders that longeval wrote, or their result.json.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where it goes. Default: report.html; other formats are printed.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="html, md, csv or latex. Default: by the ending of --out, else html.",
            show_default=False,
        ),
    ] = None,
    published: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Published perplexities to put behind: pg19, proof-pile; none for no published "
            "numbers at all. Default: those that fit the data, else pg19.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show results of any kinds together: one page that needs no network, with its pictures as PNGs
    beside it, the published numbers behind ours, and two models compared where they had the same
    cases. Or their tables as text."""
    kind = _format(format, out)
    if not runs:
        raise UserError(
            "got no run; allowed: folders that longeval wrote; fix: longeval report runs/ppl"
        )
    if out is not None and out.is_dir():
        raise UserError(f"got --out {out}, a folder; allowed: a file; fix: --out {out}/report.html")
    from longeval import report as work

    if kind == "html":
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        paths = work.write_report(
            runs, out or Path("report.html"), command=command, beside=published
        )
        for path in paths:
            typer.echo(f"{path}: written", err=True)
        return
    text = work.table_text(runs, kind, beside=published)
    if out is None:
        typer.echo(text, nl=False)
        return
    from longdata.atomic import disk_errors, write_file

    with disk_errors(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_file(out, text)
    typer.echo(f"{out}: written", err=True)


def _format(given: str | None, out: Path | None) -> str:
    found = given or ("html" if out is None else _ENDINGS.get(out.suffix.lower(), ""))
    if found not in FORMATS:
        what = f"--format {given}" if given else f"--out {out} without --format"
        raise UserError(
            f"got {what}; allowed: {', '.join(FORMATS)}; fix: --format html, or a file that ends "
            "in .html, .md, .csv or .tex"
        )
    return found
