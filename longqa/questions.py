"""The taxonomy, in one table, and the plan: how many questions of each kind a document is asked.

    plan({"speaker": 3.0, "order": 1.0}, available={"speaker": 2, "order": 9}, total=6)
    -> {"order": 4, "speaker": 2}       # weights are shares; what one kind lacks, others give

`--kinds speaker=4,order=2` replaces the weights by exact counts; a count the document cannot meet
is reported with its reason, never filled with something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from longdata.documents import DocumentKind

Basis = Literal[
    "written by the author", "found in the text", "needs the whole context", "not in the text"
]

BOOKS: frozenset[DocumentKind] = frozenset({"book"})
PAPERS: frozenset[DocumentKind] = frozenset({"paper", "other"})
ALL: frozenset[DocumentKind] = BOOKS | PAPERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of question: why its answer is right, and its share of a document's questions."""

    basis: Basis
    asks: str  # for --help, the card and the report
    of: frozenset[DocumentKind]
    weight: float


KINDS: dict[str, Kind] = {
    "summary": Kind(
        basis="written by the author",
        asks="the abstract, removed from the paper",
        of=PAPERS,
        weight=1,
    ),
    "conclusion": Kind(
        basis="written by the author",
        asks="the conclusion, removed from the paper",
        of=PAPERS,
        weight=1,
    ),
    "caption": Kind(
        basis="written by the author",
        asks="a figure's or table's caption, removed",
        of=PAPERS,
        weight=2,
    ),
    "outline": Kind(
        basis="written by the author", asks="the section headings, removed", of=PAPERS, weight=1
    ),
    "chapter_titles": Kind(
        basis="written by the author",
        asks="which removed title heads which chapter",
        of=BOOKS,
        weight=1,
    ),
    "speaker": Kind(basis="found in the text", asks="who says a quoted line", of=BOOKS, weight=4),
    "abbreviation": Kind(
        basis="found in the text", asks="what an abbreviation stands for", of=PAPERS, weight=3
    ),
    "definition": Kind(basis="found in the text", asks="how a term is defined", of=ALL, weight=2),
    "date": Kind(basis="found in the text", asks="when something happens", of=ALL, weight=2),
    "quantity": Kind(basis="found in the text", asks="how much or how many", of=ALL, weight=3),
    "citation": Kind(
        basis="found in the text", asks="which work is cited for a statement", of=PAPERS, weight=2
    ),
    "order": Kind(
        basis="needs the whole context", asks="which of two events comes first", of=ALL, weight=3
    ),
    "place": Kind(
        basis="needs the whole context",
        asks="in which chapter or section something stands",
        of=ALL,
        weight=3,
    ),
    "characters": Kind(
        basis="needs the whole context", asks="who is named most often", of=BOOKS, weight=1
    ),
    "companions": Kind(
        basis="needs the whole context", asks="who appears with whom most", of=BOOKS, weight=2
    ),
    "count": Kind(
        basis="needs the whole context", asks="how often a name or term occurs", of=ALL, weight=2
    ),
    "first_mention": Kind(
        basis="needs the whole context",
        asks="the first sentence that names someone or something",
        of=ALL,
        weight=2,
    ),
    "last_mention": Kind(
        basis="needs the whole context",
        asks="the last sentence that names someone or something",
        of=ALL,
        weight=2,
    ),
    "list_all": Kind(
        basis="needs the whole context",
        asks="all of a kind: chapters, sections, works, abbreviations",
        of=ALL,
        weight=2,
    ),
    "what_follows": Kind(
        basis="needs the whole context",
        asks="the sentence right after a quoted one",
        of=ALL,
        weight=2,
    ),
    "unanswerable": Kind(
        basis="not in the text",
        asks="something about a name or term that does not occur",
        of=ALL,
        weight=0,
    ),
}

# Of all questions of a document; planned apart from the weights so that the share holds exactly.
UNANSWERABLE_SHARE = 0.05


def plan(weights: Mapping[str, float], available: Mapping[str, int], total: int) -> dict[str, int]:
    """How many of each kind: shares by weight, capped by what there is, summing to min(total, all).

    Largest remainders round the shares; ties go by name, so that the plan depends on nothing else.
    """
    counts = dict.fromkeys(sorted(weights), 0)
    left = total
    open_kinds = [kind for kind in counts if weights[kind] > 0 and available.get(kind, 0) > 0]
    while left > 0 and open_kinds:
        scale = left / sum(weights[kind] for kind in open_kinds)
        room = {kind: available[kind] - counts[kind] for kind in open_kinds}
        full = [kind for kind in open_kinds if weights[kind] * scale >= room[kind]]
        if full:  # these take all they have; the rest share again what remains
            for kind in full:
                counts[kind] += room[kind]
                left -= room[kind]
            open_kinds = [kind for kind in open_kinds if kind not in full]
            continue
        floors = {kind: int(weights[kind] * scale) for kind in open_kinds}
        by_remainder = sorted(open_kinds, key=lambda k: (floors[k] - weights[k] * scale, k))
        rest = left - sum(floors.values())
        for kind in open_kinds:
            counts[kind] += floors[kind] + (kind in by_remainder[:rest])
        left = 0
    return {kind: count for kind, count in counts.items() if count}
