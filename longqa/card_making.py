"""The part of a dataset's card that says how it was made, and by whom.

    making(facts, statistics)    # the command, what was counted with what, and what was left out

With a language model it says in plain words what the model did, what was checked, and on how many
rows: only checks that were run are named. Names of models and what servers said are escaped.
"""

from __future__ import annotations

from collections import Counter

from longdata.markdown import fenced, plain, table
from longqa.facts import BuildFacts
from longqa.overview import Statistics

# What was done to a question, by the name of its check.
_ATTEMPTS = {
    "closed_book_failed": "asked without the text, the model could not give the answer",
    "one_passage_failed": "given the one passage that fits best, of several that the question "
    "needs, the model could not give the answer",
    "not_answered_by_text": "asked to look for it in the text again, the model could not quote an "
    "answer to an unanswerable question",
    "judged_good": "another model, {judge}, scored the answer, from the quotes and what stands "
    "around them, as right, supported and clear",
}


def making(facts: BuildFacts, statistics: Statistics) -> str:
    """The section "How it was made" of a card."""
    tokenizer, recipe = facts["tokenizer"], facts["recipe"]
    refused = Counter[str]()
    for entry in facts["rejected"]:
        refused[entry["reason"]] += entry["count"]
    skipped = Counter(entry["reason"] for entry in facts["skipped"])
    lengths = ", ".join(
        f"{ctx:,} ({100 * share:.0f} %)"
        for ctx, share in zip(recipe["ctx"], recipe["shares"], strict=True)
    )
    date = f", {plain(facts['created'])}" if facts["created"] else ""
    every = "every long" if statistics.num_short else "every"
    said = [
        f"- longqa {plain(facts['version'])}{date}",
        f"- seed {facts['seed']}; token budgets {lengths}; up to {recipe['per_document']:,} "
        "questions a document",
        f"- questions by {_generator(facts)}",
        f"- tokens counted with {plain(tokenizer['name'])} ({tokenizer['vocab_size']:,} tokens, "
        f"fingerprint {plain(tokenizer['fingerprint'][:16])})",
        f"- {every} row was checked: its evidence stands at its offsets, the question does not "
        "contain its answer, and the row fits its budget",
        *_mixed(facts),
    ]
    parts = ["## How it was made"]
    if facts["command"]:
        parts.append(fenced(facts["command"], "sh"))
    parts.append("\n".join(said))
    parts += _model(facts, statistics)
    parts += _apart(facts)
    for heading, counts in (
        ("Candidate questions refused by a check", refused),
        ("Parts of documents left out when they were read", Counter(facts["dropped"])),
        ("Sources that could not be used", skipped),
    ):
        if counts:
            rows = [(plain(reason), f"{n:,}") for reason, n in sorted(counts.items())]
            parts.append(table((heading, "Count"), rows))
    return "\n\n".join(parts)


def _generator(facts: BuildFacts) -> str:
    generator, model = facts["generator"], facts["model"]
    if model is None:
        named = f", model {plain(generator['model'])}" if generator["model"] else ""
        return f"the {plain(generator['backend'])} generator{named}"
    language = plain(model["language"]) if model["language"] else "that of each document"
    return (
        f"the {plain(generator['backend'])} generator, model {plain(model['model'])}, at "
        f"temperature {model['temperature']:g}; language: {language}"
    )


def _apart(facts: BuildFacts) -> list[str]:
    """What was compared with evaluation sets, and what came of it."""
    found = facts["decontamination"]
    if found is None:
        return []
    done = "left out" if found["mode"] == "remove" else "found and kept"
    rows = [
        (
            plain(one["name"]),
            f"`{plain(one['revision'][:12])}`" if one["revision"] else "",
            f"{one['texts']:,}",
            f"{found['contexts']['by_set'].get(one['name'], 0):,}",
            f"{found['questions']['by_set'].get(one['name'], 0):,}",
        )
        for one in found["sets"]
    ]
    head = ("Evaluation set", "Revision", "Texts", f"Contexts {done}", f"Questions {done}")
    return [
        f"Compared with evaluation sets by sequences of {found['width']} words: a context is too "
        f"near a set when {100 * found['context_share']:g} % of its sequences stand there, or "
        f"{found['stretch_words']} words in a row; a question or an answer when one does. "
        f"{found['contexts']['checked']:,} contexts and {found['questions']['checked']:,} "
        "questions were compared.",
        table(head, rows),
    ]


def _mixed(facts: BuildFacts) -> list[str]:
    short = facts["short"]
    if short is None:
        return []
    skipped = ", ".join(f"{n:,} {plain(reason)}" for reason, n in sorted(short["skipped"].items()))
    return [
        f"- short instructions from {plain(short['file'])} (SHA-256 {short['sha256'][:16]}…): "
        f"{short['mixed']:,} mixed in, of {short['usable']:,} that could be used and "
        f"{short['read']:,} that were read{f' ({skipped})' if skipped else ''}; asked for "
        f"{100 * short['share']:g} % of the training split, reached {100 * short['reached']:.1f} %"
    ]


def _model(facts: BuildFacts, statistics: Statistics) -> list[str]:
    """What the language model did, what was checked, and what its server said."""
    model = facts["model"]
    if model is None:
        return []
    judge = plain(model["judge"] or "")
    nobody = " No other model scored the answers." if model["judge"] is None else ""
    parts = [
        "The questions and answers were written by a language model that read the text. It had to "
        "quote the text for each answer; every quote was looked up there, and what stands there is "
        f"the evidence. A question that failed one of its checks was left out.{nobody}"
    ]
    checked = [
        (words.format(judge=judge), f"`{check}`", f"{statistics.passed[check]:,}")
        for check, words in _ATTEMPTS.items()
        if statistics.passed[check]
    ]
    if checked:
        parts.append(table(("What was checked by asking a model", "Check", "Examples"), checked))
    if model["notes"]:
        notes = "\n".join(f"- {plain(note)}" for note in model["notes"])
        parts.append(f"What was found out about the server:\n\n{notes}")
    return parts
