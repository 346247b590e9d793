"""longqa.llm.agreement: "same" and "different" only where the words leave no doubt."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longqa.llm.agreement import agreement

SAME = [
    ("Ambrose Fenn", "Ambrose Fenn"),
    ("Ambrose Fenn", "ambrose fenn."),
    ("Ambrose Fenn", "It was Ambrose Fenn."),
    ("Ambrose Fenn", "The lamp was lit by Ambrose Fenn."),
    ("Ambrose Fenn", "The keeper was called Ambrose Fenn"),
    ("The lighthouse", "a lighthouse"),
    ("juniper", "“Juniper”"),
    ("juniper", "The answer is juniper."),
    ("don’t go", "Don't go!"),
    ("14 men", "14 men were lost"),
    ("fourteen men", "14 men"),
    ("fourteen men", "Fourteen men were lost."),
    ("twenty-one", "21"),
    ("two hundred and five", "205"),
    ("1,000 boats", "a thousand boats"),
    ("1.5 million", "1,500,000"),
    ("two dozen", "24"),
    ("5.0", "5"),
    ("50%", "50 percent"),
    ("fifty per cent", "50 %"),
    ("$5", "5 dollars"),
    ("the 3rd", "third"),
    ("In 1872", "1872"),
    ("Paris, Rome and Bern", "Paris; Rome; Bern"),
    ("long-term memory", "long term memory"),
    ("Yes", "yes."),
    ("ﬁne day", "fine day"),
    ("cafe\u0301", "café"),
    ("Der Wärter", "der wärter"),
    ("um sieben Uhr", "Um sieben Uhr."),
    ("zwölf Boote", "12 Boote"),
    ("le gardien", "Le Gardien"),
    ("杜松", "杜松。"),
    ("安布罗斯", "“安布罗斯”"),
    ("unknown", "Unknown."),
]
DIFFERENT = [
    ("Ambrose Fenn", ""),
    ("Ambrose Fenn", "  "),
    ("Ambrose Fenn", "unknown"),
    ("Ambrose Fenn", "I don’t know."),
    ("Ambrose Fenn", "I do not know"),
    ("ambrose fenn", "The text does not say who did it."),
    ("juniper", "unknown"),
    ("juniper", "The answer is unknown."),
    ("Ambrose Fenn", "I'm sorry, but I can't answer that."),
    ("Ambrose Fenn", "Ich weiß es nicht."),
    ("Ambrose Fenn", "Je ne sais pas"),
    ("安布罗斯", "不知道"),
    ("Ambrose Fenn", "Hall"),
    ("Ambrose Fenn", "It was Hall."),
    ("Paris", "London"),
    ("14", "15"),
    ("14 men", "15 men"),
    ("fourteen men", "fifteen men"),
    ("1872", "1873"),
    ("In 1872", "In 1873."),
    ("$5", "$6"),
    ("50%", "60 percent"),
    ("the second", "the third"),
    ("-5", "5"),
    ("twenty-one", "22"),
    ("Yes", "No"),
    ("No, never", "Yes."),
    ("ja", "Nein"),
    ("是", "否"),
]
UNCLEAR = [
    ("Ambrose Fenn", "Fenn"),
    ("Ambrose Fenn", "the brother of Ambrose Fenn"),
    ("Ambrose Fenn", "Ambrose Fenn's brother"),
    ("Ambrose Fenn", "Ambrose Fenn or Hall"),
    ("Ambrose Fenn", "It was not Ambrose Fenn"),
    ("Ambrose Fenn", "It never was Ambrose Fenn"),
    ("14 men", "14 men were almost lost"),
    ("Ambrose Fenn", "It was lit by Hall, not by Ambrose Fenn"),
    ("Ambrose Fenn", "The lamp was lit in 1872 by Ambrose Fenn"),
    ("Ambrose Fenn", "I don't know, perhaps Ambrose Fenn"),
    ("Kemp killed Hall", "Hall killed Kemp"),
    ("Paris, Rome, Bern", "Rome, Paris, Bern"),
    ("red", "red herring"),
    ("red", "blue, previously red"),
    ("physician", "a doctor"),
    ("United States", "USA"),
    ("Paris", "巴黎"),
    ("14 men", "14 women"),
    ("14 men", "14"),
    ("14", "XIV"),
    ("1872", "the 1870s"),
    ("1872", "between 1872 and 1880"),
    ("1.5 km", "1500 m"),
    ("1.000 Boote", "1000 Boote"),
    ("50%", "0.5"),
    ("3 May 1872", "3 June 1872"),
    ("one third", "33%"),
    ("Elizabeth", "Elisabeth"),
    ("he went to Paris", "he went from Paris"),
    ("the lamp was lit", "the lamp was not lit"),
    ("杜松", "用杜松木片"),
    ("The text does not say.", "unknown"),
    ("He lit the lamp because nobody else was left to do it.", "Nobody else was there."),
    ("...", "—"),
]


@pytest.mark.parametrize(("gold", "attempt"), SAME)
def test_the_same(gold: str, attempt: str) -> None:
    assert agreement(gold, attempt) == "same"


@pytest.mark.parametrize(("gold", "attempt"), DIFFERENT)
def test_different(gold: str, attempt: str) -> None:
    assert agreement(gold, attempt) == "different"


@pytest.mark.parametrize(("gold", "attempt"), UNCLEAR)
def test_what_a_model_has_to_compare(gold: str, attempt: str) -> None:
    assert agreement(gold, attempt) == "unclear"


_WORDS = st.sampled_from(
    "Fenn Kemp Paris lamp juniper keeper fourteen 12 1872 Wärter lit 杜松 灯塔 boats".split()
)
_ANSWERS = st.lists(_WORDS, min_size=1, max_size=8).map(" ".join)


@given(st.text(min_size=1).filter(str.strip))
def test_a_text_is_the_same_as_itself(text: str) -> None:
    assert agreement(text, text) == "same"


@given(_ANSWERS)
def test_case_punctuation_and_articles_do_not_count(answer: str) -> None:
    for other in (answer.upper(), f"“{answer}.”", f"  {answer}!", f"The {answer}"):
        assert agreement(answer, other) == agreement(other, answer) == "same"


@given(
    _ANSWERS, st.integers(20, 999), st.sampled_from(["{} {}", "{1} {0}", "{}, in {}", "{} ({})"])
)
def test_another_number_is_never_the_same(answer: str, number: int, form: str) -> None:
    other = form.format(answer, number)
    assert agreement(answer, other) != "same"
    assert agreement(other, answer) != "same"


@given(_ANSWERS, st.sampled_from(["not {}", "{} or Hall", "Hall, formerly {}", "never {}"]))
def test_a_negation_or_a_choice_is_never_the_same(answer: str, form: str) -> None:
    assert agreement(answer, form.format(answer)) != "same"


@given(st.integers(0, 10**40), st.integers(0, 10**40))
def test_two_whole_numbers_are_the_same_or_different(one: int, other: int) -> None:
    expected = "same" if one == other else "different"
    assert agreement(str(one), f"{other}.") == expected
    assert agreement(f"{one:,}", str(other)) == expected


@given(st.text(), st.text())
def test_any_two_texts_are_compared(one: str, other: str) -> None:
    assert agreement(one, other) in {"same", "different", "unclear"}


@pytest.mark.parametrize("piece", ["a ", "1", "1,", "-", "hundred ", "not ", "i don't know ", "中"])
def test_long_answers_take_no_seconds(piece: str) -> None:
    started = time.perf_counter()
    agreement(piece * 20_000, piece * 20_001)
    assert time.perf_counter() - started < 2.0  # a tenth of it, as a rule
