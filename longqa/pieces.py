"""Many overlapping contexts of one document, each stretch of text stored once.

    pieces = Pieces()
    pieces.add("One.\\n\\nTwo.\\n\\nThree.")      -> [0, 3]           # from piece 0, three pieces
    pieces.add("Two.\\n\\nThree.\\n\\nFour.")     -> [1, 1, 3, 2]     # then, from piece 3, two
    pieces.texts                               -> ["One.\\n\\n", "Two.\\n\\n", "Three.", …]
    restore(pieces.texts, [0, 3])              -> "One.\\n\\nTwo.\\n\\nThree."

A piece is a paragraph with the blank line after it. Long ones are cut after sentences, and after
so many characters where there are none, so that windows that begin anywhere share most pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

LONGEST = 2000  # characters

_PARAGRAPH = re.compile(r"[^\n]*(?:\n(?!\n)[^\n]*)*(?:\n\n+|\Z)")
_SENTENCE = re.compile(r"[^.!?\n]*(?:[.!?\n]\s*|\Z)")


class Pieces:
    """The pieces of one document's contexts, in order of first appearance."""

    def __init__(self) -> None:
        self._place: dict[str, int] = {}

    @property
    def texts(self) -> list[str]:
        """The distinct pieces; their places are what `add` returns."""
        return list(self._place)

    def add(self, context: str) -> list[int]:
        """Runs of pieces that make up the context: first place and number of each run, flat."""
        runs: list[int] = []
        for piece in split(context):
            place = self._place.setdefault(piece, len(self._place))
            if runs and runs[-2] + runs[-1] == place:
                runs[-1] += 1
            else:
                runs += (place, 1)
        return runs


def restore(texts: Sequence[str], runs: Sequence[int]) -> str:
    """The context that `Pieces.add` returned these runs for."""
    pairs = zip(runs[::2], runs[1::2], strict=True)
    return "".join("".join(texts[first : first + count]) for first, count in pairs)


def split(text: str) -> Iterator[str]:
    """The pieces of a text; joined they are the text again."""
    for paragraph in _PARAGRAPH.findall(text):
        parts = [paragraph] if len(paragraph) <= LONGEST else _SENTENCE.findall(paragraph)
        for part in parts:
            for start in range(0, len(part), LONGEST):
                yield part[start : start + LONGEST]
