"""longqa.llm.passages: the best passage is the one that has the words; quotes are shown whole."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.documents import Span
from longqa.llm.passages import Passages, best_passage, surroundings, terms

FILL = "The tide came in and went out again, and nobody wrote it down. "
LAMP = "Ambrose Fenn lit the great lamp with a splinter of juniper. "


def test_the_passage_that_has_the_words_is_the_best() -> None:
    text = FILL * 200 + "\n\n" + LAMP + "\n\n" + FILL * 200
    best = best_passage(text, "With what did Ambrose Fenn light the lamp?")
    assert LAMP.strip() in text[best.start : best.end]
    assert 600 <= best.end - best.start <= 1_800


def test_paragraphs_are_kept_whole_where_they_fit() -> None:
    paragraphs = [FILL * n + f"Paragraph {n}." for n in (9, 8, 10, 7, 11, 6)]
    text = "\n\n".join(paragraphs)
    found = [text[p.start : p.end].strip() for p in Passages(text, size=600).passages]
    assert found == paragraphs


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    text = LAMP * 100
    for passage in Passages(text).passages:
        assert text[passage.start : passage.end].startswith("Ambrose")


def test_equal_passages_are_decided_by_their_place() -> None:
    text = (FILL * 15 + LAMP + "\n\n") * 20
    passages = Passages(text)
    assert passages.best("juniper") == passages.passages[0]
    assert passages.best("words that stand nowhere, xylophone") == passages.passages[0]
    assert passages.best("") == passages.passages[0]


def test_scripts_without_spaces() -> None:
    fill = "潮水涨了又退，没有人把它写下来。"
    text = fill * 300 + "安布罗斯用杜松的木片点亮了大灯。" + fill * 300
    best = best_passage(text, "安布罗斯用什么点亮了灯？")
    assert "杜松" in text[best.start : best.end]
    assert terms("点亮了 LoRA") == ["点亮", "亮了", "lora"]


def by_definition(passages: list[list[str]], query: list[str]) -> list[float]:
    mean = sum(map(len, passages)) / len(passages)
    scores = []
    for passage in passages:
        counts, score = Counter(passage), 0.0
        for term in set(query):
            n = sum(term in other for other in passages)
            idf = math.log(1 + (len(passages) - n + 0.5) / (n + 0.5))
            length = 1 - 0.75 + 0.75 * len(passage) / mean
            score += idf * counts[term] * 2.2 / (counts[term] + 1.2 * length)
        scores.append(score)
    return scores


@given(
    st.lists(
        st.lists(st.sampled_from("lamp sea wind boat juniper".split()), min_size=9, max_size=30),
        min_size=1,
        max_size=6,
    ),
    st.lists(st.sampled_from("lamp boat juniper storm".split()), min_size=1, max_size=3),
)  # fmt: skip
def test_scores_are_those_of_the_formula(words: list[list[str]], query: list[str]) -> None:
    text = "\n\n".join(" ".join(passage) for passage in words)
    index = Passages(text, size=60)
    cut = [terms(text[p.start : p.end]) for p in index.passages]
    assert index.scores(" ".join(query)) == pytest.approx(by_definition(cut, query))


@given(st.text(alphabet=st.sampled_from("ab.\n 中。”"), max_size=400), st.integers(1, 90))
def test_passages_are_the_whole_text_once(text: str, size: int) -> None:
    passages = Passages(text, size=size).passages
    assert "".join(text[p.start : p.end] for p in passages) == text
    assert all(p.end - p.start <= max(size + size // 2, 1) for p in passages)


@pytest.mark.parametrize("piece", [FILL, "ab", "\n", " ", ". ", "中", "灯塔的看守人。"])
def test_a_long_text_is_indexed_fast(piece: str) -> None:
    text = (piece * 400_000)[:400_000]
    started = time.perf_counter()
    Passages(text).best("who lit the lamp")
    assert time.perf_counter() - started < 1.5  # a tenth of it, as a rule


def test_nine_sentences_of_ten_are_in_their_best_passage(shared_data: Path) -> None:
    path = shared_data / "books/clean/11696_the-food-of-the-gods.txt"
    text = path.read_text(encoding="utf-8")
    passages = Passages(text)
    sentences = list(re.finditer(r"[A-Z][^.!?\n]{0,60}\n?[^.!?\n]{60,}[.]", text))[::3]
    best = [passages.best(match[0]) for match in sentences]
    hits = [p.start < m.end() and m.start() < p.end for p, m in zip(best, sentences, strict=True)]
    assert len(hits) > 80 and sum(hits) >= 0.9 * len(hits)


def test_a_quote_is_shown_with_the_text_around_it() -> None:
    text = FILL * 20 + LAMP + FILL * 20
    start = text.index("lit the great lamp")
    (shown,) = surroundings(text, [Span(start=start, end=start + 18)], margin=60)
    assert "Ambrose Fenn [[lit the great lamp]] with a splinter of juniper." in shown
    assert shown.startswith("… ") and shown.endswith(" …")
    assert len(shown) <= 18 + 2 * 60 + 8


def test_quotes_near_each_other_are_shown_in_one() -> None:
    text = FILL * 20 + LAMP + FILL * 20
    start = text.index("Ambrose")
    near = [Span(start=start + 13, end=start + 16), Span(start=start, end=start + 7)]
    far = Span(start=4, end=8)
    first, second = surroundings(text, [*near, far], margin=100)
    assert first.startswith("The [[tide]] came in")
    assert "[[Ambrose]] Fenn [[lit]] the great lamp" in second
    both = [Span(start=start, end=start + 12), Span(start=start + 8, end=start + 16)]
    assert "[[Ambrose Fenn lit]] the" in surroundings(text, both)[0]


def test_the_whole_of_a_short_text_is_shown() -> None:
    assert surroundings("The lamp was lit.", [Span(start=4, end=8)]) == ["The [[lamp]] was lit."]
    assert surroundings("The lamp was lit.", []) == []


@given(
    st.text(alphabet=st.sampled_from("ab \n中"), min_size=1, max_size=300),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=4),
    st.integers(0, 120),
)
def test_what_is_shown_is_the_text(text: str, places: list[tuple[int, int]], margin: int) -> None:
    spans = [
        Span(start=min(a, b), end=max(a, b))
        for a, b in places
        if min(a, b) < max(a, b) <= len(text)
    ]
    shown = surroundings(text, spans, margin=margin)
    for passage in shown:
        plain = passage.replace("[[", "").replace("]]", "")
        assert plain.removeprefix("… ").removesuffix(" …") in text
        assert passage.count("[[") == passage.count("]]") >= 1
    marked = sum(len(piece) for p in shown for piece in re.findall(r"\[\[(.*?)\]\]", p, re.S))
    assert marked == len({i for span in spans for i in range(span.start, span.end)})
