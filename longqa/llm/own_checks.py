"""What must hold for one kind of question alone: a draft in, a reason to refuse it out.

counted(Draft(question="How many …?", answer="Three: …", spans=<two places>, …))
-> "its number is not the number of its quotes"
"""

from __future__ import annotations

import re

from longqa.llm.drafts import Draft

LONGEST_COPY = 25  # words in a row that a summary may take from the text
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")
_TELLING = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?|\b[A-Z]{2,}\b")  # figures, abbreviations


def summarised(draft: Draft) -> str | None:
    """In the model's own words: no long stretch of the text."""
    words = _WORD.findall(draft.answer.casefold())
    text = " ".join(_WORD.findall(draft.material.context.casefold()))
    for at in range(0, len(words) - LONGEST_COPY + 1):
        if " ".join(words[at : at + LONGEST_COPY]) in text:
            return "the summary copies a long stretch of the text"
    return None


def named(draft: Draft, *, least: int = 1) -> str | None:
    """Whom the question names, the text names too."""
    words = _WORD.findall(draft.question)
    if not any(word[0].islower() for word in words):
        return None  # a script without capitals: there is nothing to know names by
    names = {word for word in words[1:] if word[0].isupper()}
    known = [name for name in names if re.search(rf"\b{re.escape(name)}", draft.material.context)]
    return None if len(known) >= least else "the people it asks about are not named in the text"


def related(draft: Draft) -> str | None:
    """Both people are named in the text."""
    return named(draft, least=2)


def counted(draft: Draft) -> str | None:
    """As many quotes as the answer's first number, in digits, says."""
    number = _NUMBER.search(draft.answer)
    if number is None:
        return "its answer gives no number"
    is_right = number[0] == str(len(draft.spans))
    return None if is_right else "its number is not the number of its quotes"


def listed(draft: Draft) -> str | None:
    """At least three items, each with a quote of its own."""
    if len(draft.items) < 3:
        return "its answer is no list of three or more"
    return None if len(draft.spans) >= len(draft.items) else "it lists more than it quotes"


def ordered(draft: Draft) -> str | None:
    """At least three events."""
    return None if len(draft.items) >= 3 else "its answer is no list of three or more"


def reviewed(draft: Draft) -> str | None:
    """Three parts: strengths, weaknesses, questions."""
    parts = [part for part in re.split(r"\n\s*\n", draft.answer) if part.strip()]
    return None if len(parts) >= 3 else "the review lacks one of its three parts"


def improved(draft: Draft) -> str | None:
    """More than one idea."""
    return None if len(draft.items) >= 2 else "its answer is no list of two or more"


def compared(draft: Draft) -> str | None:
    """Quotes from both papers."""
    sides = {span.start >= draft.border for span in draft.spans}
    return None if len(sides) == 2 else "it quotes only one of the two papers"


def grounded(draft: Draft) -> str | None:
    """Its figures and abbreviations stand in the text."""
    known = {_plain(word) for word in _TELLING.findall(draft.material.context)}
    if all(_plain(word) in known for word in _TELLING.findall(draft.answer)):
        return None
    return "a figure or abbreviation of its answer is not in the text"


def measured(draft: Draft) -> str | None:
    """It gives figures, and they stand in the text."""
    if not _NUMBER.search(draft.answer):
        return "its answer gives no number"
    return grounded(draft)


def _plain(word: str) -> str:
    """ "1,000.0" and "1000" are one figure."""
    if not word[0].isdigit():
        return word
    whole, _, rest = word.replace(",", "").partition(".")
    rest = rest.rstrip("0")
    return f"{whole}.{rest}" if rest else whole
