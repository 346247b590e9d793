"""longqa.llm.folding: what is set differently is compared alike, and every place is known."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longqa.llm.folding import Folded, lower_case


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("“Go,” he said.", '"Go," he said.'),
        ("“Go,” he said.", "'Go,' he said."),
        ("il dit « non » et", 'il dit "non" et'),
        ("LoRA 方法", "LoRA方法"),
        ("the dogs’ tails", "the dogs' tails"),
        ("don’t", "don't"),
        ("word—word", "word – word"),
        ("word -- word", "word — word"),
        ("exam-\nple", "example"),
        ("long-\nterm", "long-term"),
        ("co\u00adoperate", "cooperate"),
        ("ﬁne ﬂow", "fine flow"),
        ("cafe\u0301", "café"),
        ("a\u00a0b\n\n c", "a b c"),
        ("wait …", "wait..."),
        ("wait . . . there", "wait... there"),
        ("an *odd* _word_", "an odd word"),
        ("a\n* b", "a b"),
        ("zero\u200bwidth", "zerowidth"),
        ("Quoi ?", "Quoi?"),
        ("他说：“你好，\n世界。”", "他说:「你好,世界。」"),
        ("ＡＢ１２", "AB12"),
    ],
)
def test_two_settings_of_one_text_are_equal(one: str, other: str) -> None:
    assert Folded(one).text == Folded(other).text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10-20", "1020"),
        ("x = -5", "x = 5"),
        ("its", "it's"),
        ("snake_case", "snakecase"),
        ("2*3", "23"),
        ("Kemp", "kemp"),
        ("10 000", "10000"),
    ],
)
def test_what_means_something_is_not_folded(one: str, other: str) -> None:
    assert Folded(one).text != Folded(other).text


@given(st.text(alphabet=st.sampled_from("ab 1.-—\n'“”…*_ﬁé\u0301\u00ad\u200b，中文"), max_size=60))
def test_places_are_in_order_and_inside(text: str) -> None:
    folded = Folded(text)
    starts = [folded.start(place) for place in range(len(folded.text))]
    ends = [folded.end(place + 1) for place in range(len(folded.text))]
    assert starts == sorted(starts) and ends == sorted(ends)
    assert all(0 <= s < e <= len(text) for s, e in zip(starts, ends, strict=True))
    for place, character in enumerate(folded.text):  # what was copied comes from its own place
        if character.isalpha() and character.isascii() and text[starts[place]].isascii():
            assert text[starts[place]] == character


@given(st.text(max_size=60))
def test_small_letters_keep_their_places(text: str) -> None:
    lower = lower_case(text)
    assert len(lower) == len(text)
    assert lower_case(lower) == lower


@pytest.mark.parametrize(
    "piece", ["- ", ". ", " ", "* ", "\n", "“", "…", "e\u0301", "'", "_", "，"]
)
def test_repeated_characters_fold_in_linear_time(piece: str) -> None:
    started = time.perf_counter()
    Folded(piece * 200_000)
    assert time.perf_counter() - started < 3.0  # a tenth of it, as a rule
