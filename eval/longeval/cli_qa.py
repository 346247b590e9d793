"""`longeval qa`: its arguments. The work is in qa.py, the table in retrieval_page.py."""

from __future__ import annotations

from typing import Annotated

import typer

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
    Server,
    Template,
    Thinking,
    Timeout,
    TokenizerName,
    TrustRemoteCode,
    progress,
)

SHORT_HELP = "Questions of a LongQA dataset, with their text and without."
EXAMPLES = (
    "longeval qa my-dataset/ --model my-model/ --out qa",
    "longeval qa somebody/long-books --model qwen3 --server http://localhost:8000/v1 --out qa",
)


def qa(
    dataset: Annotated[
        str,
        typer.Argument(metavar="DATASET", help="A folder that longqa build wrote, or a Hub id."),
    ],
    out: Out,
    model: Model = None,
    adapter: Adapter = None,
    server: Server = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="test, validation or train.")] = "test",
    closed_book: Annotated[
        bool, typer.Option(help="Also ask without the text: what a model knows by itself.")
    ] = True,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="Only the first questions.", show_default=False),
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(metavar="N", help="Of an answer.")] = 128,
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
    """Answer the questions of a dataset: exact match, F1, ROUGE-L, by depth of the evidence."""
    from longeval.backends import Choice, backend_of
    from longeval.qa import QaOrder, measure
    from longeval.retrieval_page import show

    order = QaOrder(
        dataset=dataset,
        split=split,
        closed_book=closed_book,
        limit=limit,
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
