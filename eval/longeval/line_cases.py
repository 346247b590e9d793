"""Lines of names and numbers, and what number stands in one of them: LongChat's line retrieval.

    cases = read_cases("longchat", [200, 300])                  # LongChat's own, 50 of each
    cases = made(num_lines=1000, count=50, seed=0)              # of any length
    cases = made(ctx=32768, count=50, questions=5, seed=0, tokens=backend.count)
    is_right("The content of line brave-kid is <24169>.", cases[0])      the last number said counts

The prompt is that of the files `longeval/evaluation/lines` of DachengLi1/LongChat. Made cases have
names of our own word lists; `questions` cases in a row ask for different lines of one record, which
a model then reads once for all of them.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from longdata.errors import UserError
from longeval.longchat_files import find, rows

LARGEST = 50_000  # numbers are 1 to this, as in LongChat
LEAST_LINES = 2

_HEADER = (
    "Below is a record of lines I want you to remember. Each line begins with 'line <line index>' "
    "and contains a '<REGISTER_CONTENT>' at the end of the line as a numerical value. For each "
    "line index, memorize its corresponding <REGISTER_CONTENT>. At the end of the record, I will "
    "ask you to retrieve the corresponding <REGISTER_CONTENT> of a certain line index. Now the "
    "record start:\n\n"
)
_ADJECTIVES = (
    "able amber ancient arctic autumn bashful bitter blue bold brave brief bright brisk broad "
    "brown busy calm candid careful cheap clear clever cloudy coarse cold cosy crimson crisp "
    "curious curly damp dapper dark deep dense distant double dry dusty eager early earnest "
    "easy elder empty even faint fair faithful famous fancy fast fearless final firm flat "
    "fluent fond formal frank free fresh frosty gentle giant glad golden grand grateful gray "
    "green handy happy hardy hasty heavy hidden hollow honest humble icy idle jolly keen kind "
    "large late lazy lean light little lively lone long loud loyal lucky lunar mellow merry "
    "mild modest muddy narrow neat nimble noble noisy odd old olive open orange pale patient "
    "plain polite proud purple quick quiet rapid rare ready regal rich ripe robust rough round "
    "royal rusty sandy scarlet secret serene shallow sharp shiny short shy silent silver simple "
    "sleepy slender slow small smooth snowy sober soft solid sour spare spicy steady steep "
    "stout strict strong sturdy subtle sunny sweet swift tall tame tender thick thin tidy tiny "
    "tough tranquil true upper urban vast velvet vivid warm wary weary wild windy wise witty "
    "wooden yellow young zealous"
).split()
_NOUNS = (
    "acorn anchor anvil apple apron arrow badge bakery banjo barley barn barrel basket beacon "
    "bell bench berry birch blanket boat bonnet bottle boulder branch brass bridge broom bucket "
    "button cabin cactus camel candle canoe canyon carpet castle cedar cellar chair chapel "
    "cherry chimney circle cliff clock clover coast cobbler coin comet compass copper coral "
    "cotton cradle crane cricket crown cup curtain daisy dell desert dial dome door dove dragon "
    "drum duck eagle easel ember engine fable falcon farm feather fence ferry fiddle field "
    "finch flag flame flute forest forge fountain fox garden gate ginger glacier glove goose "
    "grain grape gravel grove guitar hammer harbor harp hat hawk hazel hedge helmet heron hill "
    "hinge honey horn house igloo inkwell island ivory jacket jar jungle kettle key kitchen "
    "kite ladder lagoon lake lamp lantern lark laurel ledger lemon lever library lily lion "
    "lizard loom magnet mantle maple marble market meadow melon mill mirror mitten monk moon "
    "mountain museum needle nest notebook oak oar ocean olive orchard otter oven owl paddle "
    "palace panther parrot path peach pebble pencil pepper piano pigeon pillow pine pitcher "
    "planet plaza plum pocket pond poplar postcard quarry quill rabbit raft river robin rocket"
).split()


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCase:
    """What a model is asked, the number, and where its line stands (0 the first, 1 the last)."""

    id: str
    prompt: str
    label: int
    num_lines: int
    depth: float


def read_cases(source: str, sizes: Sequence[int]) -> list[LineCase]:
    """LongChat's cases of each number of lines. UserError: none there, or in no such form."""
    cases = []
    for size, path in find(source, "lines", sizes).items():
        for row in rows(path, ("prompt", "expected_number", "random_idx")):
            index = row["random_idx"]
            number = row["expected_number"]
            if not (
                isinstance(row["prompt"], str)
                and isinstance(number, int)
                and isinstance(index, list)
                and len(index) == 2
                and isinstance(index[1], int)
            ):
                raise UserError(
                    f"got {path}, where a case is not in LongChat's form; allowed: its prompt, "
                    "number and line; fix: copy the file again"
                )
            depth = index[1] / max(1, size - 1)
            cases.append(_case(row["prompt"], number, num_lines=size, depth=depth))
    if not cases:
        raise UserError(f"got {source}, which has no case; allowed: at least one; fix: copy again")
    return cases


def made(
    *,
    count: int,
    seed: int,
    questions: int = 1,
    num_lines: int | None = None,
    ctx: int | None = None,
    tokens: Callable[[str], int] | None = None,
) -> list[LineCase]:
    """`count` cases of so many lines, or of as many as `ctx` tokens hold; depths spread evenly.

    `tokens` counts a prompt as the model gets it, room for the answer included.
    """
    if num_lines is None:
        assert ctx is not None and tokens is not None, "a number of lines or of tokens"
        num_lines = _fitting(ctx, seed, count, questions, tokens)
    if num_lines < LEAST_LINES:
        raise UserError(f"got {num_lines} lines; allowed: {LEAST_LINES} or more; fix: more lines")
    return _cases(num_lines, count, seed, questions)


def is_right(reply: str, case: LineCase) -> bool:
    """Whether the last number of a reply is that of the line."""
    said = re.findall(r"[0-9]+", reply)
    return bool(said) and int(said[-1][-20:]) == case.label  # 20 digits: int() has a limit


def _cases(num_lines: int, count: int, seed: int, questions: int) -> list[LineCase]:
    cases: list[LineCase] = []
    record = 0
    while len(cases) < count:
        rng = random.Random(f"lines {seed} {num_lines} {record}")
        record += 1
        names = _names(num_lines, rng)
        numbers = [rng.randint(1, LARGEST) for _ in names]
        lines = "".join(
            f"line {name}: REGISTER_CONTENT is <{number}>\n"
            for name, number in zip(names, numbers, strict=True)
        )
        asked: set[int] = set()
        for _ in range(min(questions, num_lines, count - len(cases))):
            at = _place(len(cases), count, num_lines, rng)
            while at in asked:
                at = (at + 1) % num_lines
            asked.add(at)
            prompt = (
                f"{_HEADER}{lines}\nNow the record is over. Tell me what is the <REGISTER_CONTENT> "
                f"in line {names[at]}? I need the number. "
            )
            depth = at / (num_lines - 1)
            cases.append(_case(prompt, numbers[at], num_lines=num_lines, depth=depth))
    return cases


def _place(index: int, count: int, num_lines: int, rng: random.Random) -> int:
    """A random line of this case's own share of the record, so that all depths are asked."""
    share = (index * 7919) % count  # the shares in another order than the cases
    low, high = share * num_lines // count, (share + 1) * num_lines // count
    return rng.randrange(low, max(low + 1, high))


def _names(count: int, rng: random.Random) -> list[str]:
    words = len(_ADJECTIVES) * len(_NOUNS)
    if count <= words:
        chosen = rng.sample(range(words), count)
        return [f"{_ADJECTIVES[i // len(_NOUNS)]}-{_NOUNS[i % len(_NOUNS)]}" for i in chosen]
    chosen = rng.sample(range(words * len(_ADJECTIVES)), count)
    of_two = [(_ADJECTIVES[i // words], i % words) for i in chosen]
    return [f"{a}-{_ADJECTIVES[i // len(_NOUNS)]}-{_NOUNS[i % len(_NOUNS)]}" for a, i in of_two]


def _fitting(ctx: int, seed: int, count: int, questions: int, tokens: Callable[[str], int]) -> int:
    """The most lines with which the longest of the cases fits: one number for all of them."""

    def longest(num_lines: int) -> int:
        cases = _cases(num_lines, min(count, 4 * questions), seed, questions)
        return max(tokens(case.prompt) for case in cases[::questions])

    few, many = 8, 40
    base = longest(few)
    each = max(1.0, (longest(many) - base) / (many - few))
    num_lines = few + int((ctx - base) / each)
    if num_lines < LEAST_LINES:
        raise UserError(
            f"got --ctx {ctx}, which does not hold {LEAST_LINES} lines; allowed: {base} or more "
            "here; fix: a larger --ctx"
        )
    while num_lines > LEAST_LINES and any(
        tokens(case.prompt) > ctx for case in _cases(num_lines, count, seed, questions)
    ):
        num_lines -= 1 + num_lines // 200
    return num_lines


def _case(prompt: str, number: int, *, num_lines: int, depth: float) -> LineCase:
    key = hashlib.sha256(prompt.encode()).hexdigest()[:16]
    return LineCase(id=key, prompt=prompt, label=number, num_lines=num_lines, depth=depth)
