"""longqa.llm.refusals: a model that declines is known, and a story that regrets is none."""

from __future__ import annotations

import time

import pytest

from longqa.llm.refusals import is_refusal


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that.",
        "“I cannot answer that.”",
        "I am unable to provide the text.",
        "As an AI language model, I have no opinion.",
        "Sorry, I’m not able to help with that request.",
        "Unfortunately, I cannot quote from this book.",
        "Je ne peux pas répondre à cette question.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Es tut mir leid, aber dabei kann ich nicht helfen.",
        "Ich kann diese Frage leider nicht beantworten.",
        "Lo siento, pero no puedo ayudar con eso.",
        "Desculpe, mas não posso ajudar.",
        "Mi dispiace, ma non posso rispondere.",
        "Het spijt me, maar ik kan je daar niet bij helpen.",
        "Извините, но я не могу ответить на этот вопрос.",
        "抱歉，我无法回答这个问题。",
        "作为一个人工智能语言模型，我没有看法。",
        "申し訳ありませんが、その質問にはお答えできません。",
        "죄송하지만 그 질문에는 답할 수 없습니다.",
        "عذرًا، لا يمكنني المساعدة في ذلك.",
    ],
)
def test_refusals_are_known_in_many_languages(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot believe it!",
        "Kemp said that he was sorry.",
        "“I am sorry,” said Kemp.",
        "Sorry for the delay.",
        "As an aide to the general he rode ahead.",
        "He could not answer.",
        "The text does not say.",
        "Als Kind lebte sie in Wien.",
        "Es tut mir leid, sagte er.",
        "Je ne sais pas.",
        "抱歉的是他自己。",
        "Unfortunately for Hall, the door was locked.",
    ],
)
def test_regret_and_inability_of_a_story_are_no_refusals(text: str) -> None:
    assert not is_refusal(text)


def test_only_the_beginning_is_looked_at() -> None:
    started = time.perf_counter()
    assert not is_refusal("x" * 500 + "I'm sorry, but I can't help with that.")
    assert not is_refusal("sorry " * 200_000)
    assert time.perf_counter() - started < 1.0
