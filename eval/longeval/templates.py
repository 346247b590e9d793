"""What stands around a prompt when a model gets it.

    wrap("vicuna", "What is …?")    -> "A chat between … questions. USER: What is …? ASSISTANT:"
    wrap("raw", "The pass key is")  -> "The pass key is"

raw: nothing, for base models and for prompts that end where the answer begins. chat: the model's
own chat template, as its tokenizer or its server has it. vicuna: the conversation that LongChat's
own evaluation uses for its models (FastChat's "vicuna_v1.1"). alpaca: Stanford Alpaca's form
without input, with which LongLoRA's chat models were trained and asked (its inference.py).
"""

from __future__ import annotations

from collections.abc import Callable

from longdata.errors import UserError

CHAT = "chat"

_VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions."
)
_ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes "
    "the request.\n\n"
)

WRITTEN: dict[str, Callable[[str], str]] = {
    "raw": lambda text: text,
    "vicuna": lambda text: f"{_VICUNA} USER: {text} ASSISTANT:",
    "alpaca": lambda text: f"{_ALPACA}### Instruction:\n{text}\n\n### Response:",
}


def check(template: str) -> str:
    """The name of a template. UserError: there is none of that name."""
    if template not in (CHAT, *WRITTEN):
        raise UserError(
            f"got --template {template}; allowed: {CHAT}, {', '.join(WRITTEN)}; fix: choose one"
        )
    return template


def wrap(template: str, text: str) -> str:
    """The prompt in one of the written templates; `chat` is the tokenizer's or the server's."""
    return WRITTEN[template](text)
