"""The options choose the model, its template and its limits; what cannot be is one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from completions_server import CompletionsServer

from longdata.errors import UserError
from longeval.ask import Prompt
from longeval.backends import Choice, backend_of


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "got no --model"),
        ({"adapter": "a", "server": "http://x/v1"}, "got no --model"),
        ({"model": "m", "rope": "linear"}, "got one of --rope and --rope-ctx"),
        ({"model": "m", "template": "mine"}, "--template mine"),
        ({"model": "m", "concurrency": 0}, "--concurrency 0"),
    ],
)
def test_choices_that_cannot_be(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Choice(**given)


def test_a_server_has_its_own_template_unless_one_is_named() -> None:
    with CompletionsServer(lambda path, body: (200, {})) as server:

        def template(**options: Any) -> str:
            choice = Choice(model="m", server=server.base_url, **options)
            return str(backend_of(choice, default_template="raw").protocol["template"])

        assert template() == "raw" and template(template="vicuna") == "vicuna"
        choice = Choice(model="m", server=server.base_url)
        assert backend_of(choice).protocol["template"] == "chat (the server's own)"
        with pytest.raises(UserError, match="got --rope with --server"):
            template(rope="linear", rope_ctx=4096)


def test_a_model_has_a_limit_that_can_be_taken_away(shared_data: Path) -> None:
    pytest.importorskip("torch")
    folder = str(shared_data / "models/hf/stories260K")
    (own,) = backend_of(Choice(model=folder)).replies([_long()])
    assert own.refused == "longer than the context"
    extended = backend_of(Choice(model=folder, rope="linear", rope_ctx=1024))
    assert extended.protocol["ctx"] == 1024 and next(iter(extended.replies([_long()]))).text
    beyond = backend_of(Choice(model=folder, beyond_ctx=True))
    (answered,) = beyond.replies([_long()])
    assert not answered.refused and answered.prompt_tokens == own.prompt_tokens
    with pytest.raises(UserError, match="--template chat for a model without"):
        backend_of(Choice(model=folder, template="chat"))


def _long() -> Prompt:
    return Prompt(id="a", text="Once upon a time there was a cat. " * 70, max_new_tokens=2)
