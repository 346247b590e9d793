"""How the offline generator words its questions and answers: several ways each, all in one place.

    ask("speaker", rng, quote="Nonsense")  -> "Whose line is this? “Nonsense”"

Key "kind" or "kind.case"; the fields in braces are filled by the kind.
"""

from __future__ import annotations

import hashlib
import random

PHRASINGS: dict[str, tuple[str, ...]] = {
    "summary": (
        "Summarise this paper in one paragraph, as an abstract would.",
        "Write an abstract for this paper.",
        "What would a fitting abstract of this paper say?",
    ),
    "conclusion": (
        "The conclusion of this paper has been left out. Write it.",
        "How would the authors conclude this paper? Write the concluding section.",
    ),
    "caption": (
        "The caption of {label} has been left out of this paper. Write it.",
        "Write a caption for {label}, using what the paper says about it.",
    ),
    "outline": (
        "The section headings have been left out of this text. Write an outline: one heading for "
        "each of its {count} {part}s, in order.",
        "Give each of the {count} {part}s of this text a heading; the headings have been left "
        "out. List them in order.",
    ),
    "chapter_titles": (
        "The chapter titles have been replaced by their numbers. In alphabetical order they are: "
        "{titles}. Which title belongs to which chapter?",
        "Here are the titles of these chapters, in alphabetical order: {titles}. The text shows "
        "only the chapters' numbers. Assign each title to its chapter.",
    ),
    "speaker": (
        "Who says this? “{quote}”",
        "Which character speaks these words? “{quote}”",
        "Whose line is this? “{quote}”",
    ),
    "abbreviation": (
        "What does “{short}” stand for in the text?",
        "The text uses the abbreviation “{short}”. What is its full form?",
        "Spell out “{short}” as the text does.",
    ),
    "definition": (
        "How does the text define “{term}”?",
        "What does the text mean by “{term}”? Quote the sentence that says so.",
        "Quote the sentence in which “{term}” is defined.",
    ),
    "date": (
        "Which date is missing from this sentence of the text? “{cloze}”",
        "Complete this sentence with the date the text gives. “{cloze}”",
    ),
    "quantity": (
        "Which figure is missing from this sentence of the text? “{cloze}”",
        "Complete this sentence with the quantity the text gives. “{cloze}”",
    ),
    "citation": (
        "Which work is cited for this statement? Give its entry in the reference list. "
        "“{statement}”",
        "A citation has been left out of this sentence: “{statement}” Which entry of the reference "
        "list does it point to?",
    ),
    "order": (
        "Which of these two comes first in the text?\n(A) “{a}”\n(B) “{b}”",
        "Two sentences from the text:\n(A) “{a}”\n(B) “{b}”\nWhich one stands earlier?",
    ),
    "place": (
        "In which {part} does this sentence stand? “{sentence}”",
        "“{sentence}” In which {part} of the text does this stand?",
    ),
    "characters": (
        "Which {count} characters are mentioned by name most often in the text? Begin with the "
        "most frequent.",
        "Name the {count} characters whose names occur most often in the text, the most frequent "
        "first.",
    ),
    "companions": (
        "With which other character is {name} most often named in the same paragraph?",
        "Whose name shares a paragraph with {name}’s most often?",
    ),
    "count": (
        "How many times does “{term}” occur in the text? Count whole words, possessives included.",
        "Count the occurrences of “{term}” in the text (whole words, possessives included).",
    ),
    "first_mention": (
        "Quote the first sentence of the text that contains “{term}”.",
        "Which sentence of the text is the first to mention “{term}”?",
    ),
    "last_mention": (
        "Quote the last sentence of the text that contains “{term}”.",
        "Which sentence of the text is the last to mention “{term}”?",
    ),
    "list_all.headings": (
        "List the headings of all {parts} that begin in the text, in order.",
        "Which {parts} begin in the text? List their headings in order.",
    ),
    "list_all.chapters_with": (
        "In which {parts} does the {what} “{term}” occur? List all of them, in order.",
        "List every one of the {parts} in which the {what} “{term}” occurs.",
    ),
    "list_all.abbreviations": (
        "List all abbreviations that the text introduces in brackets after their full form, each "
        "with that form.",
    ),
    "list_all.captions": (
        "List the labels of all figures, tables and listings whose captions stand in the text, in "
        "order.",
    ),
    "what_follows": (
        "Which sentence comes directly after this one? “{sentence}”",
        "What does the text say right after this sentence? “{sentence}”",
    ),
    "unanswerable.relation": (
        "How is {absent} related to {present}?",
        "What does {absent} say to {present}?",
        "What does {present} think of {absent}?",
    ),
    "unanswerable.person": (
        "In which chapter does {absent} first appear?",
        "What becomes of {absent} in the end?",
        "What does {absent} do for a living?",
    ),
    "unanswerable.term": (
        "How does the text define “{absent}”?",
        "What does the text report about {absent}?",
        "What role does {absent} play in this work?",
        "In which section does the text introduce {absent}?",
    ),
    "unanswerable.answer": (
        "The text does not mention {absent}, so it gives no answer to this.",
        "This cannot be answered from the text: {absent} does not occur in it.",
        "The text gives no answer, since it never mentions {absent}.",
    ),
}


def ask(key: str, rng: random.Random, **fields: object) -> str:
    """One of the phrasings, filled in."""
    return rng.choice(PHRASINGS[key]).format(**fields)


def wording_sha(kind: str) -> str:
    """SHA-256 of all the phrasings of a kind: changes when, and only when, its wording does."""
    own = sorted(key for key in PHRASINGS if key.split(".")[0] == kind)
    wording = "\x1f".join("\x1e".join(PHRASINGS[key]) for key in own)
    return hashlib.sha256(wording.encode()).hexdigest()
