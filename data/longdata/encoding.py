"""Texts → arrays of token ids, exact, many at once and in bounded memory.

    encoder = Encoder(Tokenizer.load(None))
    encoder.many(["a page", "half a \\ud800"])    -> [array([264, 2884]), SourceError("damaged: …")]
    for ids in encoder.stretches(book):            # a text of any length, a part at a time
        …

Texts are encoded in pieces of some 2,000 characters, cut where no token can stand (`safe_cuts`):
the ids of the pieces, one after the other, are those of the whole, and are there up to four times
sooner, because a tokenizer slows down in long texts. Samples of long texts are held against an
encoding in one piece; a text that differs is encoded whole, and so is every text where no safe cuts
are known. What cannot be cut for many millions of characters is refused.

Another function that gives the same ids faster can take the place of the tokenizer's own (see
`fast_tokens`); it owes the same SourceError for what is no Unicode text. One that does not slow
down in long texts is called less often, with larger pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from longdata.errors import SourceError
from longdata.tokenizers import LARGEST_PIECE, Tokenizer

Ids = NDArray[np.uint32]
Encode = Callable[[Sequence[str]], Sequence[Sequence[int] | Ids]]

PIECE = 2_000  # characters
LONG = 500_000  # characters that are encoded at once: 50 to 150 MB of memory
CHECK_FROM = 50_000  # characters of a text that is sampled
CHECK_EVERY = 200_000  # characters for each sample


class Encoder:
    """Encodes without special tokens, like `Tokenizer.encode`. For one process."""

    def __init__(
        self, tokenizer: Tokenizer, encode: Encode | None = None, *, piece: int = PIECE
    ) -> None:
        self.tokenizer = tokenizer
        self._encode = encode or tokenizer.encode_batch
        self._piece = piece
        rule = tokenizer.cut_rule
        self._rule = None if isinstance(rule, str) else rule

    def many(self, texts: Sequence[str]) -> list[Ids | SourceError]:
        """The ids of each text, or why it has none; meant for texts shorter than LONG."""
        try:
            return self._many(texts)
        except SourceError as error:
            if len(texts) == 1:
                return [error]
        return [found for text in texts for found in self.many([text])]

    def stretches(self, text: str) -> Iterator[Ids]:
        """The ids of a text, one part after the other. Raises SourceError, also after some parts:
        "damaged" for what is no Unicode text, "too long to encode" where it cannot be cut."""
        held: list[str] = []
        size = 0
        for piece in self._checked_pieces(text):
            if held and size + len(piece) > LONG:
                yield self._joined(held)
                held, size = [], 0
            held.append(piece)
            size += len(piece)
        yield self._joined(held)

    def _many(self, texts: Sequence[str]) -> list[Ids | SourceError]:
        pieces = [list(self._checked_pieces(text)) for text in texts]
        ids = iter(self._encode([piece for of_text in pieces for piece in of_text]))
        return [_array([next(ids) for _ in of_text]) for of_text in pieces]

    def _joined(self, pieces: Sequence[str]) -> Ids:
        return _array(self._encode(pieces))

    def _checked_pieces(self, text: str) -> Iterator[str]:
        if len(text) < CHECK_FROM or self._samples_agree(text):
            return self._pieces(text)
        return iter([_bounded(text)])

    def _pieces(self, text: str) -> Iterator[str]:
        """What is encoded in place of the text; a piece from behind a cut has its space back."""
        if self._rule is None:
            return iter([_bounded(text)])
        return (_bounded(piece) for piece, _ in self._rule.parts(text, self._piece))

    def _cut(self, text: str, position: int) -> int:
        if self._rule is None or position >= len(text):
            return len(text)
        return next(self._rule.positions(text, position), len(text))

    def _samples_agree(self, text: str) -> bool:
        """Whether two pieces are the same in one, again and again through the text."""
        if self._rule is None:
            return True
        for position in range(0, len(text) - 2 * PIECE, CHECK_EVERY):
            first = self._cut(text, position)
            middle = self._cut(text, first + PIECE)
            last = self._cut(text, middle + PIECE)
            if last == len(text):
                break
            space = self._rule.space
            whole, *parts = self._encode(
                [
                    _bounded(space + text[first + 1 : last]),
                    space + text[first + 1 : middle],
                    space + text[middle + 1 : last],
                ]
            )
            if not np.array_equal(_array([whole]), _array(parts)):
                return False
        return True


def _array(parts: Sequence[Sequence[int] | Ids]) -> Ids:
    return np.concatenate([np.empty(0, np.uint32), *(np.asarray(ids, np.uint32) for ids in parts)])


def _bounded(piece: str) -> str:
    if 4 * len(piece) > LARGEST_PIECE and len(piece.encode(errors="replace")) > LARGEST_PIECE:
        raise SourceError(
            "too long to encode",
            f"{len(piece):,} characters in which this tokenizer gives no place to cut",
        )
    return piece
