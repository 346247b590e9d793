"""`longdata inspect`: its arguments. What is shown is made in inspecting.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

SHORT_HELP = "Show packed rows or a token set, and where documents begin and end."
EXAMPLES = (
    "longdata inspect packed/",
    "longdata inspect packed/ --ctx 32768 --row 12",
    "longdata inspect packed/ctx-8192 --tokenizer my-model/",
    "longdata inspect pg19/ --row 3",
)


def inspect(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="What longdata pack or longdata prepare made; a .bin file of tokens, too.",
            show_default=False,
        ),
    ],
    ctx: Annotated[
        int | None,
        typer.Option(metavar="TOKENS", help="Rows of this length. Default: the shortest."),
    ] = None,
    row: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="The row, or the document of a token set, counted from 0. Default: the first, "
            "shortened.",
        ),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The tokenizer of the tokens. Default: the one they were made with.",
        ),
    ] = None,
) -> None:
    """Show what was packed: counts of every source, padding, documents cut, lengths, the tokenizer;
    and one row with the documents in it, their first and last words. No server is asked, unless
    --tokenizer names a tokenizer of the Hub that is not on this machine."""
    if tokenizer is None:
        os.environ["HF_HUB_OFFLINE"] = "1"  # the Hub's client reads it once, at import
    from rich.console import Console

    from longdata.inspecting import inspect_folder

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # words in letters that the terminal has not
    inspect_folder(folder, Console(), ctx=ctx, row=row, tokenizer=tokenizer)
