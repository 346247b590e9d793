"""Calls and decisions for tests of what is kept of them."""

from __future__ import annotations

import dataclasses

from longqa.llm.records import Call, Decision, Reply, Usage

REPLY = Reply(
    text='{"items": []}',
    finish_reason="stop",
    refusal=None,
    usage=Usage(prompt=9000, completion=700, cached=8000),
    usage_is_estimated=False,
    seconds=3.25,
)
CALL = Call(
    key="0" * 32,
    model="m",
    purpose="write",
    document_id="book",
    kind="order",
    prefix_sha="a" * 32,
    task="Write three questions.",
    attempt=0,
    max_tokens=4096,
    temperature=0.7,
    outcome="answered",
    detail="",
    reply=REPLY,
    usd=0.004,
    started=1.7e9,
    seconds=3.5,
)


def call(**changes: object) -> Call:
    """An answered call with some of it changed."""
    return dataclasses.replace(CALL, **changes)  # type: ignore[arg-type]


def decision(verdict: str, *, document_id: str = "book", kind: str = "order") -> Decision:
    return Decision(document_id=document_id, kind=kind, question="Who?", verdict=verdict)
