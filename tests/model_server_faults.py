"""What goes wrong on a server, on demand: which request is hit, and with what.

    Fault("500", every=10)              # each tenth request
    Fault("429", at=(3, 5))             # the third and the fifth that come in
    Fault("hang", first=2)              # the first two
    Fault("half json", share=0.1)       # a tenth of the prompts, chosen by their hash
    Fault("reset", share=0.1, times=1)  # each of them only once: the repetition is answered

Requests are counted from 1, as they arrive. The same prompts are hit in every run.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Instead of an answer.
BROKEN = (
    "429",
    "429 with pause",
    "503",
    "500",
    "401",
    "404",
    "hang",
    "reset",
    "close",
    "half json",
    "empty choices",
    "html",
    "drip",
    "huge",
    "error in 200",
    "echo key",
    "no credit",
)
# In the answer.
ODD = (
    "wrong schema",
    "no json",
    "refusal",
    "refusal in text",
    "cut short",
    "think",
    "no usage",
    "bad usage",
    "parts",
    "null content",
)


@dataclass(frozen=True)
class Fault:
    """A kind of `BROKEN` or `ODD`, and the requests it hits; `below`: of less max_tokens only."""

    kind: str
    at: tuple[int, ...] = ()
    every: int = 0
    first: int = 0
    share: float = 0.0
    above: float = 0.0  # leaves out this share: two faults with other prompts each
    times: int = 0  # 0: always
    below: int = 0

    def __post_init__(self) -> None:
        assert self.kind in BROKEN + ODD, f"no fault {self.kind!r}"

    def hits(self, number: int, prompt_sha: bytes, max_tokens: int) -> bool:
        if self.below and max_tokens >= self.below:
            return False
        return (
            number in self.at
            or number <= self.first
            or (self.every > 0 and number % self.every == 0)
            or self.above <= int.from_bytes(prompt_sha[:4]) / 2**32 < self.share
        )


class Schedule:
    """The faults of a server, in order: the first that hits a request is the one."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults
        self._done: Counter[tuple[int, bytes]] = Counter()

    def pick(self, number: int, prompt: str, max_tokens: int) -> str | None:
        if not self._faults:
            return None
        sha = hashlib.sha256(prompt.encode("utf-8", "replace")).digest()
        for index, fault in enumerate(self._faults):
            if fault.times and self._done[index, sha] >= fault.times:
                continue
            if fault.hits(number, sha, max_tokens):
                self._done[index, sha] += 1
                return fault.kind
        return None


def odd_message(kind: str, content: str) -> tuple[dict[str, Any], str]:
    """The message of an answer with something odd in it, and its finish reason."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if kind == "wrong schema":
        message["content"] = '{"something": "else"}'
    elif kind == "no json":
        message["content"] = "Here is what you asked for."
    elif kind == "refusal":
        message.update(content=None, refusal="I will not do that.")
    elif kind == "refusal in text":
        message["content"] = "I'm sorry, but I can't help with that."
    elif kind == "cut short":
        message["content"] = content[: len(content) // 2]
        return message, "length"
    elif kind == "think":
        message["content"] = f'<think>The form is {{"items": []}}, or so.</think>\n{content}'
    elif kind == "parts":
        half = len(content) // 2
        message["content"] = [{"type": "text", "text": t} for t in (content[:half], content[half:])]
    elif kind == "null content":
        message["content"] = None
    return message, "stop"
