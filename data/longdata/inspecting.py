"""What a folder of `longdata` holds, on a terminal: the facts, and a row with its documents.

    inspect_folder(Path("packed"), Console(), ctx=8192, row=4711)

Shown are the facts that the card has, and of one row every piece (`row_page`). All of it is read
from pack.json and from one row group. A token set of `longdata prepare` is shown with its documents
in the place of rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from longdata.errors import UserError
from longdata.eval_summary import lines_of
from longdata.eval_tokens import NAME as TOKENS
from longdata.eval_tokens import EvalTokens, open_tokens
from longdata.pack_card import contexts_of
from longdata.packed import PACK, read_facts
from longdata.packed_words import Facts, making_lines, percent, share
from longdata.row_page import Piece, Row, Words, print_row, read_row, safe, words_of
from longdata.tokenizers import Tokenizer

_BAR = 30


def inspect_folder(
    folder: Path,
    console: Console,
    *,
    ctx: int | None = None,
    row: int | None = None,
    tokenizer: str | None = None,
) -> None:
    """Print what is in a packed folder (all of it, or one `ctx-…`) or a token set, and one row.

    Raises UserError: neither of them, not complete, no such ctx or row, another tokenizer.
    """
    if _is_token_set(folder):
        if ctx is not None:
            raise UserError(
                f"got --ctx with {folder}, a token set, which has no rows; allowed: --row for a "
                "document of it; fix: leave --ctx out"
            )
        _inspect_tokens(folder, console, row, tokenizer)
        return
    packs = _packs(folder)
    chosen = next(iter(packs)) if ctx is None else ctx
    if chosen not in packs:
        raise UserError(
            f"got --ctx {chosen}; allowed in {folder}: {', '.join(map(str, packs))}; fix: one of "
            "them"
        )
    place, facts = packs[chosen]
    if row is not None and not 0 <= row < facts["rows"]:
        raise UserError(_no_row(row, f"ctx-{chosen}", "row", int(facts["rows"])))
    made_with = facts["tokenizer"]
    file = _tokenizer_file(place.parent)
    words = words_of(tokenizer, made_with["tokenizer"], made_with["fingerprint"], file)
    _print_facts({each: found for each, (_, found) in packs.items()}, console)
    if facts["rows"]:
        print_row(read_row(place, facts, row or 0), words, console, short=row is None)


def _packs(folder: Path) -> dict[int, tuple[Path, Facts]]:
    """The folder and the facts of each ctx."""
    if (folder / PACK).is_file():
        facts = read_facts(folder)
        return {int(facts["ctx"]): (folder, facts)}
    found = contexts_of(folder) if folder.is_dir() else {}
    if found:
        return {ctx: (folder / f"ctx-{ctx}", facts) for ctx, facts in found.items()}
    if (folder / ".work").is_dir():
        raise UserError(
            f"got {folder}, where packing has begun and is not finished; allowed: packed rows that "
            "are complete; fix: run the same longdata pack again, it goes on where it was"
        )
    raise UserError(
        f"got {folder}, which holds no packed rows and no token set; allowed: a folder that "
        "longdata pack or longdata prepare made; fix: check the name"
    )


def _tokenizer_file(out: Path) -> str | None:
    """The tokenizer's file, as long as the work of packing is there to say it."""
    try:
        file = json.loads((out / ".work" / "plan.json").read_bytes())["tokenizer_file"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return file if isinstance(file, str) else None


def _print_facts(packs: Mapping[int, Facts], console: Console) -> None:
    first = next(iter(packs.values()))
    contexts = _table("ctx", "rows", "tokens", "padding", "documents", "cut", "cut though they fit")
    for ctx, facts in packs.items():
        contexts.add_row(
            f"{ctx:,}",
            f"{facts['rows']:,}",
            f"{facts['tokens']:,}",
            percent(facts["padding_share"]),
            f"{facts['documents']:,}",
            f"{facts['cut']['documents']:,} ({percent(facts['cut']['share'])})",
            f"{facts['cut']['that_fit']:,}",
        )
    console.print(contexts, highlight=False)
    asked = sum(count["asked"] for count in first["sources"].values())
    sources = _table("source", "found", "used", "repeats", "tokens", "asked", "has")
    for name, count in first["sources"].items():
        sources.add_row(
            safe(name),
            f"{count['given']['documents']:,}",
            f"{count['documents']:,}",
            f"{count['repeats']:,}",
            f"{count['tokens']:,}",
            percent(share(count["asked"], asked)),
            percent(share(count["tokens"], first["tokens"])),
        )
    console.print(sources, highlight=False)
    _print_lengths(first["lengths"], console)
    for line in making_lines(first):
        console.print(safe(line), highlight=False)
    not_used: Counter[str] = Counter()
    for count in first["sources"].values():
        not_used.update({reason: left["documents"] for reason, left in count["left_out"].items()})
    for what, counts in (("not used", not_used), ("left out", first["skipped"])):
        told = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
        console.print(safe(f"{what}: {told or 'nothing'}"), highlight=False)
    checked = first.get("decontamination")
    names = (
        [f"{one['name']} ({one['revision'][:16]})" for one in checked["sets"]] if checked else []
    )
    console.print(safe(f"compared with {', '.join(names) or 'no evaluation set'}"), highlight=False)


def _print_lengths(lengths: Mapping[str, Mapping[str, int]], console: Console) -> None:
    together: Counter[int] = Counter()
    for bins in lengths.values():
        together.update({int(low): count for low, count in bins.items()})
    most = max(together.values(), default=0)
    table = _table("tokens of a document", "documents", "")
    for low in sorted(together):
        bar = "#" * max(1, round(_BAR * together[low] / most))
        table.add_row(f"{low:,} to {2 * low - 1:,}", f"{together[low]:,}", Text(bar))
    table.columns[2].justify = "left"
    console.print(table, highlight=False)


def _is_token_set(folder: Path) -> bool:
    if folder.is_dir():
        return (folder / TOKENS).is_file()
    return folder.suffix in (".bin", ".json") and folder.is_file()


def _inspect_tokens(path: Path, console: Console, row: int | None, tokenizer: str | None) -> None:
    """A token set of `longdata prepare`, or a bare LongLoRA .bin."""
    found = open_tokens(path)
    number = row or 0
    if not found.facts or found.num_documents is None:
        _print_bare(found, console, row, tokenizer)
        return
    if not 0 <= number < found.num_documents:
        raise UserError(_no_row(number, str(path), "document", found.num_documents))
    made_with = found.facts["tokenizer"]
    words = words_of(tokenizer, made_with["name"], made_with["fingerprint"])
    for line in lines_of(found.path, found.facts):
        console.print(safe(line), highlight=False, soft_wrap=True)
    document = found.documents[number]
    piece = Piece(first=document.start, ids=found.document(number), where=document.source)
    title = f"document {number:,} of {found.num_documents:,}: {document.title or document.id}"
    print_row(
        Row(title=safe(title).plain, pieces=(piece,), padding=0, pad_id=0),
        words,
        console,
        short=False,
    )


def _print_bare(
    found: EvalTokens, console: Console, row: int | None, tokenizer: str | None
) -> None:
    if row is not None:
        raise UserError(
            f"got --row with {found.path.name}, whose documents are unknown: there is no .json "
            "beside it; allowed: the stream as a whole; fix: leave --row out"
        )
    words = (
        Words(tokenizer=Tokenizer.load(tokenizer))
        if tokenizer
        else Words(tokenizer=None, problem="tokens are shown as numbers; --tokenizer decodes them")
    )
    size = f"{len(found.tokens):,} tokens, {found.tokens.dtype}"
    piece = Piece(first=0, ids=found.tokens, where="documents unknown: there is no .json beside it")
    title = f"{found.path.name}: {size}"
    print_row(Row(title=title, pieces=(piece,), padding=0, pad_id=0), words, console, short=False)


def _no_row(number: int, where: str, what: str, count: int) -> str:
    allowed = f"0 to {count - 1:,}" if count else "none, there is no row"
    return f"got --row {number}; allowed in {where}: {what}s {allowed}; fix: one of them"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index else "left", no_wrap=index > 0)
    return table
