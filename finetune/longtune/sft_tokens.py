"""Conversations → tokens of a prompt and of the answer after it, as generation will see them.

    encoder = PromptEncoder(tokenizer, template="plain")
    encoder.prompt_ids(row.turns[:-1])    what a model is given to answer
    encoder.encode([row])                 -> [Encoded(name=…, ids=…, num_prompt=8123)]

`ids[:num_prompt]` is `prompt_ids` of the same turns, always; the rest is the answer and the end of
text (or of turn), which are learned. The two are tokenized together, as they stand in a text. Where
a tokenizer then joins the end of the prompt and the start of the answer in one token, which no
generation could give back, the answer is tokenized by itself and must decode to the same text.

- plain: BOS, where the tokenizer puts one before a text; the prompt, which ends in "Answer:"; a
  space and the answer; EOS. Special tokens that a text writes out are read as text.
- chat: the chat template of the tokenizer, up to the token that ends the turn. A conversation in
  which a special token is written out is refused: it would end a turn, or begin one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longdata.errors import UserError
from longdata.prompt_template import short_prompt
from longtune.config import Template
from longtune.sft_rows import Row, Turn, Unread

SHARED_TOKEN = "prompt and answer share a token"
SPECIAL_TOKEN = "a special token of the model in its text"
NEEDS_CHAT = "a system turn, or several questions: needs --template chat"
CHANGED_PROMPT = "the chat template changes the prompt when the answer is there"
REFUSED_TURNS = "the chat template refuses its turns"

_ENDING = short_prompt("")  # what a prompt of ours ends in


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """A row in tokens: the prompt, and from `num_prompt` on what is to be learned."""

    name: str
    ids: NDArray[np.int32]
    num_prompt: int


class PromptEncoder:
    """The tokens of prompts and answers by a tokenizer of transformers and one of two templates."""

    def __init__(self, tokenizer: Any, *, template: Template = "plain") -> None:
        self._tokenizer, self._template = tokenizer, template
        self._before = _before(tokenizer)
        self._special = _special_tokens(tokenizer)
        if tokenizer.eos_token_id is None:
            raise UserError(
                "got a tokenizer without an end of text, which answers must end in; fix: set "
                "eos_token in its tokenizer_config.json"
            )
        if template == "chat" and not tokenizer.chat_template:
            raise UserError(
                "got --template chat and a tokenizer without a chat template; allowed: plain; fix: "
                "--template plain, or a model that was made for chat"
            )

    def prompt_ids(self, turns: Sequence[Turn]) -> list[int]:
        """The tokens a model is given to answer these turns, of which the last is the user's.

        Raises UserError for turns that the template has no place for.
        """
        row = Row(name="", turns=(*turns, Turn("assistant", "a")))
        texts = self._texts(row)
        if isinstance(texts, str):
            raise UserError(f"got turns that cannot be asked ({texts}); fix: --template, or others")
        return self._all_ids([texts[0]])[0]

    def encode(self, rows: Sequence[Row]) -> list[Encoded | Unread]:
        """The tokens of each row, or why it has none that would be right."""
        texts = [self._texts(row) for row in rows]
        told = [pair for pair in texts if isinstance(pair, tuple)]
        ids = iter(self._all_ids([text for pair in told for text in pair]))
        found: list[Encoded | Unread] = []
        for row, pair in zip(rows, texts, strict=True):
            if isinstance(pair, str):
                found.append(Unread(name=row.name, reason=pair))
                continue
            prompt, whole = next(ids), next(ids)
            answer = self._answer_ids(prompt, whole, pair[1][len(pair[0]) :])
            if answer is None:
                found.append(Unread(name=row.name, reason=SHARED_TOKEN))
                continue
            all_ids = np.array(prompt + self._ended(answer), np.int32)
            found.append(Encoded(name=row.name, ids=all_ids, num_prompt=len(prompt)))
        return found

    def _texts(self, row: Row) -> tuple[str, str] | str:
        """The prompt, and the prompt with its answer; or why there are none."""
        *asked, answer = row.turns
        if self._template == "plain":
            if [turn.role for turn in asked] != ["user"]:
                return NEEDS_CHAT
            prompt = _plain_prompt(asked)
            return prompt, f"{prompt} {answer.text}"
        if any(token in turn.text for turn in row.turns for token in self._special):
            return SPECIAL_TOKEN
        from jinja2 import TemplateError

        try:
            prompt, whole = self._chat_text(asked), self._chat_text(row.turns)
        except TemplateError:
            return REFUSED_TURNS
        return (prompt, whole) if whole.startswith(prompt) else CHANGED_PROMPT

    def _chat_text(self, turns: Sequence[Turn]) -> str:
        text: str = self._tokenizer.apply_chat_template(
            [{"role": turn.role, "content": turn.text} for turn in turns],
            tokenize=False,
            add_generation_prompt=turns[-1].role == "user",
        )
        return text

    def _all_ids(self, texts: list[str]) -> list[list[int]]:
        """In the plain template a text is text; a chat template writes its special tokens out."""
        if not texts:
            return []
        is_plain = self._template == "plain"
        encoded: list[list[int]] = self._tokenizer(
            texts,
            add_special_tokens=False,
            split_special_tokens=is_plain,
            return_attention_mask=False,
            verbose=False,  # of texts beyond the length that the tokenizer was saved with
        )["input_ids"]
        return [self._before + ids for ids in encoded] if is_plain else encoded

    def _answer_ids(self, prompt: list[int], whole: list[int], answer: str) -> list[int] | None:
        """What follows the prompt; None where that would not be the text that was written."""
        if whole[: len(prompt)] == prompt:
            return whole[len(prompt) :]
        text = self._tokenizer.decode(whole)
        for alone in (answer, answer.lstrip(" ")):  # some tokenizers put a space before every text
            ids = self._all_ids([alone])[0]
            ids = ids[len(self._before) :] if self._template == "plain" else ids
            if self._tokenizer.decode(prompt + ids) == text:
                return ids
        return None

    def _ended(self, answer: list[int]) -> list[int]:
        """Up to the token that ends the turn, which is learned; what a template puts after it is
        not, for generation has stopped there."""
        if self._template == "chat":
            ids_of_special = self._special.values()
            ends = [at for at, number in enumerate(answer) if number in ids_of_special]
            if ends:
                return answer[: ends[-1] + 1]
        return [*answer, self._tokenizer.eos_token_id]


def _plain_prompt(turns: Sequence[Turn]) -> str:
    """A prompt of ours as it is; an instruction gets its ending."""
    text = turns[-1].text
    return text if text.endswith(_ENDING) else short_prompt(text)


def _before(tokenizer: Any) -> list[int]:
    """What a tokenizer puts before every text: BOS, or nothing."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    dressed = tokenizer("a")["input_ids"]
    for start in range(len(dressed) - len(bare) + 1):
        if dressed[start : start + len(bare)] == bare:
            return list(dressed[:start])
    raise UserError(
        "got a tokenizer whose special tokens change a text; allowed: tokens before and after it; "
        "fix: choose another tokenizer"
    )


def _special_tokens(tokenizer: Any) -> dict[str, int]:
    """How special tokens are written, and their ids."""
    added = tokenizer.added_tokens_decoder.items()
    found = {str(token): number for number, token in added if token.special}
    named = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    return {**found, **dict(named)}
