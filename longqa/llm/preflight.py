"""What can be found out about a server before the first token is paid.

    facts = await server.check(prompt_tokens=33_000, completion_tokens=4_000)
    facts                   -> ServerFacts(model="qwen3", ctx=40960, lists_models=True)

    UserError: got the model 'qwen2' at http://localhost:8000/v1, which does not list it; allowed:
    'qwen3'; fix: …

Only GET requests: the list of models, and where a server tells its context elsewhere, that. Where a
server does not list its models nothing is known, and the first request will tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longdata.errors import UserError
from longqa.llm.wire import Transient, error_of, fatal

if TYPE_CHECKING:
    from longqa.llm.server import Server

_NAMES_SHOWN = 8
# Where servers say how many tokens a model takes, the number that is in force first.
_CONTEXTS = (
    ("max_model_len",),  # vLLM, SGLang
    ("loaded_context_length",),  # LM Studio: as loaded, then as possible
    ("meta", "n_ctx"),  # llama.cpp
    ("top_provider", "context_length"),  # OpenRouter
    ("context_length",),
    ("context_window",),  # Groq
    ("max_context_length",),
    ("max_input_tokens",),
    ("meta", "n_ctx_train"),  # llama.cpp: no more than this, maybe less
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a server says of a model; `ctx` is in tokens, None where it does not say."""

    model: str
    ctx: int | None
    lists_models: bool


async def check(server: Server, prompt_tokens: int, completion_tokens: int) -> ServerFacts:
    """Whether the server, the key, the model and the length can do. UserError: what cannot."""
    base_url, model = server.base_url, server.endpoint.model
    models = await _models(server)
    entry = _entry(models or [], model)
    if not models or (entry is None and _lists_a_cache(models)):
        server.notes.append("the server lists no models: its name and context were not checked")
    elif entry is None:
        raise UserError(
            f"got the model {model!r} at {base_url}, which does not list it; allowed: "
            f"{_names(models, model)}; fix: give one of these names, or make the server load it"
        )
    ctx = await _ctx(server, entry) if entry is not None else None
    if ctx is not None and prompt_tokens + completion_tokens > ctx:
        raise UserError(
            f"got requests of up to {prompt_tokens:,} tokens and {completion_tokens:,} for the "
            f"answer; allowed: together {ctx:,} for {model} at {base_url}; fix: build with a "
            "smaller --ctx, or start the server with a longer context (vLLM --max-model-len, "
            "llama.cpp -c, Ollama OLLAMA_CONTEXT_LENGTH)"
        )
    return ServerFacts(model=model, ctx=ctx, lists_models=bool(models))


async def _models(server: Server) -> list[dict[str, Any]] | None:
    """What the server lists; None: it has no list."""
    base_url = server.base_url
    try:
        status, body = await server.get(f"{base_url}/models")
    except Transient as error:
        raise _unreachable(base_url, error) from None
    if status in (401, 402, 403):
        raise fatal(
            error_of(status, {}, body, now=0.0),
            model=server.endpoint.model,
            base_url=base_url,
            key_variable=server.endpoint.key_variable,
        )
    models = _listed(body) if status == 200 else None
    if models is not None:
        return models
    if not base_url.endswith("/v1") and await _is_server(server, f"{base_url}/v1"):
        raise UserError(
            f"got the base URL {base_url}, where nothing answers; allowed: the address that ends "
            f"in /v1; fix: {base_url}/v1"
        )
    if 300 <= status < 400 or (status == 200 and not body.lstrip().startswith((b"{", b"["))):
        what = "with a web page" if status == 200 else "with a redirection"
        raise UserError(
            f"got the base URL {base_url}, which answers {what}; allowed: an OpenAI-compatible "
            "server; fix: give the address of its API, mostly one that ends in /v1"
        )
    return None


async def _is_server(server: Server, base_url: str) -> bool:
    try:
        status, body = await server.get(f"{base_url}/models")
    except Transient:
        return False
    return status in (401, 403) or (status == 200 and _listed(body) is not None)


def _unreachable(base_url: str, error: Transient) -> UserError:
    said, low = error.detail, error.detail.lower()
    if "certificate" in low or "ssl" in low or "tls" in low:
        fix = "https needs a valid certificate (SSL_CERT_FILE for your own authority), else http://"
        what = "an address without a trusted connection"
    elif "name or service" in low or "getaddrinfo" in low or "name resolution" in low:
        fix, what = "check the spelling of the host", "an unknown host"
    else:
        fix, what = "start the server, or give the address and port it listens on", "no answer"
    return UserError(f"got {what} at {base_url} ({said}); allowed: a running server; fix: {fix}")


def _entry(models: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """What the list says of a model, under one of the names that the server takes for it."""
    for model in models:
        if model.get("id") in (name, f"{name}:latest") or name in _aliases(model):
            return model
    for model in models:  # llama.cpp takes any name for its one model, LiteLLM has patterns
        if len(models) == 1 and model.get("owned_by") == "llamacpp":
            return model
        if "*" in str(model.get("id")):
            return {}
    return None


def _lists_a_cache(models: list[dict[str, Any]]) -> bool:
    """`transformers serve` lists what lies in the Hub's cache, and serves other names and folders.

    It names as owner what stands before the slash of a Hub id.
    """
    return all(
        model.get("owned_by") == "/".join(str(model.get("id")).split("/")[:-1]) for model in models
    )


def _aliases(model: dict[str, Any]) -> Iterable[Any]:
    aliases = model.get("aliases")
    return aliases if isinstance(aliases, list) else ()


def _names(models: list[dict[str, Any]], wanted: str) -> str:
    from rapidfuzz import process

    names = sorted({str(model["id"]) for model in models if model.get("id")})
    if not names:
        return "none, it lists no model"
    near = [str(found[0]) for found in process.extract(wanted, names, limit=_NAMES_SHOWN)]
    more = f" and {len(names) - len(near)} others" if len(names) > len(near) else ""
    return ", ".join(repr(name[:100]) for name in near) + more


async def _ctx(server: Server, entry: dict[str, Any]) -> int | None:
    """The context in force, where the server says it."""
    root = server.base_url.removesuffix("/v1")
    told = None
    if entry.get("owned_by") == "llamacpp":  # of one slot: the list has that of all together
        props = await _object(server, f"{root}/props")
        told = _number(props, ("default_generation_settings", "n_ctx"))
    elif entry.get("owned_by") == "library" or root.endswith(":11434"):
        loaded = await _object(server, f"{root}/api/ps")  # Ollama, of what is loaded now
        for model in loaded.get("models") or []:
            if isinstance(model, dict) and model.get("name") == entry.get("id"):
                told = _number(model, ("context_length",))
    numbers = [told, *(_number(entry, path) for path in _CONTEXTS)]
    return next((number for number in numbers if number is not None), None)


async def _object(server: Server, url: str) -> dict[str, Any]:
    try:
        status, body = await server.get(url)
    except Transient:
        return {}
    return (_parsed(body) or {}) if status == 200 else {}


def _listed(body: bytes) -> list[dict[str, Any]] | None:
    answer = _parsed(body)
    data = answer.get("data") if answer is not None else None
    if not isinstance(data, list):
        return None
    return [model for model in data if isinstance(model, dict)]


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _number(entry: Any, path: tuple[str, ...]) -> int | None:
    for name in path:
        entry = entry.get(name) if isinstance(entry, dict) else None
    is_count = isinstance(entry, int) and not isinstance(entry, bool)
    return entry if is_count and entry > 0 else None
