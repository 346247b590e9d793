"""longqa.llm.server: one exchange, what may go wrong in it, and what no message may show."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from model_server import ModelServer
from model_server_faults import Fault

from longdata.errors import UserError
from longqa.llm.forms import Judged, Looked, Written
from longqa.llm.records import Endpoint, Reply, Request, Usage
from longqa.llm.server import Server, checked_base_url
from longqa.llm.wire import (
    Rejected,
    ServerError,
    TimedOut,
    TooLong,
    TooManyRequests,
    Transient,
    Unreachable,
)

KEY = "sk-test-Zq81/xW0p3LmN7"


@pytest.fixture(scope="module")
def shared() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def model(shared: ModelServer) -> Iterator[ModelServer]:
    """One process for all tests; each finds it as new."""
    plain = {"faults": [], "key": "", "ctx": 0, "cut_at": 0, "pause": 0.0, "temperature": True}
    shared.set(**plain, schema="json_schema", limit="", models=["test-model"])
    yield shared


def request(number: int = 0, **changes: Any) -> Request[Any]:
    about: dict[str, Any] = {
        "purpose": "write",
        "document_id": "d",
        "kind": "k",
        "system": "You write questions.",
        "prefix": "Nothing had gone by but the river. ",
        "task": f"Write question {number}.",
        "form": Written,
        "max_tokens": 100,
        "temperature": 0.5,
    }
    return Request(**{**about, **changes})


def endpoint(model: ModelServer, **changes: Any) -> Endpoint:
    return Endpoint(**{"model": "test-model", "base_url": model.base_url, **changes})


def send(model: ModelServer, asked: Request[Any] | None = None, **changes: Any) -> Reply:
    """One reply of a fresh client."""

    async def sending() -> Reply:
        async with Server(endpoint(model, **changes), KEY) as server:
            return await server.send(asked or request())

    return asyncio.run(sending())


def test_a_request_goes_out_as_it_is_and_the_reply_comes_back(model: ModelServer) -> None:
    reply = send(model, request(form=Looked, prefix="“Überfahrt” 渡河\n" * 3, task='"quoted"'))
    body, headers = (model.last()[name] for name in ("body", "headers"))
    assert body["messages"][1]["content"] == "“Überfahrt” 渡河\n" * 3 + '"quoted"'
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("test-model", 100, 0.5)
    form = body["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"] == Looked.model_json_schema()
    assert form["json_schema"]["strict"] is True
    assert headers["authorization"] == f"Bearer {KEY}"
    assert Looked.model_validate_json(reply.text) == Looked(answered=False, answer="x", quotes=[])
    assert not reply.usage_is_estimated
    assert (reply.finish_reason, reply.refusal) == ("stop", None)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("500", Transient),
        ("503", TooManyRequests),
        ("429", TooManyRequests),
        ("reset", Unreachable),
        ("close", Unreachable),
        ("half json", Transient),
        ("empty choices", Transient),
        ("html", Transient),
        ("error in 200", Transient),
        ("huge", Transient),
    ],
)
def test_what_may_pass_is_an_error_to_try_again(
    model: ModelServer, kind: str, error: type[ServerError]
) -> None:
    model.set(faults=[Fault(kind, share=1)])
    with pytest.raises(error) as said:
        send(model)
    assert type(said.value) is error


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_no_server_holds_a_call_longer_than_its_time(model: ModelServer, kind: str) -> None:
    model.set(faults=[Fault(kind, share=1)])
    started = time.monotonic()
    with pytest.raises(TimedOut, match=r"in 0\.2 s"):
        send(model, timeout=0.2)
    assert time.monotonic() - started < 5


def test_a_pause_that_the_server_asks_for_is_in_the_error(model: ModelServer) -> None:
    model.set(faults=[Fault("429 with pause", share=1)], pause=7)
    with pytest.raises(TooManyRequests) as said:
        send(model)
    assert said.value.pause == 7


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("parts", ('{"items": []}', None, "stop")),
        ("refusal", ("", "I will not do that.", "stop")),
        ("null content", ("", None, "stop")),
        ("cut short", ('{"item', None, "length")),
    ],
)
def test_odd_messages_are_replies(
    model: ModelServer, kind: str, expected: tuple[str, str | None, str]
) -> None:
    model.set(faults=[Fault(kind, share=1)])
    reply = send(model)
    assert (reply.text, reply.refusal, reply.finish_reason) == expected


@pytest.mark.parametrize("kind", ["no usage", "bad usage"])
def test_tokens_are_estimated_where_the_server_does_not_count(
    model: ModelServer, kind: str
) -> None:
    model.set(faults=[Fault(kind, share=1)])
    reply = send(model, request(prefix="word " * 800))
    assert reply.usage_is_estimated
    assert 1000 <= reply.usage.prompt <= 1030
    assert reply.usage == Usage(prompt=reply.usage.prompt, completion=4)


def test_what_the_server_does_not_take_is_left_out_from_then_on(model: ModelServer) -> None:
    model.set(schema="none", temperature=False, limit="max_completion_tokens")

    async def sending() -> tuple[list[str], int, int]:
        async with Server(endpoint(model), None) as server:
            before = model.stats()["requests"]
            await asyncio.gather(*(server.send(request(n, form=Judged)) for n in range(8)))
            between = model.stats()["requests"]
            await server.send(request(99, form=Judged))
            return server.notes, between - before, model.stats()["requests"] - between

    notes, first, later = asyncio.run(sending())
    assert sorted(notes) == [
        "the server has no JSON mode: the prompt alone asks for JSON",
        "the server takes max_completion_tokens for max_tokens",
        "the server takes no JSON schema: answers are parsed tolerantly",
        "the server takes no temperature: it uses its own",
    ]
    assert first <= 8 * 5 and later == 1
    assert model.last()["body"].keys() == {
        "messages",
        "model",
        "stream",
        "max_completion_tokens",
    }


def test_a_request_that_is_too_long_says_how_long_it_may_be(model: ModelServer) -> None:
    model.set(ctx=512)
    with pytest.raises(TooLong) as said:
        send(model, request(prefix="word " * 1000))
    assert said.value.allowed == 512


def test_a_wrong_key_and_a_wrong_model_end_the_run_in_one_line(model: ModelServer) -> None:
    model.set(key="another key")
    with pytest.raises(UserError, match=r"got no access .* fix: export MY_KEY=") as said:
        send(model, key_variable="MY_KEY")
    assert KEY not in str(said.value) and "\n" not in str(said.value)
    model.set(key="", models=["other"])
    with pytest.raises(UserError, match=r"the model 'test-model' .* does not exist"):
        send(model)
    model.set(models=["test-model"], faults=[Fault("no credit", share=1)])
    with pytest.raises(UserError, match="without credit"):
        send(model)


def test_the_key_is_nowhere_to_be_read(model: ModelServer) -> None:
    model.set(faults=[Fault("echo key", share=1)])
    with pytest.raises(Transient) as said:
        send(model)
    assert "[key]" in said.value.detail
    shown = f"{said.value!r} {said.value} {said.value.__cause__!r} {said.value.__context__!r}"
    pieces = [KEY[at : at + 8] for at in range(len(KEY) - 7)]
    assert not [piece for piece in pieces if piece in shown]
    server = Server(endpoint(model), KEY)
    assert KEY not in repr(server) + repr(server.endpoint) + repr(server.notes)


@pytest.mark.parametrize(
    "address",
    [
        "http://user:secret@localhost/v1",
        "http://localhost/v1?key=secret",
        "http://localhost/v1#secret",
        "ftp://localhost/v1",
        "localhost:8000/v1",
        "",
        "http://",
        "http://local\nhost/v1",
    ],
)
def test_an_address_with_secrets_or_without_sense_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="allowed: for example") as said:
        checked_base_url(address)
    assert "secret" not in str(said.value)


def test_addresses_are_taken_as_people_copy_them() -> None:
    assert checked_base_url("http://localhost:8000/v1/") == "http://localhost:8000/v1"
    assert checked_base_url("https://a.b/v1/chat/completions") == "https://a.b/v1"


@pytest.mark.parametrize("key", ["sk-line\nbreak", "sk-blank ", "sk-ключ"])
def test_a_key_that_no_header_takes_is_refused_unseen(key: str) -> None:
    with pytest.raises(UserError, match="got a key in THE_KEY") as said:
        Server(Endpoint(model="m", base_url="http://localhost/v1", key_variable="THE_KEY"), key)
    assert key.strip() not in str(said.value)


def test_loopback_is_reached_past_a_proxy(
    model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    assert send(model).text == '{"items": []}'


def test_a_server_that_cuts_prompts_is_found_out(model: ModelServer) -> None:
    model.set(cut_at=300)
    with pytest.raises(UserError, match=r"cuts prompts to its context.*OLLAMA_CONTEXT_LENGTH"):
        send(model, request(prefix="word " * 4000))
    send(model, request(prefix="word " * 700))  # 11.8 bytes for a token: strange, not impossible
    send(model, request(prefix="." * 20_000))  # nor is a row of dots


def test_a_request_the_server_dislikes_fails_alone(model: ModelServer) -> None:
    model.set(limit="max_new_tokens")  # neither of the names we know
    with pytest.raises(Rejected, match="Unsupported parameter"):
        send(model)


def test_a_server_that_is_not_there_is_unreachable() -> None:
    async def sending() -> None:
        async with Server(Endpoint(model="m", base_url="http://127.0.0.1:9/v1"), None) as server:
            await server.send(request())

    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9/v1: ConnectError"):
        asyncio.run(sending())
