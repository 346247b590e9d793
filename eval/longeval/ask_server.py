"""A model behind any OpenAI-compatible server that answers prompts.

    server = ServerModel("qwen3", "http://localhost:8000/v1", template="chat", key=None)
    for reply in server.replies(prompts):
        reply.text                             in the order in which the answers arrive

With the template `chat` the server puts its own around the prompt (chat completions), with a
written one it gets the finished text (completions). A few requests are under way at once; one that
is refused for the moment, or gets no answer, is repeated, later each time. A prompt that does not
fit is refused by the server and counted. Some servers cut it instead and say nothing: a first short
request finds out how the server's counts compare with those of a tokenizer here, and a reply whose
prompt was counted far too short is not taken.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

import httpx

from longdata.errors import UserError
from longdata.tokenizers import Tokenizer
from longeval.ask import TOO_LONG, Prompt, Reply, digest
from longeval.server_wire import (
    Again,
    Answer,
    Fatal,
    Redactor,
    Refused,
    TooLong,
    body_of,
    context_of,
    read_answer,
    verdict,
)
from longeval.templates import CHAT, check, wrap

CUT = "cut by the server"
REFUSED = "refused by the server"
CONCURRENCY = 4
ATTEMPTS = 6
_FIRST_PAUSE = 1.0  # seconds, doubled at each attempt
_MAX_BYTES = 16 << 20
_PART = 1_500  # characters of three, of a request with which counts are compared
_MOST_MISSING = 0.25  # of a prompt's expected tokens; within a text, tokenizers differ by less


class ServerModel:
    """A `Backend`. UserError: an address or key that cannot be one, or no server there."""

    def __init__(
        self,
        model: str,
        base_url: str,
        *,
        template: str = CHAT,
        key: str | None = None,
        key_variable: str = "OPENAI_API_KEY",
        tokenizer: Tokenizer | None = None,
        thinking: bool = True,
        concurrency: int = CONCURRENCY,
        timeout: float = 600.0,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._name, self._template, self._thinking = model, check(template), thinking
        self._url = checked_url(base_url)
        self._tokenizer = tokenizer or Tokenizer.load(None)
        self._concurrency, self._sleep = concurrency, sleep
        self._timeout = timeout
        self._redact = Redactor(key)
        self._left_out: frozenset[str] = frozenset()
        self._ratio: float | None = None  # the server's tokens for one of ours
        self._stopped = threading.Event()
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if key:
            headers["authorization"] = f"Bearer {checked_key(key, key_variable)}"
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=20.0),
            follow_redirects=False,
            trust_env=not is_loopback(httpx.URL(self._url).host),
            limits=httpx.Limits(max_connections=concurrency + 1),
        )
        self._ctx = self._connect()
        self.model: dict[str, Any] = {"name": model, "server": self._url, "ctx": self._ctx}
        self.key = digest("server", self._url, model, template, str(thinking))

    def __repr__(self) -> str:
        return f"ServerModel(model={self._name!r}, base_url={self._url!r})"

    @property
    def protocol(self) -> Mapping[str, Any]:
        around = "the server's own" if self._template == CHAT else self._template
        counts = "compared with those of a tokenizer here" if self._ratio else "not known"
        return {
            "backend": "OpenAI-compatible server",
            "template": f"{self._template} ({around})" if self._template == CHAT else around,
            "decoding": "temperature 0" if "temperature" not in self._left_out else "its own",
            "thinking": self._thinking if self._template == CHAT else None,
            "ctx": self._ctx,
            "counted_with": self._tokenizer.name,
            "prompt_counts": counts,
        }

    def count(self, text: str, max_new_tokens: int) -> int:
        return self._tokenizer.count(self.show(text)) + max_new_tokens

    def show(self, text: str) -> str:
        return text if self._template == CHAT else wrap(self._template, text)

    def answer_ids(self, text: str) -> None:
        return None

    def replies(self, prompts: Sequence[Prompt]) -> Iterator[Reply]:
        self._compare_counts(max(prompts, key=lambda prompt: len(prompt.text)))
        todo: SimpleQueue[Prompt] = SimpleQueue()
        done: SimpleQueue[Reply | Exception] = SimpleQueue()
        for prompt in prompts:
            todo.put(prompt)
        stopped = self._stopped = threading.Event()

        def work() -> None:
            while not stopped.is_set():
                try:
                    done.put(self._reply(todo.get_nowait()))
                except Empty:
                    return
                except Exception as error:  # raised below, in the thread that asked
                    done.put(error)
                    return

        try:
            for _ in range(min(self._concurrency, len(prompts))):
                # Daemons: an interrupted run does not wait for a server that says nothing.
                threading.Thread(target=work, daemon=True).start()
            for _ in prompts:
                reply = done.get()
                if isinstance(reply, Exception):
                    raise reply
                yield reply
        finally:
            stopped.set()

    def _reply(self, prompt: Prompt) -> Reply:
        try:
            answer = self._ask(prompt.text, prompt.max_new_tokens)
        except TooLong:
            return Reply(id=prompt.id, refused=TOO_LONG)
        except Refused as error:
            return Reply(id=prompt.id, refused=f"{REFUSED} ({str(error)[:80]})")
        if self._is_cut(prompt.text, answer):
            return Reply(id=prompt.id, refused=CUT)
        return Reply(
            id=prompt.id,
            text=answer.text,
            prompt_tokens=answer.prompt_tokens,
            is_cut=answer.is_cut,
        )

    def _ask(self, text: str, max_new_tokens: int) -> Answer:
        """An answer, however often it takes. TooLong, Refused: none to this prompt."""
        pause = _FIRST_PAUSE
        for attempt in range(ATTEMPTS):
            left_out = self._left_out
            try:
                return self._exchange(text, max_new_tokens, left_out)
            except Refused as error:
                if error.parameter is None or error.parameter in left_out:
                    raise
                self._left_out |= {error.parameter}
            except Fatal as error:
                raise UserError(
                    f"got no answers from {self._url} for {self._name!r} ({error}); allowed: a "
                    f"server that answers; fix: {error.fix}"
                ) from None
            except Again as error:
                if attempt == ATTEMPTS - 1 or self._stopped.is_set():
                    raise UserError(
                        f"got no answer from {self._url} in {attempt + 1} attempts ({error}); "
                        "allowed: a server that answers; fix: see its logs, then run the same "
                        "command again, the answers so far are kept"
                    ) from None
                (self._sleep or self._stopped.wait)(pause if error.pause is None else error.pause)
                pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _exchange(self, text: str, max_new_tokens: int, left_out: frozenset[str]) -> Answer:
        chat = self._template == CHAT
        body = body_of(
            self._name,
            chat=chat,
            text=self.show(text),
            max_new_tokens=max_new_tokens,
            thinking=self._thinking,
            left_out=left_out,
        )
        path = "chat/completions" if chat else "completions"
        status, headers, content = self._talk("POST", path, body)
        if status != 200:
            raise verdict(status, headers, content)
        return read_answer(content)

    def _talk(self, method: str, path: str, body: Any) -> tuple[int, Mapping[str, str], bytes]:
        """One exchange; Again: there was none. The key is not in what comes back."""
        try:
            with self._client.stream(method, f"{self._url}/{path}", json=body) as response:
                parts, room = [], _MAX_BYTES
                deadline = time.monotonic() + self._timeout
                for part in response.iter_bytes():
                    parts.append(part)
                    room -= len(part)
                    if room < 0:
                        raise Again(f"an answer of more than {_MAX_BYTES} bytes")
                    if time.monotonic() > deadline:
                        raise Again(f"no whole answer in {self._timeout:g} s")
                content = b"".join(parts)
                if response.status_code != 200:
                    content = self._redact(content[: 16 << 10].decode("utf-8", "replace")).encode()
                return response.status_code, response.headers, content
        except (httpx.RequestError, httpx.InvalidURL, httpx.StreamError) as error:
            said = " ".join(f"{type(error).__name__} {error}".split())[:200]
            raise Again(self._redact(said)) from None

    def _connect(self) -> int | None:
        """Whether there is a server, and the context it says the model has."""
        try:
            status, headers, content = self._talk("GET", "models", None)
        except Again as error:
            raise UserError(
                f"got no answer at {self._url} ({error}); allowed: a running OpenAI-compatible "
                "server; fix: start it, or correct the address, which mostly ends in /v1"
            ) from None
        if status in (401, 402, 403):
            said = verdict(status, headers, content)
            raise UserError(
                f"got no access to {self._url} ({said}); allowed: a valid key; fix: set the "
                "environment variable that holds it"
            )
        return context_of(content, self._name) if status == 200 else None

    def _compare_counts(self, prompt: Prompt) -> None:
        """How many tokens the server counts for one of ours, by short parts of a prompt."""
        try:
            self._ratio = self._ratio_of(prompt.text)
        except (TooLong, Refused):
            self._ratio = None

    def _ratio_of(self, text: str) -> float | None:
        example = excerpt(text)
        counted = self._ask(example, 1).prompt_tokens
        return None if counted is None else counted / self.count(example, 0)

    def _is_cut(self, text: str, answer: Answer) -> bool:
        if self._ratio is None or answer.prompt_tokens is None:
            return False
        whole = (1 - _MOST_MISSING) * self.count(text, 0)
        if answer.prompt_tokens >= self._ratio * whole:
            return False
        try:
            own = self._ratio_of(text)  # tokenizers differ by more from language to language
            if own is None or answer.prompt_tokens >= own * whole:
                return False
            # Some servers leave what they have in their prefix cache out of the count. Behind a
            # new beginning nothing is cached.
            again = self._ask(f"{digest(text)[:8]}\n{text}", 1).prompt_tokens
        except (TooLong, Refused):  # it does not cut: it refuses
            return False
        return again is not None and again < own * whole


def excerpt(text: str) -> str:
    """The beginning, the middle and the end of a long text: what it is like as a whole."""
    if len(text) <= 3 * _PART:
        return text
    middle = len(text) // 2
    return text[:_PART] + text[middle : middle + _PART] + text[-_PART:]


def checked_url(text: str) -> str:
    """An address without a slash at its end. UserError: none, or one with secrets in it."""
    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, UnicodeError):
        url = httpx.URL("")
    allowed = "allowed: for example http://localhost:8000/v1"
    if url.userinfo or url.query or url.fragment:  # not shown: they may be secret
        raise UserError(
            f"got an address for {url.host} with a user name, password or query in it; {allowed}; "
            "fix: put the key into the environment and give the address alone"
        )
    if url.scheme not in ("http", "https") or not url.host:
        raise UserError(f"got --server {text!r}; {allowed}; fix: write it out in full")
    return str(url).rstrip("/").removesuffix("/chat/completions").removesuffix("/completions")


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
