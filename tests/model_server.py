"""An OpenAI-compatible server on this machine, in a process of its own, that fails on demand.

    with ModelServer(latency=0.05, slots=32, faults=[Fault("500", every=10)]) as server:
        httpx.post(f"{server.base_url}/chat/completions", json={…})
        server.stats()["max_concurrent"]        -> 32
        server.set(slots=8, refuse=True)        # from now on: 429 for the ninth at once

The brain writes the answers: "module:function", which takes the parsed body of the request and
returns the content as a string (the folder of this file is on its path). Without one, the answer
is the smallest JSON that fits the schema of `response_format`.

What a prefix cache would save is counted as vLLM does it: a chain of hashes over blocks of 64
characters of the messages; `stats()["prefix_share"]` is the part of all characters that stood in
blocks seen before.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import subprocess
import sys
import time
import urllib.request
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parent))

from model_server_faults import BROKEN, Fault, Schedule, odd_message

BLOCK = 64
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Slow Down"}


@dataclass
class Settings:
    """What a server does; everything can be changed while it runs."""

    brain: str = ""
    latency: float = 0.0
    jitter: float = 0.0  # ± this part of the latency, by the hash of the prompt
    slots: int = 0  # answered at once; 0: any number
    refuse: bool = False  # beyond the slots: 429, else they wait in a queue
    rate: float = 0.0  # requests a second, 429 beyond; 0: any number
    pause: float = 0.0  # Retry-After of a 429, in seconds; 0: none is sent
    key: str = ""  # expected, when not empty
    models: tuple[str, ...] = ("test-model",)
    entry: dict[str, Any] | None = None  # more about each model, in the list
    lists_models: bool = True
    root: str = "/v1"
    ctx: int = 0  # tokens (4 bytes each) of prompt and answer, 400 beyond; 0: any number
    cut_at: int = 0  # prompts are silently cut to so many tokens
    schema: str = "json_schema"  # or "json_object", or "none": what response_format may be
    limit: str = ""  # the only name of the answer's limit; "": both
    temperature: bool = True
    prefix_cache: bool = True
    props: dict[str, Any] | None = None  # of llama.cpp's GET /props
    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, given: dict[str, Any]) -> Settings:
        settings = cls()
        settings.update(given)
        return settings

    def update(self, given: dict[str, Any]) -> None:
        for name, value in given.items():
            assert name in {field.name for field in fields(self)}, f"no setting {name!r}"
            if name == "faults":
                value = tuple(Fault(**{**f, "at": tuple(f.get("at", ()))}) for f in value)
            setattr(self, name, tuple(value) if isinstance(value, list) else value)


class ModelServer:
    """Runs the server for the length of a `with` block. Settings are those of `Settings`."""

    def __init__(self, *, faults: Sequence[Fault] = (), **settings: Any) -> None:
        settings["faults"] = [asdict(fault) for fault in faults]
        Settings.of(settings)  # a wrong name is said here, not in the child
        self._settings = settings

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(__file__).resolve()), json.dumps(self._settings)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            self._process.wait()
            raise RuntimeError("the model server did not start")
        self.base_url = self.url + self._settings.get("root", "/v1")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def set(self, **settings: Any) -> None:
        """Change settings from the next request on."""
        if "faults" in settings:
            settings["faults"] = [asdict(fault) for fault in settings["faults"]]
        self._call("/_set", json.dumps(settings).encode())

    def stats(self) -> dict[str, Any]:
        """What the server saw: requests, by_status, max_concurrent, prefix_share, times, …"""
        return self._call("/_stats")

    def last(self) -> dict[str, Any]:
        """The body and the headers of the last chat completion that was asked for."""
        return self._call("/_last")

    def _call(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url + path, body, timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
        return answer


class Model:
    """What the server knows and has seen."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.schedule = Schedule(settings.faults)
        self.brain = _brain(settings.brain)
        self.requests = self.in_use = self.max_concurrent = self.cancelled = 0
        self.by_status: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.times: deque[float] = deque(maxlen=10_000)
        self.last: dict[str, Any] = {}
        self.queue: deque[asyncio.Future[None]] = deque()
        self.blocks: set[int] = set()
        self.characters = self.shared = 0
        self.tokens, self.refilled = 0.0, time.monotonic()

    def set(self, given: dict[str, Any]) -> None:
        self.settings.update(given)
        if "faults" in given:
            self.schedule = Schedule(self.settings.faults)
        if "brain" in given:
            self.brain = _brain(self.settings.brain)
        self._wake()

    def stats(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "by_status": {str(status): n for status, n in sorted(self.by_status.items())},
            "faults": dict(self.faults),
            "in_use": self.in_use,
            "max_concurrent": self.max_concurrent,
            "cancelled": self.cancelled,
            "prefix_characters": self.characters,
            "prefix_shared": self.shared,
            "prefix_share": self.shared / max(1, self.characters),
            "times": list(self.times),
        }

    def seen_before(self, text: str) -> int:
        """Characters of the longest prefix, in whole blocks, that an earlier request had too."""
        if not self.settings.prefix_cache:
            return 0
        shared, chain, is_shared = 0, 0, True
        for at in range(0, len(text) - BLOCK + 1, BLOCK):
            chain = hash((chain, text[at : at + BLOCK]))
            is_shared = is_shared and chain in self.blocks
            if is_shared:
                shared += BLOCK
            else:
                self.blocks.add(chain)
        self.characters += len(text)
        self.shared += shared
        return shared

    def may_start(self) -> bool:
        """Whether the rate limit has room for one more."""
        rate = self.settings.rate
        if not rate:
            return True
        now = time.monotonic()
        self.tokens = min(max(1.0, rate), self.tokens + (now - self.refilled) * rate)
        self.refilled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    @contextlib.asynccontextmanager
    async def slot(self) -> Any:
        """Waits for a free slot; used only where the server queues, or has one free."""
        if self.is_full:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.queue.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self.in_use -= 1
                    self._wake()
                raise
        else:
            self.in_use += 1
        self.max_concurrent = max(self.max_concurrent, self.in_use)
        try:
            yield
        finally:
            self.in_use -= 1
            self._wake()

    @property
    def is_full(self) -> bool:
        return 0 < self.settings.slots <= self.in_use

    def _wake(self) -> None:
        while self.queue and not self.is_full:
            waiter = self.queue.popleft()
            if not waiter.done():
                self.in_use += 1
                waiter.set_result(None)


class Connection(asyncio.Protocol):
    """One kept-alive HTTP/1.1 connection; one request at a time."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.buffer = b""
        self.is_chat = False
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self.task is not None:
            self.model.cancelled += 1
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0 or self.task is not None:
            return
        lines = self.buffer[:end].decode("latin-1").split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
        stop = end + 4 + int(headers.get("content-length", 0))
        if len(self.buffer) < stop:
            return
        body, self.buffer = self.buffer[end + 4 : stop], self.buffer[stop:]
        method, path, _ = lines[0].split(" ")
        self.task = asyncio.get_running_loop().create_task(
            self._handle(method, path, headers, body)
        )
        self.task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self.task = None
        if not task.cancelled() and task.exception() is not None:
            print(repr(task.exception()), file=sys.stderr, flush=True)
            self.transport.abort()

    async def _handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        settings = self.model.settings
        self.is_chat = path == f"{settings.root}/chat/completions"
        if self.is_chat:
            await self._chat(headers, body)
        elif path == "/_stats":
            self.send(200, self.model.stats())
        elif path == "/_last":
            self.send(200, self.model.last)
        elif path == "/_set":
            self.model.set(json.loads(body))
            self.send(200, {})
        elif path == f"{settings.root}/models" and settings.lists_models:
            if not self._has_key(headers):
                return
            about = {"object": "model", "owned_by": "tests", **(settings.entry or {})}
            data = [{"id": name, **about} for name in settings.models]
            self.send(200, {"object": "list", "data": data})
        elif path == "/props" and settings.props is not None:
            self.send(200, settings.props)
        else:
            self.send(404, {"error": {"message": f"no {path}"}})

    def _has_key(self, headers: dict[str, str]) -> bool:
        key = self.model.settings.key
        if key and headers.get("authorization") != f"Bearer {key}":
            sent = headers.get("authorization", "").removeprefix("Bearer ")
            self.error(401, f"Incorrect API key provided: {sent}", code="invalid_api_key")
            return False
        return True

    async def _chat(self, headers: dict[str, str], body: bytes) -> None:
        model, settings = self.model, self.model.settings
        model.requests += 1
        number = model.requests
        model.times.append(time.monotonic())
        request = json.loads(body)
        model.last = {"body": request, "headers": headers}
        if not self._has_key(headers) or not self._takes(request):
            return
        prompt = "".join(f"{m['role']}\n{m['content']}\n" for m in request["messages"])
        max_tokens = request.get("max_tokens") or request.get("max_completion_tokens") or 0
        fault = model.schedule.pick(number, prompt, max_tokens)
        if fault is not None:
            model.faults[fault] += 1
        if not model.may_start() or (settings.refuse and model.is_full):
            fault = "429 with pause" if settings.pause else "429"
        if fault in ("429", "429 with pause"):
            pause = {"retry-after": f"{settings.pause:g}"} if fault.endswith("pause") else {}
            self.error(429, "slow down", headers=pause)
            return
        async with model.slot():
            if settings.latency:
                spread = settings.jitter * (zlib.crc32(prompt.encode()) % 2001 / 1000 - 1)
                await asyncio.sleep(settings.latency * (1 + spread))
            if fault in BROKEN:
                await self._break(fault or "", headers, request)
                return
            self.send(200, self._completion(request, prompt, fault))

    def _takes(self, request: dict[str, Any]) -> bool:
        """Whether the request is one this server answers; if not, the error was sent."""
        settings = self.model.settings
        kind = request.get("response_format", {}).get("type")
        limits = {"max_tokens", "max_completion_tokens"} & request.keys()
        size = (
            sum(len(m["content"].encode()) for m in request["messages"]) // 4 if settings.ctx else 0
        )
        asked = sum(request[name] for name in limits)
        if request.get("model") not in settings.models:
            self.error(404, f"The model `{request.get('model')}` does not exist.")
        elif kind == "json_schema" and settings.schema != "json_schema":
            self.error(400, "response_format.type json_schema is not supported")
        elif kind == "json_object" and settings.schema == "none":
            self.error(400, "response_format: unsupported", param="response_format")
        elif settings.limit and limits != {settings.limit}:
            self.error(
                400,
                f"Unsupported parameter: '{limits.pop()}'. Use '{settings.limit}' instead.",
                code="unsupported_parameter",
            )
        elif not settings.temperature and "temperature" in request:
            self.error(400, "Unsupported value: 'temperature'. Only the default is supported.")
        elif settings.ctx and size + asked > settings.ctx:
            self.error(
                400,
                f"This model's maximum context length is {settings.ctx} tokens. However, you "
                f"requested {size + asked} tokens ({size} in the messages, {asked} in the "
                "completion). Please reduce the length of the messages or completion.",
            )
        else:
            return True
        return False

    def _completion(self, request: dict[str, Any], prompt: str, odd: str | None) -> dict[str, Any]:
        settings = self.model.settings
        message, finish = odd_message(odd or "", self.model.brain(request))
        shared = self.model.seen_before(prompt)
        tokens = len(prompt.encode("utf-8", "replace")) // 4 + 1
        usage: dict[str, Any] = {
            "prompt_tokens": min(tokens, settings.cut_at or tokens),
            "completion_tokens": len(str(message["content"])) // 4 + 1,
            "prompt_tokens_details": {"cached_tokens": min(shared // 4, settings.cut_at or tokens)},
        }
        answer = {
            "id": f"chatcmpl-{self.model.requests}",
            "object": "chat.completion",
            "model": request["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        }
        if odd == "bad usage":
            usage = {"prompt_tokens": -5, "completion_tokens": 10**18, "total_tokens": "many"}
        return answer if odd == "no usage" else {**answer, "usage": usage}

    async def _break(self, kind: str, headers: dict[str, str], request: dict[str, Any]) -> None:
        if kind in ("500", "503", "401", "404"):
            self.error(int(kind), f"fault {kind}")
        elif kind == "no credit":
            self.error(429, "You exceeded your current quota.", code="insufficient_quota")
        elif kind == "echo key":
            self.error(500, f"failed with headers {headers} and url https://x/?k=")
        elif kind == "hang":
            await asyncio.Event().wait()
        elif kind == "reset":
            self.transport.abort()
        elif kind == "close":
            self.transport.close()
        elif kind == "html":
            self.raw(200, b"<html><body>A gateway's page.</body></html>", "text/html")
        elif kind == "empty choices":
            self.send(200, {"object": "chat.completion", "choices": []})
        elif kind == "error in 200":
            self.send(200, {"error": {"code": 502, "message": "upstream error"}})
        elif kind == "huge":
            self.raw(200, b'{"choices":[{"message":{"content":"' + b"x" * (17 << 20) + b'"}}]}')
        elif kind == "half json":
            self.raw(200, b'{"choices":[{"message":{"content":"{')
        elif kind == "drip":
            self.model.by_status[200] += 1
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            while not self.transport.is_closing():
                self.transport.write(b" ")
                await asyncio.sleep(0.02)

    def error(
        self, status: int, message: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        self.send(status, {"error": {"message": message, "type": "error", **more}}, headers)

    def send(
        self, status: int, answer: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        self.raw(status, json.dumps(answer).encode(), headers=headers)

    def raw(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        if self.is_chat:
            self.model.by_status[status] += 1
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self.transport.write(
            f"HTTP/1.1 {status} {REASONS.get(status, 'Odd')}\r\ncontent-type: {content_type}\r\n"
            f"content-length: {len(body)}\r\n{more}\r\n".encode("latin-1")
            + body
        )


def smallest(schema: dict[str, Any], definitions: dict[str, Any] | None = None) -> Any:
    """The smallest value that fits a JSON schema of ours; a text is never empty."""
    definitions = definitions if definitions is not None else schema.get("$defs", {})
    if "$ref" in schema:
        return smallest(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return smallest(schema["anyOf"][0], definitions)
    kind = schema.get("type")
    if kind == "object":
        wanted = {n: s for n, s in schema["properties"].items() if n in schema.get("required", ())}
        return {name: smallest(part, definitions) for name, part in wanted.items()}
    if kind == "array":
        return [smallest(schema["items"], definitions)] * schema.get("minItems", 0)
    values = {"string": "x", "boolean": False, "null": None}
    return values[kind] if kind in values else schema.get("minimum", 0)


def echo(request: dict[str, Any]) -> str:
    """The brain of a server without one."""
    wanted = request.get("response_format", {}).get("json_schema")
    return json.dumps(smallest(wanted["schema"])) if wanted else "{}"


def _brain(name: str) -> Callable[[dict[str, Any]], str]:
    if not name:
        return echo
    module, _, function = name.partition(":")
    found: Callable[[dict[str, Any]], str] = getattr(importlib.import_module(module), function)
    return found


async def _serve(settings: Settings) -> None:
    model = Model(settings)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(model), "127.0.0.1", 0, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def serving(**settings: Any) -> Iterator[ModelServer]:
    """For a fixture: `yield from serving(latency=0.05)`."""
    with ModelServer(**settings) as server:
        yield server


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(Settings.of(json.loads(sys.argv[1]))))
