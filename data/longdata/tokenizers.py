"""Tokens, counted exactly: any tokenizer by name, and many spans of one document at once.

    tokenizer = Tokenizer.load(None)           # Mistral 7B's, out of an installed package
    tokenizer.count("a long text")             -> 3
    ruler = Ruler(tokenizer, document.text)
    ruler.count(["Read this.\n", (1000, 64_000), "\nWhat is it about?"])
        == tokenizer.count("Read this.\n" + document.text[1000:64_000] + "\nWhat is it about?")

`Ruler` cuts a document wherever no token can stand (`safe_cuts`: at nearly every space), counts
each distinct piece once and keeps the running sum. A span is then two short ends, counted piece by
piece out of a dictionary, and one difference. Where a tokenizer has no known safe cuts, every count
encodes in full: `ruler.exact_by` says "full" instead of "pieces".

Processes: `tokenizers` keeps a thread pool, and a fork after the pool has started can hang. Call
`single_threaded()` first thing in the parent and in workers.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from tokenizers import Encoding
from tokenizers import Tokenizer as HFTokenizer

from longdata.errors import SourceError
from longdata.safe_cuts import CutRule, find_rule
from longdata.tokenizer_files import find_file, read_file

DEFAULT_NAME = "mistral-7b-v0.1"

EVERY = 1_000  # characters between two remembered cuts; the ends of a span are half of it
BLOCK = 1_000_000  # characters of a document that are in pieces at one time
BATCH = 256  # texts encoded in one call; bounds the memory that the encodings take
LARGEST_PIECE = 6_000_000  # bytes; encoding takes 100 to 300 bytes of memory for each
CHECK_EVERY = 300_000  # characters per check that pieces and whole agree
MOST_KNOWN = 400_000  # pieces whose counts are kept from document to document, about 40 MB
LONGEST_KNOWN = 64  # characters


def single_threaded() -> None:
    """Keep `tokenizers` from starting threads in this process and in those it starts.

    Must run before the first batch is encoded. Work is divided between processes here, and a
    process forked while the pool's threads hold a lock waits for that lock for ever.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Tokenizer:
    """A tokenizer that counts without special tokens.

    `fingerprint` is the SHA-256 of the file it was read from (tokenizer.json or the .model).
    `tokens_added_per_row` is how many tokens (BOS, EOS) its own rules put around one text when a
    model is fed; `count` and `encode` leave them out, so a budget that is a model's window is
    `window - tokens_added_per_row` of counted tokens.
    """

    name: str
    fingerprint: str
    vocab_size: int
    bos_id: int | None
    bos_token: str | None
    eos_id: int | None
    eos_token: str | None
    tokens_added_per_row: int
    hf: HFTokenizer = field(repr=False)

    @classmethod
    def load(cls, name: str | Path | None = None) -> Tokenizer:
        """The tokenizer `name` means: a folder, a file, a Hub id; None is the default, offline.

        Raises UserError when there is none of that name or its file is damaged.
        """
        called = DEFAULT_NAME if name is None else str(name)
        file = read_file(find_file(name), called)
        return cls(
            name=called,
            fingerprint=file.fingerprint,
            vocab_size=file.hf.get_vocab_size(with_added_tokens=True),
            bos_id=file.bos[0] if file.bos else None,
            bos_token=file.bos[1] if file.bos else None,
            eos_id=file.eos[0] if file.eos else None,
            eos_token=file.eos[1] if file.eos else None,
            tokens_added_per_row=file.hf.num_special_tokens_to_add(False),
            hf=file.hf,
        )

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, without special tokens around it; raises like `count`."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of each text."""
        return [list(encoding.ids) for encoding in self._encodings(texts)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens written out."""
        return self.hf.decode(list(ids), skip_special_tokens=False)

    def count(self, text: str) -> int:
        """len(encode(text)). Raises SourceError for a str that is no Unicode text."""
        return self.count_many([text])[0]

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """`count` of each text."""
        return [len(encoding) for encoding in self._encodings(texts)]

    def _encodings(self, texts: Sequence[str]) -> Iterator[Encoding]:
        for first in range(0, len(texts), BATCH):
            batch = list(texts[first : first + BATCH])
            try:
                yield from self.hf.encode_batch_fast(batch, add_special_tokens=False)
            except TypeError:
                _refuse_half_characters(batch)
                raise

    @cached_property
    def cut_rule(self) -> CutRule | str:
        """Where texts may be cut for this tokenizer, or the reason why nowhere."""
        return find_rule(self.hf)

    @cached_property
    def known(self) -> dict[str, int]:
        """Pieces that stand behind a safe cut, without the space -> their tokens with it."""
        return {}


class Ruler:
    """Counts spans of one document as they stand in a row: exact, and fast where it can be.

    `exact_by` is "pieces" or "full"; `why_full` is the reason for "full" and else "".
    `total` is the number of tokens of the whole document.

    Raises SourceError for a document that has no Unicode text, or that cannot be cut for many
    millions of characters, which takes more memory to count than a worker may use.
    """

    def __init__(self, tokenizer: Tokenizer, text: str) -> None:
        self.tokenizer = tokenizer
        self.text = text
        rule = tokenizer.cut_rule
        self._rule = None if isinstance(rule, str) else rule
        self.why_full = rule if isinstance(rule, str) else ""
        self._measure()
        if not self._agrees_with_whole():
            self.why_full = "the tokens of this document are not those of its pieces"
            self._rule = None
            self._measure()
        self.exact_by = "full" if self.why_full else "pieces"

    def _measure(self) -> None:
        """Remember about every EVERY characters a cut, and how many tokens stand before it."""
        self._cuts: list[int] = []
        self._before: list[int] = []
        self.total = 0
        start = 0
        while start <= len(self.text):
            end = self._block_end(start)
            pieces = self._pieces(self.text[start:end])
            cuts = start - 1 + np.cumsum(np.fromiter(map(len, pieces), np.int64) + 1)
            before = self.total + np.cumsum(self._counts(pieces, at_start=start == 0))
            changes = np.diff(cuts // EVERY, prepend=start // EVERY) > 0
            kept = np.flatnonzero(changes & (cuts < len(self.text)))
            self._cuts.extend(cuts[kept].tolist())
            self._before.extend(before[kept].tolist())
            self.total = int(before[-1])
            start = end + 1  # behind the space of the cut

    def _block_end(self, start: int) -> int:
        if self._rule is None:
            return len(self.text)
        return next(self._rule.positions(self.text, start + BLOCK), len(self.text))

    def _pieces(self, text: str) -> list[str]:
        return [text] if self._rule is None else self._rule.split(text)

    def _counts(self, pieces: list[str], *, at_start: bool) -> list[int]:
        """Tokens of each piece; with `at_start` nothing stands before the first, else a cut."""
        if at_start and (self._rule is None or self._rule.space):
            _refuse_too_long(pieces[:1])
            return [self.tokenizer.count(pieces[0]), *self._counts(pieces[1:], at_start=False)]
        known = self.tokenizer.known
        new = list(set(pieces).difference(known))  # in no fixed order, and none is needed
        if not new:
            return list(map(known.__getitem__, pieces))
        _refuse_too_long(new)
        if len(known) + len(new) > MOST_KNOWN:
            known.clear()
            new = list(set(pieces))
        space = self._rule.space if self._rule else ""
        counts = self.tokenizer.count_many([space + piece for piece in new])
        known.update(zip(new, counts, strict=True))
        result = list(map(known.__getitem__, pieces))
        for piece in new:
            if len(piece) > LONGEST_KNOWN:
                del known[piece]
        return result

    def _agrees_with_whole(self) -> bool:
        """Spot check: some 3,000 characters, encoded as one, in every CHECK_EVERY characters."""
        if self._rule is None:
            return True
        for first in range(0, len(self._cuts) - 3, CHECK_EVERY // EVERY):
            whole = self.text[self._cuts[first] + 1 : self._cuts[first + 3]]
            counted = self.tokenizer.count(self._rule.space + whole)
            if counted != self._before[first + 3] - self._before[first]:
                return False
        return True

    def count(self, parts: Sequence[str | tuple[int, int]]) -> int:
        """Tokens of the parts joined; (start, end) stands for text[start:end].

        Equal to `tokenizer.count` of the joined text, always. Raises ValueError for a slice
        outside the document.
        """
        inside = 0
        ends: list[str] = []  # between safe cuts or the row's own ends
        open_end: list[str] = []
        for part in parts:
            if isinstance(part, str):
                open_end.append(part)
                continue
            start, end = part
            if not 0 <= start <= end <= len(self.text):
                raise ValueError(f"({start}, {end}) is no slice of {len(self.text)} characters")
            # A cut is safe while the characters before, at and after it are in the slice.
            first = bisect_left(self._cuts, start + 1)
            last = bisect_right(self._cuts, end - 2) - 1
            if last <= first:
                open_end.append(self.text[start:end])
                continue
            ends.append("".join([*open_end, self.text[start : self._cuts[first]]]))
            inside += self._before[last] - self._before[first]
            open_end = [self.text[self._cuts[last] + 1 : end]]
        ends.append("".join(open_end))
        return inside + sum(
            sum(self._counts(self._pieces(text), at_start=index == 0))
            for index, text in enumerate(ends)
        )

    def tokens_before(self, offset: int) -> int:
        """About how many tokens text[:offset] has: exact at cuts, in proportion between them."""
        at = bisect_right(self._cuts, offset)
        low = self._cuts[at - 1] if at else 0
        high = self._cuts[at] if at < len(self._cuts) else len(self.text)
        below = self._before[at - 1] if at else 0
        above = self._before[at] if at < len(self._before) else self.total
        return below + (above - below) * (offset - low) // max(1, high - low)

    def longest_end(
        self, start: int, ends: Sequence[int], budget: int, prefix: str, suffix: str
    ) -> int | None:
        """The index of the last of `ends` whose row fits: prefix + text[start:end] + suffix.

        `ends` are sorted. The row of the returned end has `budget` tokens or fewer, and the row of
        the next end has more; None when not even the first end at or after `start` fits.
        """
        lowest = bisect_left(ends, start)

        def fits(index: int) -> bool:
            return self.count([prefix, (start, ends[index]), suffix]) <= budget

        room = budget - self.count([prefix, suffix])
        goal = self.tokens_before(start) + room
        guess = bisect_right(ends, goal, lo=lowest, key=self.tokens_before) - 1
        last = _last_true(fits, max(guess, lowest), lowest, len(ends))
        return last if last >= lowest else None


def _last_true(holds: Callable[[int], bool], guess: int, low: int, high: int) -> int:
    """The last index in [low, high) where `holds` is true and is not at the next; low - 1 if none.

    Asks near `guess` first, then at doubling distances, then halves what is left.
    """
    if low >= high:
        return low - 1
    step = 1
    if holds(guess):
        yes, no = guess, guess + 1
        while no < high and holds(no):
            yes, no, step = no, no + 2 * step, 2 * step
        no = min(no, high)
    else:
        yes, no = guess - 1, guess
        while yes >= low and not holds(yes):
            yes, no, step = yes - 2 * step, yes, 2 * step
        yes = max(yes, low - 1)
    while no - yes > 1:
        middle = (yes + no) // 2
        if holds(middle):
            yes = middle
        else:
            no = middle
    return yes


def _refuse_too_long(pieces: list[str]) -> None:
    for piece in pieces:
        if 4 * len(piece) > LARGEST_PIECE and len(piece.encode(errors="replace")) > LARGEST_PIECE:
            raise SourceError(
                "too long to count",
                f"{len(piece):,} characters in which this tokenizer gives no place to cut",
            )


def _refuse_half_characters(texts: Sequence[str]) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as why:
            raise SourceError(
                "damaged", f"half a character at {why.start:,}: {why.reason}"
            ) from why
