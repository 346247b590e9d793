"""`longeval topics`: its arguments. The work is in topics.py, the table in retrieval_page.py."""

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

SHORT_HELP = "Which topic of a long conversation was the first? (LongChat)"
EXAMPLES = (
    "longeval topics --model my-model/ --out topics",
    "longeval topics --model longchat-13b-16k/ --template vicuna --out topics",
    "longeval topics --model my-model/ --ctx 32768 --topic first,middle,last --out topics-32k",
    "longeval topics --model qwen3 --server http://localhost:8000/v1 --topics 5,10 --out topics",
)


def topics(
    out: Out,
    model: Model = None,
    adapter: Adapter = None,
    server: Server = None,
    cases: Annotated[
        str,
        typer.Option(
            metavar="SOURCE",
            help="longchat (fetched), or a folder with LongChat's files.",
        ),
    ] = "longchat",
    topics: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            help="How many topics a conversation has. Default: 5,10,15,20,25, LongChat's own.",
            show_default=False,
        ),
    ] = None,
    ctx: Annotated[
        str | None,
        typer.Option(
            metavar="TOKENS",
            help="Make cases that fill these contexts instead, from LongChat's conversations.",
            show_default=False,
        ),
    ] = None,
    make: Annotated[
        bool, typer.Option("--make", help="Make new cases of --topics too, of any number.")
    ] = False,
    topic: Annotated[
        str,
        typer.Option(metavar="PLACES", help="Which is asked for: first, middle, last or a number."),
    ] = "first",
    count: Annotated[
        int, typer.Option(metavar="N", help="Cases to make of each length and place.")
    ] = 50,
    seed: Seed = 0,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A model that judges each answer, beside the offline rules.",
            show_default=False,
        ),
    ] = None,
    judge_server: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The judge's server. Default: --server.", show_default=False
        ),
    ] = None,
    judge_api_key_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Of the judge's key. Default: the same.", show_default=False
        ),
    ] = None,
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
    """Ask for the first (or another) topic of long conversations, and score the answers offline."""
    from longeval.backends import Choice, backend_of
    from longeval.longchat_files import PUBLISHED
    from longeval.retrieval_page import show
    from longeval.topics import TopicOrder, measure

    if ctx is not None and (topics is not None or make):
        raise UserError("got --ctx with --topics or --make; allowed: one of them; fix: drop one")
    if judge is None and (judge_server or judge_api_key_env):
        raise UserError("got options of a judge without --judge; needed: one; fix: --judge NAME")
    if judge is not None and judge_server is None and server is None:
        raise UserError("got --judge without a server; needed: one; fix: --judge-server URL")
    order = TopicOrder(
        cases=cases,
        sizes=PUBLISHED["topics"] if topics is None else numbers_of(topics, "--topics"),
        contexts=() if ctx is None else numbers_of(ctx, "--ctx"),
        make=make,
        asked=tuple(part.strip() for part in topic.split(",") if part.strip()),
        count=count,
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
    by = None
    if judge is not None:
        by = backend_of(
            Choice(
                model=judge,
                server=judge_server or server,
                api_key_env=judge_api_key_env or api_key_env,
                concurrency=concurrency,
                timeout=timeout,
            )
        )
    with progress(quiet) as tell:
        run = measure(order, backend, out, judge=by, tell=tell)
    show(run, out)
