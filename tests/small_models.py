"""Small random models and adapters on disk, for the tests of checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longtune.adapters import prepare
from longtune.config import Recipe
from longtune.rope import extend_context

VOCAB, CTX, LONG = 67, 32, 128


def write_model(folder: Path, *, seed: int = 0, tied: bool = True, **changes: Any) -> Path:
    """A Llama of two layers as a folder, with a tokenizer of one-letter words."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    sizes: dict[str, Any] = {
        "vocab_size": VOCAB,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CTX,
        "tie_word_embeddings": tied,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(LlamaConfig(**{**sizes, **changes}))
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    _write_tokenizer(folder)
    return folder


def recipe_for(model: Path, **changes: Any) -> Recipe:
    """An extension of `model` to LONG tokens."""
    settings: dict[str, Any] = {"task": "extend", "data": "packed", "ctx": LONG, "out": "out"}
    return Recipe(model=str(model), **{**settings, **changes})


def trained(recipe: Recipe, *, seed: int = 1, rows: int | None = None) -> Any:
    """The recipe's model, with `rows` in its vocabulary and all that it trains moved a little."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(recipe.model)
    extend_context(config, ctx=recipe.ctx)
    model = AutoModelForCausalLM.from_pretrained(recipe.model, config=config)
    if rows is not None:
        model.resize_token_embeddings(rows, mean_resizing=False)
    torch.manual_seed(seed)
    model = prepare(model, recipe)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def logits(model: Any, length: int = LONG) -> Any:
    """Those of one fixed row."""
    import torch

    ids = torch.randint(3, VOCAB, (1, length), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return model(ids).logits


def _write_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<s>", "</s>", "<unk>", *(f"w{number}" for number in range(VOCAB - 4))]
    model = WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=CTX,
    ).save_pretrained(folder)
