"""Questions about where things stand: which comes first, in which chapter, what follows.

Sentences are quoted as they are; only narrated, complete ones that stand once in the text serve.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from longdata.documents import Span
from longqa.headings import labels
from longqa.phrasings import ask
from longqa.reading import Sentence
from longqa.records import Question
from longqa.spreading import spread
from longqa.view import View

_APART = 0.12  # of the view: two events this near to each other make a dull question


def order(view: View, rng: random.Random) -> Iterator[Question]:
    """Which of two sentences from different parts of the text comes first."""
    pool = list(spread(telling(view), depth=lambda s: view.depth(s.start), rng=rng))
    while len(pool) >= 2:
        one = pool.pop(0)
        far = (
            i
            for i, s in enumerate(pool)
            if abs(view.depth(s.start) - view.depth(one.start)) >= _APART
        )
        index = next(far, None)
        if index is None:
            continue
        other = pool.pop(index)
        if not (view.is_unique(one) and view.is_unique(other)):
            continue
        first = min(one, other, key=lambda s: s.start)
        yield Question(
            kind="order",
            about=f"{view.quote(first)} {view.quote(other if first is one else one)}",
            text=ask("order", rng, a=view.quote(one), b=view.quote(other)),
            answer=_verdict(view, one, other, "A" if first is one else "B"),
            evidence=tuple(
                Span(start=s.start, end=s.end) for s in sorted((one, other), key=lambda s: s.start)
            ),
        )


def _verdict(view: View, one: Sentence, other: Sentence, first: str) -> str:
    chapters = (view.chapter_at(one.start), view.chapter_at(other.start))
    named = labels(view.chapters, view.document)
    if None in chapters or chapters[0] is chapters[1] or named is None:
        return f"({first}) comes first."
    a, b = (named[section] for section in chapters if section is not None)
    return f"({first}) comes first: (A) stands in {a}, (B) in {b}."


def place(view: View, rng: random.Random) -> Iterator[Question]:
    """In which chapter or section a sentence stands."""
    named = labels(view.chapters, view.document)
    if named is None or len(named) < 2:
        return
    for sentence in spread(telling(view), depth=lambda s: view.depth(s.start), rng=rng):
        chapter = view.chapter_at(sentence.start)
        if chapter is None or chapter.kind == "abstract" or not view.is_unique(sentence):
            continue
        yield Question(
            kind="place",
            about=view.quote(sentence),
            text=ask("place", rng, part=view.part, sentence=view.quote(sentence)),
            answer=f"In {named[chapter]}.",
            evidence=(
                Span(start=chapter.start, end=chapter.body).clipped(view.document.text),
                Span(start=sentence.start, end=sentence.end),
            ),
        )


def what_follows(view: View, rng: random.Random) -> Iterator[Question]:
    """Which sentence comes right after a quoted one, in the same paragraph."""
    pairs = [
        (one, following)
        for one, following in zip(view.sentences, view.sentences[1:], strict=False)
        if one.paragraph == following.paragraph
        and one in view.reading.plain
        and following in view.reading.plain
    ]
    for one, following in spread(pairs, depth=lambda p: view.depth(p[0].start), rng=rng):
        if view.is_unique(one):
            yield Question(
                kind="what_follows",
                about=view.quote(one),
                text=ask("what_follows", rng, sentence=view.quote(one)),
                answer=view.quote(following),
                evidence=(Span(start=one.start, end=following.end),),
            )


def telling(view: View) -> list[Sentence]:
    """Plain sentences of the view that mean something by themselves."""
    return [s for s in view.sentences if s in view.reading.telling]
