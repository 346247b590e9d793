"""A language model that reads: it answers every prompt of ours as a good model would, by rule.

    brain(body)   -> '{"items": [{"question": "…", "answer": "…", "quotes": ["…"]}]}'

Its questions pass the checks of their kind; the same body always gets the same answer. Words in the
text turn it into a bad one: BADQUOTE makes it invent quotes, KNOWN makes it know everything, …
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from typing import Any

from longdata.prompt_template import PAPERS_BORDER
from longqa.llm.taxonomy import MODEL_KINDS, ModelKind

_SENTENCE = re.compile(r"[A-Z][^.!?\n]{25,200}[.!?]")
_TEXT = re.compile(r"<text>\n(.*)\n</text>", re.DOTALL)


def brain(body: dict[str, Any]) -> str:
    """The content of the assistant's message."""
    user = body["messages"][-1]["content"]
    text = _TEXT.search(user)
    if text is not None and "Write " in user[text.end() :][:10]:
        return json.dumps({"items": _items(text[1], user[text.end() :])}, ensure_ascii=False)
    if text is not None:
        return json.dumps({"answered": False, "answer": "", "quotes": []})
    if "Does the attempt give the answer?" in user:
        return json.dumps({"same": True})
    if "Score an answer" in user:
        return json.dumps({"correct": 5, "supported": 4, "clear": 5, "quotes": [1]})
    if "KNOWN" in user:
        question = user.partition("Question: ")[2].partition("\n")[0]
        return json.dumps({"known": True, "answer": question.rstrip("?")})
    return json.dumps({"known": False, "answer": ""})


def _items(text: str, task: str) -> list[dict[str, Any]]:
    name, kind = next((n, k) for n, k in MODEL_KINDS.items() if k.task in task)
    count = int(task.strip().split()[1])
    places = re.findall(r"^\d+\. (.*)$", task.partition("Where to look:")[2], re.MULTILINE)
    seed = hashlib.sha256(f"{text}\x1f{task}".encode()).hexdigest()
    rng = random.Random(seed)
    return [
        _item(text, name, kind, places[number] if number < len(places) else "", rng)
        for number in range(count)
    ]


def _item(text: str, name: str, kind: ModelKind, place: str, rng: random.Random) -> dict[str, Any]:
    least, most = kind.quotes
    wanted = rng.randint(least, min(most, least + 2)) if most else 0
    quotes = _quotes(text, kind, place, wanted, rng)
    words = [w for quote in quotes for w in re.findall(r"[A-Za-z]{3,}", quote)] or ["nothing"]
    names = sorted(set(re.findall(r"(?<=[a-z,] )[A-Z][a-z]{2,}", text))) or ["Somebody"]
    about = " ".join(rng.sample(words, min(6, len(words))))
    people = " and ".join(rng.sample(names, min(2, len(names))))
    question = f"As for {people}, what is told of {about} ({rng.randrange(10**6)})?"
    if "BADQUOTE" in text and quotes:
        quotes[-1] = "The purple elephant of Samarkand never once learned to whistle."
    return {
        "question": question,
        "answer": _answer(name, kind, quotes, words, rng),
        "quotes": quotes,
    }


def _answer(
    name: str, kind: ModelKind, quotes: list[str], words: list[str], rng: random.Random
) -> str:
    least, most = kind.words
    length = min(most, max(least + 8, 4)) if least >= 10 else min(most, max(least, 4))

    def line(number: int) -> str:
        return " ".join(rng.choice(words) for _ in range(max(2, number)))

    if name == "experiments":
        return f"{line(length)} {next(iter(re.findall('[0-9]+', ' '.join(quotes))), '1')}"
    if name == "counting":
        return f"{len(quotes)}: {line(length)}"
    if name in ("listing", "timeline", "improvements"):
        each = length // max(2, len(quotes)) + 2
        return "\n".join(f"- {line(each)}" for _ in range(max(2, len(quotes))))
    if name == "review":
        parts = ("Strengths", "Weaknesses", "Questions")
        return "\n\n".join(f"{part}: {line(length // 3 + 2)}" for part in parts)
    return line(length)


def _quotes(text: str, kind: ModelKind, place: str, wanted: int, rng: random.Random) -> list[str]:
    if kind.own_check is not None and PAPERS_BORDER in text:
        first, _, second = text.partition(PAPERS_BORDER)
        return [_sentences(first)[0], _sentences(second)[-1]]
    part = text
    if kind.focus == "a section" and (heading := re.search("“(.*)”", place)):
        # a heading stands on one line in the prompt, and maybe on several in the text
        found = re.search(r"\s+".join(map(re.escape, heading[1].split())), text)
        if found:
            part = text[found.end() : found.end() + 4000]
    sentences = _sentences(part)
    if wanted >= len(sentences):
        return sentences
    if wanted == 0:
        return []
    step = len(sentences) / wanted
    start = rng.random() * step * 0.5
    return [sentences[min(len(sentences) - 1, int(start + i * step))] for i in range(wanted)]


def _sentences(text: str) -> list[str]:
    found = _SENTENCE.findall(text)
    return [s for s in dict.fromkeys(found) if text.count(s) == 1] or ["There is no sentence here."]
