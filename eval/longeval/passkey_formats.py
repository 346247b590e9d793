"""A number hidden in a text that says nothing else, exactly as three papers did it.

    grid("longlora", ctx=8192, depths=[0, 0.5, 1], keys=10, seed=0, tokens=backend.count)
    published("longlora", lengths=[1000, 2000], tests=10, seed=0, tokens=backend.count)
    is_right(" 50494. Remember", case)        -> True

The text is the same in all three: a task, filler cut anywhere to a number of characters, the key,
filler again from its beginning, and the question, on five lines. They differ in how many characters
of filler make a length, where the key stands, how keys are drawn and how an answer is scored:

landmark   characters given; key 1 to 50,000; 50 tests; the first number in 10 new tokens counts
           (Mohtashami and Jaggi 2023; epfml/landmark-attention, llama/run_test.py)
longlora   3.75 characters for a token, down to a multiple of 1,024; key and place from NumPy's old
           generator with the seeds 0 to 9, the same for each length, never the largest; 10 tests;
           the new tokens must be those of the key (Chen et al. 2023; passkey_retrivial.py)
yarn       steps of 128 characters, the last before the length is reached; 20 tests; as landmark
           (Peng et al. 2023; jquesnelle/yarn, eval/passkey.py)

`published` repeats that, the key anywhere. `grid` puts it at chosen depths of a text that fills a
context as far as it goes, with keys as the format draws them: all depths of a length, and all
lengths, show the same thing.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from longdata.errors import UserError

MAX_NEW_TOKENS = 10
LARGEST = 50_000

_TASK = (
    "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. "
    "I will quiz you about the important information there."
)
_FILLER = (
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."
)
_QUESTION = "What is the pass key? The pass key is"

Tokens = Callable[[str], int]  # of a prompt as the model gets it, room for the answer included


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """What is different from paper to paper. `exact`: the new tokens must be those of the key."""

    tests: int
    lengths: tuple[int, ...]  # of `published`, in tokens; landmark's are characters
    exact: bool
    largest: int


FORMATS: dict[str, Format] = {
    "longlora": Format(
        tests=10, lengths=tuple(range(1_000, 33_000, 1_000)), exact=True, largest=LARGEST - 1
    ),
    "landmark": Format(
        tests=50,
        lengths=(0, 100, 500, 1000, 5000, 8000, 10000, 12000, 14000, 18000, 20000, 25000, 38000),
        exact=False,
        largest=LARGEST,
    ),
    "yarn": Format(tests=20, lengths=tuple(range(200, 8_200, 200)), exact=False, largest=LARGEST),
}
YARN_STEP = 128  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyCase:
    """What a model is asked. `length`: what was asked for, a context, or characters of landmark."""

    id: str
    prompt: str
    key: int
    length: int
    depth: float  # of the key's line: 0 before all filler, 1 behind it
    asked_depth: float | None  # of a grid; a whole number of characters is nearest to it
    characters: int  # of filler
    format: str


def prompt_of(key: int, before: int, after: int) -> str:
    """The text with so many characters of filler before and after the key's line."""
    return "\n".join(
        (
            _TASK,
            filler(before),
            f"The pass key is {key}. Remember it. {key} is the pass key.",
            filler(after),
            _QUESTION,
        )
    )


def filler(characters: int) -> str:
    """The filler, again and again, cut wherever it ends."""
    return (f"{_FILLER} " * (characters // len(_FILLER) + 1))[:characters]


def grid(
    name: str, *, ctx: int, depths: Sequence[float], keys: int, seed: int, tokens: Tokens
) -> list[PasskeyCase]:
    """`keys` cases at each depth of a text that fills `ctx` tokens, the answer included."""
    kind = _format(name)
    if not depths or not all(0 <= depth <= 1 for depth in depths):
        raise UserError(f"got depths {list(depths)}; allowed: 0 to 1; fix: for example 0,0.5,1")
    characters = _filling(ctx, depths, tokens)
    cases = []
    for depth in depths:
        before = round(depth * characters)
        for index in range(keys):
            rng = random.Random(f"passkey {seed} {ctx} {depth:.6f} {index}")
            key = rng.randint(1, kind.largest)
            cases.append(
                _case(name, key, before, characters - before, length=ctx, asked_depth=depth)
            )
    return cases


def published(
    name: str, *, lengths: Sequence[int], tests: int, seed: int, tokens: Tokens
) -> list[PasskeyCase]:
    """The procedure of the paper for each length. `seed` is not longlora's: its seeds are fixed."""
    kind = _format(name)
    cases = []
    for length in lengths:
        if name == "longlora":
            characters = longlora_characters(length)
        else:
            characters = length if name == "landmark" else yarn_characters(length, tokens)
        for test in range(tests):
            if name == "longlora":
                before, key = longlora_draw(test, characters)
            else:
                rng = random.Random(f"passkey {name} {seed} {length} {test}")
                before, key = rng.randint(0, characters), rng.randint(1, kind.largest)
            cases.append(_case(name, key, before, characters - before, length=length))
    return cases


def longlora_characters(tokens: int) -> int:
    """Characters of filler for a length. UserError: a length without any, which it cannot draw."""
    characters = int(3.75 * tokens // 1024 * 1024)
    if characters < 1:
        raise UserError(
            f"got a length of {tokens} tokens; allowed: 274 or more in the format longlora; fix: "
            "a longer one"
        )
    return characters


def longlora_draw(seed: int, characters: int) -> tuple[int, int]:
    """Characters before the key, and the key: its `random` is NumPy's, which never draws the end"""
    draws = np.random.RandomState(seed)
    return int(draws.randint(0, characters)), int(draws.randint(1, LARGEST))


def yarn_characters(length: int, tokens: Tokens) -> int:
    """The last multiple of 128 characters with fewer tokens than the length.

    YaRN counts a text with another key at each step; here it is one key in the middle.
    """

    def count(step: int) -> int:
        half = step * YARN_STEP // 2
        return tokens(prompt_of(LARGEST, half, step * YARN_STEP - half)) - MAX_NEW_TOKENS

    return YARN_STEP * _last(lambda step: count(step) < length)


def is_right(reply: str, case: PasskeyCase) -> bool:
    """Whether the first number of a reply is the key."""
    said = re.search(r"[0-9]+", reply)
    return said is not None and int(said.group()[-20:]) == case.key  # int() has a limit


def is_exact(ids: Sequence[int], key_ids: Sequence[int]) -> bool:
    """Whether an answer begins with the tokens of the key."""
    return bool(key_ids) and list(ids[: len(key_ids)]) == list(key_ids)


def _filling(ctx: int, depths: Sequence[float], tokens: Tokens) -> int:
    """The most characters of filler with which the prompts of all depths fit."""

    def fits(characters: int, at: Sequence[float]) -> bool:
        places = (round(depth * characters) for depth in at)
        return all(tokens(prompt_of(LARGEST, one, characters - one)) <= ctx for one in places)

    if not fits(0, [0]):
        raise UserError(
            f"got --ctx {ctx}; allowed: {tokens(prompt_of(LARGEST, 0, 0))} or more for this "
            "model; fix: a larger --ctx"
        )
    characters = _last(lambda count: fits(count, depths[:1]))
    while characters > 0 and not fits(characters, depths):  # cut elsewhere, it may take more tokens
        characters = max(0, characters - 8)
    return characters


def _last(holds: Callable[[int], bool]) -> int:
    """The last number from 0 for which something holds that holds up to there."""
    low, high = 0, 1
    while holds(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _case(
    name: str, key: int, before: int, after: int, *, length: int, asked_depth: float | None = None
) -> PasskeyCase:
    prompt = prompt_of(key, before, after)
    total = before + after
    return PasskeyCase(
        id=hashlib.sha256(f"{name} {length}\0{prompt}".encode()).hexdigest()[:16],
        prompt=prompt,
        key=key,
        length=length,
        depth=before / total if total else 0.0,
        asked_depth=asked_depth,
        characters=total,
        format=name,
    )


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise UserError(
            f"got --format {name}; allowed: {', '.join(FORMATS)}; fix: choose one of them"
        )
    return FORMATS[name]
