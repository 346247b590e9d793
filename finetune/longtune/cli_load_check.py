"""`longtune load-check`: its arguments and what it prints. The checks are in load_check.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longdata.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from longtune.load_check import Report

SHORT_HELP = "Load a checkpoint, look for known ills, read a text with it."
EXAMPLES = (
    "longtune load-check llama2-7b-32k",
    "longtune load-check models/Llama-2-7b-hf --adapter llama2-7b-32k --text book.txt",
)


def load_check(
    model: Annotated[
        str, typer.Argument(metavar="DIR", help="A model, a merged model or an adapter.")
    ],
    adapter: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="An adapter on that model.", show_default=False),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What is read. Default: the story in the repository's examples.",
            show_default=False,
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(metavar="N", min=64, help="Read no more than this many.", show_default=False),
    ] = None,
    dtype: Annotated[
        str, typer.Option(metavar="NAME", help="float32, bfloat16, float16; auto: as saved.")
    ] = "auto",
    device: Annotated[
        str, typer.Option(metavar="NAME", help="cpu, cuda; auto: cuda where there is one.")
    ] = "auto",
    ctx: Annotated[
        int | None,
        typer.Option(
            metavar="TOKENS",
            help="The context of a LongLoRA checkpoint whose name is none of the published ones.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Load a checkpoint, print what it is, look for known ills and read a text with it.

    Exit code 2, with the reason, when it is broken.
    """
    from rich.console import Console

    from longtune.load_check import check, example_text
    from longtune.model_files import quiet

    path = text or example_text()
    if path is None:
        raise UserError(
            "got no --text, and the examples of the repository are not here; needed: a text to "
            "read; fix: --text book.txt"
        )
    try:
        words = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"got --text {path}, which cannot be read ({error}); allowed: a file of UTF-8 text; "
            "fix: correct the path"
        ) from error
    with quiet():
        report = check(
            model,
            adapter=adapter,
            text=words,
            dtype=dtype,
            ctx=ctx,
            max_tokens=max_tokens,
            device=_device(device),
        )
    show(report, Console())
    if report.problems:
        more = f" (and {len(report.problems) - 1} more)" if len(report.problems) > 1 else ""
        raise UserError(f"got a broken checkpoint: {report.problems[0]}{more}")


def show(report: Report, console: Console) -> None:
    """The report as lines: facts, what was trained, what was read, what was found."""
    width = 1 + max(map(len, report.facts))
    for name, value in report.facts.items():
        console.print(f"{name:{width}} {value}", highlight=False, soft_wrap=True)
    for group in report.trained:
        console.print(
            f"{'trained':{width}} {group.name}: {group.parameters:,} parameters in "
            f"{group.tensors} tensor{'s' * (group.tensors > 1)} ({100 * group.share:.3f} %)",
            highlight=False,
            soft_wrap=True,
        )
    if report.reading is not None:
        read = report.reading
        for tokens, nll in {read.short_ctx: read.short, read.long_ctx: read.long}.items():
            console.print(
                f"{'read':{width}} {nll:.3f} nats a token (perplexity {_perplexity(nll)}) of the "
                f"last {read.scored:,} with {tokens:,} tokens of context",
                highlight=False,
                soft_wrap=True,
            )
    for kind, lines in (("note", report.notes), ("BROKEN", report.problems)):
        for line in lines:
            console.print(f"{kind:{width}} {line}", highlight=False, soft_wrap=True)
    if not report.problems:
        console.print("Nothing is wrong with it.", highlight=False)


def _perplexity(nll: float) -> str:
    import math

    return f"{math.exp(nll):,.2f}" if nll < 20 else "beyond any bound"


def _device(name: str) -> str:
    from longdata.extras import require

    torch = require("torch", "finetune")
    has_cuda = bool(torch.cuda.is_available())
    if name == "auto":
        return "cuda" if has_cuda else "cpu"
    if name not in ("cpu", "cuda") or (name == "cuda" and not has_cuda):
        raise UserError(
            f"got --device {name}; allowed: cpu{', cuda' if has_cuda else ''} on this machine; "
            "fix: leave it out"
        )
    return name
