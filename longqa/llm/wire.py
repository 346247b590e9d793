"""What servers answer: a reply, or an error that says what to do next.

    read_reply({"choices": [{"message": {"content": "{}"}}]}, …)  -> Reply(text="{}", …)
    error_of(429, {"retry-after": "7"}, b"slow down", now=…)      -> TooManyRequests, pause 7 s
    error_of(400, {}, b"… maximum context length is 4096 tokens") -> TooLong, allowed 4096
    error_of(400, {}, b"… 'temperature' is not supported …")      -> RefusedParameter("temperature")

Every server words its errors its own way; the words known here are those of vLLM, llama.cpp,
Ollama, LM Studio, SGLang, TGI, OpenAI, OpenRouter and Mistral.
"""

from __future__ import annotations

import email.utils
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from longdata.errors import UserError
from longqa.llm.records import Reply, Usage

Parameter = Literal["response_format", "temperature", "max_tokens"]

BYTES_PER_TOKEN = 4  # of UTF-8, where a server does not count: English 4.5, Chinese 3 to 5
_MOST_TOKENS = 1_000_000_000  # a larger count is no count
_DETAIL_CHARACTERS = 300


class ServerError(Exception):
    """One exchange that gave no reply. `reason` is counted, `detail` is what the server said."""

    reason = "server error"

    def __init__(self, detail: str) -> None:
        super().__init__(f"{self.reason}: {detail}")
        self.detail = detail


class TooManyRequests(ServerError):
    """The server is full: ask again, not before `pause` seconds have passed if it says so."""

    reason = "too many requests"

    def __init__(self, detail: str, pause: float | None = None) -> None:
        super().__init__(detail)
        self.pause = pause


class Transient(ServerError):
    """Nothing is known to be wrong with the request: ask again."""


class Unreachable(Transient):
    """There was no answer at all: no connection, or none that lasted."""

    reason = "no connection"


class TimedOut(Transient):
    """The answer was not there, or not whole, when the time for one call was over."""

    reason = "timed out"


class TooLong(ServerError):
    """Prompt and answer do not fit the context; `allowed` tokens, if the server said so."""

    reason = "too long for the server"

    def __init__(self, detail: str, allowed: int | None = None) -> None:
        super().__init__(detail)
        self.allowed = allowed


class Rejected(ServerError):
    """This request is refused and would be again; another one need not be."""

    reason = "rejected by the server"


class RefusedParameter(Rejected):
    """The server does not know one of the parameters, or not with this value."""

    def __init__(self, detail: str, parameter: Parameter) -> None:
        super().__init__(detail)
        self.parameter = parameter


class Fatal(ServerError):
    """No later request can do better."""


class Forbidden(Fatal):
    """The key is wrong."""


class NotFound(Fatal):
    """There is no such model, or no such address."""


class NoCredit(Fatal):
    """The account is empty."""


class Redactor:
    """Cuts a key out of what is shown or stored, pieces of eight of its characters too."""

    def __init__(self, key: str | None) -> None:
        self._key = key if key is not None and len(key) >= 4 else None
        self._pieces = {key[at : at + 8] for at in range(len(key) - 7)} if self._key and key else {}

    def __call__(self, text: str) -> str:
        """The text with `[key]` where the key, or a piece of it, stood."""
        if self._key is None:
            return text
        for written in (self._key, json.dumps(self._key)[1:-1], self._key.replace("/", "\\/")):
            text = text.replace(written, "[key]")
        hidden = [False] * len(text)
        for at in range(len(text) - 7):
            if text[at : at + 8] in self._pieces:
                hidden[at : at + 8] = [True] * 8
        shown = "".join("\0" if hide else char for char, hide in zip(text, hidden, strict=True))
        return re.sub("\0+", "[key]", shown)


def read_reply(body: bytes, *, prompt_bytes: int, seconds: float) -> Reply:
    """The reply in a chat completion. Raises what `error_of` gives for an error in a 200."""
    answer = _parsed(body)
    if answer is None:
        raise Transient(f"the body is no JSON object: {_start(body)!r}")
    error = answer.get("error")
    if error and not answer.get("choices"):  # OpenRouter: the status was sent before the error
        code = error.get("code") if isinstance(error, dict) else None
        known = isinstance(code, int) and 400 <= code < 600
        raise error_of(code if known and isinstance(code, int) else 502, {}, body, now=0.0)
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise Transient(f"the body holds no answer: {_start(body)!r}")
    text = _text(message.get("content"))
    refusal = message.get("refusal")
    finish = choice.get("finish_reason")
    if finish == "error":  # OpenRouter: the model's server broke off
        raise Transient(f"the answer broke off: {_start(body)!r}")
    thought = _text(message.get("reasoning_content") or message.get("reasoning"))
    usage, is_estimated = read_usage(
        answer.get("usage"),
        prompt_bytes=prompt_bytes,
        answer_bytes=len((thought + text).encode("utf-8", "replace")),
    )
    return Reply(
        text=text,
        finish_reason=finish if isinstance(finish, str) and finish else "stop",
        refusal=refusal if isinstance(refusal, str) and refusal else None,
        usage=usage,
        usage_is_estimated=is_estimated,
        seconds=seconds,
    )


def read_usage(said: Any, *, prompt_bytes: int, answer_bytes: int) -> tuple[Usage, bool]:
    """The tokens a server counted, and whether any of them had to be estimated."""
    said = said if isinstance(said, dict) else {}
    prompt, completion = _count(said.get("prompt_tokens")), _count(said.get("completion_tokens"))
    details = said.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    no_prompt = not prompt and not cached  # there is always a prompt
    no_completion = completion is None or (completion == 0 and answer_bytes > 0)
    prompt = -(-prompt_bytes // BYTES_PER_TOKEN) if no_prompt else prompt or 0
    completion = -(-answer_bytes // BYTES_PER_TOKEN) if no_completion else completion or 0
    cached = cached or 0
    if cached > prompt:  # counted apart: a part cannot be more than the whole
        prompt += cached
    return Usage(prompt=prompt, completion=completion, cached=cached), no_prompt or no_completion


def error_of(status: int, headers: Mapping[str, str], body: bytes, *, now: float) -> ServerError:
    """What a status other than 200 asks for; `now` is the time a Retry-After date is seen from."""
    said = _said(body)
    low = said.lower()
    detail = f"HTTP {status}: {said[:_DETAIL_CHARACTERS]}" if said else f"HTTP {status}"
    if status == 402 or _NO_CREDIT.search(low):
        return NoCredit(detail)
    if status in (401, 403):
        return Rejected(detail) if _MODERATED.search(low) else Forbidden(detail)
    if status in (429, 503, 529):
        return TooManyRequests(detail, pause_of(headers, now=now))
    if status in (400, 413, 422, 500) and (status == 413 or _TOO_LONG.search(low)):
        return TooLong(detail, _allowed(body, said))
    if status in (400, 404, 422, 500, 501):
        parameter = _refused_parameter(body, low, status)
        if parameter is not None:
            return RefusedParameter(detail, parameter)
    if status in (404, 405) or (status in (400, 422) and _NO_MODEL.search(low)):
        return NotFound(detail)
    if status == 408 or (status >= 500 and status != 501):
        return Transient(detail)
    return Rejected(detail)


def pause_of(headers: Mapping[str, str], *, now: float) -> float | None:
    """The seconds a server asks to wait: `retry-after-ms`, or `retry-after` as number or date."""
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _seconds(value)
    if seconds is not None or value is None:
        return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def fatal(error: ServerError, *, model: str, base_url: str, key_variable: str) -> UserError:
    """The line for an error that no later request can escape."""
    if isinstance(error, Forbidden):
        return UserError(
            f"got no access to {base_url} ({error.detail}); allowed: a key of that server; fix: "
            f"export {key_variable}=… with a valid key"
        )
    if isinstance(error, NoCredit):
        return UserError(
            f"got an account without credit at {base_url} ({error.detail}); allowed: one that can "
            "pay; fix: add credit and run the same command again, answers so far are kept"
        )
    return UserError(
        f"got the model {model!r} at {base_url}, which does not exist there ({error.detail}); "
        f"allowed: a model of that server; fix: see {base_url}/models for its names, and the "
        "server's own pages for its address, which mostly ends in /v1"
    )


_NO_CREDIT = re.compile(
    r"insufficient[ _](quota|balance|credits?|funds)|exceeded your current quota|billing_hard_limit"
)
_MODERATED = re.compile(r"moderation|flagged|content.policy|content.filter")
_NO_MODEL = re.compile(
    r"model_not_found|not a valid model|server is pinned to '"
    r"|model[^.]{0,80}(does not exist|not found|not exist)"
)
_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum context|(prompt|input)[^.]{0,30} is too long"
    r"|longer than the model's|must be at least 1, got -|max_new_tokens` must be <="
)
_ALLOWED = re.compile(
    r"(?:maximum context length (?:is|of)|context (?:size|length|window)(?: \(| of| is)"
    r"|with context length of)(?: only)? ?(\d[\d,]*)"
    r"|context length \((\d+)|> (\d+) maximum|must be <= (\d+)",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"unsupported|not (yet )?(be )?support|unknown|unrecognized|unexpected|invalid|not permitted"
    r"|not allowed|not implemented|not available|only the default|instead|no endpoints found"
    r"|failed to parse|requires|extra inputs|cannot|can't|disabled"
)
_WORDS: dict[Parameter, re.Pattern[str]] = {
    "response_format": re.compile(
        r"response_format|response format|json[_ ]?schema|json_object|json mode|structured output"
        r"|guided|grammar|constrained decoding"
    ),
    "max_tokens": re.compile(r"max_tokens|max_completion_tokens"),
    "temperature": re.compile(r"temperature"),
}
_TOO_LARGE = re.compile(r"too large|at most|less than|greater than|exceed")


def _refused_parameter(body: bytes, low: str, status: int) -> Parameter | None:
    """Which of our parameters an error names; the text of a prompt it may quote comes later."""
    error = _error_object(body)
    named = error.get("param")
    said = f"{named} {low[:_DETAIL_CHARACTERS]}" if isinstance(named, str) else low[:300]
    if not (_UNKNOWN.search(said) or isinstance(named, str)):
        return None
    for parameter, words in _WORDS.items():
        if words.search(said):
            if parameter == "max_tokens" and _TOO_LARGE.search(said):
                return None
            if status == 500 and parameter != "response_format":
                return None
            return parameter
    return None


def _allowed(body: bytes, said: str) -> int | None:
    told = _count(_error_object(body).get("n_ctx"))
    if told:
        return told
    found = _ALLOWED.search(said)
    if found is None:
        return None
    digits = next(group for group in found.groups() if group).replace(",", "")
    return int(digits) if len(digits) < 10 else None


def _said(body: bytes) -> str:
    """An error body's message; the codes beside it decide too, so they are kept."""
    error = _error_object(body)
    message = error.get("message") or error.get("detail") or error.get("error")
    if message is None:
        return " ".join(body[:4096].decode("utf-8", "replace").split())
    parts = [message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)]
    parts += [str(error[name]) for name in ("code", "type") if isinstance(error.get(name), str)]
    metadata = error.get("metadata")
    if isinstance(metadata, dict):  # OpenRouter: what the server behind it said
        parts += [str(metadata[name])[:500] for name in ("raw", "reasons") if name in metadata]
    return " ".join(" ".join(parts)[:4096].split())


def _error_object(body: bytes) -> dict[str, Any]:
    answer = _parsed(body) or {}
    error = answer.get("error")
    return error if isinstance(error, dict) else answer


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _text(content: Any) -> str:
    """A message's content: a string, or a list of parts of which the text counts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") if isinstance(part, dict) else part for part in content)
    return "".join(text for text in texts if isinstance(text, str))


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value <= _MOST_TOKENS else None


def _seconds(value: str | None) -> float | None:
    if value is None or not re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", value):
        return None
    return float(value)


def _start(body: bytes) -> str:
    return " ".join(body[:400].decode("utf-8", "replace").split())[:120]
