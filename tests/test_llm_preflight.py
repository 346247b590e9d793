"""longqa.llm.preflight: what is said before the first token is paid."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from model_server import ModelServer

from longdata.errors import UserError
from longqa.llm.preflight import ServerFacts
from longqa.llm.records import Endpoint
from longqa.llm.server import Server

PLAIN: dict[str, Any] = {
    "key": "",
    "entry": None,
    "props": None,
    "lists_models": True,
    "models": ["test-model"],
}


@pytest.fixture(scope="module")
def shared() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def model(shared: ModelServer) -> ModelServer:
    shared.set(**PLAIN)
    return shared


def checked(
    base_url: str, *, model: str = "test-model", key: str | None = None, tokens: int = 1000
) -> tuple[ServerFacts, list[str]]:
    async def checking() -> tuple[ServerFacts, list[str]]:
        async with Server(Endpoint(model=model, base_url=base_url), key) as server:
            return await server.check(tokens, 100), server.notes

    return asyncio.run(checking())


def test_a_server_that_can_do_it_is_asked_for_no_token(model: ModelServer) -> None:
    before = model.stats()["requests"]
    facts, notes = checked(model.base_url)
    assert facts == ServerFacts(model="test-model", ctx=None, lists_models=True)
    assert notes == []
    assert model.stats()["requests"] == before


@pytest.mark.parametrize(
    "entry",
    [
        {"max_model_len": 1024},
        {"context_length": 9000, "top_provider": {"context_length": 1024}},
        {"max_context_length": 9000, "loaded_context_length": 1024},
        {"meta": {"n_ctx_train": 1024}},
        {"owned_by": "llamacpp", "meta": {"n_ctx": 4096, "n_ctx_train": 9000}},
    ],
)
def test_a_context_that_is_too_short_is_said_before(
    model: ModelServer, entry: dict[str, Any]
) -> None:
    model.set(entry=entry, props={"default_generation_settings": {"n_ctx": 1024}})
    assert checked(model.base_url, tokens=924)[0].ctx == 1024
    with pytest.raises(UserError, match="allowed: together 1,024 for test-model"):
        checked(model.base_url, tokens=925)


def test_a_wrong_name_is_answered_with_near_ones(model: ModelServer) -> None:
    names = [f"org/other-{n}" for n in range(30)] + ["qwen3-32b"]
    model.set(models=names)
    with pytest.raises(UserError, match=r"got the model 'qwen3'.*'qwen3-32b'.* and 23 others"):
        checked(model.base_url, model="qwen3")
    model.set(models=["llama3.1:latest"])
    assert checked(model.base_url, model="llama3.1")[0].lists_models
    model.set(models=["/models/x.gguf"], entry={"owned_by": "llamacpp"})
    assert checked(model.base_url, model="any")[0].lists_models


def test_a_wrong_key_is_said_before_and_not_shown(model: ModelServer) -> None:
    model.set(key="right-key-123")
    with pytest.raises(UserError, match="export OPENAI_API_KEY") as said:
        checked(model.base_url, key="wrong-key-456")
    assert "wrong-key-456" not in str(said.value)
    assert checked(model.base_url, key="right-key-123")[0].lists_models


def test_an_address_without_its_end_is_mended(model: ModelServer) -> None:
    with pytest.raises(UserError, match=f"fix: {model.url}/v1$"):
        checked(model.url)


def test_a_server_without_a_list_is_taken_as_it_is(model: ModelServer) -> None:
    model.set(lists_models=False)
    facts, notes = checked(model.base_url)
    assert facts == ServerFacts(model="test-model", ctx=None, lists_models=False)
    assert notes == ["the server lists no models: its name and context were not checked"]


def answering(response: bytes) -> tuple[socket.socket, str]:
    """A socket that answers everything alike."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(response)

    threading.Thread(target=answer, daemon=True).start()
    return listener, f"127.0.0.1:{listener.getsockname()[1]}"


def test_what_is_no_model_server_is_called_so() -> None:
    page = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\nconnection: close\r\n\r\n<html></html>"
    listener, address = answering(page)
    with listener, pytest.raises(UserError, match="answers with a web page"):
        checked(f"http://{address}/v1")


def test_https_to_a_server_without_it_is_said() -> None:
    listener, address = answering(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
    with listener, pytest.raises(UserError, match="without a trusted connection"):
        checked(f"https://{address}/v1")


def test_a_server_that_is_not_there_is_said() -> None:
    with pytest.raises(UserError, match=r"got no answer at http://127.0.0.1:9/v1.*start the"):
        checked("http://127.0.0.1:9/v1")
