"""`longeval lines`: its arguments. The work is in lines.py, the table in retrieval_page.py."""

from __future__ import annotations

from typing import Annotated

import typer

from longdata.errors import UserError
from longeval.cli_ask import (
    Adapter,
    ApiKeyEnv,
    Attention,
    BatchSize,
    BatchTokens,
    BeyondCtx,
    Concurrency,
    Device,
    Dtype,
    Model,
    Out,
    Quantization,
    Quiet,
    Rope,
    RopeCtx,
    Seed,
    Server,
    Template,
    Thinking,
    Timeout,
    TokenizerName,
    TrustRemoteCode,
    numbers_of,
    progress,
)

SHORT_HELP = "Which number stands in a line among hundreds? (LongChat)"
EXAMPLES = (
    "longeval lines --model my-model/ --out lines",
    "longeval lines --model my-model/ --ctx 8192,32768 --questions 5 --out lines-32k",
    "longeval lines --model qwen3 --server http://localhost:8000/v1 --lines 200,400 --out lines",
)


def lines(
    out: Out,
    model: Model = None,
    adapter: Adapter = None,
    server: Server = None,
    cases: Annotated[
        str,
        typer.Option(metavar="SOURCE", help="longchat (fetched), or a folder with its files."),
    ] = "longchat",
    lines: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            help="How many lines. Default: 200,300,400,500,600,680, LongChat's own.",
            show_default=False,
        ),
    ] = None,
    ctx: Annotated[
        str | None,
        typer.Option(
            metavar="TOKENS", help="Make cases that fill these contexts.", show_default=False
        ),
    ] = None,
    make: Annotated[
        bool, typer.Option("--make", help="Make new cases of --lines too, of any number.")
    ] = False,
    count: Annotated[int, typer.Option(metavar="N", help="Cases to make of each length.")] = 50,
    questions: Annotated[
        int,
        typer.Option(
            metavar="N", help="Cases that share a record, which is then read once for them."
        ),
    ] = 1,
    seed: Seed = 0,
    max_new_tokens: Annotated[int, typer.Option(metavar="N", help="Of an answer.")] = 50,
    template: Template = None,
    thinking: Thinking = True,
    tokenizer: TokenizerName = None,
    dtype: Dtype = "auto",
    attention: Attention = None,
    quantization: Quantization = None,
    device: Device = None,
    rope: Rope = None,
    rope_ctx: RopeCtx = None,
    beyond_ctx: BeyondCtx = False,
    batch_tokens: BatchTokens = None,
    batch_size: BatchSize = None,
    api_key_env: ApiKeyEnv = "OPENAI_API_KEY",
    concurrency: Concurrency = 4,
    timeout: Timeout = 600.0,
    trust_remote_code: TrustRemoteCode = False,
    quiet: Quiet = False,
) -> None:
    """Ask for the number of one line among many, at all depths."""
    from longeval.backends import Choice, backend_of
    from longeval.lines import LineOrder, measure
    from longeval.longchat_files import PUBLISHED
    from longeval.retrieval_page import show

    if ctx is not None and (lines is not None or make):
        raise UserError("got --ctx with --lines or --make; allowed: one of them; fix: drop one")
    if questions != 1 and ctx is None and not make:
        raise UserError(
            "got --questions for LongChat's own cases; allowed: with --ctx or --make; fix: add one"
        )
    order = LineOrder(
        cases=cases,
        sizes=PUBLISHED["lines"] if lines is None else numbers_of(lines, "--lines"),
        contexts=() if ctx is None else numbers_of(ctx, "--ctx"),
        make=make,
        count=count,
        questions=questions,
        seed=seed,
        max_new_tokens=max_new_tokens,
    )
    chosen = Choice(
        model=model,
        adapter=adapter,
        server=server,
        api_key_env=api_key_env,
        template=template,
        thinking=thinking,
        tokenizer=tokenizer,
        dtype=dtype,
        attention=attention,
        quantization=quantization,
        device=device,
        rope=rope,
        rope_ctx=rope_ctx,
        beyond_ctx=beyond_ctx,
        batch_tokens=batch_tokens,
        batch_size=batch_size,
        concurrency=concurrency,
        timeout=timeout,
        trust_remote_code=trust_remote_code,
    )
    backend = backend_of(chosen)
    with progress(quiet) as tell:
        run = measure(order, backend, out, tell=tell)
    show(run, out)
