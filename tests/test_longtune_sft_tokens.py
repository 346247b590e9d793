"""sft_tokens: what is learned is the answer and its end, behind the prompt that generation sees."""

from __future__ import annotations

from typing import Any

import pytest
import sft_tokenizers
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longdata.prompt_template import prompt, short_prompt
from longtune.sft_rows import Row, Turn, Unread
from longtune.sft_tokens import (
    CHANGED_PROMPT,
    NEEDS_CHAT,
    REFUSED_TURNS,
    SHARED_TOKEN,
    SPECIAL_TOKEN,
    Encoded,
    PromptEncoder,
)

ASKED = prompt(
    context="It was cold.",
    question="Who left?",
    title="Emma",
    author=None,
    kind="book",
    is_whole=True,
)
TOKENIZERS = sft_tokenizers.ALL


def row(*said: str, system: str | None = None) -> Row:
    turns = [Turn(("user", "assistant")[i % 2], text) for i, text in enumerate(said)]
    return Row(name="r", turns=(*([Turn("system", system)] if system else []), *turns))


def encoded(encoder: PromptEncoder, *rows: Row) -> list[Encoded]:
    found = encoder.encode(rows)
    assert all(isinstance(each, Encoded) for each in found), found
    return found  # type: ignore[return-value]


def learned(each: Encoded) -> list[int]:
    return [int(number) for number in each.ids[each.num_prompt :]]


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(asked=st.text(max_size=40), answer=st.text(min_size=1, max_size=40))
def test_generation_is_given_exactly_what_stands_before_the_answer(
    kind: str, asked: str, answer: str
) -> None:
    tokenizer = TOKENIZERS[kind]()
    encoder = PromptEncoder(tokenizer)
    for question in (asked, ASKED):
        (each,) = encoder.encode([row(question, answer)])
        if isinstance(each, Unread):  # a text that this tokenizer cannot give back
            assert each.reason == SHARED_TOKEN
            continue
        assert each.ids[: each.num_prompt].tolist() == encoder.prompt_ids([Turn("user", question)])
        assert learned(each)[-1] == tokenizer.eos_token_id and len(learned(each)) > 1


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_plain_row_is_prompt_space_answer_and_end(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]()
    (each,) = encoded(PromptEncoder(tokenizer), row(ASKED, "The ferry."))
    assert tokenizer.decode(each.ids).removeprefix("<s>").lstrip() == (
        f"{ASKED} The ferry.{tokenizer.eos_token}"
    )
    assert tokenizer.decode(learned(each)).strip() == f"The ferry.{tokenizer.eos_token}"
    given_to_generate = tokenizer(ASKED)["input_ids"]
    assert each.ids[: each.num_prompt].tolist() == given_to_generate, "BOS where it puts one"


def test_a_token_across_the_border_is_not_learned() -> None:
    tokenizer = sft_tokenizers.joining()
    together = tokenizer(f"{ASKED} The ferry")["input_ids"]
    before = tokenizer(ASKED)["input_ids"]
    assert together[: len(before)] != before, "this tokenizer joins across the border"
    (each,) = encoded(PromptEncoder(tokenizer), row(ASKED, "The ferry"))
    assert each.ids[: each.num_prompt].tolist() == before
    assert tokenizer.decode(each.ids) == f"{ASKED} The ferry<end>"


def test_an_answer_that_would_read_otherwise_is_refused() -> None:
    tokenizer = sft_tokenizers.joining(decodes=False)
    (refused,) = PromptEncoder(tokenizer).encode([row(ASKED, "The ferry")])
    assert refused == Unread(name="r", reason=SHARED_TOKEN)


def test_an_instruction_gets_the_ending_of_a_prompt_and_a_prompt_no_second_one() -> None:
    tokenizer = sft_tokenizers.byte_level()
    encoder = PromptEncoder(tokenizer)
    short, long = encoded(encoder, row("Add one.", "2"), row(short_prompt("Add one."), "2"))
    assert short.ids.tolist() == long.ids.tolist()
    assert tokenizer.decode(short.ids) == "Add one.\nAnswer: 2<|end|>"


def test_a_special_token_in_a_text_is_text() -> None:
    tokenizer = sft_tokenizers.metaspace()
    (each,) = encoded(PromptEncoder(tokenizer), row("It ends in </s> here", "with </s> too"))
    assert each.ids.tolist().count(tokenizer.eos_token_id) == 1
    assert each.ids[-1] == tokenizer.eos_token_id


def test_turns_that_the_plain_template_has_no_place_for_are_refused() -> None:
    encoder = PromptEncoder(sft_tokenizers.byte_level())
    for talk in (row("Q", "A", "Q2", "A2"), row("Q", "A", system="Be brief.")):
        assert encoder.encode([talk]) == [Unread(name="r", reason=NEEDS_CHAT)]
    with pytest.raises(UserError, match="needs --template chat"):
        encoder.prompt_ids([Turn("system", "Be brief."), Turn("user", "Q")])


def test_a_chat_row_ends_with_the_token_that_ends_the_turn() -> None:
    tokenizer = sft_tokenizers.byte_level()
    encoder = PromptEncoder(tokenizer, template="chat")
    (each,) = encoded(encoder, row("Q", "A", "Who left?", "The ferry.", system="Be brief."))
    assert tokenizer.decode(learned(each)) == "The ferry.<|im_end|>"
    assert tokenizer.decode(each.ids[: each.num_prompt]).endswith(
        "<|im_end|>\n<|im_start|>user\nWho left?<|im_end|>\n<|im_start|>assistant\n"
    )
    turns = row("Q", "A", "Who left?", "x", system="Be brief.").turns[:-1]
    asked = tokenizer.apply_chat_template(
        [{"role": t.role, "content": t.text} for t in turns], add_generation_prompt=True
    )["input_ids"]  # fmt: skip
    assert each.ids[: each.num_prompt].tolist() == list(asked) == encoder.prompt_ids(turns)


def test_a_chat_template_without_an_end_of_turn_gets_the_end_of_text() -> None:
    tokenizer = sft_tokenizers.byte_level()
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}"
    (each,) = encoded(PromptEncoder(tokenizer, template="chat"), row("Q", "A"))
    assert learned(each)[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(learned(each)) == "assistant: A <|end|>"


def test_a_chat_row_with_a_written_special_token_is_refused() -> None:
    encoder = PromptEncoder(sft_tokenizers.byte_level(), template="chat")
    for talk in (row("a<|im_end|>", "b"), row("a", "b<|im_start|>user\nc")):
        assert encoder.encode([talk]) == [Unread(name="r", reason=SPECIAL_TOKEN)]


def test_a_template_that_refuses_or_rewrites_turns_is_a_reason() -> None:
    tokenizer = sft_tokenizers.byte_level()
    tokenizer.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('none') }}{% endif %}"
        + sft_tokenizers.CHATML
    )
    encoder = PromptEncoder(tokenizer, template="chat")
    assert encoder.encode([row("Q", "A", system="S")]) == [Unread(name="r", reason=REFUSED_TURNS)]
    tokenizer.chat_template = "{{ messages | length }}{{ messages[-1].content }}"
    assert encoder.encode([row("Q", "A")]) == [Unread(name="r", reason=CHANGED_PROMPT)]


def test_a_tokenizer_that_cannot_is_one_line() -> None:
    with pytest.raises(UserError, match="without a chat template"):
        PromptEncoder(sft_tokenizers.metaspace(), template="chat")
    endless: Any = sft_tokenizers.joining()
    endless.eos_token = None
    with pytest.raises(UserError, match="without an end of text"):
        PromptEncoder(endless)
