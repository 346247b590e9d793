"""Texts → their token ids, exact, in order, in several processes and in bounded memory.

    for stretch in encoded(texts, tokenizer, workers=4):   # texts of any length
        stretch.text.id, stretch.ids, stretch.is_last      # the ids of a text: all its stretches

A long text is dealt out in stretches of some 250,000 characters, cut where no token can stand
(`safe_cuts`): a single book keeps all workers busy, and a text of 100 MB takes no more memory than
its characters. Samples of it are held against an encoding in one piece before it is cut; a text
that differs is one stretch, and so is every text where a tokenizer has no known safe cuts. What
cannot be encoded comes as a stretch with a `problem`, its text's last.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np

from longdata.encoding import Encoder, Ids
from longdata.errors import SourceError, UserError
from longdata.safe_cuts import CutRule, holds
from longdata.tokenizers import Tokenizer, single_threaded
from longdata.verbatim import Text
from longdata.workers import interrupts_held

STRETCH = 250_000  # characters; the encodings take some 50 MB
SAMPLE = 4_000  # characters, of each STRETCH, for which pieces and whole are compared
AHEAD = 3  # tasks under way for each worker

_Part = tuple[Text, bool]  # whose it is, and whether it is its last
_Task = tuple[list[_Part], list[str]]
_Answer = Ids | SourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The ids of a part of a text, or why the text has none."""

    text: Text
    ids: Ids
    is_last: bool
    problem: SourceError | None = None


def encoded(texts: Iterable[Text], tokenizer: Tokenizer, *, workers: int) -> Iterator[Stretch]:
    """The ids of every text, in the order of the texts, whatever the number of workers.

    With one worker everything happens in this process. UserError: a worker was killed.
    """
    single_threaded()
    failed: Text | None = None  # its other stretches are of no use
    for (text, is_last), answer in _answers(_tasks(texts, tokenizer), tokenizer, workers):
        if text is failed:
            continue
        if isinstance(answer, SourceError):
            failed = text
            nothing = np.zeros(0, np.uint32)
            yield Stretch(text=text, ids=nothing, is_last=True, problem=answer)
        else:
            yield Stretch(text=text, ids=answer, is_last=is_last)


def _tasks(texts: Iterable[Text], tokenizer: Tokenizer) -> Iterator[_Task]:
    """About STRETCH characters each: a part of a long text, or several short texts."""
    parts: list[_Part] = []
    strings: list[str] = []
    size = 0
    for text in texts:
        for string, is_last in stretches_of(text.text, tokenizer):
            parts.append((text, is_last))
            strings.append(string)
            size += len(string)
            if size >= STRETCH:
                yield parts, strings
                parts, strings, size = [], [], 0
    if parts:
        yield parts, strings


def stretches_of(text: str, tokenizer: Tokenizer) -> Iterator[tuple[str, bool]]:
    """(what is encoded, is it the last): the ids, one after the other, are those of the text."""
    rule = tokenizer.cut_rule
    if len(text) <= STRETCH or isinstance(rule, str) or not _samples_hold(text, tokenizer, rule):
        yield text, True
        return
    yield from rule.parts(text, STRETCH)


def _samples_hold(text: str, tokenizer: Tokenizer, rule: CutRule) -> bool:
    """Whether samples of the text have the ids of their pieces, cut at every safe cut."""
    for place in range(0, len(text) - SAMPLE, STRETCH):
        start = next(rule.positions(text, place), len(text))
        end = next(rule.positions(text, start + SAMPLE), len(text))
        if end - start > STRETCH:
            continue  # a stretch without cuts
        try:
            if not holds(tokenizer.hf, rule, rule.space + text[start + 1 : end]):
                return False
        except TypeError:
            return False  # half a character: whoever encodes it says where
    return True


def _answers(
    tasks: Iterator[_Task], tokenizer: Tokenizer, workers: int
) -> Iterator[tuple[_Part, _Answer]]:
    if workers == 1:
        encoder = Encoder(tokenizer)
        for parts, strings in tasks:
            yield from zip(parts, encoder.many(strings), strict=True)
        return
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),  # a fork may hang in the tokenizer
        initializer=_begin,
        initargs=(tokenizer,),
    )
    under_way: deque[tuple[list[_Part], Future[list[_Answer]]]] = deque()
    try:
        for parts, strings in tasks:
            with interrupts_held():
                under_way.append((parts, pool.submit(_work, strings)))
            if len(under_way) >= AHEAD * workers:
                yield from _oldest(under_way)
        while under_way:
            yield from _oldest(under_way)
    except BrokenProcessPool as error:
        raise UserError(
            "got a worker process that was killed, mostly for want of memory; allowed: about 300 "
            f"MB for each worker; fix: fewer than --workers {workers}"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _oldest(
    under_way: deque[tuple[list[_Part], Future[list[_Answer]]]],
) -> Iterator[tuple[_Part, _Answer]]:
    parts, future = under_way.popleft()
    return zip(parts, future.result(), strict=True)


_encoder: Encoder | None = None  # of a worker process


def _begin(tokenizer: Tokenizer) -> None:
    global _encoder
    single_threaded()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _encoder = Encoder(tokenizer)


def _end_with_parent() -> None:
    """A worker without a parent would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(strings: list[str]) -> list[_Answer]:
    assert _encoder is not None
    return _encoder.many(strings)
