"""longdata.prompt_template: every word around a context."""

from __future__ import annotations

import pytest

from longdata.documents import DocumentKind
from longdata.prompt_template import CHAT_MARKUP_TOKENS, head, prompt, tail


def test_a_prompt_reads_like_this() -> None:
    text = prompt(
        context="CHAPTER I\n\nIt was cold.",
        question="Who says: “Nonsense”?",
        title="The Firth",
        author="A. Writer",
        kind="book",
        is_whole=True,
    )
    assert text == (
        "Below is the book “The Firth” by A. Writer. Read it, then answer the question after it."
        "\n\nThe text begins.\n\nCHAPTER I\n\nIt was cold.\n\nThe text ends. Answer from the text "
        "alone.\n\nQuestion: Who says: “Nonsense”?\nAnswer:"
    )


@pytest.mark.parametrize(
    ("kind", "whole", "what"),
    [
        ("book", True, "Below is the book “T”. "),
        ("book", False, "Below is a part of the book “T”. "),
        ("paper", True, "Below is the paper “T”. "),
        ("other", False, "Below is a part of the document “T”. "),
    ],
)
def test_the_head_says_what_the_context_is(kind: DocumentKind, whole: bool, what: str) -> None:
    assert head(title="T", author=None, kind=kind, is_whole=whole).startswith(what)


def test_a_prompt_is_head_context_and_tail_so_that_prefixes_are_shared() -> None:
    start = head(title="T", author="A", kind="paper", is_whole=False)
    for question in ("Who?", "When?"):
        text = prompt(
            context="Words.", question=question, title="T", author="A", kind="paper", is_whole=False
        )
        assert text == f"{start}Words.{tail(question)}"
        assert text.endswith("\nAnswer:")


def test_braces_in_a_text_are_left_alone() -> None:
    text = prompt(
        context="{question}", question="{x}", title="{T}", author=None, kind="book", is_whole=True
    )
    assert text.count("{question}") == text.count("{x}") == text.count("{T}") == 1


def test_room_is_left_for_a_chat_models_markers() -> None:
    # <|start_header_id|>user<|end_header_id|>\n\n … <|eot_id|> and the like, twice over
    assert CHAT_MARKUP_TOKENS >= 16
