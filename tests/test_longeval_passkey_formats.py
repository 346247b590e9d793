"""The passkey texts are those of the three papers, and a grid fills its contexts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longeval.passkey_formats import (
    FORMATS,
    MAX_NEW_TOKENS,
    PasskeyCase,
    filler,
    grid,
    is_exact,
    is_right,
    longlora_characters,
    longlora_draw,
    prompt_of,
    published,
    yarn_characters,
)

GRASS = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."


def tokens(text: str) -> int:
    return len(text) // 4 + 1 + MAX_NEW_TOKENS


def test_the_text_is_the_papers() -> None:
    assert prompt_of(7, 100, 3).split("\n") == [
        "There is an important info hidden inside a lot of irrelevant text. Find it and memorize "
        "them. I will quiz you about the important information there.",
        f"{GRASS} The grass "[:100],
        "The pass key is 7. Remember it. 7 is the pass key.",
        "The",
        "What is the pass key? The pass key is",
    ]


@given(st.integers(0, 5000))
def test_filler_is_cut_anywhere(characters: int) -> None:
    assert filler(characters) == " ".join([GRASS] * 60)[:characters]


def test_longloras_draws_are_those_of_its_script() -> None:
    from numpy import random  # which its script calls `random`

    for tokens_asked in (1_000, 8_000, 32_000):
        characters = int(3.75 * (tokens_asked // 1000) * 1000 // 1024 * 1024)
        assert longlora_characters(tokens_asked) == characters
        for seed in range(10):
            random.seed(seed)
            drawn = random.randint(0, characters), random.randint(1, 50_000)
            assert longlora_draw(seed, characters) == drawn


def test_longlora_as_published_has_ten_tests_of_each_length() -> None:
    cases = published("longlora", lengths=[1_000, 2_000], tests=10, seed=9, tokens=tokens)
    assert [case.length for case in cases] == [1_000] * 10 + [2_000] * 10
    again = published("longlora", lengths=[1_000, 2_000], tests=10, seed=0, tokens=tokens)
    assert [case.prompt for case in again] == [case.prompt for case in cases]
    assert all(case.characters == 3072 for case in cases[:10])
    assert all(str(case.key) in case.prompt and case.asked_depth is None for case in cases)
    with pytest.raises(UserError, match="274 or more"):
        published("longlora", lengths=[273], tests=1, seed=0, tokens=tokens)


def test_landmark_as_published_counts_characters() -> None:
    cases = published("landmark", lengths=[0, 500], tests=50, seed=0, tokens=tokens)
    assert [case.characters for case in cases] == [0] * 50 + [500] * 50
    assert len({case.key for case in cases}) > 90
    assert FORMATS["landmark"].lengths[-1] == 38_000 and FORMATS["landmark"].tests == 50


def test_yarn_takes_the_step_before_the_length_is_reached() -> None:
    for length in (200, 1_000, 8_000):
        characters = yarn_characters(length, tokens)
        assert characters % 128 == 0

        def count(n: int) -> int:
            return tokens(prompt_of(50_000, n // 2, n - n // 2)) - MAX_NEW_TOKENS

        assert count(characters) < length <= count(characters + 128)
        assert yarn_characters(count(characters + 128), tokens) == characters  # reached exactly


@pytest.mark.parametrize("ctx", [120, 500, 4000])
def test_a_grid_fills_its_context_at_every_depth(ctx: int) -> None:
    depths = [0, 0.1, 0.5, 0.95, 1]
    cases = grid("longlora", ctx=ctx, depths=depths, keys=3, seed=0, tokens=tokens)
    assert [case.asked_depth for case in cases] == [d for d in depths for _ in range(3)]
    for case in cases:
        assert ctx - 12 <= tokens(case.prompt) <= ctx
        assert case.prompt.count(str(case.key)) >= 2
        assert case.depth == pytest.approx(case.asked_depth, abs=1 / case.characters)


def test_a_grid_is_the_same_for_the_same_seed_only() -> None:
    def keys(seed: int) -> list[int]:
        cases = grid("yarn", ctx=300, depths=[0, 1], keys=5, seed=seed, tokens=tokens)
        return [case.key for case in cases]

    assert keys(0) == keys(0) != keys(1) and len(set(keys(0))) == 10


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UserError, match="got --ctx 30; allowed: 72"):
        grid("longlora", ctx=30, depths=[0], keys=1, seed=0, tokens=tokens)
    with pytest.raises(UserError, match="depths"):
        grid("longlora", ctx=500, depths=[1.5], keys=1, seed=0, tokens=tokens)
    with pytest.raises(UserError, match="allowed: longlora, landmark, yarn"):
        grid("ruler", ctx=500, depths=[1], keys=1, seed=0, tokens=tokens)


def test_the_first_number_or_the_very_tokens() -> None:
    case = PasskeyCase(
        id="a",
        prompt="",
        key=7071,
        length=1,
        depth=0,
        asked_depth=None,
        characters=0,
        format="yarn",
    )
    assert is_right(" 7071. Remember 8", case)
    assert not is_right(" 70710", case) and not is_right("It is", case)
    assert not is_right("1" * 6000, case)
    assert is_exact([5, 7, 0, 7, 1, 9], [5, 7, 0, 7, 1])
    assert not is_exact([7, 0, 7, 1], [5, 7, 0, 7, 1]) and not is_exact([], [])
