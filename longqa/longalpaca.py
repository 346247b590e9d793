"""The strings around a text in LongAlpaca's published rows: written and read back.

    text = instruction(context="The whale …", question="What is new?", title="On Whales",
                       kind="paper")
    text   -> "Below is a paper. Memorize the paper and answer my question after the paper.\\n
               The paper begins. \\n The whale … \\n Now the paper ends. \\nWhat is new?"
    parse(text).context    -> "The whale …"

The strings are those that public readers of LongAlpaca-12k look for (sshh12/multi_token,
scripts/document_build_finetune_dataset.py) and that LongLoRA's own demo wrote (dvlab-research/
LongLoRA, demo/LongQA at commit 4cbb61b). docs/export.md says which of them could not be compared
with the data file.

A text is read from the outside in, its opening first and then its last closing, so that a context
may hold these very strings. A question may not: `parse` would take its end for the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from longdata.prompt_template import PAPERS_BORDER, SHORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a prompt says, taken apart. Title and author are None where its form names none."""

    kind: str
    context: str
    question: str
    title: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """opening [title after_title] context closing question; `between` two papers."""

    kind: str
    opening: str
    closing: str
    after_title: str = ""
    between: str = ""

    def build(self, context: str, question: str, title: str) -> str:
        named = f"{title}{self.after_title}" if self.after_title else ""
        if self.between:
            first, border, second = context.partition(PAPERS_BORDER)
            if not border:
                raise ValueError("got a context without the border between its two papers")
            context = f"{first}{self.between}{second}"
        return f"{self.opening}{named}{context}{self.closing}{question}"

    def parse(self, text: str) -> Parsed | None:
        """None when the text is not of this form."""
        if not text.startswith(self.opening):
            return None
        start, title = len(self.opening), None
        if self.after_title:
            at = text.find(self.after_title, start)
            if at < 0:
                return None
            title, start = text[start:at], at + len(self.after_title)
        end = text.rfind(self.closing, start)
        if end < 0:
            return None
        context = text[start:end]
        if self.between:
            first, border, second = context.partition(self.between)
            if not border:
                return None
            context = f"{first}{PAPERS_BORDER}{second}"
        question = text[end + len(self.closing) :].strip()  # published rows differ in white space
        return Parsed(kind=self.kind, context=context, question=question, title=title)


_FORMS = {
    "paper": _Form(
        kind="paper",
        opening="Below is a paper. Memorize the paper and answer my question after the paper.\n"
        " The paper begins. \n ",
        closing=" \n Now the paper ends. \n",
    ),
    "papers": _Form(
        kind="papers",
        opening="There are two papers. Memorize them and answer my question after the paper.\n"
        " The first paper begins. \n ",
        between=" \n Now the first paper ends. \n The second paper begins. \n ",
        closing=" \n Now the second paper ends.",
    ),
    "book": _Form(
        kind="book",
        opening="Below is some paragraphs in the book, ",
        after_title=". Memorize the content and answer my question after the book.\n ",
        closing=" \n Now the material ends. ",
    ),
    "other": _Form(
        kind="other",
        opening="Below is a material. Memorize the material and answer my question after the "
        "material. \n ",
        closing=" \n Now the material ends. ",
    ),
}
# Read and never written: papers as the first LongQA rows had them.
_OLDER_PAPER = _Form(
    kind="paper",
    opening="Below is a paper. Memorize the material and answer my question after the paper.\n ",
    closing=" \n Now the material ends. ",
)


def instruction(*, context: str, question: str, title: str, kind: str) -> str:
    """The `instruction` of a row; a short row's is its question alone."""
    return question if kind == SHORT else _FORMS[kind].build(context, question, title)


def parse(text: str) -> Parsed:
    """What an `instruction` holds; one of no published form is a short row's question."""
    for form in (*_FORMS.values(), _OLDER_PAPER):
        found = form.parse(text)
        if found is not None:
            return found
    return Parsed(kind=SHORT, context="", question=text)
