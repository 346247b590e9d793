"""`longdata pack`: its arguments. The work is in pack.py, the account in pack_summary.py."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from longdata.cli_engine import EngineOption, SlurmOption, WorkersOption, engine_of, say_submitted
from longdata.commands import INTERRUPTED, OK, SKIPPED, fail
from longdata.errors import UserError

if TYPE_CHECKING:
    from longdata.packing import Strategy

SHORT_HELP = "Pack a corpus into rows of exactly so many tokens."
EXAMPLES = (
    "longdata pack redpajama/ --tokenizer my-model/ --ctx 8192 --out packed",
    "longdata pack wiki.jsonl book=epubs/ --ctx 8192,32768 --mix book=0.5 --out p",
    "longdata pack togethercomputer/RedPajama-Data-1T-Sample --ctx 8K --out p",
    "longdata pack arxiv/ --ctx 65536 --keep-short 0.1 --tokens 1B --out packed",
    "longdata pack web/ --ctx 8192 --engine slurm --slurm partition=cpu --out p",
)
ENDING = (
    "Exit codes:\n\n\b\n"
    "    0    the rows are there\n"
    "    1    the rows are there; something could not be used, which is said\n"
    "    2    a mistake in the command, its sources or the disk; one line says it\n"
    "    3    a bug\n"
    "    130  stopped with Ctrl-C; the same command goes on where it was"
)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def pack(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Files, folders, patterns in quotes, datasets of the Hub (ORG/NAME): .jsonl (also "
            ".gz, .zst), .parquet, .txt, EPUB, PDF and what else longqa build reads. NAME=SOURCE "
            "says what its documents are called in --mix.",
            show_default=False,
        ),
    ],
    ctx: Annotated[
        str,
        typer.Option(metavar="N[,N...]", help="Tokens of a row; of several, all are made at once."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the result.")],
    tokenizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The model's tokenizer: a folder, a file, or a Hub id. Default: Mistral 7B's.",
            show_default=False,
        ),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="best-fit: what fits into a row is never cut; concat: LongLoRA's, one behind the "
            "other.",
        ),
    ] = "best-fit",
    mix: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=SHARE,...",
            help="Shares of all tokens, for example arxiv=0.3,book=0.3; the others share the rest.",
            show_default=False,
        ),
    ] = None,
    tokens: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="How many tokens in all: 10000000, 10M, 1.5B. Default: all there are.",
            show_default=False,
        ),
    ] = None,
    min_tokens: Annotated[int, typer.Option(metavar="N", help="Leave out shorter documents.")] = 1,
    max_tokens: Annotated[
        int | None,
        typer.Option(metavar="N", help="Leave out longer documents.", show_default=False),
    ] = None,
    short_below: Annotated[
        int, typer.Option(metavar="N", help="Which documents are short, for --keep-short.")
    ] = 4096,
    keep_short: Annotated[
        str,
        typer.Option(
            metavar="P",
            help="The chance of a short document to be kept; longer ones of its source take its "
            "place. 0.1 is the published recipe.",
        ),
    ] = "1",
    max_copies: Annotated[
        int, typer.Option(metavar="N", help="How often a document may be used.")
    ] = 4,
    bos: Annotated[
        bool | None,
        typer.Option(
            "--bos/--no-bos",
            help="BOS before each document. Default: as the tokenizer itself does.",
            show_default=False,
        ),
    ] = None,
    eos: Annotated[bool, typer.Option("--eos/--no-eos", help="EOS behind each document.")] = True,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed, another order.")] = 0,
    text_column: Annotated[
        str, typer.Option(metavar="NAME", help="The column of rows that holds the text.")
    ] = "text",
    source_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The column that says what a row belongs to. Default: red_pajama_subset, or "
            "redpajama_set_name in meta.",
            show_default=False,
        ),
    ] = None,
    decontaminate: Annotated[
        str | None,
        typer.Option(
            metavar="SETS",
            help="Leave out documents that stand in these evaluation sets: pg19,proof-pile, or "
            "files.",
            show_default=False,
        ),
    ] = None,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast/--no-fast",
            help="Encode with gigatoken, held against the tokenizer itself (pip install "
            "'longqa[fast]').",
        ),
    ] = False,
    engine: EngineOption = "local",
    workers: WorkersOption = None,
    slurm: SlurmOption = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use what is on this machine; ask no server.")
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Make it anew where another plan's rows are; equal tokens are kept."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print mistakes and losses only.")] = False,
) -> None:
    """Pack a corpus into rows of exactly so many tokens, each of which knows its documents.

    The result does not depend on the engine, the number of workers or the order of the sources. A
    run that was killed goes on where it was when the same command is given again.
    """
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # the Hub's client reads it once, at import
    from longdata.corpus_lines import Columns
    from longdata.mixing import Mixture, parse_shares
    from longdata.pack import pack_corpus
    from longdata.pack_order import Order
    from longdata.pack_progress import progress_for
    from longdata.pack_summary import lines_of, lost_lines, num_damaged
    from longdata.tokenizers import single_threaded

    single_threaded()
    mixture = Mixture(
        shares=parse_shares(mix) if mix is not None else {},
        tokens=_number("--tokens", tokens) if tokens is not None else None,
        min_tokens=min_tokens,
        max_tokens=max_tokens,
        short_below=short_below,
        keep_short=_chance(keep_short),
        max_copies=max_copies,
    )
    order = Order(
        sources=tuple(sources),
        out=out,
        ctx=tuple(_number("--ctx", part) for part in ctx.split(",")),
        tokenizer=tokenizer,
        strategy=_strategy(strategy),
        mixture=mixture,
        seed=seed,
        bos=bos,
        eos=eos,
        columns=Columns(text=text_column, source=source_column),
        decontaminate=decontaminate,
        fast=fast,
        offline=offline,
        fresh=fresh,
    )
    progress = progress_for(quiet=quiet)
    try:
        done = pack_corpus(
            order, engine_of(engine, workers, slurm), tell=progress.tell, say=progress.say
        )
    except KeyboardInterrupt:
        fail("longdata", "stopped; the same command goes on where it was", INTERRUPTED)
    finally:
        progress.end()
    if done.is_submitted:
        say_submitted(out / ".work" / "engine")
        raise typer.Exit(OK)
    for line in lost_lines(done):
        typer.echo(line, err=True)
    if not quiet:
        if not done.is_new:
            typer.echo("nothing to do: these rows are there, made from the same in the same way")
        for line in lines_of(done):
            typer.echo(line)
    raise typer.Exit(SKIPPED if num_damaged(done) else OK)


def _number(option: str, given: str) -> int:
    """ "8192", "10M" and "1.5B" as whole numbers."""
    match = re.fullmatch(r"(\d{1,15}(?:_\d+)*(?:\.\d{1,9})?)([KMBT]?)", given.strip().upper())
    number = Fraction(match[1].replace("_", "")) * _UNITS[match[2]] if match else Fraction(1, 2)
    if number.denominator != 1:
        raise UserError(
            f"got {option} {given[:50]}; allowed: whole numbers such as 8192, 10M or 1.5B; "
            f"fix: for example {option} 8192"
        )
    return int(number)


def _chance(given: str) -> Fraction:
    if not re.fullmatch(r"\d?(\d|\.\d{1,9})", given.strip()):
        raise UserError(
            f"got --keep-short {given[:50]}; allowed: 0 to 1; fix: 1 keeps all, 0.1 is the "
            "published recipe"
        )
    return Fraction(given.strip())


def _strategy(given: str) -> Strategy:
    from longdata.packing import Strategy

    known: dict[str, Strategy] = {name: name for name in get_args(Strategy)}
    if given not in known:
        raise UserError(
            f"got --strategy {given}; allowed: {', '.join(known)}; fix: leave it out for best-fit"
        )
    return known[given]
