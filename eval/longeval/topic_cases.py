"""Conversations on many topics, one after the other, and which was the first (or the k-th)?

    cases = read_cases("longchat", [5, 10])              # LongChat's own, 50 of each
    pool = read_conversations("longchat")                # the conversations they consist of
    cases = made(pool, num_topics=40, asked="7", count=50, seed=0)
    cases = made(pool, ctx=32768, asked="last", count=50, seed=0, tokens=backend.count)
    cases[0].prompt, cases[0].label   -> "Below is a record …", "The psychology of happiness"

The prompt is LongChat's: header, conversations, question (`longeval/evaluation/topics` of
DachengLi1/LongChat). Its files hold 5 to 25 topics, some 640 Llama tokens each, and always ask for
the first; where another is asked for, that word is changed in header and question.

Made cases: the same seed, number of topics and index give the same conversations whatever is asked
for, and only the place of the asked one differs. The pool has 30 conversations. A record of more
repeats them, never the asked one, and says "topics" where LongChat says "different topics".
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path

from longdata.errors import UserError
from longeval.longchat_files import conversations, find, rows

ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
LEAST_TOPICS = 2
_ATTEMPTS = 20  # to make a case that is not there yet

_ASKS = re.compile(r"(retrieve the |What is the )first( topic\b)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicCase:
    """What a model is asked and what it should say. `asked`: the number of the topic, from 1."""

    id: str
    prompt: str
    label: str
    topics: tuple[str, ...]
    asked: int

    @property
    def depth(self) -> float:
        """Where the asked topic stands: 0 the first, 1 the last."""
        return (self.asked - 1) / max(1, len(self.topics) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A topic, and the user and the assistant talking about it."""

    topic: str
    text: str


def read_cases(source: str, sizes: Sequence[int], *, asked: str = "first") -> list[TopicCase]:
    """LongChat's cases of each number of topics. UserError: none there, or in no such form."""
    cases = []
    for path in find(source, "topics", sizes).values():
        for row in rows(path, ("prompt", "topics")):
            prompt, topics = row["prompt"], row["topics"]
            if not (isinstance(prompt, str) and isinstance(topics, list) and topics):
                raise _no_case(path)
            number = place(asked, len(topics))
            if number != 1:
                prompt, changed = _ASKS.subn(rf"\1{ordinal(number)}\2", prompt)
                if changed != 2:
                    raise _no_case(path)
            cases.append(_case(prompt, [str(topic) for topic in topics], number))
    if not cases:
        raise UserError(f"got {source}, which has no case; allowed: at least one; fix: copy again")
    return cases


def read_conversations(source: str) -> list[Conversation]:
    """The conversations of a file, one of each topic. UserError: fewer than two."""
    path = conversations(source)
    pool = {
        str(row["topic"]): Conversation(topic=str(row["topic"]), text=str(row["conversation"]))
        for row in rows(path, ("topic", "conversation"))
    }
    if len(pool) < LEAST_TOPICS:
        raise UserError(
            f"got {path} with {len(pool)} conversations; allowed: at least {LEAST_TOPICS} on "
            "different topics; fix: name a file with more"
        )
    return list(pool.values())


def made(
    pool: Sequence[Conversation],
    *,
    asked: str,
    count: int,
    seed: int,
    num_topics: int | None = None,
    ctx: int | None = None,
    tokens: Callable[[str], int] | None = None,
) -> list[TopicCase]:
    """`count` cases of so many topics, or of as many as `ctx` tokens hold.

    `tokens` counts a prompt as the model gets it, room for the answer included.
    """
    if (num_topics is None) == (ctx is None):
        raise AssertionError("either a number of topics or a number of tokens")
    if num_topics is not None:
        if num_topics < LEAST_TOPICS:
            raise UserError(f"got {num_topics} topics; allowed: {LEAST_TOPICS} or more; fix: more")
        size = num_topics  # for the function below, known to be a number
        return _different(lambda index: _made(pool, size, asked, _rng(seed, size, index)), count)
    assert ctx is not None and tokens is not None
    room, counter = ctx, tokens
    around = tokens("")
    sizes = {one.topic: tokens(one.text) - around for one in pool}
    return _different(lambda index: _fitting(pool, room, asked, seed, index, sizes, counter), count)


def _different(make: Callable[[int], TopicCase], count: int) -> list[TopicCase]:
    """The first `count` different cases; fewer where a small pool has no more."""
    found: dict[str, TopicCase] = {}
    for index in range(_ATTEMPTS * count):
        case = make(index)
        found.setdefault(case.id, case)
        if len(found) == count:
            break
    return list(found.values())


def place(asked: str, num_topics: int) -> int:
    """The number of a topic, from 1: "3", "first", "middle" or "last"."""
    named = {"first": 1, "middle": (num_topics + 1) // 2, "last": num_topics}
    number = named.get(asked, int(asked) if asked.isascii() and asked.isdecimal() else 0)
    if not 1 <= number <= num_topics:
        raise UserError(
            f"got --topic {asked} where there are {num_topics} topics; allowed: 1 to {num_topics}, "
            "first, middle, last; fix: ask for one that is there"
        )
    return number


def ordinal(number: int) -> str:
    """first, second, … twentieth, 21st, 22nd, …"""
    if number <= len(ORDINALS):
        return ORDINALS[number - 1]
    teen = number % 100 in (11, 12, 13)
    ending = "th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _made(
    pool: Sequence[Conversation], num_topics: int, asked: str, rng: random.Random
) -> TopicCase:
    number = place(asked, num_topics)
    wanted = rng.choice(pool)
    chosen = list(islice(_others(pool, wanted, rng), num_topics - 1))
    chosen.insert(number - 1, wanted)
    which = ordinal(number)
    different = "different " if num_topics <= len(pool) else ""
    prompt = (
        f"Below is a record of our previous conversation on {num_topics} {different}topics. You "
        "are the ASSISTANT, and I am the USER. At the beginning of each topic, the USER will say "
        "'I would like to discuss the topic of <TOPIC>'. Memorize each <TOPIC>. At the end of the "
        f"record, I will ask you to retrieve the {which} topic. Now the record start. "
        f"{''.join(one.text for one in chosen)} Now the record ends. What is the {which} topic we "
        "discussed? Only give me the topic name. Do not summarize yourself."
    )
    return _case(prompt, [one.topic for one in chosen], number)


def _others(
    pool: Sequence[Conversation], wanted: Conversation, rng: random.Random
) -> Iterator[Conversation]:
    """All others in some order, again and again; never one twice in a row where there are two."""
    others = [one for one in pool if one != wanted]
    last = None
    while True:
        order = rng.sample(others, len(others))
        if order[0] == last:
            order.append(order.pop(0))
        yield from order
        last = order[-1]


def _fitting(
    pool: Sequence[Conversation],
    ctx: int,
    asked: str,
    seed: int,
    index: int,
    sizes: dict[str, int],
    tokens: Callable[[str], int],
) -> TopicCase:
    """The case with as many topics as fit; counted as a whole, for tokens are not additive."""
    smallest = min(sizes.values())
    most = max(LEAST_TOPICS, ctx // max(1, smallest))
    rng = _rng(seed, f"ctx {ctx}", index)
    state = rng.getstate()
    wanted = rng.choice(pool)
    lengths = [sizes[wanted.topic]]
    lengths += [sizes[one.topic] for one in islice(_others(pool, wanted, rng), most - 1)]
    rest = ctx - tokens("")
    num_topics = max(LEAST_TOPICS, sum(size <= rest for size in accumulate(lengths)))
    while True:
        rng.setstate(state)
        case = _made(pool, num_topics, asked, rng)
        if tokens(case.prompt) <= ctx:
            return case
        if num_topics == LEAST_TOPICS:
            raise UserError(
                f"got --ctx {ctx}, which does not hold {LEAST_TOPICS} conversations; allowed: "
                f"{tokens(case.prompt)} or more here; fix: a larger --ctx"
            )
        num_topics -= 1


def _rng(seed: int, size: int | str, index: int) -> random.Random:
    return random.Random(f"topics {seed} {size} {index}")  # a str seeds by its bytes, not its hash


def _case(prompt: str, topics: Sequence[str], number: int) -> TopicCase:
    key = hashlib.sha256(f"{number}\0{prompt}".encode()).hexdigest()[:16]
    return TopicCase(
        id=key, prompt=prompt, label=topics[number - 1], topics=tuple(topics), asked=number
    )


def _no_case(path: Path) -> UserError:
    return UserError(
        f"got {path}, where a case is not in LongChat's form; allowed: its prompt and topics; fix: "
        "copy the file again"
    )
