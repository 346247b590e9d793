"""The account of what was asked of language models adds up, and shows texts as texts."""

from __future__ import annotations

import dataclasses
from io import StringIO
from pathlib import Path

import pytest
from ledger_calls import CALL, REPLY, call, decision
from rich.console import Console

from longdata.errors import UserError
from longqa.folder import Folder, ledger_of
from longqa.llm.ledger import Ledger
from longqa.llm.records import Usage
from longqa.spending import show_ledger


def printed(folder: Path, width: int = 160) -> str:
    out = StringIO()
    show_ledger(folder, Console(file=out, width=width))
    return out.getvalue()


def row(shown: str, *begin: str) -> list[str]:
    """The cells of the line that begins with these words."""
    lines = [line.split() for line in shown.splitlines()]
    (found,) = [cells for cells in lines if cells[: len(begin)] == list(begin)]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".work").mkdir()
    return tmp_path


def test_all_numbers_of_a_build(folder: Path) -> None:
    with Ledger.open(ledger_of(folder)) as ledger:
        ledger.record(call(key="1", usd=1.5))
        ledger.record(call(key="2", usd=1.5, purpose="judge", seconds=700.0))
        ledger.record(call(outcome="not JSON", detail="it ends at line 3", usd=0.25))
        ledger.record(call(outcome="timeout", reply=None, usd=None, seconds=600.0))
        ledger.decide(
            "book",
            [
                *[decision("kept")] * 3,
                *[decision("too easy")] * 2,
                decision("no evidence"),
                decision("too easy", kind="count"),
                decision("kept", kind="count"),
            ],
        )
    shown = printed(folder)
    assert "4 calls, 2 answered and 2 failed; 4 of 8 questions kept" in shown
    assert "$3.25, $0.8125 for a kept question" in shown
    assert row(shown, "m", "judge")[2:] == ["1", "0", "9,000", "8,000", "700", "$1.50"]
    assert row(shown, "m", "write")[2:] == ["3", "2", "18,000", "16,000", "1,400", "$1.75"]
    assert row(shown, "all", "4")[1:] == ["4", "2", "27,000", "24,000", "2,100", "$3.25"]
    assert row(shown, "not", "JSON")[2:7] == ["1", "9,700", "$0.2500", "it", "ends"]
    assert row(shown, "timeout")[1:] == ["1", "0", "$0.00"]
    assert row(shown, "count", "2")[1:] == ["2", "1", "50.0", "%"]
    assert row(shown, "order", "6")[1:] == ["6", "3", "50.0", "%"]
    assert row(shown, "all", "8")[1:] == ["8", "4", "50.0", "%"]
    assert row(shown, "order", "too", "easy")[3:] == ["2"]
    assert row(shown, "order", "no", "evidence")[3:] == ["1"]
    assert row(shown, "count", "too", "easy")[3:] == ["1"]
    assert shown.count("kept") == 2  # in the first two lines; it is no reason to reject
    assert row(shown, "700.0", "s")[2:] == ["judge", "order", "book", "9,000", "700"]
    assert row(shown, "600.0", "s")[2:] == ["write", "order", "book", "0", "0", "timeout"]


def test_calls_without_a_price_are_said_and_not_counted(folder: Path) -> None:
    with Ledger.open(ledger_of(folder)) as ledger:
        ledger.record(call(key="1", usd=None))
        shown = printed(folder)
        assert "1 call without a price: what they cost is not known, and not counted" in shown
        assert "$" not in shown
        assert row(shown, "m", "write")[-2:] == ["no", "price"]
        ledger.record(call(key="2", usd=None))
        ledger.record(call(key="3", usd=2.5))
        shown = printed(folder)
        assert "2 calls without a price" in shown
        assert row(shown, "all", "3")[-3:] == ["$2.50", "+", "?"]


def test_a_model_of_ones_own_costs_nothing_and_has_a_price(folder: Path) -> None:
    with Ledger.open(ledger_of(folder)) as ledger:
        ledger.record(call(usd=0.0))
    assert "\n$0.00\n" in printed(folder)
    assert "without a price" not in printed(folder)


def test_texts_of_others_are_shown_as_text(folder: Path) -> None:
    with Ledger.open(ledger_of(folder)) as ledger:
        for field in ("model", "purpose", "kind", "document_id"):
            ledger.record(call(key=field, **{field: f"[red]{field}[/]\x1b[31m\n\ud800"}))
        ledger.record(call(outcome="[b]why[/b]\x07", detail="[i]\u202etxt\x00[/i]" + "x" * 1000))
        ledger.decide("book", [decision("[u]no[/u]\x9b"), decision("kept", kind="[bold]\r")])
    shown = printed(folder, width=400)
    for said in ("[red]model[/]", "[red]purpose[/]", "[red]kind[/]", "[red]document_id[/]"):
        assert f"{said}\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}" in shown
    for said in ("[b]why[/b]", "[i]\N{REPLACEMENT CHARACTER}txt", "[u]no[/u]", "[bold]"):
        assert said in shown
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert "x" * 130 in shown
    assert "x" * 160 not in shown


def test_a_folder_without_a_ledger_is_one_line(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError, match="got no ledger") as caught:
            printed(folder)
        assert "\n" not in str(caught.value)
        assert not (folder / ".work").exists()


def test_a_ledger_in_which_nothing_is_says_so(folder: Path) -> None:
    Ledger.open(ledger_of(folder)).close()
    assert printed(folder) == "No language model has been asked yet.\n"


def test_it_can_be_asked_while_a_build_is_at_work(tmp_path: Path) -> None:
    with Folder.claim(tmp_path / "out") as folder, Ledger.open(folder.ledger) as ledger:
        ledger.record(CALL)
        assert "1 call, 1 answered" in printed(tmp_path / "out")
        tiny = dataclasses.replace(REPLY, usage=Usage(prompt=1))
        ledger.record(call(key="1", reply=tiny))
        assert "2 calls, 2 answered" in printed(tmp_path / "out")
