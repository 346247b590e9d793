"""The sections of papers in plain text."""

from __future__ import annotations

from longdata.readers.content import guess_kind
from longdata.readers.plain import blocks_of_plain

PAPER = """A Study of Whales

Abstract

We measured whales. They are large and they swim a lot in the sea, and
nobody had measured them before we did.

1. Introduction

Whales are big, and it has been known for a long time that they are. We
follow earlier work [1].

Figure 1: A whale, seen from the shore.

2. Methods

2.1 Data

We took data from the sea.
1914 was the first year of it.

2.2 Model
The model is described in the next section, which was written by the
same authors.

5 boats were used.

3. Conclusion

It works.

References

[1] A. Author. On whales. 2001.

[2] B. Author. On seals. 2002.
"""


def test_a_paper_in_plain_text_has_its_sections() -> None:
    blocks = blocks_of_plain(PAPER).blocks
    found = [(b.level, b.number, b.title) for b in blocks if b.role == "heading"]
    assert found == [
        (1, "", "Abstract"),
        (1, "1", "Introduction"),
        (1, "2", "Methods"),
        (2, "2.1", "Data"),
        (2, "2.2", "Model"),
        (1, "3", "Conclusion"),
        (1, "", "References"),
    ]
    assert guess_kind(blocks) == "paper"


def test_its_references_and_captions_are_marked() -> None:
    blocks = blocks_of_plain(PAPER).blocks
    assert [b.text for b in blocks if b.role == "reference"] == [
        "[1] A. Author. On whales. 2001.",
        "[2] B. Author. On seals. 2002.",
    ]
    assert [b.label for b in blocks if b.role == "caption"] == ["Figure 1"]


def test_a_heading_glued_to_its_text_is_split_off() -> None:
    blocks = blocks_of_plain(PAPER).blocks
    place = next(i for i, b in enumerate(blocks) if b.title == "Model")
    assert blocks[place].text == "2.2 Model"
    assert blocks[place + 1].text.startswith("The model is described in the next section, which")


def test_a_novel_with_the_word_abstract_is_no_paper() -> None:
    prose = "It was a cold day and the men were tired of the road. " * 20
    text = "\n\n".join(f"CHAPTER {n}\n\n{prose}" for n in "I II III IV".split())
    blocks = blocks_of_plain(f"{text}\n\nAbstract\n\nReferences\n\nMethods\n\n{prose}").blocks
    assert guess_kind(blocks) == "book"
