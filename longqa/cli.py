"""The `longqa` command: arguments in, one line for every mistake. What it does is in build.py.

Nothing heavy is imported before a command needs it, so that `longqa --help` is there at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from longdata.commands import command_line, examples, run
from longqa import cli_build, cli_export

app = command_line(
    "longqa",
    "Books and papers → verified long-context question–answer pairs → a dataset.",
    example="longqa build books/ papers/*.pdf --out my-dataset",
)


def main() -> NoReturn:
    """The entry point."""
    run(app)


app.command(short_help=cli_build.SHORT_HELP, epilog=cli_build.EPILOG)(cli_build.build)
app.command(short_help=cli_export.SHORT_HELP, epilog=examples(*cli_export.EXAMPLES))(
    cli_export.export
)


@app.command(
    short_help="Print the statistics of a dataset.", epilog=examples("longqa inspect my-dataset")
)
def inspect(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that longqa build wrote.")
    ],
) -> None:
    """Print the statistics of a dataset: kinds, lengths, splits, licences, what is missing."""
    from rich.console import Console

    from longqa.overview import inspect_dataset

    inspect_dataset(folder, Console())


@app.command(
    short_help="Show what is read from documents.",
    epilog=examples(
        "longqa read paper.pdf", "longqa read books/ --dropped", "longqa read paper.tex --text"
    ),
)
def read(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="As for longqa build.", show_default=False),
    ],
    dropped: Annotated[
        bool, typer.Option("--dropped", help="List every piece that was left out.")
    ] = False,
    text: Annotated[bool, typer.Option("--text", help="Print the whole text.")] = False,
    text_column: Annotated[
        str, typer.Option(metavar="NAME", help="The text column of .jsonl and .parquet files.")
    ] = "text",
) -> None:
    """Show what a build would read: facts, outline, and what was left out, without building."""
    from longqa.preview import preview

    lines = preview(sources, text_column=text_column, show_dropped=dropped, show_text=text)
    for line in lines:
        typer.echo(line)


@app.command(
    short_help="Show what the calls to a model cost.", epilog=examples("longqa ledger my-dataset")
)
def ledger(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that longqa build wrote, or writes.")
    ],
) -> None:
    """Show what a build's calls to models cost: spending, failures, rejects, the slowest calls."""
    from rich.console import Console

    from longqa.spending import show_ledger

    show_ledger(folder, Console())


@app.command(
    short_help="List the kinds of questions.",
    epilog=examples("longqa kinds", "longqa build books/ --out qa --kinds speaker,order,place"),
)
def kinds() -> None:
    """List the kinds of questions: those made offline, and those that a language model writes."""
    from rich.console import Console

    from longqa.taxonomy_page import show_kinds

    show_kinds(Console())
