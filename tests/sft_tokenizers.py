"""Small tokenizers of the kinds that models have, for the tests of questions and answers.

byte_level()      GPT-2's kind: no BOS, spaces belong to the word behind them, a chat template
metaspace()       Llama 2's kind: BOS, and a space before every text
joining()         merges everything: the prompt's end and the answer's start in one token
"""

from __future__ import annotations

from functools import cache
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXTS = [
    "Below is the book “Emma” by A. Writer. Read it, then answer the question after it.\n\n"
    "The text begins.\n\nIt was cold, and the ferry left the quay before the lamps were out.\n\n"
    "The text ends. Answer from the text alone.\n\nQuestion: Who left?\nAnswer: The ferry. Alice.",
] * 4


def _trained(made: Tokenizer, *, size: int, special: list[str], alphabet: list[str]) -> Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(TEXTS, trainer)
    return made


@cache
def _byte_level() -> str:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _trained(made, size=360, special=special, alphabet=alphabet).to_str()


@cache
def _metaspace() -> str:
    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    # as Llama's: a piece may begin with a space, none goes on behind one
    split = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    split.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    model = _trained(split, size=400, special=special, alphabet=[]).model
    made.model = model
    made.add_special_tokens([AddedToken(token, special=True) for token in ("<s>", "</s>")])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return made.to_str()


@cache
def _joining() -> str:
    made = Tokenizer(models.BPE())
    made.decoder = decoders.Fuse()
    alphabet = [chr(code) for code in range(32, 127)]
    return _trained(made, size=300, special=["<end>"], alphabet=alphabet).to_str()


def _wrapped(text: str, **special: Any) -> Any:
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer.from_str(text)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, clean_up_tokenization_spaces=False, **special
    )


def byte_level() -> Any:
    """No BOS; turns end in <|im_end|>, texts in <|end|>."""
    tokenizer = _wrapped(_byte_level(), eos_token="<|end|>")
    tokenizer.chat_template = CHATML
    return tokenizer


def metaspace() -> Any:
    """BOS before every text, and a space."""
    return _wrapped(_metaspace(), bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def joining(*, decodes: bool = True) -> Any:
    """`: The` may be one token. Without `decodes` there is a space between decoded tokens."""
    tokenizer = _wrapped(_joining(), eos_token="<end>")
    if not decodes:
        tokenizer.backend_tokenizer.decoder = None
    return tokenizer


ALL = {"byte level": byte_level, "metaspace": metaspace, "joining": joining}
