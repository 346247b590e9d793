"""longqa.longalpaca: the published strings, and what comes back when they are read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.documents import DocumentKind
from longdata.prompt_template import PAPERS_BORDER, SHORT, prompt
from longdata.tokenizers import Tokenizer
from longqa.longalpaca import Parsed, instruction, parse

KINDS: tuple[DocumentKind, ...] = ("paper", "papers", "book", "other")
HOSTILE = (
    "Below is a paper. Memorize the paper and answer my question after the paper.\n"
    " The paper begins. \n ",
    " \n Now the paper ends. \n",
    " \n Now the material ends. ",
    "Now the second paper ends.",
    ". Memorize the content and answer my question after the book.\n ",
    "The text ends. Answer from the text alone.",
    "\nAnswer:",
    " \n ",
    "\n",
    " ",
)
# What a context may hold: everything. A question must not hold the sentence that ends a text.
CONTEXT = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=20), max_size=6).map("".join)
QUESTION = (
    st.lists(st.sampled_from(HOSTILE) | st.text(max_size=20), min_size=1, max_size=4)
    .map(lambda parts: "".join(parts).strip())
    .filter(lambda text: text and not re.search(r"Now the (second )?(paper|material) ends\.", text))
)
TITLE = st.text(max_size=30).filter(lambda text: "\n" not in text)


def test_a_paper_stands_in_the_published_strings() -> None:
    assert instruction(context="We show.", question="What?", title="On It", kind="paper") == (
        "Below is a paper. Memorize the paper and answer my question after the paper.\n"
        " The paper begins. \n We show. \n Now the paper ends. \nWhat?"
    )


def test_a_book_is_named_by_its_title() -> None:
    assert instruction(context="It was.", question="Who?", title="The Firth", kind="book") == (
        "Below is some paragraphs in the book, The Firth. Memorize the content and answer my "
        "question after the book.\n It was. \n Now the material ends. Who?"
    )


def test_two_papers_stand_one_behind_the_other() -> None:
    context = f"We show.{PAPERS_BORDER}They show."
    assert instruction(context=context, question="Which?", title="A” and “B", kind="papers") == (
        "There are two papers. Memorize them and answer my question after the paper.\n"
        " The first paper begins. \n We show. \n Now the first paper ends. \n"
        " The second paper begins. \n They show. \n Now the second paper ends.Which?"
    )


def test_any_other_text_is_a_material() -> None:
    assert instruction(context="It is.", question="What?", title="T", kind="other") == (
        "Below is a material. Memorize the material and answer my question after the material. \n"
        " It is. \n Now the material ends. What?"
    )


def test_a_short_rows_instruction_is_all_there_is() -> None:
    text = "Name three colours."
    assert instruction(context="", question=text, title="alpaca.json", kind=SHORT) == text
    assert parse(text) == Parsed(kind=SHORT, context="", question=text)


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [  # as sshh12/multi_token looks for them in LongAlpaca-12k
        (
            "paper",
            r"Below is a paper\. Memorize the paper and answer my question after the paper\.\n The "
            r"paper begins\. \n ([\s\S]+) \n Now the paper ends\. \n([\s\S]+)",
        ),
        (
            "papers",
            r"There are two papers\. Memorize them and answer my question after the paper\.\n The "
            r"first paper begins\. \n ([\s\S]+) Now the second paper ends\.([\s\S]+)",
        ),
        (
            "book",
            r"Below is some paragraphs in the book, [\s\S]+?\. Memorize the content and answer my "
            r"question after the book\.\n([\s\S]+) \n Now the material ends\.([\s\S]+)",
        ),
    ],
)
def test_a_public_reader_of_longalpaca_finds_text_and_question(kind: str, pattern: str) -> None:
    context = f"First.{PAPERS_BORDER}Second." if kind == "papers" else "The text."
    text = instruction(context=context, question="Why so?", title="A Title", kind=kind)
    found = re.fullmatch(pattern, text)
    assert found is not None
    assert ("Second." if kind == "papers" else "The text.") in found[1]
    assert found[2].strip() == "Why so?"


def test_papers_of_the_first_longqa_rows_are_read_too() -> None:
    text = (
        "Below is a paper. Memorize the material and answer my question after the paper.\n"
        " We show. \n Now the material ends. What is new?"
    )
    assert parse(text) == Parsed(kind="paper", context="We show.", question="What is new?")


@given(context=CONTEXT, question=QUESTION, title=TITLE, kind=st.sampled_from(KINDS))
def test_a_row_comes_back_whatever_its_context_holds(
    context: str, question: str, title: str, kind: str
) -> None:
    if kind == "papers":
        context = f"{context}{PAPERS_BORDER}{context}"
    found = parse(instruction(context=context, question=question, title=title, kind=kind))
    named = title if kind == "book" else None
    assert found == Parsed(kind=kind, context=context, question=question, title=named)


def test_a_question_that_holds_the_closing_is_taken_for_the_end_of_the_text() -> None:
    """The strings have no escape: this is what cannot be told apart, and export counts."""
    question = "Why does it say “ \n Now the paper ends. \n” here?"
    found = parse(instruction(context="We show.", question=question, title="T", kind="paper"))
    assert found.kind == "paper" and found.question == "” here?"


def test_a_context_of_papers_without_their_border_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="border"):
        instruction(context="One paper.", question="Which?", title="T", kind="papers")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_whole", [True, False])
def test_the_strings_have_no_more_tokens_than_the_template_that_was_counted(
    kind: DocumentKind, is_whole: bool
) -> None:
    """So row_tokens bounds a LongAlpaca row too, with LongLoRA's [INST] around it."""
    tokenizer = Tokenizer.load()
    context = f"One.{PAPERS_BORDER}Two." if kind == "papers" else "One.\n\nTwo."
    for title in ("T", "The Tragedy of Pudd’nhead Wilson, and Other Stories”"):
        ours = prompt(
            context=context, question="Why?", title=title, author=None, kind=kind, is_whole=is_whole
        )
        theirs = instruction(context=context, question="Why?", title=title, kind=kind)
        assert tokenizer.count(f"[INST]{theirs}[/INST]") <= tokenizer.count(ours)
