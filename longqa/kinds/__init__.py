"""The offline question kinds: each a function from a view of a text to questions, right by
construction, in an order whose evidence is spread over the whole view.

    MAKERS["speaker"](view, rng) -> Iterator[Question]      # lazily; the plan takes what it needs
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from longqa.kinds.absent import unanswerable
from longqa.kinds.counting import count, first_mention, last_mention, list_all
from longqa.kinds.gaps import date, quantity
from longqa.kinds.heldout import caption, chapter_titles, conclusion, outline, summary
from longqa.kinds.people import characters, companions, speaker
from longqa.kinds.scholarly import abbreviation, citation, definition
from longqa.kinds.sequence import order, place, what_follows
from longqa.records import Question
from longqa.view import View

Maker = Callable[[View, random.Random], Iterator[Question]]

MAKERS: dict[str, Maker] = {
    "summary": summary,
    "conclusion": conclusion,
    "caption": caption,
    "outline": outline,
    "chapter_titles": chapter_titles,
    "speaker": speaker,
    "abbreviation": abbreviation,
    "definition": definition,
    "date": date,
    "quantity": quantity,
    "citation": citation,
    "order": order,
    "place": place,
    "characters": characters,
    "companions": companions,
    "count": count,
    "first_mention": first_mention,
    "last_mention": last_mention,
    "list_all": list_all,
    "what_follows": what_follows,
    "unanswerable": unanswerable,
}
