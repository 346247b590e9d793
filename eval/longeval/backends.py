"""The model that is asked: loaded into this process, or behind a server.

    backend = backend_of(Choice(model="my-model/"), default_template="chat")
    backend = backend_of(Choice(model="qwen3", server="http://localhost:8000/v1"), …)
    backend.protocol["template"]        -> "chat"

Without --template a model is asked in its own chat template where it has one, else raw. A key is
read from the environment and goes nowhere but into the header of requests.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longdata.errors import UserError
from longdata.extras import require
from longeval.templates import CHAT, check

if TYPE_CHECKING:
    from longeval.ask import Backend
    from longeval.models import LoadedModel

NO_LIMIT = 1 << 40  # tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the command's options say; see cli_ask.py."""

    model: str | None = None
    adapter: str | None = None
    server: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    template: str | None = None
    thinking: bool = True
    tokenizer: str | None = None
    dtype: str = "auto"
    attention: str | None = None
    quantization: str | None = None
    device: str | None = None
    rope: str | None = None
    rope_ctx: int | None = None
    beyond_ctx: bool = False
    batch_tokens: int | None = None
    batch_size: int | None = None
    concurrency: int = 4
    timeout: float = 600.0
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if self.template is not None:
            check(self.template)
        if self.model is None and (self.adapter is None or self.server is not None):
            raise UserError("got no --model; allowed: a model to ask; fix: --model NAME")
        if (self.rope is None) != (self.rope_ctx is None):
            raise UserError(
                "got one of --rope and --rope-ctx; allowed: both or neither; fix: for example "
                "--rope linear --rope-ctx 16384"
            )
        for name, given in (
            ("--batch-tokens", self.batch_tokens),
            ("--batch-size", self.batch_size),
            ("--concurrency", self.concurrency),
        ):
            if given is not None and given < 1:
                raise UserError(f"got {name} {given}; allowed: 1 or more; fix: {name} 1")


def backend_of(choice: Choice, *, default_template: str | None = None) -> Backend:
    """The model, ready to be asked. UserError: it cannot be had.

    `default_template` is that of an evaluation whose prompts are made for one.
    """
    if choice.server is not None:
        return _server(choice, choice.template or default_template or CHAT)
    return _local(choice, default_template)


def _server(choice: Choice, template: str) -> Backend:
    from longdata.tokenizers import Tokenizer
    from longeval.ask_server import ServerModel

    assert choice.model is not None and choice.server is not None
    for option, given in (("--adapter", choice.adapter), ("--rope", choice.rope)):
        if given is not None:
            raise UserError(
                f"got {option} with --server; allowed: what the server has loaded; fix: start the "
                "server with it"
            )
    return ServerModel(
        choice.model,
        choice.server,
        template=template,
        key=os.environ.get(choice.api_key_env) or None,
        key_variable=choice.api_key_env,
        tokenizer=Tokenizer.load(choice.tokenizer),
        thinking=choice.thinking,
        concurrency=choice.concurrency,
        timeout=choice.timeout,
    )


def _local(choice: Choice, default_template: str | None) -> Backend:
    require("torch", "eval")
    require("transformers", "eval")
    from longeval.ask_local import BATCH_SIZE, BATCH_TOKENS, LocalModel
    from longeval.models import load_model

    loaded = load_model(
        choice.model,
        adapter=choice.adapter,
        dtype=choice.dtype,
        attention=choice.attention,
        device=choice.device,
        quantization=choice.quantization,
        rope=choice.rope,
        rope_ctx=choice.rope_ctx,
        trust_remote_code=choice.trust_remote_code,
    )
    tokenizer = _tokenizer(choice, loaded)
    own = CHAT if getattr(tokenizer, "chat_template", None) else "raw"
    ctx = loaded.ctx if not choice.beyond_ctx else loaded.max_ctx or NO_LIMIT
    return LocalModel(
        loaded.model,
        tokenizer,
        ctx=ctx,
        facts=loaded.facts(),
        template=choice.template or default_template or own,
        thinking=choice.thinking,
        batch_tokens=choice.batch_tokens or BATCH_TOKENS,
        batch_size=choice.batch_size or BATCH_SIZE,
    )


def _tokenizer(choice: Choice, loaded: LoadedModel) -> Any:
    from longtune.model_files import tokenizer_of

    name = choice.tokenizer or loaded.tokenizer_name
    found = tokenizer_of(name, trust=choice.trust_remote_code) if name else None
    if found is None:
        raise UserError(
            f"got {loaded.name}, a model without a tokenizer; allowed: one saved beside it; fix: "
            "--tokenizer NAME"
        )
    return found
