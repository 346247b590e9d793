"""Questions that need every line: how often, first and last mention, list all."""

from __future__ import annotations

import random
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from weakref import WeakKeyDictionary

from longdata.documents import Section, Span
from longqa.headings import labels
from longqa.kinds.scholarly import all_abbreviations_in
from longqa.names import TITLES, Person
from longqa.phrasings import ask
from longqa.records import Question
from longqa.spreading import spread
from longqa.view import View

_MOST_LISTED = 40
_TERM = re.compile(r"[A-Z][A-Za-z]*[A-Z][A-Za-z0-9]*|[A-Z][a-z]{3,}")
# Capitalised, but no names: what papers number, and what addresses are made of.
_APPARATUS = frozenset(
    "Figure Figures Table Tables Section Sections Equation Equations Appendix Algorithm Theorem "
    "Lemma Proposition Definition Corollary Chapter Listing Code University Institute Department "
    "Center Centre City Laboratory School College International National Sciences Science Journal "
    "Conference Proceedings Technology Research Press Book Note Step Example Part".split()
)
_OPENS = re.compile(r"(?:^|[.!?:;]|[.!?][”\"’')]|[“\"‘'(\[]|\n)\s*$")


Terms = tuple[tuple[str, list[int]], ...]
_FOUND: WeakKeyDictionary[View, Terms] = WeakKeyDictionary()


def terms(view: View) -> Terms:
    """Names and technical terms with their places in the view: whole words, never in another case.

    In a book the names of its people, in a paper acronyms and proper names. Four kinds ask for
    them, so they are found once per view.
    """
    if view not in _FOUND:
        _FOUND[view] = tuple(_terms(view))
    return _FOUND[view]


def _terms(view: View) -> Iterator[tuple[str, list[int]]]:
    if view.document.kind == "book":
        words = {word for person, _, _ in view.people if (word := distinctive(person))}
    else:
        words = {w for w in view.reading.names if _TERM.fullmatch(w) and w not in _APPARATUS}
    for word in sorted(words):
        places = view.occurrences(word)
        if len(places) < 3 or not view.is_only_form(word):
            continue
        if view.document.kind == "book" or _is_proper(view, places):
            yield word, places


def distinctive(person: Person) -> str | None:
    """The longest word of a name that is no title."""
    words = [w for w in person.name.replace(".", "").split() if w not in TITLES and len(w) >= 3]
    return max(words, key=lambda w: (len(w), w), default=None)


def _is_proper(view: View, places: list[int]) -> bool:
    """Whether a word mostly stands in mid sentence, and in sentences at all (not in addresses)."""
    text = view.document.text
    mid = sum(
        not _OPENS.search(text[max(0, at - 4) : at])
        and (sentence := view.reading.sentence_at(at)) is not None
        and view.reading.is_complete(sentence)
        for at in places
    )
    return mid >= 3 and mid >= 0.5 * len(places)


def count(view: View, rng: random.Random) -> Iterator[Question]:
    """How often a name or term occurs."""
    pool = [(term, places) for term, places in terms(view) if len(places) <= 20]
    rng.shuffle(pool)
    for term, places in pool:
        yield Question(
            kind="count",
            about=term,
            text=ask("count", rng, term=term),
            answer=f"{len(places)} times.",
            evidence=tuple(Span(start=at, end=at + len(term)) for at in places),
        )


def first_mention(view: View, rng: random.Random) -> Iterator[Question]:
    """The first sentence that contains a name or term."""
    return _mention(view, rng, "first_mention", min)


def last_mention(view: View, rng: random.Random) -> Iterator[Question]:
    """The last sentence that contains a name or term."""
    return _mention(view, rng, "last_mention", max)


def _mention(
    view: View, rng: random.Random, kind: str, pick: Callable[[list[int]], int]
) -> Iterator[Question]:
    pool = [(term, pick(places)) for term, places in terms(view)]
    for term, at in spread(pool, depth=lambda p: view.depth(p[1]), rng=rng):
        sentence = view.reading.sentence_at(at)
        if sentence is None or sentence.start < view.start or sentence.end > view.end:
            continue
        if not view.reading.is_complete(sentence) or sentence.end - sentence.start > 600:
            continue
        yield Question(
            kind=kind,
            about=term,
            text=ask(kind, rng, term=term),
            answer=view.quote(sentence),
            evidence=(Span(start=sentence.start, end=sentence.end),),
        )


def list_all(view: View, rng: random.Random) -> Iterator[Question]:
    """All of a kind: headings, chapters that name someone, abbreviations, figures and tables."""
    makers = [_headings, _chapters_with, _abbreviations, _captions]
    rng.shuffle(makers)
    for make in makers:
        yield from make(view, rng)


def _headings(view: View, rng: random.Random) -> Iterator[Question]:
    if not view.chapters:
        return
    first = view.chapters[0]
    inside = [s for s in view.document.sections if view.start <= s.start and s.body < view.end]
    if first.kind == "chapter":
        sections = view.chapters
    else:  # of a paper all main sections: the references and acknowledgements as well
        sections = [s for s in inside if s.level == first.level]
    named = labels(sections, view.document)
    if named is None or not 3 <= len(sections) <= _MOST_LISTED:
        return
    if not all(section.title for section in sections):
        return  # bare numbers make no list worth asking for
    yield Question(
        kind="list_all",
        about="headings " + " ".join(named[s] for s in sections),
        text=ask("list_all.headings", rng, parts=view.part + "s"),
        answer="\n".join(view.document.heading(s) for s in sections),
        evidence=tuple(
            Span(start=s.start, end=s.body).clipped(view.document.text) for s in sections
        ),
    )


def _bare(name: str) -> str:
    """“the section “Results”” → Results; a numbered label stays as it is."""
    for prefix in ("the chapter “", "the section “"):
        if name.startswith(prefix):
            return name.removeprefix(prefix).removesuffix("”")
    return name


def _chapters_with(view: View, rng: random.Random) -> Iterator[Question]:
    sections = [s for s in view.chapters if s.kind != "references"]
    named = labels(sections, view.document)
    if named is None or not 3 <= len(sections) <= _MOST_LISTED:
        return
    pool = list(terms(view))
    rng.shuffle(pool)
    starts = [s.start for s in sections]
    for term, places in pool:
        inside: dict[Section, int] = {}  # section -> its first occurrence
        for at in places:
            index = bisect_left(starts, at + 1) - 1
            if index < 0 or at >= sections[index].end:
                break  # before the first heading: belongs to a chapter whose name is not shown
            inside.setdefault(sections[index], at)
        else:
            if 2 <= len(inside) < len(sections):
                yield Question(
                    kind="list_all",
                    about=f"chapters with {term}",
                    text=ask(
                        "list_all.chapters_with",
                        rng,
                        term=term,
                        what="name" if view.document.kind == "book" else "term",
                        parts=view.part + "s",
                    ),
                    answer=_listed([_bare(named[s]) for s in inside]),
                    evidence=tuple(Span(start=at, end=at + len(term)) for at in inside.values()),
                )


def _listed(names: list[str]) -> str:
    """“Chapters II, IV and VII.”, or the names in a row where they have titles."""
    numbers = [name.removeprefix("Chapter ").removeprefix("Section ") for name in names]
    if any("“" in name for name in names) or any(" " in number for number in numbers):
        return "; ".join(names) + "."
    if numbers == names:
        return "; ".join(names) + "."
    word = names[0].split(" ")[0] + "s"
    return f"{word} {', '.join(numbers[:-1])} and {numbers[-1]}."


def _abbreviations(view: View, rng: random.Random) -> Iterator[Question]:
    found = all_abbreviations_in(view)
    if 3 <= len(found) <= _MOST_LISTED:
        yield Question(
            kind="list_all",
            about="abbreviations",
            text=ask("list_all.abbreviations", rng),
            answer="\n".join(f"{a.short}: {a.long}" for a in found),
            evidence=tuple(Span(start=a.start, end=a.end) for a in found),
        )


def _captions(view: View, rng: random.Random) -> Iterator[Question]:
    captions = [c for c in view.captions if c.label]
    if 3 <= len(captions) <= _MOST_LISTED and len({c.label for c in captions}) == len(captions):
        yield Question(
            kind="list_all",
            about="captions",
            text=ask("list_all.captions", rng),
            answer=", ".join(c.label for c in captions) + ".",
            evidence=tuple(Span(start=c.start, end=c.end) for c in captions),
        )
