"""Questions about a paper's apparatus: abbreviations, definitions, cited work.

Abbreviations follow Schwartz and Hearst (2003, “A simple algorithm for identifying abbreviation
definitions in biomedical text”) in a strict form: every letter must begin a word of the long form.

    “shifted sparse attention (SSA)”  -> Abbreviation(short="SSA", long="shifted sparse attention")
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from longdata.documents import Span
from longqa.phrasings import ask
from longqa.records import Question
from longqa.spreading import spread
from longqa.view import View

_SHORT = re.compile(r"\((?P<short>[A-Z][A-Za-z0-9&/-]{1,9})\)")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Za-z][a-z]*|\d+")
_SMALL_WORDS = frozenset("of the and for in on to a an with by from".split())


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """text[start:end] is the long form with the short one in brackets behind it."""

    short: str
    long: str
    start: int
    end: int


def abbreviations_in(view: View) -> list[Abbreviation]:
    """Every abbreviation introduced in the view's prose, once each, in order."""
    return _abbreviations(view)[0]


def all_abbreviations_in(view: View) -> list[Abbreviation]:
    """The same, or nothing when a bracket may introduce one more: “diagonal (DIA)”."""
    found, is_all = _abbreviations(view)
    return found if is_all else []


def _abbreviations(view: View) -> tuple[list[Abbreviation], bool]:
    found: dict[str, list[Abbreviation]] = defaultdict(list)
    doubtful: set[str] = set()
    for match in _SHORT.finditer(view.text):
        start = match.start() + view.start
        sentence = view.reading.sentence_at(start)
        in_prose = sentence is not None and sentence.start >= view.start
        begin = max(view.start, start - 150)  # of a heading, a caption
        if sentence is not None and in_prose:
            begin = sentence.start
        before = view.document.text[begin:start].rstrip()
        short = match["short"]
        long = long_form(before, short) if in_prose else None
        if long is not None:
            at = begin + len(before) - len(long)
            found[_singular(short)].append(Abbreviation(short, long, at, match.end() + view.start))
        elif sum(c.isupper() for c in short) >= 2:
            near = before.lower().split()[-2 * len(short) :]
            if any(word.startswith(short[0].lower()) for word in near):
                doubtful.add(_singular(short))
    single = []
    for short, forms in found.items():
        if len({_singular(a.long.casefold()) for a in forms}) == 1:
            single.append(forms[0])
        else:
            doubtful.add(short)
    return sorted(single, key=lambda a: a.start), doubtful <= {_singular(a.short) for a in single}


def _singular(word: str) -> str:
    return word.removesuffix("s")


def long_form(before: str, short: str) -> str | None:
    """The words at the end of `before` whose initials are the letters of `short`, or None."""
    core = short[:-1] if short.endswith("s") and short[:-1].replace("-", "").isupper() else short
    letters = [c.lower() for c in core if c.isalnum()]
    if len(letters) < 2 or sum(c.isupper() for c in core) < 2:
        return None
    words = list(_WORD.finditer(before[-120:]))
    index = len(words) - 1
    for letter in reversed(letters):
        while index >= 0 and words[index][0][0].lower() != letter:
            if words[index][0].lower() not in _SMALL_WORDS:
                return None
            index -= 1
        if index < 0:
            return None
        index -= 1
    at = words[index + 1].start() + max(0, len(before) - 120)
    long = before[at:]
    if words[index + 1][0].lower() in _SMALL_WORDS:
        return None
    if at > 0 and (before[at - 1].isalnum() or before[at - 1] in "-’'"):
        return None  # in the middle of a word
    if "\n" in long or re.search(r"[.;:!?()\[\]]", long) or len(long.split()) < 2:
        return None
    return long


def abbreviation(view: View, rng: random.Random) -> Iterator[Question]:
    """What an abbreviation stands for."""
    found = abbreviations_in(view)
    for item in spread(found, depth=lambda a: view.depth(a.start), rng=rng):
        if item.long.casefold() == item.short.casefold():
            continue
        yield Question(
            kind="abbreviation",
            about=item.short,
            text=ask("abbreviation", rng, short=item.short),
            answer=item.long[:1].upper() + item.long[1:] + ".",
            evidence=(Span(start=item.start, end=item.end),),
        )


_TERM = r"(?P<term>[A-Za-z][A-Za-z’'-]*(?: [A-Za-z][A-Za-z’'-]*){0,4}?)"
_DEFINITIONS = (
    re.compile(rf"\b[Ww]e (?:formally )?define (?:the |an? )?{_TERM} (?:as|to be|by) "),
    re.compile(rf"^(?:The |An? )?{_TERM} (?:is|are) defined (?:as|to be|by) "),
    re.compile(rf"^(?:The |An? )?{_TERM} refers? to "),
    re.compile(rf"^(?:The |An? |By )?[“\"]?{_TERM}[”\"]? (?:means|denotes|we mean) "),
    re.compile(
        rf"\b(?:is|are) (?:usually |often |commonly |also )?called (?:the |an? )?{_TERM}[.,;]"
    ),
)
_NO_TERM = re.compile(
    r"(?i)(?<![\w-])(?:it|this|that|these|those|which|what|who|there|they|we|he|she|one|each|both|such|"
    r"here|following|above|first|second|latter|former|and|or|is|are|not|our|their|his|her|its|my|"
    # what the document itself does: “the authors refer to …”, “the dashed line denotes …”
    r"authors?|papers?|articles?|sections?|figures?|tables?|chapters?|texts?|names?|people|"
    r"researchers|users?|lines?|bars?|arrows?|colou?rs?|curves?|dots?|circles?|symbols?|"
    # how or when something is called: “the function is called by …”
    r"by|when|whenever|with|from|in|on|at|for|to|after|before|once|again|repeatedly|recursively|"
    r"twice|without|only|upon|if|as|until|during|directly|every)(?![\w-])"
)


def definition(view: View, rng: random.Random) -> Iterator[Question]:
    """How the text defines a term: sentences that say so in so many words."""
    candidates = []
    seen: defaultdict[str, int] = defaultdict(int)
    for sentence in view.sentences:
        length = sentence.end - sentence.start
        if not 50 <= length <= 420:
            continue
        text = view.quote(sentence)
        match = next((m for pattern in _DEFINITIONS if (m := pattern.search(text))), None)
        if match is None or not view.reading.is_complete(sentence):
            continue
        term = match["term"]
        if len(term) < 4 or _NO_TERM.search(term):
            continue
        candidates.append((sentence, term))
        seen[term.casefold()] += 1
    for sentence, term in spread(candidates, depth=lambda c: view.depth(c[0].start), rng=rng):
        if seen[term.casefold()] == 1:
            yield Question(
                kind="definition",
                about=term,
                text=ask("definition", rng, term=term),
                answer=view.quote(sentence),
                evidence=(Span(start=sentence.start, end=sentence.end),),
            )


_NUMBERED = re.compile(r" ?\[(\d{1,3})\]")
_ENTRY_NUMBER = re.compile(r"\[?(\d{1,3})[\].](?!\d)\s*")
_AUTHOR_YEAR = re.compile(
    r" ?\((?:e\.g\.,? |see )?(?P<author>[A-Z][\w’'-]+)(?: et al\.?| (?:and|&) [A-Z][\w’'-]+)?,? "
    r"\(?(?P<year>(?:19|20)\d\d)[a-z]?\)"
)


# Two sentences in one, mathematics, citations as raised numbers, author and year, a hole left by
# the citation: “as shown in.”
_NO_STATEMENT = re.compile(
    r"[a-z)\]]\. [A-Z]|[={}∈↦→≤≥∑⁰¹²³⁴-⁹\\]|\bet al\.\.? ?$"
    r"|\brefer(?:red)? (?:the (?:interested )?reader )?to\b|[Ff]or (?:more|further) (?:info|detail)"
    r"|\((?:19|20)\d\d[a-z]?\)|\b(?:in|by|from|see|of|and|to|with|than|as|e\.g\.|cf\.) ?[).,;]"
)


def citation(view: View, rng: random.Random) -> Iterator[Question]:
    """Which work is cited for a statement: the statement and the entry both stand in the text."""
    entries = [r for r in view.document.references if view.start <= r.start and r.end <= view.end]
    if not entries:
        return
    by_number: dict[str, Span | None] = {}  # None: two entries bear the number
    for entry in entries:
        number = _ENTRY_NUMBER.match(view.quote(entry))
        if number:
            by_number[number[1]] = None if number[1] in by_number else entry
    found = []
    for sentence in view.sentences:
        text = view.quote(sentence)
        if not 60 <= len(text) <= 400 or not _complete_but_for_citations(view, text):
            continue
        numbers = list(_NUMBERED.finditer(text))
        names = list(_AUTHOR_YEAR.finditer(text))
        if len(numbers) + len(names) != 1 or text.count("[") != len(numbers):
            continue
        match = (numbers or names)[0]
        target = by_number.get(match[1]) if numbers else _by_author(view, entries, names[0])
        if target is not None:
            statement = f"{text[: match.start()]}{text[match.end() :]}".replace("..", ".")
            if _NO_STATEMENT.search(statement):
                continue
            found.append((sentence, statement, target))
    for sentence, statement, target in spread(
        found, depth=lambda f: view.depth(f[0].start), rng=rng
    ):
        cited = view.quote(target)
        if number := _ENTRY_NUMBER.match(cited):
            cited = cited[number.end() :]
        if not 30 <= len(cited) <= 700 or len(statement) < 50:
            continue
        yield Question(
            kind="citation",
            about=statement,
            text=ask("citation", rng, statement=statement),
            answer=cited,
            evidence=(Span(start=sentence.start, end=sentence.end), target),
        )


def _complete_but_for_citations(view: View, text: str) -> bool:
    return text[:1].isupper() and text[-1:] == "." and text.count("(") == text.count(")")


def _by_author(view: View, entries: list[Span], match: re.Match[str]) -> Span | None:
    fitting = [
        entry
        for entry in entries
        if match["year"] in view.quote(entry) and match["author"] in view.quote(entry)[:60]
    ]
    return fitting[0] if len(fitting) == 1 else None
