"""`longeval passkey`: its arguments. The work is in passkey.py, the table in retrieval_page.py."""

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
    RawTemplate,
    Rope,
    RopeCtx,
    Seed,
    Server,
    Thinking,
    Timeout,
    TokenizerName,
    TrustRemoteCode,
    depths_of,
    numbers_of,
    progress,
)

SHORT_HELP = "Is a number found, whatever its depth in a text of any length?"
EXAMPLES = (
    "longeval passkey --model my-model/ --ctx 4096,8192,16384,32768 --out passkey",
    "longeval passkey --model my-model/ --format yarn --ctx 8192 --depths 0,0.5,1 --out passkey",
    "longeval passkey --model my-model/ --format longlora --as-published --out passkey-longlora",
)


def passkey(
    out: Out,
    model: Model = None,
    adapter: Adapter = None,
    server: Server = None,
    ctx: Annotated[
        str | None,
        typer.Option(
            metavar="TOKENS",
            help="The lengths, answer included; with --as-published the paper's where left out.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        str, typer.Option(metavar="NAME", help="longlora, landmark or yarn.")
    ] = "longlora",
    depths: Annotated[
        str,
        typer.Option(metavar="N", help="How many depths, or each from 0 to 1 with commas."),
    ] = "11",
    keys: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Keys in each cell. Default: 5, and with --as-published the paper's.",
            show_default=False,
        ),
    ] = None,
    as_published: Annotated[
        bool,
        typer.Option(
            "--as-published", help="Lengths, places and keys as the format's paper draws them."
        ),
    ] = False,
    seed: Seed = 0,
    template: RawTemplate = "raw",
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
    """Hide a number at each depth of texts of each length, and draw how often it is found."""
    from longeval.backends import Choice, backend_of
    from longeval.passkey import PasskeyOrder, measure
    from longeval.retrieval_page import show

    if ctx is None and not as_published:
        raise UserError("got no --ctx; needed: the lengths; fix: --ctx 2048,4096,8192")
    order = PasskeyOrder(
        format=format,
        contexts=() if ctx is None else numbers_of(ctx, "--ctx"),
        depths=depths_of(depths),
        keys=keys,
        as_published=as_published,
        seed=seed,
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
