"""The hashes of 13-word sequences against the same definition in plain Python."""

from __future__ import annotations

import re
import time
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata import ngrams
from longdata.ngrams import Words, hashes_in, hashes_of, words_of

# Characters that NFKC, case folding and word boundaries treat in every way there is.
TRICKY = (
    "aZß_ıİǰΐᾷſſ½²™①ﬁé\u0301\u0323\u0308eo-’ \n.,"
    "漢字かがﾞｶ￥，　ก็ำ가ᄀ\u1161\u11a8한ㅏ١\u00ad\ud800😀"
)
texts = st.one_of(st.text(alphabet=TRICKY), st.text(), st.text(alphabet="ab \u0301"))


def plain_words(text: str) -> list[str]:
    """The definition, word by word."""
    found = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text))
    single = ngrams._NO_SPACES
    words: list[str] = []
    for run in found:
        start = 0
        for match in single.finditer(run):
            words += [run[start : match.start()], match.group()]
            start = match.end()
        words.append(run[start:])
    return [word.casefold() for word in words if word]


def plain_grams(text: str, width: int) -> list[tuple[str, ...]]:
    words = plain_words(text)
    return [tuple(words[i : i + width]) for i in range(len(words) - width + 1)]


@given(texts)
def test_the_words_are_those_of_the_definition(text: str) -> None:
    words, plain = words_of(text), plain_words(text)
    assert len(words.hashes) == len(words.starts) == len(words.ends) == len(plain)
    seen: dict[str, int] = {}
    for word, value in zip(plain, words.hashes.tolist(), strict=True):
        assert seen.setdefault(word, value) == value
    assert len(set(seen.values())) == len(seen)


@given(texts)
def test_each_word_stands_where_it_is_said_to_stand(text: str) -> None:
    words = words_of(text)
    for word, start, end in zip(
        plain_words(text), words.starts.tolist(), words.ends.tolist(), strict=True
    ):
        assert word in "".join(plain_words(text[start:end]))


@given(texts, texts, st.integers(1, 4))
def test_two_texts_share_hashes_exactly_where_they_share_sequences(
    a: str, b: str, width: int
) -> None:
    shared = set(plain_grams(a, width)) & set(plain_grams(b, width))
    hashes_a, hashes_b = (set(hashes_of(words_of(text).hashes, width).tolist()) for text in (a, b))
    assert len(hashes_a & hashes_b) == len(shared)
    assert len(hashes_a) == len(set(plain_grams(a, width)))


def test_case_punctuation_form_and_italics_do_not_count() -> None:
    same = "It was the ﬁrst café _Nautilus_, don’t you know?"
    other = "it was THE first CAFE\u0301 Nautilus don't   you, know"
    assert words_of(same).hashes.tolist() == words_of(other).hashes.tolist()
    assert words_of("Straße").hashes.tolist() == words_of("STRASSE").hashes.tolist()


@pytest.mark.parametrize("text", ["한국어 가격", "ガラス", "Ångström", "q\u0323\u0307", "ﾊﾟﾝ"])
def test_composed_and_decomposed_are_the_same(text: str) -> None:
    apart = unicodedata.normalize("NFD", text)
    assert words_of(apart).hashes.tolist() == words_of(text).hashes.tolist()
    assert len(words_of(apart + "!").hashes) == len(plain_words(text))


def test_a_word_may_not_move_to_its_neighbour() -> None:
    assert words_of("ab c").hashes.tolist() != words_of("a bc").hashes.tolist()
    assert hashes_of(words_of("a b").hashes, 2) != hashes_of(words_of("b a").hashes, 2)


def test_a_script_without_spaces_has_words_of_one_character() -> None:
    words = words_of("漢字、かな")
    assert words.starts.tolist() == [0, 1, 3, 4]
    assert words.ends.tolist() == [1, 2, 4, 5]


@pytest.mark.parametrize("filler", ["x ", "漢", "e\u0301 ", "½ , ", "word… "])
def test_a_text_in_pieces_gives_what_it_gives_at_once(
    filler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(f"{filler}{n} " for n in range(300))
    whole = words_of(text)
    monkeypatch.setattr(ngrams, "_CHUNK", 97)
    assert_equal(words_of(text), whole)
    for width in (1, 13, 97, 1000):
        pieces = [np.empty(0, np.uint64), *hashes_in(text, width)]
        assert np.array_equal(np.concatenate(pieces), hashes_of(whole.hashes, width))


def test_less_than_thirteen_words_have_no_sequence() -> None:
    assert len(hashes_of(words_of("word " * 12).hashes)) == 0
    assert len(hashes_of(words_of("word " * 13).hashes)) == 1
    assert list(hashes_in("")) == []


def test_the_hashes_are_the_same_on_every_machine_and_in_every_version() -> None:
    assert words_of("Straße 漢").hashes.tolist() == EXPECTED_WORDS
    assert hashes_of(words_of("a b c d e f g h i j k l m").hashes).tolist() == EXPECTED_GRAM


def test_the_cost_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds(text: str) -> float:
        start = time.process_time()
        words_of(text)
        return time.process_time() - start

    line = "A “word” and an… other, e\u0301tude ½ 漢字 of it.\n"
    seconds(line * 100)
    few = min(seconds(line * 5_000) for _ in range(3))
    many = min(seconds(line * 40_000) for _ in range(2))
    assert many < 8 * few * 3 + 0.05


def assert_equal(a: Words, b: Words) -> None:
    assert np.array_equal(a.hashes, b.hashes)
    assert np.array_equal(a.starts, b.starts)
    assert np.array_equal(a.ends, b.ends)


EXPECTED_WORDS = [16746335313038277782, 12979883381634828803]
EXPECTED_GRAM = [16640778076876772511]
