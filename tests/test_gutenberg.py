"""Project Gutenberg's words out of a text, in each of the forms they have had."""

from __future__ import annotations

from pathlib import Path

import pytest

from longdata.decoding import decode
from longdata.documents import Block
from longdata.gutenberg import LICENSE, strip_gutenberg, strip_gutenberg_blocks

BODY = "CHAPTER I\n\nIt was a dark night.\n\nThe gutenberg press stood there.\n\nTHE END"
MODERN = f"""\ufeffThe Project Gutenberg eBook of A Night

This eBook is for the use of anyone anywhere.

Title: A Night
       and a Day

Author: Jane Roe

Release Date: May 1, 2008 [EBook #77]

Language: French

*** START OF THE PROJECT GUTENBERG EBOOK A NIGHT AND A DAY OR SOME SUCH VERY LONG TITLE
THAT GOES ON ***

Produced by John Doe and the Online Distributed
Proofreading Team

{BODY}

End of the Project Gutenberg EBook of A Night, by Jane Roe

*** END OF THE PROJECT GUTENBERG EBOOK A NIGHT ***

***** This file should be named 77.txt *****
"""
SMALL_PRINT = f"""**The Project Gutenberg Etext of A Night, by Jane Roe**

Please take a look at the important information in this header.

**Welcome To The World of Free Plain Vanilla Electronic Texts**

***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***
Why is this "Small Print!" statement here?
*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*

This etext was prepared by John Doe, Somewhere.

{BODY}

End of The Project Gutenberg Etext of A Night, by Jane Roe
"""
OLDEST = f"""Project Gutenberg's Etext of A Night, by Jane Roe

{BODY}

End of Project Gutenberg's A Night
"""


@pytest.mark.parametrize("text", [MODERN, SMALL_PRINT, OLDEST])
def test_the_book_alone_is_left_whatever_the_form(text: str) -> None:
    stripped = strip_gutenberg(text)
    assert stripped.text == BODY
    assert stripped.facts is not None
    assert (stripped.facts.title, stripped.facts.author) == ("A Night", "Jane Roe")
    assert stripped.facts.license == LICENSE


def test_what_goes_is_listed_and_nothing_else_goes() -> None:
    stripped = strip_gutenberg(MODERN)
    reasons = [dropped.reason for dropped in stripped.dropped]
    assert reasons == ["gutenberg header", "producer credits", "gutenberg footer"]
    everything = " ".join([*(d.text for d in stripped.dropped), stripped.text])
    assert sorted(everything.replace("\ufeff", "").split()) == sorted(
        MODERN.replace("\ufeff", "").split()
    )


def test_facts_come_from_the_header() -> None:
    facts = strip_gutenberg(MODERN).facts
    assert facts is not None
    assert (facts.language, facts.number, facts.release) == ("fr", 77, "May 1, 2008")


def test_a_copyrighted_ebook_gets_no_licence() -> None:
    text = MODERN.replace(
        "This eBook is for", "** This is a COPYRIGHTED Project Gutenberg eBook **\n\nThis is for"
    )
    facts = strip_gutenberg(text).facts
    assert facts is not None and facts.license is None


def test_a_text_that_never_was_there_is_left_alone() -> None:
    stripped = strip_gutenberg("Johannes\n\nEnd of the line.\n\nProduced by hand.")
    assert stripped.text == "Johannes\n\nEnd of the line.\n\nProduced by hand."
    assert stripped.facts is None and stripped.dropped == ()


def test_a_mention_in_the_middle_of_a_book_drops_nothing() -> None:
    text = "It began.\n\nHe read about Project Gutenberg in the news.\n\nIt ended."
    stripped = strip_gutenberg(text)
    assert stripped.text == text and stripped.dropped == ()


def test_blocks_are_stripped_like_lines() -> None:
    blocks = [
        Block("Title: A Night\nAuthor: Jane Roe\n*** START OF THE PROJECT GUTENBERG EBOOK X ***"),
        Block("Chapter 1", role="heading"),
        Block("It was dark."),
        Block("*** END OF THE PROJECT GUTENBERG EBOOK X ***"),
        Block("Updated editions will replace the previous one."),
    ]
    kept, facts, dropped = strip_gutenberg_blocks(blocks)
    assert [block.text for block in kept] == ["Chapter 1", "It was dark."]
    assert facts is not None and facts.author == "Jane Roe"
    assert [d.reason for d in dropped] == ["gutenberg header", "gutenberg footer"]


# name → (first words, last words, title, author)
RAW = {
    "103_around": ("AROUND THE WORLD IN EIGHTY DAYS", "the tour around the world?", "Jules Verne"),
    "1260_jane": (
        "JANE EYRE\nAN AUTOBIOGRAPHY",
        "even so come, Lord Jesus!'\"",
        "Charlotte Bronte",
    ),
    "145_middlemarch": ("Middlemarch\n\n\nBy", "rest in unvisited tombs.", "George Eliot"),
    "2701_moby": ("MOBY-DICK;\n\nor, THE WHALE.", "only found another orphan.", "Herman Melville"),
    "36_the-war": ("by H. G. Wells", "counted me, among the dead.", "H. G. Wells"),
    "5230_the-invisible": ("The Invisible Man\n", "know of them until he dies.", "H.G. Wells"),
    "78_tarzan": ("Tarzan of the Apes\n", "READ THE RETURN OF TARZAN", "Edgar Rice Burroughs"),
}


@pytest.mark.parametrize("name", RAW)
def test_real_books_begin_and_end_with_the_authors_words(name: str, shared_data: Path) -> None:
    (path,) = (shared_data / "books" / "raw").glob(f"{name}*")
    first, last, author = RAW[name]
    stripped = strip_gutenberg(decode(path.read_bytes()))
    assert stripped.text.startswith(first)
    assert stripped.text.rstrip().endswith(last)
    assert stripped.facts is not None
    assert (stripped.facts.author, stripped.facts.language) == (author, "en")


def test_clean_books_are_left_alone(shared_data: Path) -> None:
    for path in sorted((shared_data / "books" / "clean").glob("*.txt")):
        text = decode(path.read_bytes())
        assert strip_gutenberg(text).text == text, path.name
