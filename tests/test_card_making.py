"""How a dataset was made is said in full, in plain words, and of nothing that was not done."""

from __future__ import annotations

from typing import Any

import synthetic
from markdown_it import MarkdownIt

from longdata.markdown import plain
from longqa.card_making import making
from longqa.dataset import CHECKS
from longqa.facts import BuildFacts
from longqa.overview import gather

HOSTILE = "<script>alert(1)</script> | `x` **y**"


def told(rows: list[dict[str, Any]], **model: Any) -> str:
    """The section, where the build's model has these facts."""
    facts = synthetic.facts_of(rows)
    if model:
        assert facts["model"] is not None
        facts["model"] = {**facts["model"], **model}  # type: ignore[typeddict-item]
    return making(facts, gather(rows))


def with_checks(*names: str) -> list[dict[str, Any]]:
    """Two rows of a model, the second of which passed these checks too."""
    first, second = synthetic.pair_rows()
    return [{**first, "checks": {}}, {**second, "checks": dict.fromkeys(names, True)}]


def test_what_was_compared_with_evaluation_sets_is_said_also_without_a_hit() -> None:
    rows = list(synthetic.rows(4))
    facts = synthetic.facts_of(rows)
    nothing: Any = {"checked": 7, "removed": 0, "reported": 0, "by_set": {}}
    facts["decontamination"] = {
        "mode": "remove",
        "width": 13,
        "context_share": 0.01,
        "stretch_words": 50,
        "sets": [
            {
                "name": HOSTILE,
                "revision": "0123456789abcdef",
                "fingerprint": "ff",
                "texts": 12,
                "grams": 999,
                "skipped": [],
            }
        ],
        "contexts": {**nothing, "removed": 3, "by_set": {HOSTILE: 3}},
        "questions": nothing,
        "worst": [],
    }
    text = making(facts, gather(rows))
    assert "sequences of 13 words" in text and "1 % of its sequences" in text
    assert "7 contexts and 7 questions were compared" in text
    assert f"| {plain(HOSTILE)} | `0123456789ab` | 12 | 3 | 0 |" in text.replace("  ", " ")
    assert "<script>" not in MarkdownIt().enable("table").render(text)


def test_offline_there_is_no_word_of_a_model() -> None:
    text = told(list(synthetic.rows(4)))
    assert "- questions by the extractive generator\n" in text
    assert "- every row was checked:" in text
    for word in ("language", "judge", "another model", "short"):
        assert word not in text, word


def test_the_model_the_judge_the_temperature_and_the_language_are_named() -> None:
    text = told(synthetic.pair_rows(), judge="critic", temperature=0.25, language="de")
    assert "openai generator, model writer, at temperature 0.25; language: de" in text
    text = told(synthetic.pair_rows(), judge="critic", temperature=1)
    assert "temperature 1; language: that of each document" in text


def test_only_checks_that_were_run_are_told_with_the_number_of_their_rows() -> None:
    words = {
        "closed_book_failed": "| asked without the text, the model could not",
        "one_passage_failed": "| given the one passage that fits best",
        "not_answered_by_text": "| asked to look for it in the text again",
        "judged_good": "| another model, critic, scored the answer",
    }
    assert set(words) < set(CHECKS)
    for name, said in words.items():
        text = told(with_checks(name), judge="critic")
        assert said in text and f"| `{name}` | 1 |" in text
        assert not [other for other in words if other != name and f"`{other}`" in text]
    assert "What was checked by asking a model" not in told(with_checks())
    assert "No other model scored the answers" in told(with_checks(), judge=None)
    assert "No other model" not in told(with_checks("judged_good"), judge="critic")
    assert "every quote was looked up there" in told(with_checks())


def test_what_the_server_and_the_names_say_is_escaped() -> None:
    notes = [HOSTILE, "it took no seed"]
    text = told(with_checks("judged_good"), model=HOSTILE, judge=HOSTILE, notes=notes)
    assert f"- {plain(HOSTILE)}" in text and "- it took no seed" in text
    assert text.count(plain(HOSTILE)) == 3
    shown = MarkdownIt("gfm-like", {"html": True}).disable("linkify").parse(text)
    children = [child.type for token in shown for child in token.children or []]
    assert "html_inline" not in children and "strong_open" not in children
    assert "What was found out about the server" not in told(with_checks())


def test_short_rows_are_accounted_for() -> None:
    rows = [*synthetic.rows(4), *synthetic.short_rows(4)]
    text = told(rows)
    assert "- every long row was checked:" in text
    assert (
        "4 mixed in, of 5 that could be used and 7 that were read (2 duplicate); asked for 26 % of "
        "the training split, reached 25.0 %"
    ) in text
    facts: BuildFacts = synthetic.facts_of(rows)
    assert facts["short"] is not None
    facts["short"]["file"] = HOSTILE
    assert f"short instructions from {plain(HOSTILE)} (SHA-256" in making(facts, gather(rows))
