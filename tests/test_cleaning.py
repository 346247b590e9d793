"""What typesetting and scanning put into a text, taken out; the author's words stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.cleaning import (
    LISTED_PER_REASON,
    Drops,
    hyphens_of,
    join_lines,
    plain_letters,
    without_emphasis,
    without_furniture,
)


def joined(*lines: str, elsewhere: str = "") -> str:
    """The lines as one paragraph of a text that also says `elsewhere`."""
    return join_lines(lines, hyphens_of([*lines, "", elsewhere]))


def test_a_word_cut_by_a_line_end_is_put_together() -> None:
    assert joined("He took the exam-", "ple to heart.") == "He took the example to heart."


def test_a_compound_attested_elsewhere_keeps_its_hyphen() -> None:
    text = joined("a well-", "known man", elsewhere="The well-known lady.")
    assert text == "a well-known man"


def test_the_more_frequent_spelling_wins() -> None:
    text = joined("to-", "day", elsewhere="today today to-day")
    assert text == "today"
    assert joined("to-", "day", elsewhere="today to-day to-day") == "to-day"


def test_two_words_that_both_occur_alone_are_a_compound() -> None:
    text = joined("his fellow-", "men", elsewhere="A fellow among men.")
    assert text == "his fellow-men"


def test_the_halves_at_the_break_are_no_evidence() -> None:
    assert joined("the govern-", "ment of it") == "the government of it"


def test_names_and_years_keep_their_hyphens() -> None:
    assert joined("the Anglo-", "Saxon race") == "the Anglo-Saxon race"
    assert joined("in 1914-", "1918 and") == "in 1914-1918 and"


def test_a_dash_at_a_line_end_joins_without_a_space() -> None:
    assert joined("he was there--", "she was not") == "he was there--she was not"
    assert joined("he was there—", "she was not") == "he was there—she was not"


def test_ligatures_are_expanded_and_spelling_stays() -> None:
    assert plain_letters("ﬁrst oﬃce ﬂoor eﬀect ﬅ ﬆ æther œuvre") == (
        "first office floor effect ft st æther œuvre"
    )


@pytest.mark.parametrize(
    ("marked", "bare"),
    [
        ("a _very_ big", "a very big"),
        ("_The Anatomy of Melancholy_)", "The Anatomy of Melancholy)"),
        ("(_i.e._) _I_'ll", "(i.e.) I'll"),
        ("a native of _____, in Mr. __", "a native of _____, in Mr. __"),
        ("the name my_own_name and x_1", "the name my_own_name and x_1"),
        ("an open _end", "an open _end"),
    ],
)
def test_emphasis_marks_go_and_blanks_and_names_stay(marked: str, bare: str) -> None:
    assert without_emphasis(marked, Drops()) == bare


def test_emphasis_marks_are_counted() -> None:
    drops = Drops()
    without_emphasis("_a_ and _b_", drops)
    assert [d.reason for d in drops.listed()] == ["emphasis marks"] * 2


PAGE = "The ship went on through the night and nobody on board was able to"
NEXT = "sleep, for the wind was high and the sea ran over the deck again."


def pages(head: str, number: str, count: int = 8) -> list[str]:
    lines: list[str] = []
    for i in range(count):
        lines += [PAGE, "", number.format(i + 12), head.format(i + 12), "", NEXT]
    return lines


@pytest.mark.parametrize("number", ["{}", "- {} -", "[{}]", "Page {}"])
def test_page_numbers_and_running_heads_go_and_are_counted(number: str) -> None:
    drops = Drops()
    kept = without_furniture(pages("THE GREAT VOYAGE", number), drops)
    assert kept == [PAGE, NEXT] * 8  # each sentence is one paragraph again
    reasons = [d.reason for d in drops.listed()]
    assert (reasons.count("page number"), reasons.count("running head")) == (8, 8)


def test_chapter_numbers_are_no_page_numbers() -> None:
    lines: list[str] = []
    for i in range(1, 12):
        lines += [str(i), "", "It began again.", "", "It ended there.", ""]
    assert without_furniture(lines, Drops()) == lines


def test_a_refrain_and_an_ornament_stay() -> None:
    lines = ["He said no.", "", "* * * * *", "", "She said yes.", "", "Nevermore", ""] * 9
    drops = Drops()
    assert without_furniture(lines, drops) == lines
    assert drops.listed() == ()


def test_page_marks_go_wherever_they_stand() -> None:
    drops = Drops()
    lines = ["He went [Pg 12]on and", "[Pg 13]", "on, as [p. 4] said {Page xiv}"]
    assert without_furniture(lines, drops) == ["He went on and", "on, as  said "]
    assert [d.text for d in drops.listed()] == ["[Pg 13]", "[Pg 12]", "[p. 4]", "{Page xiv}"]


def test_drops_beyond_the_limit_are_counted_not_kept() -> None:
    drops = Drops()
    for i in range(LISTED_PER_REASON + 5):
        drops.add("page number", str(i))
    listed = drops.listed()
    assert len(listed) == LISTED_PER_REASON + 1
    assert listed[-1].text == "and 5 more"


WORDS = st.lists(st.from_regex(r"[a-z]{1,9}[,.]?", fullmatch=True), min_size=1, max_size=40)


@given(WORDS, st.integers(min_value=10, max_value=40))
def test_joining_undoes_wrapping(words: list[str], width: int) -> None:
    lines, line = [], ""
    for word in words:
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    lines.append(line)
    assert join_lines(lines, hyphens_of(lines)) == " ".join(words)


@given(st.lists(st.text(max_size=30), max_size=30))
def test_furniture_only_ever_removes_lines(lines: list[str]) -> None:
    lines = [line.replace("[", "(").replace("{", "(").replace("\n", " ") for line in lines]
    kept = iter(lines)
    assert all(line in kept for line in without_furniture(lines, Drops()))  # a subsequence
