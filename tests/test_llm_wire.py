"""longqa.llm.wire: what servers say, in their own words, and what it means."""

from __future__ import annotations

import email.utils
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longqa.llm.records import Usage
from longqa.llm.wire import (
    Forbidden,
    NoCredit,
    NotFound,
    Redactor,
    RefusedParameter,
    Rejected,
    ServerError,
    TooLong,
    TooManyRequests,
    Transient,
    error_of,
    pause_of,
    read_reply,
    read_usage,
)

NOW = 1_800_000_000.0


def said(status: int, message: str, **more: Any) -> ServerError:
    body = json.dumps({"error": {"message": message, **more}}).encode()
    return error_of(status, {}, body, now=NOW)


@pytest.mark.parametrize(
    ("status", "message", "allowed"),
    [
        (400, "This model's maximum context length is 4,096 tokens. However, you asked", 4096),
        (400, "This endpoint's maximum context length is 131072 tokens. However,", 131072),
        (400, "request (5000 tokens) exceeds the available context size (4096 tokens)", 4096),
        (400, "the model is loaded with context length of only 2048 tokens", 2048),
        (400, "The input is longer than the model's context length (8192 tokens).", 8192),
        (400, "prompt is too long: 205000 tokens > 200000 maximum", 200000),
        (422, "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000", 4096),
        (400, "Your input exceeds the context window of this model.", None),
        (400, "max_tokens must be at least 1, got -186.", None),
        (400, "'max_tokens' or 'max_completion_tokens' is too large: 900. This model's maximum "
         "context length is 1024 tokens and your request has 500", 1024),
        (413, "Payload Too Large", None),
    ],
)  # fmt: skip
def test_too_long_is_understood_in_every_wording(
    status: int, message: str, allowed: int | None
) -> None:
    error = said(status, message)
    assert isinstance(error, TooLong)
    assert error.allowed == allowed


def test_llama_cpp_says_its_context_in_a_field() -> None:
    message = "the request exceeds the available context size. try increasing it"
    error = said(400, message, type="exceed_context_size_error", n_prompt_tokens=9, n_ctx=256)
    assert isinstance(error, TooLong) and error.allowed == 256


@pytest.mark.parametrize(
    ("status", "message", "more", "parameter"),
    [
        (400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
         "'max_completion_tokens' instead.", {"param": "max_tokens"}, "max_tokens"),
        (400, "Unsupported value: 'temperature' does not support 0.2 with this model. Only the "
         "default (1) value is supported.", {"param": "temperature"}, "temperature"),
        (400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported", {},
         "response_format"),
        (400, "This response_format type is unavailable now", {"param": "response_format"},
         "response_format"),
        (500, "Failed to parse grammar: unexpected end of input", {}, "response_format"),
        (501, "json_schema is not implemented", {}, "response_format"),
        (422, "Extra inputs are not permitted: max_completion_tokens", {}, "max_tokens"),
        (404, "No endpoints found that support structured outputs", {}, "response_format"),
    ],
)  # fmt: skip
def test_refused_parameters_are_named(
    status: int, message: str, more: dict[str, Any], parameter: str
) -> None:
    error = said(status, message, **more)
    assert isinstance(error, RefusedParameter)
    assert error.parameter == parameter


@pytest.mark.parametrize(
    ("status", "message", "more", "kind"),
    [
        (401, "Incorrect API key provided", {}, Forbidden),
        (403, "Country not supported", {}, Forbidden),
        (403, "Your input was flagged", {"metadata": {"reasons": ["violence"]}}, Rejected),
        (402, "Insufficient Balance", {}, NoCredit),
        (429, "You exceeded your current quota", {"code": "insufficient_quota"}, NoCredit),
        (429, "Rate limit reached for requests", {}, TooManyRequests),
        (503, "Loading model", {}, TooManyRequests),
        (529, "Overloaded", {}, TooManyRequests),
        (404, 'model "x" not found, try pulling it first', {}, NotFound),
        (400, "x is not a valid model ID", {}, NotFound),
        (405, "Method Not Allowed", {}, NotFound),
        (408, "Request Timeout", {}, Transient),
        (500, "Internal Server Error", {}, Transient),
        (524, "A timeout occurred", {}, Transient),
        (400, "The temperature of the boiling water in the prompt was flagged", {}, Rejected),
        (400, "max_tokens is too large: 50000. This model supports at most 16384", {}, Rejected),
        (418, "I'm a teapot", {}, Rejected),
    ],
)
def test_each_status_asks_for_its_own_way_on(
    status: int, message: str, more: dict[str, Any], kind: type[ServerError]
) -> None:
    assert type(said(status, message, **more)) is kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": email.utils.formatdate(NOW + 90, usegmt=True)}, 90.0),
        ({"retry-after": email.utils.formatdate(NOW - 90, usegmt=True)}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_the_pause_is_read_as_number_and_as_date(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert pause_of(headers, now=NOW) == seconds


def test_tokens_that_cannot_be_are_estimated_and_a_part_is_no_more_than_the_whole() -> None:
    def usage(said: Any) -> tuple[Usage, bool]:
        return read_usage(said, prompt_bytes=400, answer_bytes=40)

    estimated = (Usage(prompt=100, completion=10), True)
    for absurd in (None, [], {}, {"prompt_tokens": -1, "completion_tokens": 10**20}):
        assert usage(absurd) == estimated
    assert usage({"prompt_tokens": "9", "completion_tokens": True}) == estimated
    told = {"prompt_tokens": 90, "completion_tokens": 7}
    assert usage(told) == (Usage(prompt=90, completion=7), False)
    told["prompt_tokens_details"] = {"cached_tokens": 64}  # type: ignore[assignment]
    assert usage(told) == (Usage(prompt=90, completion=7, cached=64), False)
    told["prompt_tokens"] = 26  # cached ones counted apart
    assert usage(told) == (Usage(prompt=90, completion=7, cached=64), False)


def completion(message: dict[str, Any], **choice: Any) -> bytes:
    return json.dumps({"choices": [{"message": message, **choice}]}).encode()


def test_thoughts_beside_the_answer_are_paid_for_and_not_read() -> None:
    message = {"content": '{"a": 1}', "reasoning_content": "x" * 400}
    reply = read_reply(completion(message), prompt_bytes=8, seconds=1.0)
    assert reply.text == '{"a": 1}'
    assert reply.usage.completion == 102 and reply.usage_is_estimated


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "choices message content usage error code finish_reason refusal text".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values | st.just({"choices": [{}]}))
def test_any_json_is_a_reply_or_a_server_error(value: Any) -> None:
    try:
        reply = read_reply(json.dumps(value).encode(), prompt_bytes=10, seconds=0.0)
    except ServerError:
        return
    assert isinstance(reply.text, str) and reply.usage.prompt >= 0


@given(
    st.integers(300, 599),
    st.binary(max_size=60) | json_values.map(lambda v: json.dumps(v).encode()),
)
def test_any_error_body_has_a_meaning(status: int, body: bytes) -> None:
    assert isinstance(error_of(status, {}, body, now=NOW), ServerError)


def test_deep_nesting_is_no_json() -> None:
    with pytest.raises(Transient):
        read_reply(b'{"choices":' + b"[" * 200_000, prompt_bytes=1, seconds=0.0)


KEYS = st.text('abcdefghijklmnopqrstuvwxyzABCDEF0123456789-_/+=."\\', min_size=8, max_size=60)


@given(KEYS, st.text(max_size=30), st.text(max_size=30), st.integers(0, 52), st.integers(8, 60))
def test_no_piece_of_a_key_is_shown(
    key: str, before: str, after: str, start: int, length: int
) -> None:
    redact = Redactor(key)
    piece = key[start : start + length]
    for text in (f"{before}{key}{after}", json.dumps(key), f"{before}{piece}{after}"):
        shown = redact(text)
        left = [key[at : at + 8] for at in range(len(key) - 7) if key[at : at + 8] in shown]
        assert not left


def test_without_a_key_nothing_is_cut_out() -> None:
    assert Redactor(None)("sk-abc") == Redactor("EM")("sk-abc") == "sk-abc"
    assert Redactor("EMPTY")("key EMPTY") == "key [key]"
