"""Topic retrieval: make cases, ask a model, score its answers, write one result.

    order = TopicOrder(cases="longchat", sizes=(5, 10, 15, 20, 25))
    run = measure(order, backend, Path("out"))
    run["numbers"][0]   -> {"name": "accuracy", "rule": "nearest", "num_topics": 5, "ctx": 3276,
                            "value": 0.88, "interval": [0.762, 0.944], "n": 50, …}

Each answer is scored by the two offline rules of topic_scoring.py; `nearest` is the number to
report. With a judge, a language model says of each answer whether it names the topic, and its share
is reported beside. `ctx` of LongChat's own cases is the mean length of their prompts in tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longdata.errors import UserError
from longeval.ask import Backend, Prompt, Reply, Tell, ask, digest, spoken
from longeval.longchat_files import FETCHED
from longeval.results import read
from longeval.retrieval import by_group, mean_tokens, prompts_of, share, write_result
from longeval.topic_cases import TopicCase, made, place, read_cases, read_conversations
from longeval.topic_scoring import first_answer, lists_topics, nearest, strict

MAX_NEW_TOKENS = 50  # as LongChat generates
_VERDICT_TOKENS = 8

RULES = {
    "nearest": "a run of words at the beginning of the answer is like the label (Gestalt ratio "
    ">= 0.80), and no other topic of the conversation is closer",
    "strict": "all content words of the label stand at the beginning of the answer, synonyms and "
    "endings folded",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicOrder:
    """Which cases: LongChat's own of these sizes, or made ones of sizes or of contexts."""

    cases: str = FETCHED
    sizes: tuple[int, ...] = ()
    contexts: tuple[int, ...] = ()
    make: bool = False
    asked: tuple[str, ...] = ("first",)
    count: int = 50
    seed: int = 0
    max_new_tokens: int = MAX_NEW_TOKENS

    def __post_init__(self) -> None:
        if self.count < 1 or self.max_new_tokens < 1:
            raise UserError(
                f"got --count {self.count} and --max-new-tokens {self.max_new_tokens}; allowed: 1 "
                "or more; fix: leave them out"
            )
        if not self.asked or not (self.sizes or self.contexts):
            raise UserError("got no --topic or no length; needed: one; fix: leave --topic out")
        for asked in self.asked:  # before a model is loaded, not after
            for size in () if self.contexts else self.sizes:
                place(asked, size)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A case and the group it is counted in: what was asked for, not what came out."""

    case: TopicCase
    asked: str
    ctx: int | None


def measure(
    order: TopicOrder,
    backend: Backend,
    out: Path,
    *,
    judge: Backend | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """The facts of the result, which is written to `out`. UserError: no number can be had."""
    chosen = _cases(order, backend)
    cases = [one.case for one in chosen]
    asked = ask(backend, prompts_of(cases, max_new_tokens=order.max_new_tokens), out, tell=tell)
    verdicts = _judged(judge, cases, asked.replies, out) if judge is not None else {}
    rows = [
        _row(one, asked.replies[one.case.id], verdicts.get(one.case.id))
        for one in chosen
        if one.case.id in asked.replies
    ]
    path = write_result(
        out,
        kind="topics",
        backend=backend,
        cases=cases,
        data=_data(order),
        protocol=_protocol(order, judge),
        numbers=numbers_of(rows),
        refused=asked.refused,
        rows=rows,
    )
    return read(path)


def numbers_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Accuracies by length and by the topic asked for, each rule by itself."""
    numbers = []
    for (size, ctx, asked), of in by_group(rows, ("num_topics_asked", "ctx_asked", "asked")):
        about = {
            "num_topics": size or round(sum(row["num_topics"] for row in of) / len(of)),
            "ctx": ctx or mean_tokens(of),
            "asked": asked,
            "prompt_tokens": mean_tokens(of),
        }
        for rule in ("nearest", "strict", "judge"):
            right = [row[rule] for row in of if row[rule] is not None]
            if right:
                numbers.append(share(right, name="accuracy", rule=rule, **about))
        numbers.append(share([row["lists"] for row in of], name="lists_topics", **about))
    return numbers


def judge_prompt(label: str, reply: str) -> str:
    """What the judge is asked; its answer begins with yes or no."""
    return (
        "Somebody was asked for the name of the topic that was discussed first in a long "
        "conversation, or at another place in it. Does the answer name that topic? Other wording "
        "of the same topic counts, another topic or none does not.\n\n"
        f"Topic: {label}\nAnswer: {reply.strip()}\n\nReply with one word, yes or no."
    )


def _cases(order: TopicOrder, backend: Backend) -> list[_Asked]:
    if order.contexts or order.make:
        return _once(_made(order, _counter(backend, order.max_new_tokens)))
    return _once(
        [
            _Asked(case=case, asked=asked, ctx=None)
            for asked in order.asked
            for case in read_cases(order.cases, order.sizes, asked=asked)
        ]
    )


def _made(order: TopicOrder, tokens: Callable[[str], int]) -> list[_Asked]:
    pool = read_conversations(order.cases)
    count, seed = order.count, order.seed
    found = []
    for asked in order.asked:
        for ctx in order.contexts:
            cases = made(pool, asked=asked, count=count, seed=seed, ctx=ctx, tokens=tokens)
            found += [_Asked(case=case, asked=asked, ctx=ctx) for case in cases]
        for size in () if order.contexts else order.sizes:
            cases = made(pool, asked=asked, count=count, seed=seed, num_topics=size)
            found += [_Asked(case=case, asked=asked, ctx=None) for case in cases]
    return found


def _once(found: Sequence[_Asked]) -> list[_Asked]:
    """Without those for "1" where there is "first"."""
    return list({(one.case.id, one.ctx): one for one in reversed(found)}.values())[::-1]


def _counter(backend: Backend, max_new_tokens: int) -> Callable[[str], int]:
    return lambda text: backend.count(text, max_new_tokens)


def _row(one: _Asked, reply: Reply, verdict: bool | None) -> dict[str, Any]:
    case, said = one.case, spoken(reply.text)
    is_nearest = nearest(said, label=case.label, topics=case.topics)
    return {
        "id": case.id,
        "asked": one.asked,
        "ctx_asked": one.ctx,
        "num_topics_asked": None if one.ctx else len(case.topics),
        "num_topics": len(case.topics),
        "topic": case.asked,
        "depth": case.depth,
        "label": case.label,
        "reply": reply.text,
        "prompt_tokens": reply.prompt_tokens,
        "right": is_nearest,  # what two models are compared by
        "nearest": is_nearest,
        "strict": strict(said, label=case.label),
        "judge": verdict,
        "lists": lists_topics(said),
        "is_cut": reply.is_cut,
    }


def _judged(
    judge: Backend, cases: Sequence[TopicCase], replies: Mapping[str, Reply], out: Path
) -> dict[str, bool]:
    """The judge's word on each answer; where it says neither yes nor no there is none."""
    prompts, of = {}, {}
    for case in cases:
        if case.id in replies:
            text = judge_prompt(case.label, first_answer(spoken(replies[case.id].text)))
            of[case.id] = digest(text)
            prompts[of[case.id]] = text
    asked = ask(
        judge,
        [Prompt(id=id, text=text, max_new_tokens=_VERDICT_TOKENS) for id, text in prompts.items()],
        out / "judge",
    )
    said = {
        id: spoken(asked.replies[key].text).strip().strip("*\"'.").lower()
        for id, key in of.items()
        if key in asked.replies
    }
    return {
        id: word.startswith("yes") for id, word in said.items() if word.startswith(("yes", "no"))
    }


def _data(order: TopicOrder) -> dict[str, Any]:
    is_made = bool(order.contexts or order.make)
    name = "longchat" if order.cases == FETCHED else Path(order.cases).resolve().name
    return {
        "name": f"{name} topics" + (", made cases" if is_made else ""),
        "num_topics": [] if order.contexts else list(order.sizes),
        "contexts": list(order.contexts),
        "asked": list(order.asked),
        "seed": order.seed if is_made else None,
    }


def _protocol(order: TopicOrder, judge: Backend | None) -> dict[str, Any]:
    words = (
        "a record of conversations on many topics, then the question for the name of one of them; "
        "over-long prompts are refused and counted"
    )
    found: dict[str, Any] = {
        "in_words": words,
        "rules": dict(RULES),
        "reported": "nearest",
        "max_new_tokens": order.max_new_tokens,
    }
    if judge is not None:
        found["rules"]["judge"] = "a language model says whether the answer names the topic"
        found["judge"] = {**judge.model, "prompt": judge_prompt("<topic>", "<answer>")}
    return found
