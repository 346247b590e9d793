"""Answers the author wrote: taken out of the context, then asked for.

The evidence is what the rest of the text says on the matter: the sentences that share most of
their words with the removed one, the passages that mention the figure, the sections' beginnings.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator

from longdata.documents import Section, SectionKind, Span
from longqa.headings import part_name
from longqa.phrasings import ask
from longqa.records import Cut, Question
from longqa.view import View

_LEAST_SHARE = 0.6  # of the document a view must hold to be asked about as a whole
_CONTENT = re.compile(r"[a-z]{5,}")


def summary(view: View, rng: random.Random) -> Iterator[Question]:
    """The paper's abstract."""
    return _section(view, rng, "summary", "abstract", least_words=50, most_words=450)


def conclusion(view: View, rng: random.Random) -> Iterator[Question]:
    """The paper's conclusion."""
    return _section(view, rng, "conclusion", "conclusion", least_words=50, most_words=600)


def _section(
    view: View,
    rng: random.Random,
    kind: str,
    wanted: SectionKind,
    *,
    least_words: int,
    most_words: int,
) -> Iterator[Question]:
    section = view.document.section_of(wanted)
    if section is None or not (view.start <= section.start and section.end <= view.end):
        return
    if view.end - view.start < _LEAST_SHARE * len(view.document.text):
        return
    answer = view.document.text[section.body : section.end].strip()
    if not least_words <= len(answer.split()) <= most_words:
        return
    if any(section.start < s.start < section.end for s in view.document.sections):
        return  # subsections: their headings would stand in the answer
    evidence = _support(view, Span(start=section.body, end=section.end))
    if evidence:
        yield Question(
            kind=kind,
            about=kind,
            text=ask(kind, rng),
            answer=answer,
            evidence=evidence,
            cuts=(_cut(view, section.start, section.end),),
        )


def _support(view: View, removed: Span, *, most: int = 6) -> tuple[Span, ...]:
    """The sentences outside `removed` that say most of what its sentences say."""
    outside = [s for s in view.sentences if s.end <= removed.start or s.start >= removed.end]
    by_word: dict[str, set[int]] = defaultdict(set)
    for index, sentence in enumerate(outside):
        for word in _content(view.quote(sentence)):
            by_word[word].add(index)
    best: dict[int, float] = {}
    for sentence in view.reading.within(removed.start, removed.end):
        words = [w for w in _content(view.quote(sentence)) if len(by_word[w]) <= 40]
        shared: dict[int, int] = defaultdict(int)
        for word in words:
            for index in by_word[word]:
                shared[index] += 1
        if shared:
            index = max(shared, key=lambda i: (shared[i], -i))
            if shared[index] >= 3:
                best[index] = max(best.get(index, 0.0), shared[index] / len(words))
    chosen = sorted(sorted(best, key=lambda i: (-best[i], i))[:most])
    return tuple(Span(start=outside[i].start, end=outside[i].end) for i in chosen)


def _content(text: str) -> list[str]:
    return sorted(set(_CONTENT.findall(text.lower())))


def _cut(view: View, start: int, end: int, replacement: str = "") -> Cut:
    """The span with the blank line behind it, so that none is left double."""
    text = view.document.text
    if not replacement:
        end = min(view.end, end + len(text[end : end + 2]) - len(text[end : end + 2].lstrip("\n")))
    return Cut(start=start, end=end, replacement=replacement)


# Where a reader lost the end: a comma, a small word, or a second sentence without its full stop.
_CUT_SHORT = re.compile(
    r"[,;:(-]$|\b(?:the|an?|of|and|or|in|on|to|for|with|by|from|not|also|is|are|were|was|that)$"
    r"|[a-z)]\. [A-Z].*[^.!?)\]”]$"
)


def caption(view: View, rng: random.Random) -> Iterator[Question]:
    """The caption of a figure or table that the text mentions; all captions are removed."""
    captions = [c for c in view.captions if c.label]
    numbers = [c.label for c in captions]
    if not captions:
        return
    cuts = tuple(_cut(view, c.start, c.end) for c in view.captions)
    rng.shuffle(captions)
    for item in captions:
        answer = _unlabelled(view.quote(item), item.label)
        if (
            _CUT_SHORT.search(answer)
            or not 6 <= len(answer.split()) <= 120
            or numbers.count(item.label) != 1
        ):
            continue
        word, _, number = item.label.partition(" ")
        short = rf"(?:{word}s?|{word[:3]}s?\.)"
        mention = re.compile(rf"\b{short}[ \u00a0]?{re.escape(number)}(?![\w.]*\d)")
        evidence = [
            Span(start=s.start, end=s.end)
            for s in view.sentences
            if mention.search(view.quote(s)) and not (item.start <= s.start < item.end)
        ][:4]
        if evidence:
            yield Question(
                kind="caption",
                about=item.label,
                text=ask("caption", rng, label=item.label),
                answer=answer,
                evidence=tuple(evidence),
                cuts=cuts,
            )


def _unlabelled(text: str, label: str) -> str:
    """A caption's words without “Figure 3:”, “Fig. 3.” before them."""
    number = label.split(" ")[-1]
    start = re.match(rf"\W*[A-Za-z]+\.?\s*{re.escape(number)}\b\W*", text)
    return text[start.end() :] if start else text.lstrip(" .:|–—-")


def outline(view: View, rng: random.Random) -> Iterator[Question]:
    """The headings of the main sections; in the context they are replaced by [Section 1] …"""
    asked = [
        s for s in view.chapters if s.kind in ("section", "conclusion", "appendix") and s.title
    ]
    if not 4 <= len(asked) <= 20 or len({s.title.casefold() for s in asked}) < len(asked):
        return
    if _contents_list(view, asked):
        return
    marks = {section: f"[Section {i}]\n\n" for i, section in enumerate(asked, 1)}
    inside = [s for s in view.document.sections if view.start <= s.start and s.body <= view.end]
    cuts = tuple(
        Cut(start=s.start, end=s.body, replacement=marks.get(s, ""))
        for s in inside
        if s in marks or any(a.start < s.start < a.end for a in asked)
    )
    yield Question(
        kind="outline",
        about=" ".join(s.title for s in asked),
        text=ask("outline", rng, count=len(asked), part=view.part),
        answer="\n".join(f"{i}. {s.title}" for i, s in enumerate(asked, 1)),
        evidence=_beginnings(view, asked),
        cuts=cuts,
    )


def _contents_list(view: View, asked: list[Section]) -> bool:
    """Whether the headings stand together elsewhere: a table of contents."""
    at = view.start
    titles = {s.title for s in asked}
    listed: set[str] = set()
    for section in [s for s in view.document.sections if view.start <= s.start < view.end]:
        for block in view.document.text[at : section.start].split("\n\n"):
            here = {t for t in titles if t in block}
            if len(here) >= max(3, len(titles) / 2):
                return True
            if len(block) < 100:
                listed |= {t for t in here if _ENTRY.sub("", block).strip() == t}
        at = section.body
    return len(listed) > len(titles) // 3


# What surrounds a title in a table of contents: “2.1”, dots, a page number.
_ENTRY = re.compile(r"^\W*(?:\d+(?:\.\d+)*\.?\s+|[IVX]+\.\s+)?|[\s.·…]*\d*\s*$")


def chapter_titles(view: View, rng: random.Random) -> Iterator[Question]:
    """Which title heads which chapter; in the context the headings keep their numbers only."""
    chapters = [s for s in view.chapters if s.kind == "chapter" and s.title and s.number]
    if not 3 <= len(chapters) <= 12 or len(chapters) != len(view.chapters):
        return
    titles = {s.title.casefold() for s in chapters}
    if len(titles) < len(chapters) or len({s.number for s in chapters}) < len(chapters):
        return
    lowered = view.text.casefold()
    if sum(lowered.count(title) > 1 for title in titles) > len(titles) // 3:
        return  # a table of contents, or titles that the text keeps repeating
    ordered = sorted((s.title for s in chapters), key=str.casefold)
    if ordered == [s.title for s in chapters]:
        return
    yield Question(
        kind="chapter_titles",
        about=" ".join(ordered),
        text=ask("chapter_titles", rng, titles="; ".join(f"“{t}”" for t in ordered)),
        answer="\n".join(
            f"{part_name(s).capitalize()} {s.number.strip('.')}: “{s.title}”" for s in chapters
        ),
        evidence=_beginnings(view, chapters),
        cuts=tuple(
            Cut(start=s.start, end=s.body, replacement=f"Chapter {s.number.strip('.')}\n\n")
            for s in chapters
        ),
    )


def _beginnings(view: View, sections: list[Section]) -> tuple[Span, ...]:
    spans = []
    for section in sections:
        sentences = view.reading.within(section.body, min(section.end, view.end))
        if sentences:
            spans.append(Span(start=sentences[0].start, end=sentences[0].end))
    return tuple(spans)
