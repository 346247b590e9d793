"""The taxonomy, in one table, and the rule by which a document's questions divide over it.

    next_kind({"speaker": 3.0, "order": 1.0}, {"speaker": 2}, open_kinds=["order", "speaker"])
    -> "order"  # one question per weight 1 is due as much as three per weight 3: ties go by name

`--kinds speaker=4,order=2` replaces the weights by exact counts; a count the document cannot meet
is reported with its reason, never filled with something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from longdata.documents import DocumentKind

Basis = Literal[
    "written by the author",
    "found in the text",
    "needs the whole context",
    "not in the text",
    "written by a model",
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
    "definition": Kind(
        basis="found in the text", asks="how a term is defined", of=PAPERS, weight=2
    ),
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
        asks="all of a kind: headings, chapters with a name, abbreviations",
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


def next_kind(
    weights: Mapping[str, float], counts: Mapping[str, int], open_kinds: Iterable[str]
) -> str:
    """The open kind that is furthest behind its share, among those not yet at it.

    Taking it again and again deals a total out in proportion to the weights, and at any moment no
    kind is a whole question away from its exact share (the quota method of Balinski and Young,
    1975). A kind that has run out is closed, and the others share what remains. Ties go by name.
    """
    kinds = list(open_kinds)
    dealt = 1 + sum(counts.get(kind, 0) for kind in kinds)
    total = sum(weights[kind] for kind in kinds)
    behind = [k for k in kinds if counts.get(k, 0) * total < weights[k] * dealt]
    return min(
        behind or kinds,  # rounding alone can leave nobody behind
        key=lambda kind: ((counts.get(kind, 0) + 1) / weights[kind], kind),
    )
