"""What OpenAI-compatible servers are sent and what they send back, as pure functions.

    body_of("qwen3", chat=True, text="What …", max_new_tokens=50)     -> {"model": …, "messages": …}
    read_answer(b'{"choices": [{"message": {"content": "Tea."}}]}')   -> Answer(text="Tea.", …)
    verdict(429, {"retry-after": "7"}, b"slow down")                  -> Again(pause=7.0)
    verdict(400, {}, b"… maximum context length is 4096 tokens")      -> TooLong

The words are those of vLLM, llama.cpp, Ollama, SGLang, TGI and OpenAI.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_DETAIL = 200  # characters of what a server says
_LONGEST_PAUSE = 120.0  # seconds; a server that asks for more is asked again sooner
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum context|(prompt|input)[^.]{0,30} is too long"
    r"|longer than the model's|must be at least 1, got -|max_new_tokens` must be <=",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(r"insufficient[ _](quota|balance|credits?|funds)|exceeded your current")
_NO_MODEL = re.compile(r"model_not_found|model[^.]{0,80}(does not exist|not found)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model said; `prompt_tokens` as the server counted, if it did."""

    text: str
    is_cut: bool
    prompt_tokens: int | None


class WireError(Exception):
    """One exchange without an answer; the text is for the user."""


class Again(WireError):
    """It may do better the next time; `pause`: seconds the server asks to wait."""

    def __init__(self, said: str, pause: float | None = None) -> None:
        super().__init__(said)
        self.pause = pause


class TooLong(WireError):
    """The prompt does not fit the server's context."""


class Refused(WireError):
    """This prompt is refused; another need not be. `parameter`: it was about this one of ours."""

    def __init__(self, said: str, parameter: str | None = None) -> None:
        super().__init__(said)
        self.parameter = parameter


class Fatal(WireError):
    """No prompt can do better; `fix` says what the user can do."""

    def __init__(self, said: str, fix: str) -> None:
        super().__init__(said)
        self.fix = fix


class Redactor:
    """Takes a key, and pieces of eight of its characters, out of what is shown."""

    def __init__(self, key: str | None) -> None:
        long = key if key is not None and len(key) >= 8 else ""
        self._pieces = {long[at : at + 8] for at in range(len(long) - 7)}
        self._short = key if key and not long else None

    def __call__(self, text: str) -> str:
        if self._short:
            text = text.replace(self._short, "[key]")
        if not self._pieces:
            return text
        hidden = [False] * len(text)
        for at in range(len(text) - 7):
            if text[at : at + 8] in self._pieces:
                hidden[at : at + 8] = [True] * 8
        shown = "".join("\0" if hide else char for char, hide in zip(text, hidden, strict=True))
        return re.sub("\0+", "[key]", shown)


def body_of(
    model: str,
    *,
    chat: bool,
    text: str,
    max_new_tokens: int,
    thinking: bool = True,
    left_out: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The JSON of a request, greedy; `left_out`: parameters that this server does not take."""
    limit = "max_completion_tokens" if "max_tokens" in left_out else "max_tokens"
    body: dict[str, Any] = {"model": model, "stream": False, limit: max_new_tokens}
    if "temperature" not in left_out:
        body["temperature"] = 0
    if chat and not thinking:  # as vLLM and SGLang take it
        body["chat_template_kwargs"] = {"enable_thinking": False}
    if chat:
        return {**body, "messages": [{"role": "user", "content": text}]}
    return {**body, "prompt": text}


def read_answer(content: bytes) -> Answer:
    """The answer in a completion. Raises Again for a body that holds none."""
    found = _object(content)
    choices = found.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise Again(f"an answer without choices: {_start(content)}")
    message = choice.get("message")
    said = message.get("content") if isinstance(message, dict) else choice.get("text")
    if isinstance(said, list):  # in parts
        said = "".join(str(part.get("text", "")) for part in said if isinstance(part, dict))
    if said is not None and not isinstance(said, str):
        raise Again(f"an answer that is no text: {_start(content)}")
    usage = found.get("usage")
    counted = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    is_count = isinstance(counted, int) and not isinstance(counted, bool) and counted > 0
    return Answer(
        text=said or "",
        is_cut=choice.get("finish_reason") == "length",
        prompt_tokens=counted if is_count else None,
    )


def verdict(status: int, headers: Mapping[str, str], content: bytes) -> WireError:
    """What a status other than 200 means."""
    said = _said(content)
    detail = f"HTTP {status}: {said[:_DETAIL]}" if said else f"HTTP {status}"
    low = said.lower()
    if 300 <= status < 400:
        return Fatal(detail, "give the address that the server itself has")
    if status == 402 or _NO_CREDIT.search(low):
        return Fatal(detail, "add credit and run again, the answers so far are kept")
    if status in (401, 403):
        return Fatal(detail, "set the environment variable that holds the key to a valid one")
    if status in (400, 413, 422, 500) and (status == 413 or _TOO_LONG.search(low)):
        return TooLong(detail)
    if status in (404, 405) or (status in (400, 422) and _NO_MODEL.search(low)):
        return Fatal(detail, "see URL/models for its names; most addresses end in /v1")
    if status in _AGAIN:
        return Again(detail, _pause(headers.get("retry-after")))
    if status in (400, 422):
        for parameter in ("temperature", "max_tokens"):
            if parameter in low:
                return Refused(detail, parameter)
    return Refused(detail)


def context_of(content: bytes, model: str) -> int | None:
    """The context of a model by a server's list of models, where it says."""
    data = _object(content).get("data")
    for entry in data if isinstance(data, list) else ():
        if not isinstance(entry, dict) or entry.get("id") not in (model, f"{model}:latest"):
            continue
        meta = entry.get("meta")
        told = [entry.get(name) for name in ("max_model_len", "context_length", "context_window")]
        told += [meta.get("n_ctx")] if isinstance(meta, dict) else []
        return next((n for n in told if isinstance(n, int) and n > 0), None)
    return None


def _pause(value: str | None) -> float | None:
    if value is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", value):
        return min(float(value), _LONGEST_PAUSE)
    try:
        left = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, left), _LONGEST_PAUSE)


def _said(content: bytes) -> str:
    found = _object(content)
    error = found.get("error", found)
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or error.get("msg")
        parts = [message if isinstance(message, str) else json.dumps(error)]
        parts += [str(error[name]) for name in ("code", "type", "param") if error.get(name)]
        if found:
            return " ".join(" ".join(parts).split())
    if isinstance(error, str):
        return " ".join(error.split())
    return _start(content)


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _start(content: bytes) -> str:
    return " ".join(content[:400].decode("utf-8", "replace").split())[:120]
