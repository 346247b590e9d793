"""One exchange with any server that speaks OpenAI's chat completions.

    async with Server(Endpoint(model="qwen3", base_url="http://localhost:8000/v1"), None) as server:
        facts = await server.check(prompt_tokens=9000, completion_tokens=1000)   # costs nothing
        reply = await server.send(request)      # Reply, or one of the errors of `wire`
        server.notes                            # what the server does not take and was left out

A server that refuses a parameter (a JSON schema, a temperature, the name of the answer's limit) is
asked again without it, and from then on it is not sent any more. Whoever calls decides what else to
repeat; nothing is repeated here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx

from longdata.errors import UserError
from longqa.llm.cut_prompts import CutPrompts
from longqa.llm.records import Endpoint, Reply, Request
from longqa.llm.wire import (
    Fatal,
    Redactor,
    RefusedParameter,
    Rejected,
    TimedOut,
    Transient,
    Unreachable,
    error_of,
    fatal,
    read_reply,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

    from longqa.llm.preflight import ServerFacts

MAX_ANSWER_BYTES = 16 << 20
_MAX_ERROR_BYTES = 16 << 10
_CONNECT_SECONDS = 20.0
_IDLE_SECONDS = 3.0  # a kept connection older than this may just be closed: uvicorn waits 5
_CHECK_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Dialect:
    """What of the wire format a server takes, as far as is known."""

    schema: Literal["json_schema", "json_object", "none"] = "json_schema"
    temperature: bool = True
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"


class Server:
    """A model on a server. UserError: an address or a key that cannot be one."""

    def __init__(self, endpoint: Endpoint, key: str | None) -> None:
        self.endpoint = endpoint
        self.base_url = checked_base_url(endpoint.base_url)
        self.notes: list[str] = []
        self._redact = Redactor(key)
        self._secrets = [json.dumps(key)[1:-1].encode(), key.encode()] if key else []
        self._dialect = Dialect()
        self._prompts = CutPrompts()
        self._headers = {"accept-encoding": "identity", "content-type": "application/json"}
        if key:
            bearer = checked_key(key, endpoint.key_variable)
            self._headers["authorization"] = f"Bearer {bearer}"
        # One connection for each client: a pool of httpx looks at all of its connections for every
        # request, which with 64 of them costs more than the request.
        self._trusted = httpx.create_ssl_context()
        self._idle = [self._new_client()]

    def __repr__(self) -> str:
        return f"Server(model={self.endpoint.model!r}, base_url={self.base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of all connections."""
        while self._idle:
            await self._idle.pop().aclose()

    async def check(self, prompt_tokens: int, completion_tokens: int) -> ServerFacts:
        """Look, without a paid token, whether such requests can be answered. UserError: no."""
        from longqa.llm.preflight import check

        return await check(self, prompt_tokens, completion_tokens)

    async def send(self, request: Request[Any]) -> Reply:
        """The server's reply. Raises a `ServerError`, or UserError when no other can succeed."""
        while True:
            dialect = self._dialect
            try:
                return await self._exchange(request, dialect)
            except RefusedParameter as error:
                if dialect == self._dialect and not self._adapt(error):
                    raise Rejected(error.detail) from None
            except Fatal as error:
                raise fatal(
                    error,
                    model=self.endpoint.model,
                    base_url=self.base_url,
                    key_variable=self.endpoint.key_variable,
                ) from None

    async def get(self, url: str) -> tuple[int, bytes]:
        """Status and body of another address of this server. Raises `Transient` without answer."""
        status, _, body = await self._talk("GET", url, None, seconds=_CHECK_SECONDS)
        return status, body

    async def _exchange(self, request: Request[Any], dialect: Dialect) -> Reply:
        body, num_bytes = body_of(request, self.endpoint.model, dialect)
        started = time.monotonic()
        status, headers, answer = await self._talk(
            "POST", f"{self.base_url}/chat/completions", body, seconds=self.endpoint.timeout
        )
        if 300 <= status < 400:
            raise self._redirected(headers.get("location", ""))
        if status != 200:
            raise error_of(status, headers, answer, now=time.time())
        reply = read_reply(answer, prompt_bytes=num_bytes, seconds=time.monotonic() - started)
        if not reply.usage_is_estimated and self._prompts.see(
            request, num_bytes, counted=reply.usage.prompt
        ):
            raise UserError(
                f"got an answer to {reply.usage.prompt:,} tokens of a prompt of {num_bytes:,} "
                f"bytes: {self.base_url} cuts prompts to its context; allowed: a context that "
                "holds the whole prompt; fix: raise the server's context (Ollama: num_ctx, or "
                "OLLAMA_CONTEXT_LENGTH before ollama serve), or build with a smaller --ctx"
            )
        return reply

    async def _talk(
        self, method: str, url: str, body: bytes | None, *, seconds: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            async with (
                asyncio.timeout(seconds),
                self._client() as client,
                client.stream(method, url, content=body) as response,
            ):
                room = MAX_ANSWER_BYTES if response.status_code == 200 else _MAX_ERROR_BYTES
                answer = await _read(response, room, is_whole=response.status_code == 200)
                shown = self._without_key(answer, is_error=response.status_code != 200)
                return response.status_code, response.headers, shown
        except TimeoutError:
            raise TimedOut(f"no whole answer from {self.base_url} in {seconds:g} s") from None
        except (httpx.RequestError, httpx.InvalidURL) as error:
            said = self._redact(" ".join(f"{type(error).__name__} {error}".split())[:200])
            raise Unreachable(f"{self.base_url}: {said}") from None

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        client = self._idle.pop() if self._idle else self._new_client()
        try:
            yield client
        finally:
            self._idle.append(client)

    def _new_client(self) -> httpx.AsyncClient:
        try:
            return httpx.AsyncClient(
                headers=self._headers,
                follow_redirects=False,
                trust_env=not is_loopback(httpx.URL(self.base_url).host),
                verify=self._trusted,
                timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
                limits=httpx.Limits(keepalive_expiry=_IDLE_SECONDS),
            )
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            raise UserError(
                f"got proxy settings that cannot be used ({type(error).__name__}); allowed: "
                "http://host:port in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY; fix: mend or unset them"
            ) from None

    def _without_key(self, answer: bytes, *, is_error: bool) -> bytes:
        """An answer that repeats the key, without it: this goes into the ledger and messages."""
        if is_error:
            text = answer.decode("utf-8", "surrogateescape")
            return self._redact(text).encode("utf-8", "surrogateescape")
        for secret in self._secrets:
            answer = answer.replace(secret, b"[key]") if len(secret) >= 4 else answer
        return answer

    def _adapt(self, error: RefusedParameter) -> bool:
        """Leave out what the server refused; False when that was done before."""
        old = self._dialect
        if error.parameter == "temperature" and old.temperature:
            self._dialect = replace(old, temperature=False)
            self._note("takes no temperature: it uses its own")
        elif error.parameter == "max_tokens" and old.limit == "max_tokens":
            self._dialect = replace(old, limit="max_completion_tokens")
            self._note("takes max_completion_tokens for max_tokens")
        elif error.parameter == "response_format" and old.schema == "json_schema":
            self._dialect = replace(old, schema="json_object")
            self._note("takes no JSON schema: answers are parsed tolerantly")
        elif error.parameter == "response_format" and old.schema == "json_object":
            self._dialect = replace(old, schema="none")
            self._note("has no JSON mode: the prompt alone asks for JSON")
        return self._dialect != old

    def _note(self, what: str) -> None:
        self.notes.append(f"the server {what}")

    def _redirected(self, location: str) -> UserError:
        to = f"to {self._redact(location)[:200]}" if location else "elsewhere"
        return UserError(
            f"got a redirection {to} from {self.base_url}; allowed: a server that answers itself; "
            "fix: give the address it points to as the base URL, if you trust it with the key"
        )


def checked_base_url(text: str) -> str:
    """An address without a slash at its end. UserError: no http address, or one with secrets."""
    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, UnicodeError):
        url = httpx.URL("")
    allowed = 'allowed: for example "http://localhost:8000/v1"'
    if url.userinfo or url.query or url.fragment:  # not shown: they may be secret
        raise UserError(
            f"got a base URL for {url.host} with a user name, password or query in it; {allowed}; "
            "fix: put the key into the environment and give the address alone"
        )
    if url.scheme not in ("http", "https") or not url.host:
        raise UserError(f"got the base URL {text!r}; {allowed}; fix: write it out in full")
    return str(url).rstrip("/").removesuffix("/chat/completions")


def checked_key(key: str, variable: str) -> str:
    """A key that fits into a header. UserError, which does not show it: one that does not."""
    if not key.isascii() or not key.isprintable() or key != key.strip():
        raise UserError(
            f"got a key in {variable} with blanks, line breaks or letters that no key has; "
            f"allowed: printable ASCII; fix: export {variable}=… without them"
        )
    return key


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, which no proxy must be asked for."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.endswith(".localhost")


def body_of(request: Request[Any], model: str, dialect: Dialect) -> tuple[bytes, int]:
    """The body of a request, and how many bytes of it are prompt (JSON's escapes counted in)."""
    system, prefix, task = _quoted(request.system), _prefix(request.prefix), _quoted(request.task)
    rest: dict[str, Any] = {"model": model, "stream": False, dialect.limit: request.max_tokens}
    if dialect.temperature:
        rest["temperature"] = request.temperature
    body = b"".join(
        (
            b'{"messages":[{"role":"system","content":',
            system,
            b'},{"role":"user","content":',
            prefix[:-1],
            task[1:],
            b"}]",
            _FORMATS[dialect.schema](request.form),
            b",",
            json.dumps(rest).encode()[1:],
        )
    )
    return body, len(system) + len(prefix) + len(task) - 6


@lru_cache(maxsize=256)
def _schema_format(form: type[BaseModel]) -> bytes:
    schema = {"name": form.__name__.lower(), "strict": True, "schema": form.model_json_schema()}
    return b',"response_format":' + json.dumps(
        {"type": "json_schema", "json_schema": schema}, ensure_ascii=False
    ).encode("utf-8", "replace")


_FORMATS: dict[str, Callable[[type[BaseModel]], bytes]] = {
    "json_schema": _schema_format,
    "json_object": lambda form: b',"response_format":{"type":"json_object"}',
    "none": lambda form: b"",
}


def _quoted(text: str) -> bytes:
    """A JSON string. Half a surrogate pair, which UTF-8 does not have, becomes "?"."""
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")


_prefix = lru_cache(maxsize=32)(_quoted)  # a document goes out many times


async def _read(response: httpx.Response, room: int, *, is_whole: bool) -> bytes:
    """A body of at most `room` bytes; `is_whole`: a longer one is no answer, else it is cut."""
    parts: list[bytes] = []
    async for part in response.aiter_bytes():
        parts.append(part)
        room -= len(part)
        if room < 0:
            if is_whole:
                raise Transient(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
            break
    return b"".join(parts)
