"""A seeded draw of so many documents out of a stream whose length nobody knows.

    draw = Draw(limit=128, seed=0)
    if draw.wants(text_id): …          # False: it has lost already, its tokens need not be kept
    draw.add(document)                 # it stays in as long as it is among the 128
    draw.chosen                        -> the 128, in the order of the stream

Each document has a rank, a hash of the seed and of the id of its text, and the lowest ranks win. So
the choice depends neither on the order of the documents nor on how they lie in files, and one more
document changes one place at most.
"""

from __future__ import annotations

import hashlib
import heapq

from longdata.eval_tokens import EvalDocument


class Draw:
    """The `limit` documents with the lowest ranks; None takes all."""

    def __init__(self, *, limit: int | None, seed: int) -> None:
        self._limit = limit
        self._seed = seed
        self._held: list[tuple[int, int, EvalDocument]] = []  # a heap, the highest rank first

    def wants(self, id: str) -> bool:
        """Whether a document of this id would be chosen if the stream ended here."""
        if self._limit is None or len(self._held) < self._limit:
            return True
        return self.rank(id) < -self._held[0][0]

    def add(self, document: EvalDocument) -> None:
        if self._limit is None:
            self._held.append((0, document.start, document))
            return
        entry = (-self.rank(document.id), document.start, document)
        if len(self._held) < self._limit:
            heapq.heappush(self._held, entry)
        else:
            heapq.heappushpop(self._held, entry)

    def rank(self, id: str) -> int:
        digest = hashlib.sha256(f"{self._seed} {id}".encode()).digest()
        return int.from_bytes(digest[:16], "big")

    @property
    def chosen(self) -> list[EvalDocument]:
        return sorted((entry[2] for entry in self._held), key=lambda document: document.start)
