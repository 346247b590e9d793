"""A backend that answers by a function, in batches, and keeps count of what it was asked.

backend = Scripted(lambda text: "The first topic was tea.", ctx=1000)
list(backend.replies(prompts))      words are its tokens; what is longer than ctx is refused
backend.asked                       -> how often it was asked
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from longeval.ask import TOO_LONG, Prompt, Reply


class Scripted:
    """A `Backend`. `dies_after`: raises when it has given so many replies."""

    def __init__(
        self,
        brain: Callable[[str], str],
        *,
        ctx: int = 10**9,
        name: str = "scripted",
        dies_after: int | None = None,
    ) -> None:
        self._brain, self._ctx, self._dies_after = brain, ctx, dies_after
        self.key = f"scripted {name}"
        self.model: dict[str, Any] = {"name": name, "fingerprint": name}
        self.protocol = {"template": "raw", "decoding": "scripted"}
        self.asked = 0

    def count(self, text: str, max_new_tokens: int) -> int:
        return len(text.split()) + max_new_tokens

    def show(self, text: str) -> str:
        return text

    def answer_ids(self, text: str) -> list[int] | None:
        return None

    def replies(self, prompts: Sequence[Prompt]) -> Iterator[Reply]:
        for prompt in prompts:
            if self.count(prompt.text, prompt.max_new_tokens) > self._ctx:
                yield Reply(id=prompt.id, refused=TOO_LONG)
                continue
            if self.asked == self._dies_after:
                raise KeyboardInterrupt
            self.asked += 1
            yield Reply(
                id=prompt.id, text=self._brain(prompt.text), prompt_tokens=len(prompt.text.split())
            )
