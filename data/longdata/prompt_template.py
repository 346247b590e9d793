"""Every word around a context, once: building, training, evaluation and chat all read it here.

    text = prompt(context=…, question="Who says: “Nonsense”?", …)   # ends in "Answer:"
    text = prompt_of(row)                                           # the same, of a dataset's row
    row  = BOS + text + " " + answer + EOS

The document comes first and the question last, so that a server's prefix cache, and a reader's
memory, is filled once for many questions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longdata.documents import DocumentKind

SHORT = "short"  # the material kind of a row without a text to read

# Left free in every row for the role markers of a model's own chat template.
CHAT_MARKUP_TOKENS = 32

_OPENING = "The text begins.\n\n"
_CLOSING = "\n\nThe text ends. Answer from the text alone.\n\nQuestion: "
_NOUN: dict[DocumentKind, str] = {
    "book": "book",
    "paper": "paper",
    "other": "document",
    "papers": "papers",
}

# Two papers in one context, and their titles in one: the first, this, the second.
PAPERS_BORDER = "\n\nThe first paper ends here. The second paper begins.\n\n"
TITLES_BORDER = "” and “"


def head(*, title: str, author: str | None, kind: DocumentKind, is_whole: bool) -> str:
    """What stands before the context."""
    if kind == "papers":
        return (
            f"Below are the two papers “{title}”. Read them, then answer the question after them."
            f"\n\n{_OPENING}"
        )
    what = f"the {_NOUN[kind]}" if is_whole else f"a part of the {_NOUN[kind]}"
    by = f" by {author}" if author else ""
    return (
        f"Below is {what} “{title}”{by}. Read it, then answer the question after it.\n\n{_OPENING}"
    )


def tail(question: str) -> str:
    """What stands between the context and the answer."""
    return f"{_CLOSING}{question}\nAnswer:"


def prompt(
    *,
    context: str,
    question: str,
    title: str,
    author: str | None,
    kind: DocumentKind,
    is_whole: bool,
) -> str:
    """The whole prompt; the answer follows after one space."""
    opening = head(title=title, author=author, kind=kind, is_whole=is_whole)
    return f"{opening}{context}{tail(question)}"


def short_prompt(instruction: str) -> str:
    """The prompt of a short row, which has no text to read; the answer follows after one space."""
    return f"{instruction}\nAnswer:"


def prompt_of(row: Mapping[str, Any]) -> str:
    """The prompt of a row of a LongQA dataset; of a short row, its own."""
    if row["material_kind"] == SHORT:
        return short_prompt(row["question"])
    return prompt(
        context=row["context"],
        question=row["question"],
        title=titles_of(row),
        author=row["sources"][0]["author"],
        kind=row["material_kind"],
        is_whole=row["is_whole"],
    )


def titles_of(row: Mapping[str, Any]) -> str:
    """The title of a row's text; two papers are named together."""
    return TITLES_BORDER.join(source["title"] for source in row["sources"])
