"""Both taxonomies as tables: what `longqa kinds` prints."""

from __future__ import annotations

from collections.abc import Collection

from rich import box
from rich.console import Console
from rich.table import Table

from longdata.documents import DocumentKind
from longqa.llm.taxonomy import MODEL_KINDS, ModelKind
from longqa.questions import ALL, KINDS, UNANSWERABLE_SHARE, Kind


def show_kinds(console: Console) -> None:
    """Print the kinds made offline, then those that a language model writes."""
    offline = _table("Offline", "Kind", "Asks", "Answer is", "Of")
    for name, kind in KINDS.items():
        offline.add_row(
            name, kind.asks, kind.basis, kinds_of_documents(kind.of), _share(name, kind)
        )
    console.print(offline)
    model = _table("With a language model", "Kind", "Asks", "Of", "Checked")
    for name, written in MODEL_KINDS.items():
        checks = ", ".join(checks_of(written))
        of = kinds_of_documents(written.of)
        model.add_row(name, written.asks, of, checks, _share(name, written))
    console.print(model)


def kinds_of_documents(of: Collection[DocumentKind]) -> str:
    """ "books, papers"; "all" for every kind that readers give."""
    if set(of) == ALL:
        return "all"
    words = {"book": "books", "paper": "papers", "other": "others", "papers": "two papers"}
    return ", ".join(words[kind] for kind in words if kind in of)


def checks_of(kind: ModelKind) -> list[str]:
    """What must hold for a kind, beyond what must hold for every kind."""
    least, most = kind.quotes
    checks = [f"{kind.words[0]}–{kind.words[1]} words"]
    if most:
        checks.append(f"{least}–{most} quotes")
    else:
        checks.append("the text, read again, does not answer it")
    if kind.spread:
        checks.append(f"{kind.spread:.0%} of the text between them")
    if kind.needs_whole:
        checks.append("where the context is the whole document")
    if kind.focus == "a section":
        checks.append("quotes in that part")
    if kind.one_passage_must_fail:
        checks.append("one passage is not enough")
    if kind.own_check is not None:
        checks.append((kind.own_check.__doc__ or "").split("\n")[0].rstrip(".").lower())
    return checks


def _table(title: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    table.add_column("Weight", justify="right")
    return table


def _share(name: str, kind: Kind) -> str:
    return f"{UNANSWERABLE_SHARE:.0%} of all" if name == "unanswerable" else f"{kind.weight:g}"
