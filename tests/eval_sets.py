"""Small tokenizers and texts for the tests of token sets."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import AddedToken
from tokenizers import Tokenizer as HFTokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from longdata.tokenizers import Tokenizer

WORDS = [f"word{number}" for number in range(50)]


def word_tokenizer(
    path: Path, *, largest_id: int = 60, eos: str | None = "</s>", bos: str | None = "<s>"
) -> Tokenizer:
    """One token for each word of WORDS; the last of them has the id `largest_id`."""
    vocab = {word: number for number, word in enumerate(WORDS, 3)}
    vocab[WORDS[-1]] = largest_id
    specials = {text: id for text, id in ((bos, 1), (eos, 2)) if text}
    hf = HFTokenizer(WordLevel({"<unk>": 0, **specials, **vocab}, unk_token="<unk>"))
    hf.pre_tokenizer = Whitespace()
    hf.add_special_tokens([AddedToken(text, special=True) for text in specials])
    path.parent.mkdir(parents=True, exist_ok=True)
    hf.save(str(path))
    return Tokenizer.load(path)


def text_of(num_words: int, *, seed: int = 0) -> str:
    rng = random.Random(f"{num_words} {seed}")
    return " ".join(rng.choice(WORDS) for _ in range(num_words))


def write_rows(path: Path, texts: Iterable[str], column: str = "text") -> Path:
    lines = (
        json.dumps({column: text, "meta": {"short_book_title": f"Book {number}"}}) + "\n"
        for number, text in enumerate(texts, 1)
    )
    path.write_text("".join(lines), encoding="utf-8")
    return path


def whole_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """The tokens of texts, EOS after each, encoded in one piece."""
    assert tokenizer.eos_id is not None
    return [id for text in texts for id in [*tokenizer.encode(text), tokenizer.eos_id]]
