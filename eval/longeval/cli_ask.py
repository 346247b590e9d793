"""The options that all retrieval commands have: which model is asked, and how.

def topics(model: Model = None, server: Server = None, …)     typer reads the annotations
with progress(quiet) as tell: …                               a bar on a terminal
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from longdata.errors import UserError

Out = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        help="Where the result and the answers are kept; the same command goes on there.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A folder or Hub id: a base, a merged model, or an adapter; with --server the model's "
        "name there.",
        show_default=False,
    ),
]
Adapter = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="An adapter for --model.", show_default=False),
]
Server = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Ask an OpenAI-compatible server, e.g. http://localhost:8000/v1.",
        show_default=False,
    ),
]
ApiKeyEnv = Annotated[
    str, typer.Option(metavar="NAME", help="The environment variable that holds the API key.")
]
Template = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What stands around a prompt: chat (the model's own), vicuna (LongChat's), alpaca "
        "(LongLoRA's) or raw. Default: chat where the model has one, else raw.",
        show_default=False,
    ),
]
RawTemplate = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What stands around a prompt: raw (nothing: it ends where the answer begins), chat, "
        "vicuna or alpaca.",
    ),
]
Thinking = Annotated[
    bool, typer.Option(help="Of chat models that can do both: think before they answer.")
]
TokenizerName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What counts tokens. Default: the model's own; with --server an installed one.",
        show_default=False,
    ),
]
Dtype = Annotated[str, typer.Option(metavar="NAME", help="auto, float32, bfloat16 or float16.")]
Attention = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="sdpa, eager, flash_attention_2, ….", show_default=False),
]
Quantization = Annotated[
    str | None, typer.Option(metavar="NAME", help="nf4 or int8.", show_default=False)
]
Device = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="cpu, cuda, cuda:1. Default: a GPU.", show_default=False),
]
Rope = Annotated[
    str | None,
    typer.Option(
        metavar="METHOD",
        help="Extend an untrained model to --rope-ctx: linear, ntk or yarn.",
        show_default=False,
    ),
]
RopeCtx = Annotated[
    int | None, typer.Option(metavar="TOKENS", help="See --rope.", show_default=False)
]
BeyondCtx = Annotated[
    bool,
    typer.Option("--beyond-ctx", help="Also ask what is longer than the model's context."),
]
BatchTokens = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Tokens at a time, padding included. Default: 32768.", show_default=False
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(metavar="N", help="Prompts at a time. Default: 16.", show_default=False),
]
Concurrency = Annotated[
    int, typer.Option(metavar="N", help="Requests under way at once, with --server.")
]
Timeout = Annotated[float, typer.Option(metavar="SECONDS", help="For one answer, with --server.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Of the cases that are made.")]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that a model brings with it.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the table only.")]


def numbers_of(given: str, option: str) -> tuple[int, ...]:
    """Whole numbers with commas between them. UserError: others."""
    parts = [part.strip().replace("_", "") for part in given.split(",") if part.strip()]
    if not parts or not all(part.isascii() and part.isdecimal() for part in parts):
        raise UserError(
            f"got {option} {given}; allowed: whole numbers with commas between them; fix: "
            f"{option} 2048,4096"
        )
    return tuple(dict.fromkeys(int(part) for part in parts))


def depths_of(given: str) -> tuple[float, ...]:
    """Depths from 0 to 1: so many from end to end, or each with commas. UserError: others."""
    try:
        parts = [float(part) for part in given.split(",") if part.strip()]
    except ValueError:
        parts = []
    if len(parts) == 1 and given.strip().isdecimal() and parts[0] >= 2:
        count = int(parts[0])
        return tuple(index / (count - 1) for index in range(count))
    if not parts or not all(0 <= part <= 1 for part in parts):
        raise UserError(
            f"got --depths {given}; allowed: how many (11), or each from 0 to 1 (0,0.5,1); fix: "
            "--depths 11"
        )
    return tuple(dict.fromkeys(parts))


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar of answers on a terminal, else nothing."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), "answers", TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
