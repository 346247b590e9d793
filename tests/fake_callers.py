"""Callers without a server, and documents to ask them about: for tests of what comes of answers.

caller = FakeCaller()                       # the scripted model answers
answer = await caller.ask(request)
caller.requests                             -> [request]

FakeCaller(replies=lambda request: '{"items": []}')
FakeCaller(fails=lambda request: "timed out" if request.kind == "detail" else None)
FakeCaller(delays=random.Random(0))         # answers come in any order (in virtual time)
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from making import book
from scripted_model import brain

from longdata.documents import Block, Document, assemble
from longdata.tokenizers import Tokenizer
from longqa.checks import source_record
from longqa.llm.calls import Caller
from longqa.llm.interview import Interview, Panel
from longqa.llm.preparing import Prepared, prepare
from longqa.llm.records import Answer, CallFailed, Endpoint, Form, Reply, Request, Usage
from longqa.llm.replies import read
from longqa.recipe import ModelRecipe, Outcome, Recipe

MODEL = ModelRecipe(model="test-model")
Replies = Callable[[Request[Any]], str]
Fails = Callable[[Request[Any]], str | None]


def scripted(request: Request[Any]) -> str:
    """What the scripted model answers."""
    return brain({"messages": request.messages})


class FakeCaller:
    """Asks a function. `log` holds ("asked" | "answered", request) in the order of time."""

    def __init__(
        self,
        replies: Replies = scripted,
        *,
        fails: Fails = lambda request: None,
        delays: random.Random | None = None,
    ) -> None:
        self.endpoint = Endpoint(model="test-model", base_url="http://localhost:1/v1")
        self.replies, self._fails, self._delays = replies, fails, delays
        self.log: list[tuple[str, Request[Any]]] = []

    @property
    def requests(self) -> list[Request[Any]]:
        return [request for what, request in self.log if what == "asked"]

    def asked(self, purpose: str) -> list[Request[Any]]:
        return [request for request in self.requests if request.purpose == purpose]

    async def ask(self, request: Request[Form]) -> Answer[Form]:
        self.log.append(("asked", request))
        await asyncio.sleep(self._delays.uniform(0.01, 10) if self._delays else 0)
        self.log.append(("answered", request))
        reason = self._fails(request)
        if reason is not None:
            raise CallFailed(reason)
        usage = Usage(prompt=1000, completion=100)
        reply = Reply(
            text=self.replies(request),
            finish_reason="stop",
            refusal=None,
            usage=usage,
            usage_is_estimated=False,
            seconds=0.1,
        )
        return Answer(form=read(reply, request.form), usage=usage, from_ledger=False)


def as_caller(fake: FakeCaller) -> Caller:
    return cast(Caller, fake)


def panel(writer: FakeCaller, judge: FakeCaller | None = None) -> Panel:
    return Panel(writer=as_caller(writer), judge=as_caller(judge) if judge else None)


def book_document(seed: int = 0, *, paragraphs: int = 12, **facts: Any) -> Document:
    """An invented book with four chapters."""
    blocks = []
    for part in book(seed, paragraphs=paragraphs).split("\n\n"):
        if part.startswith("CHAPTER"):
            number = part.split()[1]
            blocks.append(Block(part, role="heading", level=1, number=number, kind="chapter"))
        else:
            blocks.append(Block(part))
    given = {"title": f"Chronicle {seed}", "kind": "book", "source": "b.txt", "sha256": "0" * 64}
    return assemble(blocks, **{**given, **facts})


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.load(None)


def recipe(**changes: Any) -> Recipe:
    return Recipe(**{"ctx": (1024,), "per_document": 10, "model": MODEL, **changes})


def prepared(document: Document, made: Recipe) -> Prepared:
    return prepare(document, (source_record(document),), tokenizer(), made)


async def held(
    document: Document, made: Recipe, writer: FakeCaller, judge: FakeCaller | None = None
) -> tuple[Outcome, Interview]:
    """One whole interview."""
    interview = Interview(prepared(document, made), made, panel(writer, judge))
    return await interview.hold(), interview


def items(*made: tuple[str, str, list[str]]) -> str:
    """The reply to "write": question, answer and quotes of each item."""
    return json.dumps(
        {"items": [{"question": q, "answer": a, "quotes": quotes} for q, a, quotes in made]}
    )
