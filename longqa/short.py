"""Short instructions mixed into a training split, so that short chats stay as good as they were.

    file = load_short(Path("alpaca.json"), license="CC-BY-NC-4.0")
    mixed = mix(9_000, 0.25, file, seed=0, tokenizer=tokenizer, ctx=8192)
    mixed.rows[0]             -> {"question": "Name three colours.", "context": "", …}
    mixed.facts["mixed"]      -> 3000     # 3,000 of 12,000 rows are short: LongAlpaca's mix

Every row of the file that is not used is counted with its reason (longqa.short_file reads it).

Which rows are taken depends on the seed and on what the rows say, not on where they stand: rows
are ranked by a hash of seed and question, and the first ones are taken. A file that grows keeps
most of its choice.

    short / (short + long) = share   ->   short = share · long / (1 − share), the nearest integer
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from longdata.errors import UserError
from longdata.prompt_template import CHAT_MARKUP_TOKENS, SHORT, short_prompt
from longqa.facts import ShortFacts
from longqa.records import Example, Generator, SourceRecord
from longqa.short_file import ShortFile, load_short

if TYPE_CHECKING:
    from longdata.tokenizers import Tokenizer

__all__ = ["Mixed", "ShortFile", "load_short", "mix", "num_short"]

_BATCH = 256
_BATCH_CHARACTERS = 1 << 20  # encoding takes some hundred bytes of memory for each
_PER_TOKEN = 16  # a row with more characters for each token of its budget is not even counted
_BOS_AND_EOS = 2
_OVER = "over the token budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """Short rows as the Parquet schema has them, in the order of their ranks, and the account."""

    rows: tuple[dict[str, Any], ...]
    facts: ShortFacts


def num_short(long_rows: int, share: float) -> int:
    """How many short rows make `share` of the split: the nearest integer, half of one upwards."""
    if not 0 < share < 1:
        raise UserError(
            f"got --short-share {share}; allowed: more than 0 and less than 1; "
            "fix: --short-share 0.26"
        )
    exact = Fraction(str(share))
    return int(exact / (1 - exact) * long_rows + Fraction(1, 2))


def mix(
    long_rows: int, share: float, file: ShortFile, *, seed: int, tokenizer: Tokenizer, ctx: int
) -> Mixed:
    """Short rows of a file for a training split with so many long rows.

    `ctx` is the smallest budget of the recipe: longer rows are counted as skipped. Where the file
    holds too few, all are taken and facts["missing"] says how many more were asked for. UserError:
    a wrong share, a damaged file, or one without any usable row.
    """
    asked = num_short(long_rows, share)
    choice = _Choice(asked, seed)
    skipped: Counter[str] = Counter()
    read = 0
    for found in _counted(file.rows(), tokenizer, ctx):
        read += 1
        if isinstance(found, str):
            skipped[found] += 1
        elif found.row_tokens + CHAT_MARKUP_TOKENS > ctx:
            skipped[_OVER] += 1
        elif not choice.offer(found):
            skipped["duplicate"] += 1
    usable = read - skipped.total()
    if not usable:
        said = ", ".join(f"{count} {reason}" for reason, count in sorted(skipped.items()))
        raise UserError(
            f"got --mix-short {file.path}, where no row can be used ({said or 'it is empty'}); "
            "allowed: rows with instruction and output, or with messages; fix: mend the file"
        )
    source = file.source_record()
    rows = tuple(_row(taken, source, ctx) for taken in choice.taken())
    facts = ShortFacts(
        file=file.path.name,
        sha256=file.sha256,
        license=source.license,
        share=share,
        reached=round(len(rows) / (len(rows) + long_rows), 4) if rows else 0.0,
        read=read,
        usable=usable,
        skipped=dict(sorted(skipped.items())),
        asked=asked,
        mixed=len(rows),
        missing=asked - len(rows),
    )
    return Mixed(rows=rows, facts=facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    question: str
    answer: str
    row_tokens: int


class _Choice:
    """The `number` rows with the smallest hashes of their questions, each question once."""

    def __init__(self, number: int, seed: int) -> None:
        self._number, self._seed = number, seed
        self._seen: dict[bytes, bytes] = {}  # question → the smallest of its answers
        self._kept: dict[bytes, _Pair] = {}  # the first ranks, and some that came before better
        self._last: bytes | None = None  # a rank beyond which nothing is taken any more

    def offer(self, pair: _Pair) -> bool:
        """Rank a row; False when its question came before. Of two answers, a hash decides."""
        rank, answer = self._digest(pair.question), self._digest(pair.answer)
        before = self._seen.get(rank)
        if before is None or answer < before:
            self._seen[rank] = answer
            if self._last is None or rank <= self._last:
                self._kept[rank] = pair
            if len(self._kept) > 2 * self._number + _BATCH:
                self._kept = dict(sorted(self._kept.items())[: self._number])
                self._last = max(self._kept, default=b"")
        return before is None

    def taken(self) -> list[_Pair]:
        """The rows that were chosen, by rank."""
        return [self._kept[rank] for rank in sorted(self._kept)[: self._number]]

    def _digest(self, text: str) -> bytes:
        return hashlib.sha256(f"{self._seed}\x1f{text}".encode()).digest()[:16]


def _counted(
    rows: Iterator[tuple[str, str] | str], tokenizer: Tokenizer, ctx: int
) -> Iterator[_Pair | str]:
    """The rows with their exact tokens: BOS, prompt, answer, EOS."""
    batch: list[tuple[str, str]] = []
    characters = 0
    for row in rows:
        if isinstance(row, str):
            yield row
        elif sum(map(len, row)) > _PER_TOKEN * ctx:
            yield _OVER
        else:
            batch.append(row)
            characters += sum(map(len, row))
            if len(batch) >= _BATCH or characters >= _BATCH_CHARACTERS:
                yield from _pairs(batch, tokenizer)
                batch, characters = [], 0
    yield from _pairs(batch, tokenizer)


def _pairs(batch: list[tuple[str, str]], tokenizer: Tokenizer) -> Iterator[_Pair]:
    counts = tokenizer.count_many([f"{short_prompt(asked)} {said}" for asked, said in batch])
    for (question, answer), count in zip(batch, counts, strict=True):
        yield _Pair(question=question, answer=answer, row_tokens=count + _BOS_AND_EOS)


def _row(pair: _Pair, source: SourceRecord, ctx: int) -> dict[str, Any]:
    return Example(
        document_id="",
        question=pair.question,
        answer=pair.answer,
        context="",
        ctx=ctx,
        context_tokens=0,
        row_tokens=pair.row_tokens,
        question_kind=SHORT,
        material_kind=SHORT,
        is_whole=False,  # there is no document
        evidence=(),
        sources=(source,),
        generator=Generator(backend="mixed in", model=None, prompt_sha=""),
        checks={},
    ).row()
