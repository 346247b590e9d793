"""longqa.kinds.absent: questions that the text does not answer."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice
from pathlib import Path

from longqa_documents import paper, story, view_of

from longdata.documents import Block, DocumentKind, assemble
from longdata.readers import read_source
from longdata.sources import Source
from longdata.tokenizers import Tokenizer
from longqa.extractive import ask
from longqa.kinds.absent import _GIVEN, _SURNAMES, _TERMS, unanswerable
from longqa.recipe import Recipe
from longqa.records import Question
from longqa.view import View

EXAMPLES = Path(__file__).parents[1] / "examples"


def view(*paragraphs: str, kind: DocumentKind = "book") -> View:
    blocks = [Block(p) for p in paragraphs]
    return view_of(assemble(blocks, title="T", kind=kind, source="t", sha256="0"))


def asked(seen: View, seed: int = 0) -> list[Question]:
    return list(unanswerable(seen, random.Random(seed)))


def test_no_part_of_an_absent_name_occurs_in_the_text_in_any_case() -> None:
    given = " ".join(name.upper() for name in _GIVEN[:20])
    last = " ".join(f"{name.lower()}s" for name in _SURNAMES[:20])
    seen = view(f"They called {given} and the {last} home.")
    found = asked(seen)
    assert found
    folded = seen.document.text.casefold()
    for question in found:
        assert not any(part.casefold() in folded for part in question.about.split())


def test_what_stands_outside_the_window_counts_as_occurring() -> None:
    blocks = [Block("The sea was grey."), Block("They called " + " ".join(_GIVEN) + " home.")]
    document = assemble(blocks, title="T", kind="book", source="t", sha256="0")
    assert asked(view_of(document, end=18)) == []


def test_no_telling_word_of_an_absent_term_occurs_in_the_text() -> None:
    words = "The Bleu method and a PAGERANK of wavelets, filters and genetic trees were used."
    about = {question.about for question in asked(view(words, kind="paper"))}
    assert about
    assert not about & {
        "the BLEU score",
        "the PageRank algorithm",
        "wavelet denoising",
        "the Kalman filter",
        "the Bloom filter",
        "genetic programming",
    }


def test_a_text_that_uses_all_the_terms_is_asked_nothing() -> None:
    assert asked(view(" ".join(_TERMS) + ".", kind="paper")) == []


def test_the_answer_says_that_the_text_does_not_say_and_shows_nothing() -> None:
    for question in [*asked(view_of(story())), *asked(view_of(paper()))]:
        assert question.about in question.answer
        assert any(
            said in question.answer for said in ("does not mention", "cannot be", "never mentions")
        )
        assert question.evidence == ()


def test_questions_about_a_book_bring_its_own_people_in() -> None:
    people = {person.name for person, _, _ in view_of(story()).people}
    found = asked(view_of(story()))
    beside = [q for q in found if any(name in q.text for name in people)]
    assert 0.4 < len(beside) / len(found) < 0.8
    assert not any("  " in q.text or q.text.endswith(" ?") for q in found)


def test_a_book_without_people_is_asked_about_the_absent_one_alone() -> None:
    found = asked(view("The sea was grey and the wind was cold."))
    assert found
    for question in found:
        assert question.about in question.text
        assert not any(w in question.text for w in (" to ?", "related", "think of", " say "))


def test_other_seeds_ask_about_other_names() -> None:
    first = {
        next(islice(unanswerable(view_of(story()), random.Random(seed)), 1)).about
        for seed in range(20)
    }
    assert len(first) > 10


def test_the_share_of_unanswerable_questions_is_between_three_and_seven_percent() -> None:
    tokenizer = Tokenizer.load(None)
    for name in ("the-lamps-of-saltreve.txt",):
        path = EXAMPLES / name
        document = next(read_source(Source(path=path, name=name, sha256="0" * 64)))
        for total in (40, 80):
            outcome = ask(document, tokenizer, Recipe(ctx=(1024, 2048), per_document=total))
            kinds = Counter(e.question_kind for e in outcome.examples)
            assert 0.03 <= kinds["unanswerable"] / len(outcome.examples) <= 0.07
