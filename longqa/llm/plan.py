"""Which kinds are asked where in a document, before a word is sent: the same plan every time.

    plan = make_plan(document, materials, recipe)
    plan.tasks[0]   -> Task(material=0, kind="detail", places=(Place(start=…, end=…), …))
    plan.requested  -> {"detail": 4, "motive": 2, …}

Kinds take the materials' places by the quota method (longqa.questions.next_kind). Kinds that are
about a stretch are sent to the tenths of the context in turn, so that evidence lies everywhere.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from longdata.documents import Document, Span
from longqa.llm.taxonomy import MODEL_KINDS, ModelKind
from longqa.questions import UNANSWERABLE_SHARE, next_kind
from longqa.recipe import Recipe
from longqa.records import Material
from longqa.spreading import BINS

TOO_SHORT = "the document holds no stretch that fits the budget"
TOO_LONG_TOGETHER = "the two papers do not fit one context"
NOT_WHOLE = "no context holds the whole document"
ROOM_TAKEN = "the contexts have no room for so many of this kind"
THINKING_TOKENS = 1500  # that a model may think before it answers
MOST_ANSWER_TOKENS = 8192  # of one call: a server must have room for them after the context
_SHORTEST_SECTION = 600  # characters that a summary of a part is worth
_WORDS_SHOWN = 8  # of a stretch's beginning and end, to name it


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """context[start:end] of a material, where a question is to be about; `words` say it."""

    words: str
    start: int
    end: int


ANYWHERE = Place(words="", start=0, end=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Questions of one kind on one material, one for each place."""

    material: int
    kind: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All tasks of a document but the unanswerable ones, whose number depends on what is found."""

    tasks: tuple[Task, ...]
    requested: Mapping[str, int]  # with the unanswerable ones that are due
    missing: Mapping[tuple[str, str], int]  # known from the start
    why_none: str  # what is said where there are no materials


def make_plan(
    document: Document,
    materials: Sequence[tuple[Material, int]],
    recipe: Recipe,
    *,
    why_none: str | None = None,
) -> Plan:
    """Deals the recipe's questions over kinds and materials; `materials` come with their places.

    `why_none` says why there are no materials, where it is not the length of the document.
    """
    why_none = why_none or (TOO_LONG_TOGETHER if document.kind == "papers" else TOO_SHORT)
    exact = {k: n for k, n in recipe.kinds.items() if n and document.kind in MODEL_KINDS[k].of}
    total = sum(exact.values()) if recipe.exact else recipe.per_document
    dealer = _Dealer(materials, why_none)
    requested: Counter[str] = Counter()
    missing: Counter[tuple[str, str]] = Counter()
    if recipe.exact:
        for kind, wanted in exact.items():
            requested[kind] = wanted
            if kind != "unanswerable":
                dealt = dealer.deal({kind: 1.0}, wanted, most=wanted)
                if dealt < wanted:
                    missing[kind, dealer.why_not(kind)] = wanted - dealt
    else:
        weights = {
            name: kind.weight
            for name, kind in MODEL_KINDS.items()
            if document.kind in kind.of and (not recipe.kinds or name in recipe.kinds)
        }
        answerable = {kind: weight for kind, weight in weights.items() if weight}
        if document.kind == "papers":
            total = max(1, round(total * PAIR_SHARE))
        due = 0
        if "unanswerable" in weights and document.kind != "papers":
            due = share_of(total, document, recipe) if answerable else total
        dealer.begin_at(answerable, document, recipe)
        dealt = dealer.deal(answerable, total - due)
        requested.update(dealer.dealt)
        requested["unanswerable"] += due
        if materials:
            open_kinds = {k: w for k, w in answerable.items() if dealer.why_not(k) != NOT_WHOLE}
            for kind, count in _rest(open_kinds, dealer.dealt, total - due - dealt).items():
                requested[kind] += count
                missing[kind, ROOM_TAKEN] += count
        else:
            for kind, count in _rest(answerable, {}, total - due).items():
                requested[kind] += count
                missing[kind, why_none] += count
    return Plan(
        tasks=tuple(dealer.tasks(document, recipe)),
        requested={kind: count for kind, count in sorted(requested.items()) if count},
        missing=dict(sorted(missing.items())),
        why_none=why_none,
    )


PAIR_SHARE = 0.1  # questions on a pair of papers, against those on one document


def share_of(total: int, document: Document, recipe: Recipe) -> int:
    """How many of `total` rows should be unanswerable: rounded up or down by the document's own
    chance, so that many small documents together have the right share."""
    return math.floor(total * UNANSWERABLE_SHARE + _chance(document, recipe, "unanswerable"))


def absent_for(found: int, document: Document, recipe: Recipe) -> int:
    """How many unanswerable questions go with `found` others."""
    exactly = found * UNANSWERABLE_SHARE / (1 - UNANSWERABLE_SHARE)
    return math.floor(exactly + _chance(document, recipe, "unanswerable"))


def _chance(document: Document, recipe: Recipe, of: str) -> float:
    """A number in [0, 1) of the document's own."""
    digest = hashlib.sha256(f"{of}\x1f{recipe.seed}\x1f{document.id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _rest(weights: Mapping[str, float], dealt: Mapping[str, int], count: int) -> Counter[str]:
    """Which kinds the questions that found no place were due to."""
    counts = Counter(dealt)
    rest: Counter[str] = Counter()
    for _ in range(count if weights else 0):
        kind = next_kind(weights, counts, weights)
        counts[kind] += 1
        rest[kind] += 1
    return rest


def answer_tokens(kind: ModelKind) -> int:
    """Room for one question of a kind, its answer and its quotes, in any language."""
    return 3 * kind.words[1] + 80 * kind.quotes[1] + 150


def most_at_once(kind: ModelKind) -> int:
    """How many questions of a kind one call may ask for."""
    return max(1, (MOST_ANSWER_TOKENS - THINKING_TOKENS) // answer_tokens(kind))


class _Dealer:
    """Deals kinds out to materials."""

    def __init__(self, materials: Sequence[tuple[Material, int]], why_none: str) -> None:
        self._why_none = why_none
        self._materials = [(material, places) for material, places in materials if places]
        self._taken: list[Counter[str]] = [Counter() for _ in self._materials]
        self._before: Counter[str] = Counter()
        self.dealt: Counter[str] = Counter()

    def begin_at(self, weights: Mapping[str, float], document: Document, recipe: Recipe) -> None:
        """Begin at a place of the endless sequence of kinds that is the document's own.

        Else every document would round the same way, and of few questions a document the light
        kinds would be never asked or always.
        """
        is_whole = any(material.is_whole for material, _ in self._materials)
        possible = {k: w for k, w in weights.items() if is_whole or not MODEL_KINDS[k].needs_whole}
        place = int(_chance(document, recipe, "kinds") * sum(possible.values()))
        for _ in range(place):
            self._before[next_kind(possible, self._before, possible)] += 1

    def deal(self, weights: Mapping[str, float], count: int, *, most: int | None = None) -> int:
        """Deals up to `count` questions; returns how many."""
        before = sum(self.dealt.values())
        for _ in range(count):
            fullness = [
                (sum(taken.values()) / places, index)
                for index, ((_, places), taken) in enumerate(
                    zip(self._materials, self._taken, strict=True)
                )
                if self._open(index, weights, most)
            ]
            if not fullness:
                break
            index = min(fullness)[1]
            counts = self._before + self.dealt
            kind = next_kind(weights, counts, self._open(index, weights, most))
            self._taken[index][kind] += 1
            self.dealt[kind] += 1
        return sum(self.dealt.values()) - before

    def why_not(self, kind: str) -> str:
        """Why a kind could not be dealt in full."""
        if not self._materials:
            return self._why_none
        if MODEL_KINDS[kind].needs_whole and not any(m.is_whole for m, _ in self._materials):
            return NOT_WHOLE
        return ROOM_TAKEN

    def tasks(self, document: Document, recipe: Recipe) -> list[Task]:
        """What was dealt, with the places to ask about."""
        tasks = []
        for index, ((material, _), taken) in enumerate(
            zip(self._materials, self._taken, strict=True)
        ):
            map_ = Map(
                material,
                random.Random(f"{recipe.seed}/{document.id}/{material.ctx}/{material.start}"),
            )
            for kind in MODEL_KINDS:
                places = [map_.place_for(MODEL_KINDS[kind]) for _ in range(taken[kind])]
                at_once = most_at_once(MODEL_KINDS[kind])
                for start in range(0, len(places), at_once):
                    some = tuple(places[start : start + at_once])
                    tasks.append(Task(material=index, kind=kind, places=some))
        return tasks

    def _open(self, index: int, weights: Mapping[str, float], most: int | None) -> list[str]:
        material, taken = self._materials[index][0], self._taken[index]
        return [
            kind
            for kind in weights
            if (material.is_whole or not MODEL_KINDS[kind].needs_whole)
            and taken[kind] < _most(MODEL_KINDS[kind], most)
        ]


def _most(kind: ModelKind, most: int | None) -> int:
    """A text has one whole summary, however many are asked for."""
    if kind.needs_whole:
        return kind.most
    return kind.most if most is None else most


class Map:
    """Where in a material questions go: every tenth, and every section, in turn."""

    def __init__(self, material: Material, rng: random.Random) -> None:
        self._material = material
        tenths = list(range(BINS))
        rng.shuffle(tenths)
        self._tenths = tenths
        self._sections = _sections(material)
        rng.shuffle(self._sections)
        self._at = self._section_at = 0

    def place_for(self, kind: ModelKind) -> Place:
        """The next place for a question of a kind."""
        if kind.focus == "anywhere":
            return ANYWHERE
        if kind.focus == "a section" and self._sections:
            span, heading = self._sections[self._section_at % len(self._sections)]
            self._section_at += 1
            return Place(words=f"“{heading}”", start=span.start, end=span.end)
        first = self._next_tenth()
        place = self._tenth(first)
        if kind.focus != "two stretches":
            return place
        other = self._tenth((first + BINS // 2) % BINS)
        words = f"{place.words}; and {other.words[0].lower()}{other.words[1:]}"
        return Place(
            words=words, start=min(place.start, other.start), end=max(place.end, other.end)
        )

    def _next_tenth(self) -> int:
        tenth = self._tenths[self._at % BINS]
        self._at += 1
        return tenth

    def _tenth(self, number: int) -> Place:
        context = self._material.context
        start, end = number * len(context) // BINS, (number + 1) * len(context) // BINS
        words = context[start:end].split()
        # whole words only, where there are words: a tenth begins and ends anywhere
        inner = words[1:-1] if len(words) > 2 * _WORDS_SHOWN else words
        first, last = " ".join(inner[:_WORDS_SHOWN]), " ".join(inner[-_WORDS_SHOWN:])
        said = f"The stretch from “{first[:120]} …” to “… {last[-120:]}”"
        return Place(words=said, start=start, end=end)


def _sections(material: Material) -> list[tuple[Span, str]]:
    """Sections that lie wholly in the context and hold enough to sum up, lowest level first."""
    document = material.document
    found = []
    for section in document.sections:
        inside = material.start <= section.start and section.end <= material.end
        is_text = section.kind not in ("references", "front", "back", "abstract")
        has_children = any(True for _ in document.children(section))
        if (
            inside
            and is_text
            and not has_children
            and section.end - section.body >= _SHORTEST_SECTION
        ):
            span = Span(start=section.start - material.start, end=section.end - material.start)
            found.append((span, document.heading(section)))
    return found
