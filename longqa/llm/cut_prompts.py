"""Finds servers that cut a prompt to their own context and answer as if nothing had happened.

    prompts = CutPrompts()
    prompts.see(request, 90_000, counted=4_096)     -> True: 22 bytes for a token is no text
    prompts.see(request, 18_000, counted=4_096)     -> False: 4.4 is
    … seven more of 16,000 to 40,000 bytes, each counted 4,096   -> True at the eighth

Ollama does so: what does not fit its `num_ctx` is left out, and the questions are then about half a
document. Two signs are taken for certain:

1. More than 12 bytes of UTF-8 for each token counted. English has 4 to 5, Chinese 3 to 5, Russian 6
   to 8, Hindi with a vocabulary of 200,000 about 9; rows of dots or blanks, which have more, are
   first shortened. Bytes do for all scripts what characters would do for one.
2. Eight different documents, at least a tenth apart in size, of exactly the same count, and no
   larger one counted otherwise: that number is the server's context, not theirs.

Only the first request with a prefix is looked at: a server that leaves tokens of its prefix cache
out of its count (early Ollama) says the truth there. No count at all says nothing.
"""

from __future__ import annotations

import re
from typing import Any

from longqa.llm.records import Request

MOST_BYTES_PER_TOKEN = 12
_SHORT = 4_000  # bytes; below, chat templates and rounding weigh too much
_DOCUMENTS = 8
_APART = 1.1
_FEWEST_TOKENS = 1_024  # no server has less context than this
_ROWS = re.compile(r"([^\w])\1+")


class CutPrompts:
    """Watches the counts of one server."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._count = self._documents = self._smallest = self._largest = 0

    def see(self, request: Request[Any], num_bytes: int, *, counted: int) -> bool:
        """Whether this reply proves that its prompt was cut; `num_bytes` of UTF-8 were sent."""
        if num_bytes < _SHORT or request.prefix_sha in self._seen:
            return False
        self._seen.add(request.prefix_sha)
        if num_bytes > counted * MOST_BYTES_PER_TOKEN:
            text = request.system + request.prefix + request.task
            shortened = len(_ROWS.sub(r"\1", text).encode("utf-8", "replace"))
            if shortened >= _SHORT and shortened > counted * MOST_BYTES_PER_TOKEN:
                return True
        return self._is_full(num_bytes, counted)

    def _is_full(self, num_bytes: int, counted: int) -> bool:
        if counted == self._count:
            self._documents += 1
            self._smallest = min(self._smallest, num_bytes)
            self._largest = max(self._largest, num_bytes)
        elif counted > self._count or num_bytes >= self._smallest:
            self._count, self._documents = counted, 1
            self._smallest = self._largest = num_bytes
        return (
            counted >= _FEWEST_TOKENS
            and self._documents >= _DOCUMENTS
            and self._largest >= _APART * self._smallest
        )
