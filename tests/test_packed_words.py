"""How packed rows were made, in words."""

from __future__ import annotations

from typing import Any

import pytest

from longdata.packed_words import listed, making_lines, percent, share

FACTS: dict[str, Any] = {
    "tokenizer": {
        "tokenizer": "words",
        "fingerprint": "ab" * 32,
        "dtype": "uint16",
        "bos_id": None,
        "eos_id": 2,
    },
    "pad_id": 0,
    "strategy": "concat",
    "seed": 7,
    "mixture": {
        "shares": {"arxiv": "3/10", "book": "3/10"},
        "tokens": 10**9,
        "min_tokens": 64,
        "max_tokens": None,
        "short_below": 4096,
        "keep_short": "1/10",
        "max_copies": 4,
    },
}


def told(**changes: Any) -> str:
    return "\n".join(making_lines({**FACTS, **changes}, quote=lambda text: f"<{text}>"))


def test_everything_that_decides_is_said() -> None:
    assert told() == (
        f"tokenizer <words>, SHA-256 of its file <{'ab' * 32}>; EOS (2) behind each document; "
        "padding is token 0\n"
        "strategy concat: documents one behind the other, cut after every `ctx` tokens; seed 7\n"
        "mix asked for: <arxiv> 30.0 % and <book> 30.0 %; the other sources share the rest as "
        "they are\n"
        "documents of 64 tokens or more; those below 4,096 kept with a chance of 0.1, and longer "
        "ones used more often in their place; 1,000,000,000 tokens asked for; each used 4 times "
        "at most"
    )


def test_shares_that_are_all_leave_no_rest() -> None:
    mixture = {**FACTS["mixture"], "shares": {"arxiv": "3/10", "book": "7/10"}}
    assert "share the rest" not in told(mixture=mixture)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(1, None, "documents of any length"), (1, 500, "1 to 500"), (64, None, "64 tokens or more")],
)
def test_lengths_that_were_let_in(low: int, high: int | None, words: str) -> None:
    assert words in told(mixture={**FACTS["mixture"], "min_tokens": low, "max_tokens": high})


@pytest.mark.parametrize("inside", [True, False])
def test_a_fast_encoder_and_why_it_was_not_used(inside: bool) -> None:
    def with_fast(**fast: Any) -> str:
        if inside:
            return told(tokenizer={**FACTS["tokenizer"], "fast": fast})
        return told(fast=fast)

    used = with_fast(library="gigatoken 1.2", samples=88, characters=123_456, problem="")
    assert (
        "encoded by <gigatoken 1.2>, which gave the tokenizer's own ids for 88 samples of "
        "123,456 characters" in used
    )
    not_used = with_fast(library="tokenizers", samples=3, characters=9, problem="other tokens")
    assert "encoded by the tokenizer itself, because <other tokens>" in not_used
    assert "encoded by" not in told()


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 %"), (1, "100.0 %"), (0.312, "31.2 %"), (0.0014, "0.14 %"), (0.00009, "0.009 %"),
     (1e-7, "under 0.001 %")],
)  # fmt: skip
def test_shares_have_digits_that_say_something(number: float, shown: str) -> None:
    assert percent(number) == shown


def test_lists_and_shares_of_nothing() -> None:
    assert [listed([]), listed(["a"]), listed(["a", "b", "c"])] == ["nothing", "a", "a, b and c"]
    assert (share(0, 0), share(1, 4)) == (0.0, 0.25)
