"""longqa.llm.cut_prompts: which counts prove that a prompt was cut."""

from __future__ import annotations

from typing import Any

import pytest

from longqa.llm.cut_prompts import CutPrompts
from longqa.llm.forms import Written
from longqa.llm.records import Request


def request(prefix: str) -> Request[Any]:
    return Request(
        purpose="write",
        document_id="d",
        kind="k",
        system="",
        prefix=prefix,
        task="",
        form=Written,
        max_tokens=100,
        temperature=0.0,
    )


def sees(prompts: CutPrompts, text: str, counted: int) -> bool:
    return prompts.see(request(text), len(text.encode()), counted=counted)


@pytest.mark.parametrize(
    ("text", "per_token", "expected"),
    [
        ("Nothing had gone by but the river. " * 300, 4.5, False),
        ("Nothing had gone by but the river. " * 300, 20.0, True),
        ("渡船停在码头。" * 600, 1.5, False),
        ("渡船停在码头。" * 600, 8.0, True),
        ("Паром стоял у причала. " * 300, 3.5, False),
        ("Паром стоял у причала. " * 300, 12.0, True),
        ("Chapter 1 " + "." * 20_000, 40.0, False),
        ("Short.", 100.0, False),
    ],
)
def test_what_no_text_has_is_proof(text: str, per_token: float, expected: bool) -> None:
    assert sees(CutPrompts(), text, int(len(text) / per_token)) is expected


def test_a_count_without_the_cached_part_is_no_proof() -> None:
    prompts = CutPrompts()
    text = "Nothing had gone by but the river. " * 300
    assert not sees(prompts, text, 2400)
    assert not sees(prompts, text, 10), "the prefix is in the server's cache"


def test_documents_of_every_size_with_one_count_were_cut_to_it() -> None:
    prompts = CutPrompts()
    found = [sees(prompts, chr(97 + n) + " word" * (4000 + 400 * n), 4096) for n in range(9)]
    assert found == [False] * 7 + [True] * 2


def test_documents_of_one_size_may_have_one_count() -> None:
    prompts = CutPrompts()
    assert not any(sees(prompts, chr(97 + n) + " word" * 4000, 4096) for n in range(20))


def test_one_that_was_counted_higher_clears_the_server() -> None:
    prompts = CutPrompts()
    sizes = [4000, 4400, 4800, 5200, 5600, 6000, 6400, 9000, 4000, 4400, 4800, 5200]
    counts = [4096] * 7 + [9000] + [4096] * 4
    cases = enumerate(zip(sizes, counts, strict=True))
    assert not any(sees(prompts, chr(97 + n) + " word" * s, c) for n, (s, c) in cases)
