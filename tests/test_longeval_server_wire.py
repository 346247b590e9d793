"""What servers send is understood, and what they say when they do not answer is told apart."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longeval.server_wire import (
    Again,
    Answer,
    Fatal,
    Redactor,
    Refused,
    TooLong,
    WireError,
    body_of,
    context_of,
    read_answer,
    verdict,
)

KEY = "sk-abcdefgh12345678"


def error(message: str, **more: str) -> bytes:
    return json.dumps({"error": {"message": message, **more}}).encode()


def test_a_request_is_greedy_and_leaves_out_what_is_not_taken() -> None:
    asked = {"text": "tea?", "max_new_tokens": 7}
    assert body_of("m", chat=True, **asked) == {
        "model": "m",
        "stream": False,
        "max_tokens": 7,
        "temperature": 0,
        "messages": [{"role": "user", "content": "tea?"}],
    }
    brief = body_of("m", chat=True, thinking=False, **asked)
    assert brief["chat_template_kwargs"] == {"enable_thinking": False}
    both = frozenset({"temperature", "max_tokens"})
    assert body_of("m", chat=False, left_out=both, **asked) == {
        "model": "m",
        "stream": False,
        "max_completion_tokens": 7,
        "prompt": "tea?",
    }


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"message": {"content": "Tea."}}, "Tea."),
        ({"text": " Tea."}, " Tea."),
        ({"message": {"content": [{"type": "text", "text": "Te"}, {"text": "a."}]}}, "Tea."),
        ({"message": {"content": None}}, ""),
    ],
)
def test_answers_are_read_in_each_form(choice: dict[str, Any], text: str) -> None:
    body = {"choices": [{**choice, "finish_reason": "length"}], "usage": {"prompt_tokens": 9}}
    assert read_answer(json.dumps(body).encode()) == Answer(text=text, is_cut=True, prompt_tokens=9)


@pytest.mark.parametrize("count", [-1, 0, True, "9", None, 2.5])
def test_a_count_that_is_none_is_not_believed(count: Any) -> None:
    body = {"choices": [{"text": "x"}], "usage": {"prompt_tokens": count}}
    assert read_answer(json.dumps(body).encode()).prompt_tokens is None


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["choices", "message", "content", "text", "usage", "error", "data"]
                ),
                inner,
                max_size=3,
            )
        ),
    ).map(lambda found: json.dumps(found).encode())
)
def test_any_body_is_an_answer_or_an_error(body: bytes) -> None:
    with contextlib.suppress(Again):
        assert isinstance(read_answer(body).text, str)
    for status in (302, 400, 401, 429, 500):
        assert isinstance(verdict(status, {"retry-after": "x"}, body), WireError)
    assert context_of(body, "m") is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error("This model's maximum context length is 4096 tokens."), TooLong),
        (413, b"", TooLong),
        (500, error("the prompt is too long"), TooLong),
        (401, error("Incorrect API key"), Fatal),
        (402, b"", Fatal),
        (429, error("You exceeded your current quota"), Fatal),
        (404, error("no such page"), Fatal),
        (400, error("The model `x` does not exist"), Fatal),
        (302, b"", Fatal),
        (429, error("slow down"), Again),
        (503, b"<html>busy</html>", Again),
        (500, b"", Again),
        (400, error("content is flagged"), Refused),
        (501, b"", Refused),
    ],
)
def test_what_a_status_asks_for(status: int, body: bytes, kind: type[WireError]) -> None:
    assert type(verdict(status, {}, body)) is kind


def test_parameters_that_are_not_taken_are_named() -> None:
    for name in ("temperature", "max_tokens"):
        found = verdict(400, {}, error(f"Unsupported parameter: '{name}'"))
        assert isinstance(found, Refused) and found.parameter == name


def test_servers_may_ask_to_wait_but_not_for_ever() -> None:
    def pause(value: str) -> float | None:
        found = verdict(429, {"retry-after": value}, b"")
        assert isinstance(found, Again)
        return found.pause

    assert pause("7") == 7 and pause("86400") == 120 and pause("soon") is None
    assert pause("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_the_context_is_read_where_servers_say_it() -> None:
    def listed(**entry: Any) -> bytes:
        return json.dumps({"data": [{"id": "other"}, {"id": "m", **entry}]}).encode()

    assert context_of(listed(max_model_len=4096), "m") == 4096
    assert context_of(listed(meta={"n_ctx": 2048}), "m") == 2048
    assert context_of(listed(), "m") is None and context_of(listed(), "x") is None


@given(st.text(max_size=20), st.text(max_size=20), st.integers(0, 10), st.integers(9, 19))
def test_no_piece_of_a_key_is_shown(before: str, after: str, start: int, end: int) -> None:
    shown = Redactor(KEY)(f"{before}{KEY[start:end]}{after}")
    assert not any(KEY[at : at + 8] in shown for at in range(len(KEY) - 7))
    assert Redactor("tiny")("a tiny key") == "a [key] key"
    assert Redactor(None)(before) == before
