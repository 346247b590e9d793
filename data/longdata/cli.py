"""The `longdata` command: arguments in, one line for every mistake. The work is in prepare.py.

Nothing heavy is imported before a command needs it, so that `longdata --help` is there at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from longdata import cli_inspect, cli_pack
from longdata.commands import INTERRUPTED, OK, SKIPPED, command_line, examples, fail, run

_STEP = 10_000_000  # tokens


app = command_line(
    "longdata",
    "Corpora and evaluation sets → tokens.",
    example="longdata prepare pg19 --tokenizer meta-llama/Llama-2-7b-hf --out pg19",
)


def main() -> NoReturn:
    """The entry point."""
    run(app)


@app.command(
    short_help="Make a set of tokens to measure perplexity on.",
    epilog=examples(
        "longdata prepare pg19 --tokenizer meta-llama/Llama-2-7b-hf --out pg19",
        "longdata prepare pg19 --split validation --tokenizer Qwen/Qwen3-8B --out val",
        "longdata prepare proof-pile --tokenizer my-model/ --out proof-pile",
        "longdata prepare books/ --tokenizer my-model/ --bos --out books-tokens",
        "longdata prepare pg19 --tokenizer my-model/ --format longlora --out test.bin",
        then="Exit codes:\n\n\b\n"
        "    0    the set is there, with all that was asked for\n"
        "    1    the set is there; a text was left out, or fewer were long enough\n"
        "    2    a mistake in the command, its sources or the disk; one line says it\n"
        "    3    a bug\n"
        "    130  stopped with Ctrl-C; nothing was written",
    ),
)
def prepare(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="pg19, proof-pile, or a file or folder: .jsonl (also .gz, .zst), .parquet, .txt, "
            "EPUB, PDF and what else longqa build reads.",
            show_default=False,
        ),
    ],
    tokenizer: Annotated[
        str,
        typer.Option(metavar="NAME", help="The model's tokenizer: a folder, a file, or a Hub id."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="The folder of the set; for --format longlora a .bin file."
        ),
    ],
    split: Annotated[str, typer.Option(metavar="NAME", help="pg19: test or validation.")] = "test",
    min_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Leave out documents of fewer tokens. Default: 1; proof-pile: 32768.",
        ),
    ] = None,
    documents: Annotated[
        int | None,
        typer.Option(metavar="N", help="Draw this many of them. Default: all; proof-pile: 128."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed draws others.")] = 0,
    bos: Annotated[
        bool, typer.Option("--bos/--no-bos", help="Put BOS before each document.")
    ] = False,
    eos: Annotated[
        bool, typer.Option("--eos/--no-eos", help="Put EOS after each document.")
    ] = True,
    format: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="longdata: 16 or 32 bits, as the vocabulary needs; longlora: 16 bits, a .bin "
            "file that LongLoRA's eval.py reads.",
        ),
    ] = "longdata",
    text_column: Annotated[
        str, typer.Option(metavar="NAME", help="The column of rows that holds the text.")
    ] = "text",
    clean: Annotated[
        bool,
        typer.Option(
            "--clean",
            help="Give rows and .txt files to the readers too, which remove Gutenberg's licence "
            "and join the lines of a paragraph. Default: every character as published.",
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Processes; the result is the same. Default: one per CPU."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use what is on this machine; ask no server.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace another set that is there.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print mistakes and losses only.")] = False,
) -> None:
    """Make a set of tokens to measure perplexity on, with the place of every document in it.

    proof-pile is 128 documents of at least 32,768 tokens, drawn from its test split, as for
    LongLoRA; the ids of those drawn are written down.
    """
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # the Hub's client reads it once, at import
    from longdata import prepare as preparing
    from longdata.eval_summary import is_short, lines_of
    from longdata.tokenizers import Tokenizer

    paper = source == "proof-pile"
    try:
        order = preparing.Order(
            source=source,
            tokenizer=Tokenizer.load(tokenizer),
            out=out,
            split=split,
            min_tokens=(32_768 if paper else 1) if min_tokens is None else min_tokens,
            documents=(128 if paper else None) if documents is None else documents,
            seed=seed,
            bos=bos,
            eos=eos,
            format=format,
            text_column=text_column,
            clean=clean,
            workers=_available_cpus() if workers is None else workers,
            offline=offline,
            force=force,
        )
        made = preparing.prepare(order, _silent if quiet else _Progress())
    except KeyboardInterrupt:
        fail("longdata", "stopped; nothing was written", INTERRUPTED)
    left_out = made.facts["left_out"]
    for skip in left_out[:20]:
        detail = f", {skip['detail']}" if skip["detail"] else ""
        typer.echo(f"left out {skip['name']}: {skip['reason']}{detail}", err=True)
    if len(left_out) > 20:
        typer.echo(f"and more: left_out in {made.path.with_suffix('.json')}", err=True)
    if not quiet:
        if not made.is_new:
            typer.echo("nothing to do: this set is there, made from the same in the same way")
        for line in lines_of(made.path, made.facts):
            typer.echo(line)
    raise typer.Exit(SKIPPED if left_out or is_short(made.facts) else OK)


app.command(
    short_help=cli_pack.SHORT_HELP, epilog=examples(*cli_pack.EXAMPLES, then=cli_pack.ENDING)
)(cli_pack.pack)
app.command(short_help=cli_inspect.SHORT_HELP, epilog=examples(*cli_inspect.EXAMPLES))(
    cli_inspect.inspect
)


def _available_cpus() -> int:
    """The processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _silent(documents: int, tokens: int) -> None:
    pass


class _Progress:
    """A line on standard error for every ten million tokens."""

    def __init__(self) -> None:
        self._next = _STEP

    def __call__(self, documents: int, tokens: int) -> None:
        if tokens >= self._next:
            self._next = tokens - tokens % _STEP + _STEP
            typer.echo(f"{documents:,} documents, {tokens:,} tokens so far", err=True)
