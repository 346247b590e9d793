"""Small documents that the tests of question making share, written for the purpose."""

from __future__ import annotations

import random
import re

from longdata.documents import Block, Document, assemble
from longdata.tokenizers import Ruler, Tokenizer
from longqa.materials import answer_room
from longqa.names import find_people
from longqa.reading import Reading
from longqa.records import Material
from longqa.view import View

STORY = """
CHAPTER I. The Water

On the 3rd of March, 1887, Mr. Harrow rowed the old ferry across the grey water of the firth.

“The tide will not wait for any of us tonight,” said Mr. Harrow. Odile Marsh sat beside him.

Odile nodded. Odile Marsh had paid the ferryman forty shillings for the passage over the water.

“You have carried worse passengers than me, I am sure,” Odile replied. Mr. Harrow laughed.

CHAPTER II. The Lamp

The keeper of the lighthouse was called Josiah Brandt, and he disliked every visitor alike.

“Nobody climbs these stairs without my leave,” cried Josiah Brandt. Odile looked at Brandt.

Odile counted ninety steps to the top of the tower before the wind took her breath away.

Brandt smiled at last. Josiah Brandt showed Odile Marsh the great lamp and its brass gears.

CHAPTER III. The Letter

A letter from Mr. Harrow lay upon the table in the kitchen when the two came down again.

“He writes that the harbour is closed for the winter,” said Odile. Brandt turned to Odile.

Brandt read the letter aloud by the window while Odile Marsh warmed her hands at the fire.

Odile thought of Harrow. Mr. Harrow had never told her how long the winter would last here.
"""


def story() -> Document:
    """A book of three chapters with three people."""
    blocks = []
    for block in STORY.strip().split("\n\n"):
        heading = re.fullmatch(r"CHAPTER (\w+)\. (.+)", block)
        if heading is None:
            blocks.append(Block(block))
            continue
        number, title = heading.groups()
        blocks.append(
            Block(block, role="heading", level=1, number=number, title=title, kind="chapter")
        )
    return assemble(blocks, title="The Firth", kind="book", source="firth.txt", sha256="0" * 64)


ABSTRACT = (
    "We study how readers of very long documents lose the thread of an argument. Shifted "
    "sparse attention (SSA) keeps neighbouring groups of tokens connected, and it costs no "
    "more than plain grouped attention does. We show that the connection is needed in every "
    "layer of the network, that its price is small, and that a reader trained in this way "
    "answers questions about the beginning of a long document as well as questions about its "
    "end."
)


def paper() -> Document:
    """A paper with abstract, numbered sections, captions, abbreviations and cited work."""
    heading = {"role": "heading", "level": 1}
    blocks = [
        Block("Abstract", title="Abstract", **heading),
        Block(ABSTRACT),
        Block("1 Introduction", title="Introduction", number="1", **heading),
        Block(
            "Readers of long documents lose the thread of an argument when attention is short. "
            "Low-rank adaptation (LRA) was proposed for cheap training of large networks [1]. "
            "Grouped attention is defined as attention within fixed blocks of neighbouring "
            "tokens."
        ),
        Block("2 Method", title="Method", number="2", **heading),
        Block(
            "Neighbouring groups of tokens stay connected through shifted sparse attention. "
            "Figure 1 shows how the groups of the second half overlap those of the first half. "
            "The price of the connection is small because every group holds 2,048 tokens in "
            "each of the layers."
        ),
        Block(
            "Figure 1: Groups of the first and the second half.", role="caption", label="Figure 1"
        ),
        Block("3 Results", title="Results", number="3", **heading),
        Block(
            "Questions about the beginning of a long document are answered as well as the "
            "others. Position interpolation (PI) was needed to reach documents of that length "
            "at all [2]."
        ),
        Block("4 Conclusion", title="Conclusion", number="4", **heading),
        Block(
            "A connection between neighbouring groups is all that a reader of long documents "
            "needs. It costs little, it is needed in every layer, and it can be switched off "
            "once training has ended, so that the model reads its documents with full "
            "attention from then on. The remaining questions concern documents that are longer "
            "than any we have trained on yet."
        ),
        Block("References", title="References", **heading),
        Block("[1] E. Hu and others. LoRA: Low-rank adaptation. 2021.", role="reference"),
        Block("[2] S. Chen and others. Extending context windows. 2023.", role="reference"),
    ]
    return assemble(blocks, title="On Groups", kind="paper", source="p.tex", sha256="1" * 64)


def view_of(document: Document, *, start: int = 0, end: int | None = None) -> View:
    """The whole document, or a window of it, as the kinds see it."""
    end = len(document.text) if end is None else end
    people = find_people(document.text, least_mentions=2) if document.kind == "book" else ()
    material = Material(document=document, ctx=8192, start=start, end=end)
    return View(material, Reading(document), people)


def ruler_of(document: Document) -> Ruler:
    """An exact counter with the offline default tokenizer."""
    return Ruler(Tokenizer.load(None), document.text)


def room(ctx: int) -> int:
    """Tokens a context may have at most, template not yet taken off."""
    return ctx - answer_room(ctx)


WORDS = "the sea was grey and Odile counted ninety steps before 1887 naïve 漢字 emoji😀 end".split()


def made_document(seed: int, paragraphs: int, longest: int) -> Document:
    """A document of random words, other scripts among them, in sections of five paragraphs."""
    rng = random.Random(seed)
    blocks = []
    for index in range(paragraphs):
        if index % 5 == 0:
            title = f"Part {index}"
            blocks.append(Block(title, role="heading", title=title, kind="section"))
        sentences = [
            " ".join(rng.choices(WORDS, k=rng.randint(3, 20))).capitalize() + "."
            for _ in range(rng.randint(1, longest))
        ]
        blocks.append(Block(" ".join(sentences)))
    return assemble(blocks, title="Made", kind="other", source="m", sha256="0")
