"""What goes to a language model and what comes back.

    task    Request(system=…, prefix="…the document…", task="…what to do with it…", form=Written)
    wire    [{"role": "system", "content": system}, {"role": "user", "content": prefix + task}]
    answer  Answer(form=Written(items=[…]), usage=Usage(…), …)

The document stands in `prefix`, before everything that differs between two requests about it, so
that a server's prefix cache is filled once for all of them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

Form = TypeVar("Form", bound=BaseModel)
# What a call is for. The first three carry the document, the others do not.
Purpose = Literal["write", "look", "closed book", "passage", "compare", "judge"]


@dataclass(frozen=True, kw_only=True)
class Request(Generic[Form]):
    """One question to a model; two that are equal in `key` would be answered alike.

    `form` is the pydantic model that the answer must fit. `max_tokens` bounds the answer.
    `attempt` counts repetitions of an otherwise equal request: it changes the key, not what is
    sent. `document_id`, `kind` and `purpose` only say what the call was for.
    """

    purpose: Purpose
    document_id: str
    kind: str
    system: str
    prefix: str
    task: str
    form: type[Form]
    max_tokens: int
    temperature: float
    attempt: int = 0

    @property
    def messages(self) -> list[dict[str, str]]:
        """As the wire format has them."""
        return [
            {"role": "system", "content": self.system},
            {"role": "user", "content": self.prefix + self.task},
        ]

    @cached_property
    def prefix_sha(self) -> str:
        """Equal for all requests that share a server's prefix cache."""
        return _sha(self.system, self.prefix)

    def key(self, model: str) -> str:
        """The name of the answer: a hash of model, text, parameters and form, of nothing else."""
        parameters = {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "attempt": self.attempt,
            "schema": self.schema,
        }
        return _sha(model, self.prefix_sha, self.task, json.dumps(parameters, sort_keys=True))

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the answer, as a server is sent it."""
        from longqa.llm.replies import schema_of

        return schema_of(self.form)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the server counts them; `cached` of the prompt came from its prefix cache."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server said, before anything is made of it. `seconds` is the call's duration."""

    text: str
    finish_reason: str  # "stop", "length", "content_filter", …
    refusal: str | None  # the wire format's own field
    usage: Usage
    usage_is_estimated: bool  # the server did not say; counted from characters
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[Form]):
    """A reply that fits its form."""

    form: Form
    usage: Usage
    from_ledger: bool  # paid for in an earlier run, or by another question of this one


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One line of the ledger: a request that reached the server, or tried to.

    `outcome` is "answered", or the reason of the failure. The prompt is kept as the hash of its
    shared part and the text of the rest; `text` is the reply as it came.
    """

    key: str
    model: str
    purpose: Purpose
    document_id: str
    kind: str
    prefix_sha: str
    task: str
    attempt: int
    max_tokens: int
    temperature: float
    outcome: str
    detail: str
    reply: Reply | None  # None: there was none
    usd: float | None  # None: no price was given
    started: float  # seconds since 1970
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of one candidate question; `verdict` is "kept" or the reason to reject it."""

    document_id: str
    kind: str
    question: str
    verdict: str
    scores: str = ""  # the judge's, as JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars for a million tokens."""

    prompt: float
    completion: float
    cached: float | None = None  # None = as `prompt`

    def of(self, usage: Usage) -> float:
        """What a call cost, in US dollars."""
        cached = self.prompt if self.cached is None else self.cached
        fresh = usage.prompt - usage.cached
        return (
            fresh * self.prompt + usage.cached * cached + usage.completion * self.completion
        ) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model on a server. The key is read from the environment, and is in no repr."""

    model: str
    base_url: str  # "http://localhost:8000/v1", without credentials
    key_variable: str = "OPENAI_API_KEY"
    price: Price | None = None
    timeout: float = 600.0  # seconds for one call, from its start to its last byte
    concurrency: int = 256  # most calls at once; how many the server takes is found out


class CallFailed(Exception):
    """One request got no usable answer; the run goes on. `reason` is counted in the account."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


class BudgetSpent(CallFailed):
    """--max-usd or --max-tokens leaves no room for this request, nor for any later one."""


def _sha(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
