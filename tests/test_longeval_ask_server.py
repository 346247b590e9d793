"""A server is asked until it answers; what it refuses, cuts or leaves out is never a number."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from completions_server import CompletionsServer
from model_server import ModelServer
from model_server_faults import Fault

from longdata.errors import UserError
from longdata.tokenizers import Tokenizer
from longeval.ask import Prompt, Reply, ask
from longeval.ask_server import CUT, ServerModel

TOKENIZER = Tokenizer.load(None)
KEY = "sk-secret-0123456789"
PROMPTS = [
    Prompt(id=f"p{n}", text=f"What is number {n}, and what of {n + 1}?", max_new_tokens=9)
    for n in range(8)
]


def brain(body: dict[str, Any]) -> str:
    """What `ModelServer` answers: the end of what it was asked."""
    return f"It is {body['messages'][0]['content'].split()[3]}"


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer(brain="test_longeval_ask_server:brain") as running:
        yield running


@pytest.fixture(autouse=True)
def reset(request: pytest.FixtureRequest) -> None:
    if "server" in request.fixturenames:
        plain = {"key": "", "ctx": 0, "cut_at": 0, "limit": "", "temperature": True, "pause": 0.0}
        request.getfixturevalue("server").set(faults=[], refuse=False, slots=0, **plain)


def model(server: Any, pauses: list[float] | None = None, **options: Any) -> ServerModel:
    slept = pauses if pauses is not None else []
    return ServerModel(
        "test-model", server.base_url, sleep=slept.append, tokenizer=TOKENIZER, **options
    )


def replies(backend: ServerModel, prompts: list[Prompt] = PROMPTS) -> dict[str, Reply]:
    return {reply.id: reply for reply in backend.replies(prompts)}


def test_every_prompt_is_answered(server: ModelServer) -> None:
    backend = model(server, concurrency=3)
    found = replies(backend)
    assert {id: reply.text for id, reply in found.items()} == {
        f"p{n}": f"It is {n}," for n in range(8)
    }
    assert all(reply.prompt_tokens for reply in found.values())
    assert backend.protocol["template"] == "chat (the server's own)"
    assert backend.model == {"name": "test-model", "server": server.base_url, "ctx": None}


@pytest.mark.parametrize(
    "kind", ["429", "503", "500", "reset", "close", "half json", "empty choices", "html"]
)
def test_what_passes_is_asked_again(server: ModelServer, kind: str) -> None:
    server.set(faults=[Fault(kind, share=0.6, times=2)])
    pauses: list[float] = []
    found = replies(model(server, pauses))
    assert {reply.text for reply in found.values()} == {f"It is {n}," for n in range(8)}
    assert set(pauses) <= {1.0, 2.0, 4.0} and pauses


def test_a_server_that_names_a_pause_is_given_it(server: ModelServer) -> None:
    server.set(faults=[Fault("429 with pause", every=1, times=1)], pause=7.0)
    pauses: list[float] = []
    assert len(replies(model(server, pauses))) == 8
    assert pauses == [7.0] * 8  # each prompt once


@pytest.mark.parametrize("kind", ["500", "reset", "html", "empty choices", "429"])
def test_a_server_that_never_answers_ends_the_run(server: ModelServer, kind: str) -> None:
    server.set(faults=[Fault(kind, every=1)])
    pauses: list[float] = []
    with pytest.raises(UserError, match=r"no answer from http.* in 6 attempts"):
        replies(model(server, pauses, concurrency=1))
    assert pauses == [1, 2, 4, 8, 16]


def test_a_server_that_hangs_is_given_up(server: ModelServer) -> None:
    server.set(faults=[Fault("drip", every=1)])
    with pytest.raises(UserError, match="no answer from"):
        replies(model(server, timeout=0.05))


def test_a_server_that_is_not_there_is_one_line() -> None:
    with pytest.raises(UserError, match=r"no answer at http://127\.0\.0\.1:9/v1"):
        ServerModel("m", "http://127.0.0.1:9/v1")


def test_a_server_that_says_nothing_gives_no_number(tmp_path: Path) -> None:
    with (
        CompletionsServer(lambda path, body: (200, {"choices": [{"text": ""}]})) as quiet,
        pytest.raises(UserError, match="only empty answers"),
    ):
        ask(
            ServerModel("m", quiet.base_url, template="raw", tokenizer=TOKENIZER), PROMPTS, tmp_path
        )


def test_a_run_that_ended_goes_on_without_asking_twice(server: ModelServer, tmp_path: Path) -> None:
    server.set(faults=[Fault("404", at=(1 + server.stats()["requests"] + 4,))])
    with pytest.raises(UserError, match="see URL/models"):
        ask(model(server, concurrency=1), PROMPTS, tmp_path)
    server.set(faults=[])
    before = server.stats()["requests"]
    asked = ask(model(server, concurrency=1), PROMPTS, tmp_path)
    assert asked.from_file == 3 and len(asked.replies) == 8
    assert server.stats()["requests"] - before == 5 + 1  # one compares the counts


def test_what_does_not_fit_is_refused_and_counted(server: ModelServer, tmp_path: Path) -> None:
    server.set(ctx=200)
    long = Prompt(id="long", text="What is number 3, " + "tea " * 300, max_new_tokens=9)
    asked = ask(model(server), [*PROMPTS, long], tmp_path)
    assert asked.refused == {"longer than the context": 1} and len(asked.replies) == 8


def test_a_prompt_that_a_server_cuts_is_not_scored(server: ModelServer, tmp_path: Path) -> None:
    text = "What is number 3, said the river to the quay in the morning before anybody was up? "
    prompts = [Prompt(id=str(n), text=text * n, max_new_tokens=9) for n in (1, 5, 200, 205)]
    server.set(cut_at=2000)
    asked = ask(model(server), prompts, tmp_path)
    assert asked.refused == {CUT: 2} and set(asked.replies) == {"1", "5"}


def test_a_count_without_the_cached_beginning_is_no_cut() -> None:
    """Some servers count only what they had not read before."""
    seen: set[str] = set()
    lock = threading.Lock()

    def count(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        prompt = body["prompt"]
        with lock:
            known = prompt[:5000] in seen
            seen.add(prompt[:5000])
        counted = 3 if known else len(prompt) // 4
        return 200, {"choices": [{"text": "Tea."}], "usage": {"prompt_tokens": counted}}

    book = "The river said nothing to the quay, and the quay was used to it. " * 200
    prompts = [Prompt(id=str(n), text=f"{book}{n}?", max_new_tokens=9) for n in range(3)]
    with CompletionsServer(count) as server:
        found = replies(
            ServerModel("m", server.base_url, template="raw", tokenizer=TOKENIZER), prompts
        )
    assert all(reply.text == "Tea." for reply in found.values())


def test_a_server_that_refuses_does_not_cut() -> None:
    """It counts oddly, and what is asked to find out why does not fit any more."""
    book = "The river said nothing to the quay. " * 300

    def count(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if len(body["prompt"]) > len(book):
            return 400, {"error": {"message": "maximum context length is 3000 tokens"}}
        counted = min(len(body["prompt"]) // 4, 1500)
        return 200, {"choices": [{"text": "Tea."}], "usage": {"prompt_tokens": counted}}

    with CompletionsServer(count) as server:
        backend = ServerModel("m", server.base_url, template="raw", tokenizer=TOKENIZER)
        found = replies(backend, [Prompt(id="a", text=book, max_new_tokens=9)])
    assert found["a"].text == "Tea."


def test_another_language_is_no_cut() -> None:
    """The server's tokenizer has whole words of one language, ours has not."""

    def count(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        greek = sum(char > "\u0370" for char in body["prompt"])
        counted = greek // 10 + (len(body["prompt"]) - greek) // 4
        return 200, {"choices": [{"text": "Tea."}], "usage": {"prompt_tokens": counted}}

    prompts = [
        Prompt(id="english", text="The river said nothing to the quay. " * 300, max_new_tokens=9),
        Prompt(
            id="greek", text="Ο ποταμός δεν είπε τίποτα στην αποβάθρα. " * 200, max_new_tokens=9
        ),
    ]
    with CompletionsServer(count) as server:
        backend = ServerModel("m", server.base_url, template="raw", tokenizer=TOKENIZER)
        found = replies(backend, prompts)
    assert all(reply.text == "Tea." for reply in found.values())


def test_parameters_that_are_not_taken_are_left_out(server: ModelServer) -> None:
    server.set(limit="max_completion_tokens", temperature=False)
    backend = model(server)
    assert len(replies(backend)) == 8
    body = server.last()["body"]
    assert "temperature" not in body and "max_completion_tokens" in body
    assert backend.protocol["decoding"] == "its own"


def test_a_written_template_goes_to_completions_whole() -> None:
    answer = {"choices": [{"text": " tea", "finish_reason": "length"}]}
    with CompletionsServer(
        lambda path, body: (200, answer), models=[{"id": "m", "max_model_len": 4096}]
    ) as server:
        backend = ServerModel("m", server.base_url, template="vicuna", tokenizer=TOKENIZER)
        found = replies(backend)
        path, body, _ = server.seen[-1]
    assert path == "completions" and body["temperature"] == 0 and "messages" not in body
    assert body["prompt"].startswith("A chat between") and body["prompt"].endswith(" ASSISTANT:")
    assert body["prompt"] in {backend.show(prompt.text) for prompt in PROMPTS}
    assert found["p0"].text == " tea" and found["p0"].is_cut
    assert backend.protocol["ctx"] == 4096 and backend.protocol["prompt_counts"] == "not known"


def test_one_refused_prompt_does_not_end_the_run() -> None:
    def refuse(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if "number 3" in body["prompt"]:
            return 400, {"error": {"message": "content is flagged"}}
        return 200, {"choices": [{"text": "Tea."}]}

    with CompletionsServer(refuse) as server:
        found = replies(ServerModel("m", server.base_url, template="raw", tokenizer=TOKENIZER))
    assert found["p3"].refused.startswith("refused by the server (HTTP 400: content is flagged")
    assert sum(bool(reply.text) for reply in found.values()) == 7


def test_a_key_is_sent_and_never_shown(server: ModelServer) -> None:
    server.set(key=KEY)
    backend = model(server, key=KEY)
    assert len(replies(backend)) == 8 and server.last()["headers"]["authorization"].endswith(KEY)
    assert KEY not in repr(backend) + str(backend.model) + str(backend.protocol) + backend.key
    server.set(faults=[Fault("echo key", every=1)])
    with pytest.raises(UserError) as shown:
        replies(model(server, key=KEY))
    assert "0123456789" not in str(shown.value)
    with pytest.raises(UserError, match=r"no access .*provided: \[key\]"):  # the server repeats it
        model(server, key="sk-another-key-000")
    with pytest.raises(UserError, match="got a key in MINE") as refused:
        ServerModel("m", server.base_url, key="sk-secret\n", key_variable="MINE")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/v1", "", "http://"])
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(UserError, match="got --server"):
        ServerModel("m", url)
    with pytest.raises(UserError, match="user name, password or query") as shown:
        ServerModel("m", "http://me:hunter2@localhost/v1")
    assert "hunter2" not in str(shown.value)
