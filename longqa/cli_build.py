"""`longqa build`: its arguments, and what it says. The work is in build.py and llm/talk.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longdata.cli_engine import EngineOption, SlurmOption, engine_of
from longdata.commands import examples
from longdata.errors import UserError
from longqa.cli_build_run import run_build, run_forecast
from longqa.cli_values import as_typed, kinds_of, model_of, numbers_of, prices_of, splits_of

if TYPE_CHECKING:
    from longqa.decontamination import Against, Mode
    from longqa.order import ModelOrder
    from longqa.recipe import ModelRecipe

DEFAULT_PER_DOCUMENT = 80
DEFAULT_PER_DOCUMENT_MODEL = 20
OPENAI = "https://api.openai.com/v1"
OFFLINE = "extractive"
SHORT_HELP = "Make a dataset from documents."
EPILOG = examples(
    "longqa build books/ --out my-dataset",
    "longqa build paper.pdf notes/*.md --out qa --ctx 4096,8192",
    "longqa build gutenberg:36 --out qa --tokenizer mistralai/Mistral-7B-v0.1",
    "longqa build corpus.jsonl.zst --text-column body --out qa",
    "longqa build books/ --out qa --kinds speaker=4,order=2 --license CC0-1.0",
    "longqa build papers/ --out qa --generator openai:Qwen/Qwen3-32B \\",
    "    --base-url http://localhost:8000/v1",
    "longqa build papers/ --out qa --generator openai:gpt-5-mini \\",
    "    --price 0.25,2 --max-usd 10",
    "longqa build books/ --out qa --engine slurm --slurm partition=cpu",
    then="Run again, a stopped build goes on where it was; with one more document in the "
    "folder, only that one is worked on, and no answer of a model is paid for twice.\n\n"
    "\b\nExit codes:\n"
    "  0    all sources were used\n"
    "  1    built, but something was skipped or not asked; standard error names it\n"
    "  2    a wrong argument, or nothing could be built\n"
    "  3    a bug in longqa; the work on all other sources is kept\n"
    "  130  stopped with Ctrl-C",
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
            help=f"Questions asked of each document. Default: {DEFAULT_PER_DOCUMENT}, with a "
            f"model {DEFAULT_PER_DOCUMENT_MODEL}.",
            metavar="N",
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
        typer.Option(
            metavar="NAME",
            help="What makes the questions: extractive works offline, openai:MODEL asks a model "
            "on any OpenAI-compatible server.",
        ),
    ] = OFFLINE,
    base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The model's server, e.g. http://localhost:8000/v1. Default: OpenAI's.",
        ),
    ] = None,
    api_key_env: Annotated[
        str,
        typer.Option(metavar="NAME", help="The environment variable that holds the API key."),
    ] = "OPENAI_API_KEY",
    judge: Annotated[
        str | None,
        typer.Option(metavar="openai:MODEL", help="Another model, which scores every question."),
    ] = None,
    judge_base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The judge's server. Default: the same.")
    ] = None,
    judge_api_key_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The variable with the judge's key. Default: the same."),
    ] = None,
    temperature: Annotated[
        float, typer.Option(metavar="X", help="Of the model that writes; checks are asked at 0.")
    ] = 0.7,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="The language of questions and answers. Default: that of each document.",
        ),
    ] = None,
    price: Annotated[
        str | None,
        typer.Option(
            metavar="IN,OUT",
            help="US dollars for a million prompt and answer tokens (a third number: cached "
            "prompt tokens).",
        ),
    ] = None,
    judge_price: Annotated[
        str | None, typer.Option(metavar="IN,OUT", help="The judge's. Default: the same.")
    ] = None,
    max_usd: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Stop before the calls of this folder, all runs, cost more."
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(metavar="N", help="Stop before they use more tokens, prompts included."),
    ] = None,
    concurrency: Annotated[
        int,
        typer.Option(
            metavar="N", help="Most calls at once; how many the server takes is found out."
        ),
    ] = 256,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="For one call, to its last byte.")
    ] = 600.0,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print calls, tokens, price and time of a model, and ask nothing."
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="SET,…",
            help="Keep contexts and questions apart from evaluation sets: pg19, proof-pile, "
            "longbench, longchat, or a file or folder.",
        ),
    ] = None,
    contaminated: Annotated[
        str, typer.Option(metavar="WHAT", help="remove them, or only report them.")
    ] = "remove",
    mix_short: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Mix short instructions into the training split: JSON, JSONL or Parquet with "
            "instruction, input and output, or with messages.",
        ),
    ] = None,
    short_share: Annotated[
        float, typer.Option(metavar="X", help="Their share of the training split.")
    ] = 0.26,
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
    engine: EngineOption = "local",
    slurm: SlurmOption = None,
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
    from longdata.workers import available_cpus
    from longqa.llm.records import Endpoint
    from longqa.llm.taxonomy import MODEL_KINDS
    from longqa.order import ModelOrder, Order
    from longqa.progress import progress_for
    from longqa.questions import KINDS
    from longqa.recipe import ModelRecipe, Recipe
    from longqa.short_file import load_short

    if offline:
        _stay_offline()
    # Arrow reads this when it is first imported: its own allocators keep what was freed
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    has_model = generator.partition(":")[0] == "openai"
    asked = kinds_of(kinds, MODEL_KINDS if has_model else KINDS)
    exact = sum(count or 0 for count in asked.values())
    if per_document is not None and exact:
        raise UserError(
            "got --per-document together with exact counts in --kinds; allowed: one of the two; "
            "fix: leave --per-document out"
        )
    if per_document is None:
        per_document = exact or (DEFAULT_PER_DOCUMENT_MODEL if has_model else DEFAULT_PER_DOCUMENT)
    model_recipe: ModelRecipe | None = None
    model_order: ModelOrder | None = None
    if has_model:
        from longqa.llm.server import checked_base_url

        model = model_of("--generator", generator)
        scorer = model_of("--judge", judge) if judge is not None else None
        url = checked_base_url(base_url or OPENAI)
        writer_price = prices_of("--price", price)
        model_recipe = ModelRecipe(
            model=model,
            judge=scorer,
            language=_language(language),
            temperature=temperature,
        )
        writer = Endpoint(
            model=model,
            base_url=url,
            key_variable=api_key_env,
            price=writer_price,
            timeout=timeout,
            concurrency=concurrency,
        )
        judging = scorer and Endpoint(
            model=scorer,
            base_url=checked_base_url(judge_base_url) if judge_base_url else url,
            key_variable=judge_api_key_env or api_key_env,
            price=prices_of("--judge-price", judge_price) or writer_price,
            timeout=timeout,
            concurrency=concurrency,
        )
        model_order = ModelOrder(
            writer=writer, judge=judging or None, max_usd=max_usd, max_tokens=max_tokens
        )
    else:
        _refuse_without_model(
            {
                "--base-url": base_url,
                "--judge": judge,
                "--judge-base-url": judge_base_url,
                "--judge-api-key-env": judge_api_key_env,
                "--judge-price": judge_price,
                "--language": language,
                "--price": price,
                "--max-usd": max_usd,
                "--max-tokens": max_tokens,
                "--dry-run": dry_run or None,
            }
        )
    order = Order(
        sources=tuple(sources),
        out=out,
        recipe=Recipe(
            ctx=tuple(numbers_of("--ctx", ctx, int, "8192,16384")),
            shares=(
                tuple(numbers_of("--ctx-shares", ctx_shares, float, "2,1,1")) if ctx_shares else ()
            ),
            per_document=per_document,
            kinds=asked,
            tokenizer=tokenizer,
            seed=seed,
            model=model_recipe,
            against=_against(against, contaminated, offline=offline),
        ),
        generator=generator,
        model=model_order,
        short=None if mix_short is None else load_short(mix_short, metadata=metadata),
        short_share=short_share,
        license=license,
        metadata=metadata,
        text_column=text_column,
        shares=splits_of(splits),
        workers=available_cpus() if workers is None else workers,
        engine=engine_of(engine, workers, slurm),
        strict=strict,
        offline=offline,
        command=as_typed(sys.argv[1:]),
    )
    progress = progress_for(quiet=quiet)
    if dry_run:
        run_forecast(order, progress)
    else:
        run_build(order, progress, quiet=quiet)


def _against(given: str | None, mode: str, *, offline: bool) -> Against | None:
    """The evaluation sets, indexed."""
    from longqa.decontamination import arguments_of, prepare

    if mode not in ("remove", "report"):
        raise UserError(
            f"got --contaminated {mode}; allowed: remove, report; fix: --contaminated report"
        )
    if given is None:
        return None
    chosen: Mode = "remove" if mode == "remove" else "report"
    return prepare(
        arguments_of(given),
        mode=chosen,
        offline=offline,
        tell=lambda line: typer.echo(line, err=True),
    )


def _language(given: str | None) -> str | None:
    from longdata.languages import parse

    return None if given is None else parse(given)


def _refuse_without_model(options: dict[str, object]) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise UserError(
            f"got {given[0]} without a model; allowed: with --generator openai:MODEL; "
            f"fix: add that, or leave {given[0]} out"
        )


def _stay_offline() -> None:
    """The Hub's client reads this once, when it is first imported."""
    os.environ["HF_HUB_OFFLINE"] = "1"
