"""What was paid for is kept whatever happens, and never given out for what it is not."""

from __future__ import annotations

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_calls import CALL, REPLY, call, decision

from longdata.errors import UserError
from longqa.llm import ledger_file
from longqa.llm.ledger import ANSWERED_TWICE, Failure, Ledger, Spent
from longqa.llm.records import Call, Decision, Price, Usage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_an_answer_comes_back_as_it_was_and_after_a_restart(path: Path) -> None:
    refused = dataclasses.replace(REPLY, refusal="I may not.", usage_is_estimated=True)
    with Ledger.open(path) as ledger:
        assert ledger.reply(CALL.key) is None
        ledger.record(CALL)
        ledger.record(call(key="1", reply=refused))
        assert ledger.reply(CALL.key) == REPLY
    with Ledger.open(path) as ledger:
        assert ledger.reply(CALL.key) == REPLY
        assert ledger.reply("1") == refused


def test_a_failure_is_counted_with_what_it_used_and_never_an_answer(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.record(call(outcome="not JSON", detail="line 1"))
        ledger.record(call(outcome="not JSON", detail="line 2"))
        ledger.record(call(outcome="timeout", reply=None, usd=None))
        assert ledger.reply(CALL.key) is None
        ledger.record(CALL)
        assert ledger.reply(CALL.key) == REPLY
        assert ledger.failures() == [
            Failure(reason="not JSON", calls=2, tokens=19400, usd=0.008, detail="line 2"),
            Failure(reason="timeout", calls=1, tokens=0, usd=0.0, detail=""),
        ]
        assert ledger.spent() == Spent(
            calls=4, failed=3, prompt=27000, completion=2100, cached=24000, usd=0.012
        )
        assert ledger.spent().tokens == 29100


def test_of_two_answers_the_first_stays_and_both_are_paid_for(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.record(CALL)
        ledger.record(call(reply=dataclasses.replace(REPLY, text="another")))
        assert ledger.reply(CALL.key) == REPLY
        assert [failure.reason for failure in ledger.failures()] == [ANSWERED_TWICE]
        assert (ledger.spent().calls, ledger.spent().usd) == (2, 0.008)


def test_spending_is_by_model_and_purpose_and_a_later_price_counts_what_had_none(
    path: Path,
) -> None:
    with Ledger.open(path) as ledger:
        ledger.record(CALL)
        ledger.record(call(key="1", purpose="judge"))
        ledger.record(call(key="2", usd=None))
        ledger.record(call(key="3", usd=None, model="other"))
        ledger.record(call(key="4", usd=None, model="other", outcome="timeout", reply=None))
        assert {key: spent.calls for key, spent in ledger.spending().items()} == {
            ("m", "judge"): 1,
            ("m", "write"): 2,
            ("other", "write"): 2,
        }
        assert (ledger.spent().usd, ledger.spent().unpriced) == (0.008, 2)
        priced = ledger.spent({"m": Price(prompt=1, completion=10, cached=0.5)})
        assert priced.usd == pytest.approx(0.008 + 0.001 + 0.004 + 0.007)
        assert priced.unpriced == 1


def test_deciding_again_replaces_and_counts_nothing_twice(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.decide("book", [decision("kept"), decision("kept"), decision("too easy")])
        ledger.decide("paper", [decision("kept", document_id="paper", kind="count")])
        assert ledger.verdicts() == {
            ("count", "kept"): 1,
            ("order", "kept"): 2,
            ("order", "too easy"): 1,
        }
        ledger.decide("book", [decision("kept")])
        assert ledger.verdicts() == {("count", "kept"): 1, ("order", "kept"): 1}
        assert ledger.keep_decisions({"paper", "unheard of"}) == 1
        assert ledger.verdicts() == {("count", "kept"): 1}
        ledger.decide("paper", [])
        assert ledger.verdicts() == {}


def test_the_slowest_calls_come_first_failed_or_not(path: Path) -> None:
    with Ledger.open(path) as ledger:
        for number in range(12):
            ledger.record(call(key=str(number), seconds=number / 2))
        ledger.record(call(outcome="timeout", reply=None, seconds=600.0))
        slowest = ledger.slowest()
    assert [slow.seconds for slow in slowest] == [600, 5.5, 5, 4.5, 4, 3.5, 3, 2.5, 2, 1.5]
    assert [(slow.outcome, slow.prompt) for slow in slowest[:2]] == [
        ("timeout", 0),
        ("answered", 9000),
    ]


AWKWARD = st.text(st.characters(codec=None, categories=None), max_size=12) | st.sampled_from(
    ["\ud800", "a\0b", "\0", "'; DROP TABLE answers; --", "\ud83d\ude00", "é", ""]
)


@given(st.lists(AWKWARD, min_size=6, max_size=6, unique=True))
def test_any_text_comes_back_as_it_was(texts: list[str]) -> None:
    with Ledger(Path("ledger"), _in_memory()) as ledger:
        for key in texts:
            reply = dataclasses.replace(REPLY, text=f"{key}!", finish_reason=key, refusal=key)
            ledger.record(call(key=key, task=key, document_id=key, reply=reply))
            ledger.record(call(key="f", outcome=f"not {key}", detail=key, reply=reply))
            ledger.decide(key, [decision(key, document_id=key, kind=key)])
        for key in texts:
            answered = ledger.reply(key)
            assert answered is not None
            assert (answered.text, answered.finish_reason, answered.refusal) == (
                f"{key}!",
                key,
                key,
            )
        assert {failure.detail for failure in ledger.failures()} == set(texts)
        assert set(ledger.verdicts()) == {(key, key) for key in texts}
        assert {slow.document_id for slow in ledger.slowest(100)} >= set(texts)


def _in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in ledger_file.SCHEMA.values():
        connection.execute(statement)
    return connection


def test_nothing_in_it_has_a_place_for_headers_or_keys_of_an_api(path: Path) -> None:
    Ledger.open(path).close()
    connection = sqlite3.connect(path)
    columns = {
        table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    connection.close()
    about = {field.name for field in dataclasses.fields(Call)} - {"reply", "outcome", "detail"}
    reply = {"text", "finish_reason", "refusal", "usage_is_estimated", "reply_seconds"}
    used = {field.name for field in dataclasses.fields(Usage)}
    assert columns == {
        "answers": about | reply | used,
        "failures": about | reply | used | {"number", "outcome", "detail"},
        "decisions": {field.name for field in dataclasses.fields(Decision)} | {"number"},
    }


def test_a_reader_sees_one_moment_of_a_ledger_that_is_being_written(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.record(CALL)
        with Ledger.read(path) as reading:
            ledger.record(call(key="1"))
            assert (reading.spent().calls, ledger.spent().calls) == (1, 2)
        with Ledger.read(path) as reading:
            assert reading.spent().calls == 2


def test_a_closed_ledger_is_one_file_and_closing_twice_is_fine(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.record(CALL)
    ledger.close()
    assert list(path.parent.iterdir()) == [path]
    with Ledger.read(path) as reading:
        assert reading.spent().calls == 1


def test_it_is_read_in_a_folder_that_may_not_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger.open(path) as ledger:
        ledger.record(CALL)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Ledger.read(path) as reading:
        assert reading.spent().calls == 1
        assert list(path.parent.iterdir()) == [path]  # nothing was laid beside it


def test_a_mistake_of_ours_is_not_said_to_be_damage(path: Path) -> None:
    ledger = Ledger.open(path)
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        ledger._rows("SELECT headers FROM answers")
    ledger.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        ledger.reply(CALL.key)


def test_is_blank_until_the_first_call(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.decide("book", [decision("kept")])
        assert ledger.is_blank()
        ledger.record(call(outcome="timeout", reply=None))
        assert not ledger.is_blank()


def in_another_process(script: str, path: Path) -> None:
    """Run a script to its end, which is a kill."""
    text = f"import os, signal, sys\nsys.path[:0] = {sys.path!r}\n" + textwrap.dedent(script)
    run = subprocess.run([sys.executable, "-c", text, str(path)], timeout=60, check=False)
    assert run.returncode == -signal.SIGKILL


def test_what_was_recorded_is_there_after_a_kill(path: Path) -> None:
    in_another_process(
        """
        from pathlib import Path
        from ledger_calls import CALL, call, decision
        from longqa.llm.ledger import Ledger
        ledger = Ledger.open(Path(sys.argv[1]))
        ledger.decide("book", [decision("kept")])
        ledger.record(call(key="1"))
        ledger.record(CALL)
        ledger._connection.execute("BEGIN")
        ledger._connection.execute("DELETE FROM answers")
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        path,
    )
    assert path.with_name(f"{path.name}-wal").stat().st_size > 0
    with Ledger.read(path) as reading:
        assert reading.spent().calls == 2
    with Ledger.open(path) as ledger:
        assert ledger.reply(CALL.key) == REPLY
        assert ledger.verdicts() == {("order", "kept"): 1}


@pytest.mark.parametrize("journal", [None, "DELETE", "WAL"])
def test_a_ledger_whose_making_was_killed_is_made_again(journal: str | None, path: Path) -> None:
    path.touch()
    if journal:
        made = sqlite3.connect(path, isolation_level=None)
        made.execute(f"PRAGMA journal_mode = {journal}")
        made.execute("BEGIN IMMEDIATE")
        made.execute(ledger_file.SCHEMA["answers"])
        made.close()  # as a kill does: what was not committed is gone
    with Ledger.open(path) as ledger:
        ledger.record(CALL)
        assert ledger.reply(CALL.key) == REPLY


# --- files that are not as longqa wrote them: one line, and not a byte of them changes


def refused(path: Path, match: str) -> None:
    before = path.read_bytes()
    for way in (Ledger.open, Ledger.read):
        with pytest.raises(UserError, match=match) as caught:
            way(path).slowest()
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def changed(path: Path, *statements: str) -> None:
    with Ledger.open(path) as ledger:
        ledger.record(CALL)
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("content", [b"mine\n" * 2000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_left_alone(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    refused(path, "a ledger that is damaged")


def test_a_database_of_something_else_is_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE holidays (place)")
    connection.commit()
    connection.close()
    refused(path, "a database that is no ledger")


def test_a_ledger_of_another_format_is_left_alone(path: Path) -> None:
    changed(path, "PRAGMA user_version = 2")
    refused(path, "a ledger of format 2")


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE failures",
        "ALTER TABLE answers ADD COLUMN headers TEXT",
        "CREATE TRIGGER t AFTER INSERT ON answers BEGIN DELETE FROM answers; END",
        "CREATE VIEW v AS SELECT 1",
    ],
)
def test_a_ledger_with_other_tables_is_left_alone(statement: str, path: Path) -> None:
    changed(path, statement)
    refused(path, "its tables are not those of a ledger")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE answers SET text = x'ff', purpose = x'ff'",
        "UPDATE answers SET text = CAST(x'ff' AS TEXT), purpose = CAST(x'ff' AS TEXT)",
        "UPDATE answers SET text = 7, prompt = 'many', kind = 1",
        "UPDATE answers SET prompt = 1.5",
        "UPDATE answers SET completion = 'x', cached = 'y'",
        "UPDATE answers SET seconds = 'long', reply_seconds = 'long'",
    ],
)
def test_values_that_longqa_did_not_write_are_one_line(statement: str, path: Path) -> None:
    changed(path, statement)
    with Ledger.open(path) as ledger:
        for ask in (lambda: ledger.reply(CALL.key), ledger.slowest):
            with pytest.raises(UserError, match="a ledger that is damaged"):
                ask()


def test_damage_in_the_middle_is_one_line_when_it_is_met(path: Path) -> None:
    with Ledger.open(path) as ledger:
        for number in range(50):
            ledger.record(call(key=str(number)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    refused(path, "a ledger that is damaged")


def test_no_ledger_is_one_line_for_a_reader_and_nothing_is_made(path: Path) -> None:
    with pytest.raises(UserError, match="got no ledger"):
        Ledger.read(path)
    assert not path.exists()
    path.touch()
    with pytest.raises(UserError, match="got an empty ledger"):
        Ledger.read(path)


def test_a_folder_or_pipe_in_its_place_is_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UserError, match="which is not a file"):
            Ledger.open(path)


def test_a_folder_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make the file and its folder writable"):
        Ledger.open(tmp_path / "missing" / "ledger.sqlite")


def test_a_file_that_may_only_be_read_is_one_line_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger.open(path).close()
    connect = ledger_file._connect
    monkeypatch.setattr(ledger_file, "_connect", lambda path, mode: connect(path, "ro"))
    with pytest.raises(UserError, match="make the file and its folder writable"):
        Ledger.open(path)


def test_a_full_disk_is_one_line_and_loses_nothing(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.record(CALL)
        ledger._connection.execute("PRAGMA max_page_count = 1")  # no further page
        long = dataclasses.replace(REPLY, text="x" * 100_000)
        with pytest.raises(UserError, match="make room and run the same command again"):
            ledger.record(call(key="1", reply=long))
        assert (ledger.reply(CALL.key), ledger.reply("1")) == (REPLY, None)
        ledger._connection.execute("PRAGMA max_page_count = 100000")
        ledger.record(call(key="1", reply=long))
        assert ledger.reply("1") == long


def test_a_ledger_that_another_process_holds_is_one_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger.open(path) as ledger, Ledger.open(path) as other:
        other._connection.execute("PRAGMA busy_timeout = 0")
        ledger._connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match="another process holds locked"):
            other.record(CALL)
