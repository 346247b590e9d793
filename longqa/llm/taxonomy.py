"""What a language model is asked to ask: every kind of question, its prompt and its checks.

    MODEL_KINDS["multi_hop"].task       what the model is told
    MODEL_KINDS["multi_hop"].spread     -> 0.2: its quotes must lie this far apart
    MODEL_KINDS["multi_hop"].one_passage_must_fail -> True

Checked for every kind: question and answer are there and in the right language, the answer has as
many words as `words` says, every quote stands in the text (longqa.llm.quotes), their number is
within `quotes` and their distance at least `spread`, the question was not asked before in this
document, the row fits the budget, and an attempt without the text fails (`closed_book`).
`own_check` is what must hold for the kind alone. To add a kind: one entry here, one test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from longdata.documents import DocumentKind
from longqa.llm import own_checks
from longqa.llm.drafts import Draft
from longqa.questions import ALL, BOOKS, KINDS, Basis, Kind

# Where a question should be about: so that evidence is not only where a model looks first.
Focus = Literal["anywhere", "a stretch", "two stretches", "a section"]

PAPER: frozenset[DocumentKind] = frozenset({"paper"})
TWO_PAPERS: frozenset[DocumentKind] = frozenset({"papers"})
STORIES: frozenset[DocumentKind] = frozenset({"book", "other"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKind(Kind):
    """One kind: what the model is told, and what its answer must be like."""

    basis: Basis = "written by a model"
    task: str
    words: tuple[int, int]  # of the answer, fewest and most
    quotes: tuple[int, int]  # fewest and most
    spread: float = 0.0  # first to last quote, as a share of the context
    focus: Focus = "anywhere"
    needs_whole: bool = False  # only where the context is the whole document
    most: int = 3  # questions of it on one context
    closed_book: bool = True  # an attempt without the text must fail
    one_passage_must_fail: bool = False
    own_check: Callable[[Draft], str | None] | None = None


MODEL_KINDS: dict[str, ModelKind] = {
    "whole_summary": ModelKind(
        asks="a summary of the whole text",
        of=ALL,
        weight=2,
        task="Ask for a summary of the whole text, and give it: what it is about, how it unfolds "
        "from its beginning to its end, and how it ends. In your own words. Quote sentences from "
        "the beginning, the middle and the end.",
        words=(60, 450),
        quotes=(3, 10),
        spread=0.5,
        needs_whole=True,
        most=1,
        own_check=own_checks.summarised,
    ),
    "part_summary": ModelKind(
        asks="a summary of one chapter or section",
        of=ALL,
        weight=2,
        task="Ask for a summary of the chapter, section or stretch named below, calling it by its "
        "heading or by what happens in it, and give it in your own words.",
        words=(40, 300),
        quotes=(2, 6),
        focus="a section",
        own_check=own_checks.summarised,
    ),
    "detail": ModelKind(
        asks="a detail that is easily missed",
        of=ALL,
        weight=4,
        task="Ask for a detail that a careless reader misses. There must be one right answer, and "
        "it must be short.",
        words=(1, 40),
        quotes=(1, 2),
        focus="a stretch",
        most=6,
        own_check=own_checks.grounded,
    ),
    "character": ModelKind(
        asks="what a character is like, and how the text shows it",
        of=BOOKS,
        weight=2,
        task="Ask about one character, by name: what kind of person it is, or how it changes. The "
        "answer gives what the text shows at several places.",
        words=(30, 250),
        quotes=(2, 6),
        spread=0.1,
        own_check=own_checks.named,
    ),
    "relationship": ModelKind(
        asks="how two characters stand to each other",
        of=BOOKS,
        weight=2,
        task="Ask how two characters, both by name, stand to each other, or how that changes.",
        words=(20, 250),
        quotes=(2, 6),
        spread=0.05,
        own_check=own_checks.related,
    ),
    "motive": ModelKind(
        asks="why someone does something",
        of=BOOKS,
        weight=2,
        task="Ask why someone, by name, does something; name what is done. The answer gives the "
        "reason that the text gives or clearly lets its reader see.",
        words=(8, 150),
        quotes=(1, 4),
        focus="a stretch",
        own_check=own_checks.named,
    ),
    "timeline": ModelKind(
        asks="in which order things happen, over a long stretch",
        of=STORIES,
        weight=1,
        task="Ask for the order of the main steps of something that goes on over a long stretch of "
        "the text. The answer is a list, one step a line, in order; quote one sentence for each.",
        words=(20, 300),
        quotes=(3, 10),
        spread=0.2,
        own_check=own_checks.ordered,
    ),
    "theme": ModelKind(
        asks="an idea that runs through the text",
        of=STORIES,
        weight=1,
        task="Ask about an idea that runs through the text: how it is shown at several places, and "
        "what the text seems to say about it.",
        words=(40, 300),
        quotes=(2, 6),
        spread=0.2,
    ),
    "multi_hop": ModelKind(
        asks="what only two distant passages together tell",
        of=ALL,
        weight=4,
        task="Ask a question that can be answered only by putting together what stands at two or "
        "more places far from each other: neither place alone may give the answer. The question "
        "must not name what the first place tells; quote every place.",
        words=(1, 120),
        quotes=(2, 4),
        spread=0.2,
        focus="two stretches",
        one_passage_must_fail=True,
    ),
    "counting": ModelKind(
        asks="how many of something the text tells of",
        of=ALL,
        weight=2,
        task="Ask how many of something occur in the text (people who …, times that …, methods "
        "that …): between 2 and 12, all over the text, and surely complete. The answer begins with "
        "the number in digits and then names them all; quote exactly one place for each.",
        words=(2, 150),
        quotes=(2, 12),
        spread=0.05,
        own_check=own_checks.counted,
    ),
    "listing": ModelKind(
        asks="all of something the text tells of",
        of=ALL,
        weight=2,
        task="Ask for all of something that occur in the text, between 3 and 12, and surely "
        "complete. The answer is a list, one a line; quote exactly one place for each.",
        words=(3, 250),
        quotes=(3, 12),
        spread=0.05,
        own_check=own_checks.listed,
    ),
    "contributions": ModelKind(
        asks="what a paper adds to what was known",
        of=PAPER,
        weight=2,
        task="Ask what the main contributions of the paper are, or one of them in particular, and "
        "what is new in it against earlier work.",
        words=(30, 300),
        quotes=(2, 6),
        most=2,
        own_check=own_checks.grounded,
    ),
    "method": ModelKind(
        asks="how the method of a paper works",
        of=PAPER,
        weight=3,
        task="Ask how something in the paper's method works, or why it is done so; the answer "
        "explains it step by step.",
        words=(30, 350),
        quotes=(2, 6),
        own_check=own_checks.grounded,
    ),
    "experiments": ModelKind(
        asks="what was measured, how, and what came out",
        of=PAPER,
        weight=3,
        task="Ask about the experiments: what was compared with what, on which data, and what came "
        "out. The answer gives the figures that matter.",
        words=(20, 300),
        quotes=(1, 6),
        own_check=own_checks.measured,
    ),
    "limitations": ModelKind(
        asks="what a paper does not show or cannot do",
        of=PAPER,
        weight=1,
        task="Ask what the limits of the work are: those the authors name, and those that follow "
        "from what they did; say which are which.",
        words=(30, 300),
        quotes=(1, 6),
        most=1,
        own_check=own_checks.grounded,
    ),
    "review": ModelKind(
        asks="a review: strengths, weaknesses, questions",
        of=PAPER,
        weight=2,
        task="Ask for a review of the paper, and write it as a careful reviewer of a conference "
        "does: strengths, weaknesses and questions to the authors, three parts with a blank line "
        "between them, each under its heading, each point about something in this paper. Quote "
        "what the points rest on.",
        words=(120, 800),
        quotes=(3, 12),
        spread=0.2,
        most=1,
        own_check=own_checks.reviewed,
    ),
    "improvements": ModelKind(
        asks="ideas to improve a paper's work",
        of=PAPER,
        weight=1,
        task="Ask how the work could be improved or carried on. The answer is a list of two to "
        "five ideas, one a line, each answering a weakness that the paper shows; quote where.",
        words=(50, 450),
        quotes=(2, 8),
        most=1,
        own_check=own_checks.improved,
    ),
    "comparison": ModelKind(
        asks="how two papers compare",
        of=TWO_PAPERS,
        weight=1,
        task="Ask how the two papers compare in one respect: aim, method, data, results, or what "
        "each lacks. Call them by their titles. The answer says what holds for each and what "
        "follows; quote both.",
        words=(40, 400),
        quotes=(2, 8),
        most=6,
        own_check=own_checks.compared,
    ),
    "unanswerable": ModelKind(
        basis="not in the text",
        asks="what one expects to read in the text and does not",
        of=ALL,
        weight=0,
        task="Ask something that a reader could expect to find in this text and that it does not "
        "tell: about people or things that do occur in it, close to what is told. The answer says, "
        "in one or two sentences, that the text does not tell it. No quotes.",
        words=(3, 60),
        quotes=(0, 0),
        most=3,
        closed_book=False,
    ),
}

# Every kind that a dataset can hold; "unanswerable" is of both, and the offline one's entry.
ALL_KINDS: dict[str, Kind] = {**KINDS, **{k: v for k, v in MODEL_KINDS.items() if k not in KINDS}}
