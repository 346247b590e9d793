"""Small random Llamas, folders of them, and token sets: what the tests of longeval measure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

VOCAB = 64


def small_llama(*, vocab_size: int = VOCAB, ctx: int = 512, seed: int = 0, **changes: Any) -> Any:
    """A random Llama whose losses differ from token to token, in evaluation mode."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **{
            "vocab_size": vocab_size,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": ctx,
            "initializer_range": 0.2,
            "bos_token_id": 1,
            "eos_token_id": 2,
            **changes,
        }
    )
    torch.manual_seed(seed)
    return LlamaForCausalLM(config).eval()


def tokenizer_file(folder: Path, *, adds_bos: bool = True) -> None:
    """A tokenizer of VOCAB entries, one for each letter, in the files transformers reads."""
    letters = [chr(code) for code in range(33, 33 + VOCAB - 3)]
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2, **{letter: 3 + i for i, letter in enumerate(letters)}}
    made = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    made.decoder = decoders.Fuse()
    made.add_special_tokens(["<s>", "</s>", "<unk>"])
    if adds_bos:
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 1)]
        )
    made.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **names})
    )


def model_folder(folder: Path, *, tokenizer: bool = True, **changes: Any) -> Path:
    """A small Llama saved, with a tokenizer unless told otherwise."""
    small_llama(**changes).save_pretrained(folder)
    if tokenizer:
        tokenizer_file(folder)
    return folder


def random_tokens(count: int, *, vocab_size: int = VOCAB, seed: int = 0) -> Any:
    """Ids without special ones."""
    return np.random.default_rng(seed).integers(3, vocab_size, count).astype(np.uint16)


def token_set(
    folder: Path, lengths: Sequence[int], *, tokens: Any = None, bos: bool = False
) -> Path:
    """A set as longdata prepare makes it, of documents of these lengths."""
    import hashlib

    ids = random_tokens(sum(lengths)) if tokens is None else tokens
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokens.bin").write_bytes(ids.astype("<u2").tobytes())
    starts = np.cumsum([0, *lengths])[:-1].tolist()
    documents = [
        {"id": f"{i}", "title": f"Book {i}", "source": f"{i}.txt", "start": start, "tokens": length}
        for i, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]
    facts = {
        "format": "longdata evaluation tokens",
        "version": 1,
        "name": "tokens.bin",
        "dtype": "uint16",
        "num_tokens": len(ids),
        "num_documents": len(lengths),
        "sha256": hashlib.sha256(ids.astype("<u2").tobytes()).hexdigest(),
        "tokenizer": {"name": "small", "fingerprint": "0", "vocab_size": VOCAB},
        "bos": {"before_each": bos, "id": 1},
        "eos": {"after_each": False, "id": 2},
        "documents": documents,
    }
    (folder / "tokens.json").write_text(json.dumps(facts))
    return folder
