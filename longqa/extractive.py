"""The offline generator: a document in, questions out whose answers are right by construction.

    outcome = ask(document, tokenizer, Recipe(ctx=(8192,)))
    outcome.examples, outcome.requested, outcome.missing, outcome.rejected

The plan is dealt out one question at a time: the kind that is furthest behind its share takes the
next place in the next material that still has room (`questions.next_kind`); a kind that finds
nothing more in a material is closed there, and the others share what remains.
"""

from __future__ import annotations

import random
from collections import Counter as Tally
from collections.abc import Iterator, Mapping

from rapidfuzz import fuzz

from longdata.documents import Document
from longdata.tokenizers import Ruler, Tokenizer
from longqa.checks import Counter, check
from longqa.decontamination import CONTEXT_OVERLAPS, Check, load_index
from longqa.kinds import MAKERS
from longqa.materials import cut_materials
from longqa.names import find_people
from longqa.questions import KINDS, UNANSWERABLE_SHARE, next_kind
from longqa.reading import Reading
from longqa.recipe import Outcome, Recipe
from longqa.records import Example, Material, Question
from longqa.view import View

MOST_PER_MATERIAL = 4  # questions of one kind on one context
NEAR_DUPLICATE = 90  # rapidfuzz ratio of what two questions of a kind are about, 0 to 100
_MOST_REFUSED = 25  # candidates of one kind refused in a row in one material before it is closed

NO_CANDIDATE = "the text holds no further question of this kind"
REFUSED = "every further candidate was refused by a check"
SHARE_KEPT = "fewer answerable questions were found, and its share is kept"
TOO_SHORT = "the document holds no stretch that fits the budget"


def ask(document: Document, tokenizer: Tokenizer, recipe: Recipe) -> Outcome:
    """All the questions the recipe asks of one document, checked, in the order of the text."""
    ruler = Ruler(tokenizer, document.text)
    reading = Reading(document)
    people = find_people(document.text) if document.kind == "book" else ()
    exact = _exact_counts(document, recipe)
    total = sum(exact.values()) if recipe.exact else recipe.per_document
    materials = cut_materials(
        reading,
        ruler,
        ctx=recipe.ctx,
        shares=recipe.shares or tuple(1.0 for _ in recipe.ctx),
        questions=total,
    )
    guard = guard_of(document, recipe)
    used = [
        (material, places)
        for material, places in materials
        if places and not (guard and guard.context(material.start, material.end))
    ]
    too_few = CONTEXT_OVERLAPS if any(places for _, places in materials) else TOO_SHORT
    desks = [
        _Desk(View(material, reading, people), places, recipe.seed) for material, places in used
    ]
    dealer = _Dealer(desks, Counter(ruler), guard)
    if recipe.exact:
        requested = exact
        for kind, wanted in exact.items():
            dealer.deal({kind: 1.0}, wanted, most=wanted)
    else:
        requested = _deal_by_weight(dealer, _weights(document, recipe), total)
    missing: Tally[tuple[str, str]] = Tally()
    for kind, wanted in requested.items():
        if wanted > dealer.kept[kind]:
            reason = dealer.why_closed(kind) if desks else too_few
            if kind == "unanswerable" and not recipe.exact and desks:
                reason = SHARE_KEPT
            missing[kind, reason] = wanted - dealer.kept[kind]
    return Outcome(
        examples=dealer.in_text_order(),
        requested=requested,
        missing=dict(sorted(missing.items())),
        rejected=dict(sorted(dealer.rejected.items())),
        document_tokens=ruler.count([(0, len(document.text))]),
        counted_by=ruler.exact_by,
        overlap=guard.tally() if guard else None,
    )


def guard_of(document: Document, recipe: Recipe) -> Check | None:
    """What keeps a document's examples apart from the recipe's evaluation sets, if it names any."""
    if recipe.against is None:
        return None
    return Check(load_index(recipe.against), document.text, recipe.against.mode)


def _exact_counts(document: Document, recipe: Recipe) -> dict[str, int]:
    """The counts the user asked for, of the kinds that fit this kind of document."""
    return {k: n for k, n in recipe.kinds.items() if n and document.kind in KINDS[k].of}


def _weights(document: Document, recipe: Recipe) -> dict[str, float]:
    """The kinds that are asked of this kind of document, with their weights."""
    return {
        name: kind.weight
        for name, kind in KINDS.items()
        if document.kind in kind.of and (not recipe.kinds or name in recipe.kinds)
    }


def _deal_by_weight(dealer: _Dealer, weights: Mapping[str, float], total: int) -> dict[str, int]:
    """Deals `total` questions; returns how many of each kind were due, summing to `total`."""
    answerable = {kind: weight for kind, weight in weights.items() if kind != "unanswerable"}
    due_absent = 0
    if "unanswerable" in weights:
        due_absent = round(total * UNANSWERABLE_SHARE) if answerable else total
    dealer.deal(answerable, total - due_absent)
    found = sum(dealer.kept.values())
    # a share of what was found, so that a text with few questions is not mostly unanswerable
    absent = round(found * UNANSWERABLE_SHARE / (1 - UNANSWERABLE_SHARE)) if answerable else total
    dealer.deal({"unanswerable": 1.0}, min(absent, due_absent))
    requested = dict(dealer.kept)
    requested["unanswerable"] = due_absent
    for _ in range(total - due_absent - found):  # what is missing was due to kinds that ran out
        kind = next_kind(answerable, requested, answerable)
        requested[kind] = requested.get(kind, 0) + 1
    return {kind: count for kind, count in sorted(requested.items()) if count}


class _Desk:
    """One material with the questions each kind still offers on it."""

    def __init__(self, view: View, places: int, seed: int) -> None:
        self.view = view
        self.places = places
        self.taken: Tally[str] = Tally()
        self.closed: set[str] = set()
        self._seed = seed
        self._offers: dict[str, Iterator[Question]] = {}

    def offer(self, kind: str) -> Question | None:
        """The next candidate of a kind, or None when there is none left."""
        if kind not in self._offers:
            material = self.view.material
            key = (self._seed, material.document.id, material.ctx, material.start, kind)
            rng = random.Random("/".join(map(str, key)))
            self._offers[kind] = MAKERS[kind](self.view, rng)
        return next(self._offers[kind], None)


class _Dealer:
    """Takes questions from the desks in turn and keeps the account."""

    def __init__(self, desks: list[_Desk], counter: Counter, guard: Check | None) -> None:
        self.kept: Tally[str] = Tally()
        self.rejected: Tally[tuple[str, str]] = Tally()
        self._desks = desks
        self._counter = counter
        self._guard = guard
        self._examples: list[tuple[tuple[object, ...], Example]] = []
        self._asked: dict[str, list[str]] = {}

    def deal(
        self, weights: Mapping[str, float], count: int, *, most: int = MOST_PER_MATERIAL
    ) -> None:
        """Takes up to `count` questions, kinds by weight, materials by how full they are."""
        while count > 0:
            open_desks = [d for d in self._desks if self._open(d, weights, most)]
            if not open_desks:
                return
            desk = min(open_desks, key=lambda d: sum(d.taken.values()) / d.places)
            kind = next_kind(weights, self.kept, self._open(desk, weights, most))
            count -= self._take(desk, kind)

    def _open(self, desk: _Desk, weights: Mapping[str, float], most: int) -> list[str]:
        return [k for k in weights if k not in desk.closed and desk.taken[k] < most]

    def _take(self, desk: _Desk, kind: str) -> bool:
        """Keeps the next good question of a kind at a desk; closes the kind there if none is."""
        for _ in range(_MOST_REFUSED):
            question = desk.offer(kind)
            if question is None:
                break
            material = desk.view.material
            refusal = self._asked_before(question)
            example = refusal or self._checked(question, material)
            if isinstance(example, str):
                self.rejected[kind, example] += 1
                continue
            position = (
                material.ctx,
                material.start,
                [(cut.start, cut.end) for cut in question.cuts],
                question.evidence[0].start if question.evidence else 0,
                question.text,
            )
            self._examples.append((position, example))
            self._asked.setdefault(kind, []).append(question.about)
            self.kept[kind] += 1
            desk.taken[kind] += 1
            return True
        desk.closed.add(kind)
        return False

    def _checked(self, question: Question, material: Material) -> Example | str:
        example = check(question, material, self._counter)
        if self._guard is None or isinstance(example, str):
            return example
        return self._guard.question(example.question, example.answer) or example

    def _asked_before(self, question: Question) -> str | None:
        """The reason if this document was asked about the same, or nearly, on any material."""
        earlier = self._asked.get(question.kind, [])
        if any(fuzz.ratio(question.about, about) >= NEAR_DUPLICATE for about in earlier):
            return "asked before in this document, or nearly"
        return None

    def why_closed(self, kind: str) -> str:
        """Why a kind gave fewer questions than were due."""
        if any(refused == kind for refused, _ in self.rejected):
            return REFUSED
        return NO_CANDIDATE

    def in_text_order(self) -> tuple[Example, ...]:
        """By length, then position, so that rows that share a context are neighbours."""
        return tuple(example for _, example in sorted(self._examples, key=lambda e: e[0]))
