"""A faster encoder gives the tokenizer's own ids, or is found out and not used."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from eval_sets import word_tokenizer

from longdata import fast_tokens
from longdata.encoding import Encoder
from longdata.errors import SourceError
from longdata.fast_tokens import DiffersError, FastTokens, fast_encode
from longdata.token_shard import DocumentText, TokenSettings, write_shard
from longdata.tokenizers import Tokenizer

TOKENIZERS = Path(__file__).parents[2] / "shared" / "data" / "models" / "tokenizers"
NEOX = TOKENIZERS / "gpt_neox_olmo" / "allenai_gpt-neox-olmo-dolma-v1_5.json"
BOOK = (
    Path(__file__).parents[2]
    / "shared"
    / "data"
    / "books"
    / "clean"
    / "43_the-strange-case-of-dr-jekyll-and-mr-hyde.txt"
)
SAMPLES = ("The river ran by the old lamp.", "def f(x):\n    return x ** 2\n")


@pytest.fixture(scope="module", params=["llama layout", "byte level"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    if request.param == "llama layout":
        return Tokenizer.load(None)
    if not NEOX.is_file():
        pytest.skip("no GPT-NeoX tokenizer beside the checkout")
    return Tokenizer.load(NEOX)


@pytest.fixture(autouse=True)
def no_backend_is_left() -> Iterator[None]:
    yield
    fast_tokens._backend_of.cache_clear()


@pytest.fixture(scope="module")
def own() -> Tokenizer:
    return Tokenizer.load(None)


def fake(
    monkeypatch: pytest.MonkeyPatch, tokenizer: Tokenizer, encode: Callable[[str], Any]
) -> list[int]:
    """Another encode in the place of gigatoken's; the list has an entry for each time it loads."""
    loads: list[int] = []

    def from_json(description: str) -> Any:
        loads.append(len(description))
        return SimpleNamespace(backend=SimpleNamespace(encode=encode))

    library = SimpleNamespace(Tokenizer=SimpleNamespace(from_json=from_json))
    monkeypatch.setattr(fast_tokens, "require", lambda module, extra: library)
    fast_tokens._backend_of.cache_clear()
    return loads


def right(tokenizer: Tokenizer) -> Callable[[str], Any]:
    return lambda text: np.array(tokenizer.encode(text), np.uint32)


def texts(count: int = 30) -> list[str]:
    draw = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyzäöüé  \n\n.,;'0123456789中文🙂\u0301"
    return ["".join(draw.choices(letters, k=draw.randrange(1, 3000))) for _ in range(count)]


def test_all_samples_agree_and_the_facts_count_them(tokenizer: Tokenizer) -> None:
    fast = fast_encode(tokenizer, SAMPLES)
    assert (fast.is_fast, fast.problem) == (True, "")
    assert fast.samples > 20 and fast.characters > 1000
    assert fast.facts["library"].startswith("gigatoken ")
    assert fast.facts["problem"] == ""


def test_random_texts_and_books_have_the_ids_of_the_tokenizer(tokenizer: Tokenizer) -> None:
    found = [*texts(), "", "</s><s>", "a\0b", " " * 3000]
    if BOOK.is_file():
        found.append(BOOK.read_text("utf-8"))
    fast, plain = fast_encode(tokenizer, ()).encoder(), Encoder(tokenizer)
    for ids, expected in zip(fast.many(found), plain.many(found), strict=True):
        assert np.array_equal(ids, expected)
    (book, *others) = [np.concatenate(list(e.stretches(found[-1]))) for e in (fast, plain)]
    assert np.array_equal(book, others[0])


def test_half_a_character_is_refused_in_the_same_words(tokenizer: Tokenizer) -> None:
    broken = ["a page", "half a \ud800 character", "another"]
    fast, plain = (
        fast_encode(tokenizer, SAMPLES).encoder().many(broken),
        Encoder(tokenizer).many(broken),
    )
    assert isinstance(fast[1], SourceError)
    assert str(fast[1]) == str(plain[1])
    assert np.array_equal(fast[0], plain[0]) and np.array_equal(fast[2], plain[2])


def test_a_sample_of_half_characters_does_not_turn_it_off(own: Tokenizer) -> None:
    assert fast_encode(own, ["\ud800" * 30, *SAMPLES]).is_fast


def test_a_tokenizer_that_it_does_not_know_is_encoded_by_itself(tmp_path: Path) -> None:
    words = word_tokenizer(tmp_path / "tokenizer.json")
    fast = fast_encode(words, SAMPLES)
    assert not fast.is_fast
    assert fast.problem.startswith("gigatoken ")
    assert fast.facts["library"] == "tokenizers"
    (ids,) = fast.encoder().many(["word1 word2"])
    assert isinstance(ids, np.ndarray) and ids.tolist() == words.encode("word1 word2")


def test_what_is_not_installed_is_said_with_the_command(
    own: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_tokens, "LIBRARY", "no_such_library")
    fast_tokens._backend_of.cache_clear()
    fast = fast_encode(own, SAMPLES)
    assert not fast.is_fast and "pip install 'longqa[fast]'" in fast.problem


@pytest.mark.parametrize("wrong", ["another id", "one more", "one less"])
def test_the_first_difference_turns_it_off(
    own: Tokenizer, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    def encode(text: str) -> Any:
        ids = own.encode(text)
        if "lamp" in text:
            ids = {"another id": [*ids[:-1], 7], "one more": [*ids, 7], "one less": ids[:-1]}[wrong]
        return np.array(ids, np.uint32)

    fake(monkeypatch, own, encode)
    fast = fast_encode(own, ["no", "the lamp"])
    assert not fast.is_fast
    assert "other tokens for 'the lamp'" in fast.problem
    assert fast_encode(own, ["no"]).is_fast


def test_an_encoder_that_fails_on_a_sample_is_turned_off(
    own: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PanicException(BaseException):
        pass

    def encode(text: str) -> Any:
        raise PanicException("index out of\n bounds")

    fake(monkeypatch, own, encode)
    assert fast_encode(own, SAMPLES).problem == "gigatoken fails at '': index out of bounds"


def test_an_interrupt_is_no_failure_of_the_encoder(
    own: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(text: str) -> Any:
        raise KeyboardInterrupt

    fake(monkeypatch, own, encode)
    with pytest.raises(KeyboardInterrupt):
        fast_encode(own, SAMPLES)


def wrong_later(own: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> FastTokens:
    """Right for all samples, wrong wherever "ferry" stands."""

    def encode(text: str) -> Any:
        ids = own.encode(text)
        return np.array([7 if "ferry" in text else one for one in ids], np.uint32)

    fake(monkeypatch, own, encode)
    fast = fast_encode(own, SAMPLES)
    assert fast.is_fast
    return fast


def test_a_difference_in_the_middle_is_found(
    own: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_tokens, "CHECK_EVERY", 1000)
    encoder = wrong_later(own, monkeypatch).encoder()
    encoder.many(["a" * 900, "the lamp"])
    with pytest.raises(DiffersError, match="other tokens for"):
        encoder.many(["the ferry " * 200])


def test_a_shard_with_a_difference_is_made_by_the_tokenizer_alone(
    own: Tokenizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fast_tokens, "CHECK_EVERY", 1000)
    settings = TokenSettings.of(own, bos=True, eos=True)
    documents = [
        DocumentText(key=f"a:{n}", source="web", text=f"the ferry {n} " * 100) for n in range(9)
    ]

    def write(folder: Path) -> Callable[[Encoder], dict[str, Any]]:
        return lambda encoder: write_shard(folder, "s", settings, encoder, documents)

    fast = wrong_later(own, monkeypatch)
    facts, problem = fast.run(write(tmp_path / "fast"))
    assert "other tokens for" in problem
    assert facts == write(tmp_path / "plain")(Encoder(own))
    found, expected = (
        (tmp_path / name / "s" / "tokens.bin").read_bytes() for name in ("fast", "plain")
    )
    assert found == expected
    assert fast.run(lambda encoder: encoder.many(["the lamp"]))[1] == ""


def test_what_it_remembers_is_thrown_away_now_and_then(
    own: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = fake(monkeypatch, own, right(own))
    monkeypatch.setattr(fast_tokens, "RENEW_EVERY", 10_000)
    for _ in range(7):  # through several shards of a process
        fast_encode(own, ()).encoder().many(["a lamp " * 500])
    assert len(loads) == 1 + 2


def test_without_samples_nothing_is_compared(
    own: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, own, lambda text: np.zeros(3, np.uint32))
    fast = fast_encode(own, ())
    assert (fast.is_fast, fast.samples) == (True, 0)
