"""The `longqa` command: arguments in, one line for every mistake. What it does is in build.py.

Nothing heavy is imported before a command needs it, so that `longqa --help` is there at once.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from longdata.errors import UserError
from longqa import __version__

if TYPE_CHECKING:
    from longqa.facts import SplitName

Number = TypeVar("Number", int, float)
DEFAULT_PER_DOCUMENT = 80
OK, SKIPPED, USER_ERROR, BUG, INTERRUPTED = 0, 1, 2, 3, 130


def _examples(*lines: str, then: str = "") -> str:
    """An epilog whose example lines are not wrapped."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)]) + f"\n\n{then}"


app = typer.Typer(
    name="longqa",
    help="Books and papers → verified long-context question–answer pairs → a dataset.",
    epilog=_examples("longqa build books/ papers/*.pdf --out my-dataset"),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> NoReturn:
    """The entry point: runs a command and turns a mistake into one line and an exit code."""
    try:
        app()
    except UserError as error:
        _fail(str(error), USER_ERROR)
    except Exception:
        import traceback

        traceback.print_exc()
        _fail("a bug in longqa: please report the lines above", BUG)
    sys.exit(OK)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"longqa {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


@app.command(
    short_help="Make a dataset from documents.",
    epilog=_examples(
        "longqa build books/ --out my-dataset",
        "longqa build paper.pdf notes/*.md --out qa --ctx 4096,8192",
        "longqa build gutenberg:36 --out qa --tokenizer mistralai/Mistral-7B-v0.1",
        "longqa build corpus.jsonl.zst --text-column body --out qa",
        "longqa build books/ --out qa --kinds speaker=4,order=2 --license CC0-1.0",
        then="Run again, a stopped build goes on where it was; with one more document in the "
        "folder, only that one is worked on.\n\n\b\nExit codes:\n"
        "  0    all sources were used\n"
        "  1    built, but something was skipped; each is named on standard error\n"
        "  2    a wrong argument, or nothing could be built\n"
        "  3    a bug in longqa; the work on all other sources is kept\n"
        "  130  stopped with Ctrl-C",
    ),
)
def build(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Files (.txt .md .html .epub .pdf .tex .xml .jsonl .parquet), folders, patterns "
            "in quotes, http(s) addresses, gutenberg:NUMBER, arxiv:ID.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The dataset folder to write.", metavar="DIR")],
    ctx: Annotated[
        str,
        typer.Option(
            metavar="N,N,…", help="Context lengths in tokens, template and answer included."
        ),
    ] = "8192,16384,32768",
    ctx_shares: Annotated[
        str | None,
        typer.Option(
            metavar="X,X,…",
            help="How the questions divide over the lengths, e.g. 2,1,1. Default: equally.",
        ),
    ] = None,
    per_document: Annotated[
        int | None,
        typer.Option(
            help=f"Questions asked of each document. Default: {DEFAULT_PER_DOCUMENT}.", metavar="N"
        ),
    ] = None,
    kinds: Annotated[
        str | None,
        typer.Option(
            metavar="KINDS",
            help="Only these kinds (speaker,order), or exact counts per document "
            "(speaker=4,order=2). `longqa kinds` lists them. Default: all, by weight.",
        ),
    ] = None,
    generator: Annotated[
        str,
        typer.Option(metavar="NAME", help="What makes the questions; extractive works offline."),
    ] = "extractive",
    tokenizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The target model's: a Hub id or a path. Default: one that is installed.",
        ),
    ] = None,
    license: Annotated[
        str | None,
        typer.Option(help="Licence of sources that name none, as an SPDX name.", metavar="SPDX"),
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            help="A CSV or JSON file with title, author, year, license … of each source.",
            metavar="FILE",
        ),
    ] = None,
    text_column: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The column of .jsonl and .parquet files that holds the text."
        ),
    ] = "text",
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed gives another choice.")] = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Processes; the result is the same. 1: all in this one. Default: one per CPU.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first source that cannot be used.")
    ] = False,
    splits: Annotated[
        str,
        typer.Option(metavar="X,X,X", help="Shares of documents for train, validation and test."),
    ] = "0.9,0.05,0.05",
    offline: Annotated[
        bool, typer.Option("--offline", help="Use downloaded sources only, never the network.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but what went wrong.")
    ] = False,
) -> None:
    """Make a dataset of question-answer pairs, each with its evidence, from documents."""
    from longqa.build import build as build_dataset
    from longqa.order import Order, available_cpus
    from longqa.progress import progress_for
    from longqa.recipe import Recipe
    from longqa.source_work import Crash

    if offline:
        _stay_offline()
    asked = _kinds(kinds)
    exact = sum(count or 0 for count in asked.values())
    if per_document is not None and exact:
        raise UserError(
            "got --per-document together with exact counts in --kinds; allowed: one of the two; "
            "fix: leave --per-document out"
        )
    if per_document is None:
        per_document = exact or DEFAULT_PER_DOCUMENT
    recipe = Recipe(
        ctx=tuple(_numbers("--ctx", ctx, int, "8192,16384")),
        shares=tuple(_numbers("--ctx-shares", ctx_shares, float, "2,1,1")) if ctx_shares else (),
        per_document=per_document,
        kinds=asked,
        tokenizer=tokenizer,
        seed=seed,
    )
    order = Order(
        sources=tuple(sources),
        out=out,
        recipe=recipe,
        generator=generator,
        license=license,
        metadata=metadata,
        text_column=text_column,
        shares=_splits(splits),
        workers=available_cpus() if workers is None else workers,
        strict=strict,
        offline=offline,
        command=as_typed(sys.argv[1:]),
    )
    progress = progress_for(quiet=quiet)
    try:
        built = build_dataset(order, progress)
    except KeyboardInterrupt:
        progress.end()
        _fail("stopped; running the same command again goes on where it was", INTERRUPTED)
    except Crash as crash:
        progress.end()
        for name, trace in crash.traces.items():
            typer.echo(f"{name}:\n{trace}", err=True)
        _fail(
            f"a bug in longqa at {crash}; nothing was written, the work on all other sources is "
            "kept: leave it out and run the same command, and please report the lines above",
            BUG,
        )
    finally:
        progress.end()
    if not quiet:
        from longqa.summary import print_summary

        print_summary(built)
    raise typer.Exit(SKIPPED if built.skipped else OK)


@app.command(
    short_help="Print the statistics of a dataset.", epilog=_examples("longqa inspect my-dataset")
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
    epilog=_examples(
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
    short_help="List the kinds of questions.",
    epilog=_examples("longqa kinds", "longqa build books/ --out qa --kinds speaker,order,place"),
)
def kinds() -> None:
    """List the kinds of questions: what each asks, of which documents, and its weight."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from longqa.questions import ALL, BOOKS, KINDS, UNANSWERABLE_SHARE

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("Kind", "Asks", "Answer is", "Of"):
        table.add_column(column)
    table.add_column("Weight", justify="right")
    for name, kind in KINDS.items():
        of = "all" if kind.of == ALL else "books" if kind.of == BOOKS else "papers"
        share = f"{UNANSWERABLE_SHARE:.0%} of all" if name == "unanswerable" else f"{kind.weight:g}"
        table.add_row(name, kind.asks, kind.basis, of, share)
    Console().print(table)


def as_typed(arguments: list[str]) -> str:
    """The command for build.json, with file names but without their folders."""
    return shlex.join(["longqa", *map(_without_folder, arguments)])


def _without_folder(argument: str) -> str:
    option, sign, value = (
        argument.partition("=") if argument.startswith("--") else ("", "", argument)
    )
    is_address = re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", value) is not None
    is_path = value.startswith(("/", ".", "~")) or Path(value).exists() or value.count("/") > 1
    if value and is_path and not is_address:
        value = Path(value).name or Path(value).resolve().name or value
    elif "*" in value and not is_address:
        value = value.rsplit("/", 1)[-1]
    return f"{option}{sign}{value}"


def _kinds(given: str | None) -> dict[str, int | None]:
    """ "speaker,order" → no counts; "speaker=4,order=2" → counts; in the taxonomy's order."""
    from longqa.questions import KINDS

    asked: dict[str, int | None] = {}
    for item in (given or "").split(","):
        name, sign, count = item.strip().partition("=")
        if not name and not sign:
            continue
        try:
            asked[name] = int(count) if sign else None
        except ValueError:
            raise UserError(
                f"got --kinds {item.strip()}; allowed: a name, or name=count; "
                "fix: --kinds speaker=4,order=2"
            ) from None
    if given is not None and not asked:
        raise UserError(
            "got --kinds without a name; allowed: kinds that `longqa kinds` lists; "
            "fix: --kinds speaker,order"
        )
    known = {kind: asked[kind] for kind in KINDS if kind in asked}
    return {**known, **asked}  # unknown ones last: the recipe refuses them


def _numbers(
    option: str, given: str, number: Callable[[str], Number], example: str
) -> list[Number]:
    try:
        return [number(part) for part in given.split(",")]
    except ValueError:
        raise UserError(
            f"got {option} {given}; allowed: numbers with commas between them; "
            f"fix: {option} {example}"
        ) from None


def _splits(given: str) -> dict[SplitName, float]:
    shares = _numbers("--splits", given, float, "0.9,0.05,0.05")
    if len(shares) != 3:
        raise UserError(
            f"got --splits {given}; allowed: three shares, for train, validation and test; "
            "fix: --splits 0.9,0.05,0.05"
        )
    return {"train": shares[0], "validation": shares[1], "test": shares[2]}


def _stay_offline() -> None:
    """The Hub's client reads this once, when it is first imported."""
    import os

    os.environ["HF_HUB_OFFLINE"] = "1"


def _fail(line: str, code: int) -> NoReturn:
    typer.echo(f"longqa: {' '.join(line.split())}", err=True)
    sys.exit(code)
