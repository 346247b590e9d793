"""The ledger's file: its tables, how it is opened, and what is said when it cannot be.

    connection = open_file(Path("out/.work/ledger.sqlite"))     # made if there is none
    connection = read_file(Path("out/.work/ledger.sqlite"))     # also while a build is writing
    with said(path):
        connection.execute(…)                                   # sqlite3.Error → UserError

It is an SQLite database in WAL mode: what is committed outlives a killed process. A file that is
damaged or not ours is never written to, replaced or removed: what it holds was paid for.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from longdata.errors import UserError

FORMAT = 1
APPLICATION_ID = 0x4C51414C  # "LQAL"; `file` and sqlite3 show it
_MAX_BYTES = 64 << 20  # of one row that is shown; a million tokens are a tenth of it

_DAMAGE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_TOOBIG,
)
_OUR_MISTAKES = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_CONSTRAINT)

# The two tables of calls have these in common. Long texts come last: what stands before them is
# read without them.
_CALL = """
    model TEXT NOT NULL,
    purpose TEXT NOT NULL,
    document_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    prefix_sha TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    max_tokens INTEGER NOT NULL,
    temperature REAL NOT NULL,
    usd REAL,
    started REAL NOT NULL,
    seconds REAL NOT NULL"""
_REPLY = """
    prompt INTEGER{0},
    completion INTEGER{0},
    cached INTEGER{0},
    usage_is_estimated INTEGER{0},
    reply_seconds REAL{0},
    finish_reason TEXT{0},
    refusal TEXT,
    text TEXT{0},
    task TEXT NOT NULL"""

SCHEMA = {
    "answers": f"CREATE TABLE answers (\n    key TEXT PRIMARY KEY NOT NULL,"
    f"{_CALL},{_REPLY.format(' NOT NULL')}\n)",
    "failures": f"CREATE TABLE failures (\n    number INTEGER PRIMARY KEY,\n    key TEXT NOT NULL,"
    f"\n    outcome TEXT NOT NULL,\n    detail TEXT NOT NULL,{_CALL},{_REPLY.format('')}\n)",
    "decisions": "CREATE TABLE decisions (\n    document_id TEXT NOT NULL,\n"
    "    number INTEGER NOT NULL,\n    kind TEXT NOT NULL,\n    verdict TEXT NOT NULL,\n"
    "    question TEXT NOT NULL,\n    scores TEXT NOT NULL,\n"
    "    PRIMARY KEY (document_id, number)\n)",
}


def open_file(path: Path) -> sqlite3.Connection:
    """A connection that may write; every statement outside a transaction is one of its own."""
    _only_a_file(path)
    with said(path), _closed_on_error(_connect(path, "rwc")) as connection:
        if not _is_blank(connection):
            _check(connection, path)
        connection.execute("BEGIN IMMEDIATE")
        if _is_blank(connection):
            for statement in SCHEMA.values():
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        # is written each time: a file that may only be read is found out now, not when it is paid
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a commit survives the process
        return connection


def read_file(path: Path) -> sqlite3.Connection:
    """A connection that only reads, and sees one moment however long the reading takes."""
    _only_a_file(path)
    if not path.exists():
        raise UserError(
            f"got no ledger ({path}); allowed: the folder of a build that asked a language model; "
            "fix: check the folder's name"
        )
    # Without its sidecar files a database in WAL mode is read in a folder that may not be written
    # only when SQLite is told that nobody writes.
    wal = path.with_name(f"{path.name}-wal")
    alone = not wal.exists() and not os.access(path.parent, os.W_OK)
    with (
        said(path),
        _closed_on_error(_connect(path, "ro", "&immutable=1" if alone else "")) as connection,
    ):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_BYTES)
        connection.execute("BEGIN")
        if not _is_blank(connection):
            _check(connection, path)
            return connection
    connection.close()
    raise UserError(
        f"got an empty ledger ({path}); allowed: one that a build has begun; fix: wait for the "
        "build's first question"
    )


@contextlib.contextmanager
def said(path: Path) -> Iterator[None]:
    """Turns what SQLite says of the file and its disk into the line for the user."""
    try:
        yield
    except sqlite3.Error as error:
        if _code(error) in _OUR_MISTAKES:
            raise
        raise _line(path, error) from error


def damaged(path: Path, how: str) -> UserError:
    """The line for a ledger that cannot be trusted."""
    return UserError(
        f"got a ledger that is damaged ({path}: {how}); allowed: the file as longqa wrote it; "
        "fix: put a copy of it in its place (sqlite3's .recover may save one), or move it away "
        "and pay for its answers again"
    )


def bound(*values: object) -> list[object]:
    """Values as SQLite takes them: text that is no Unicode, or has NULs, becomes bytes."""
    return [_encoded(value) if isinstance(value, str) else value for value in values]


def text_of(value: object) -> str:
    """The inverse of `bound` for a text; TypeError, UnicodeDecodeError when it is none."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogatepass")
    if isinstance(value, str):
        return value
    raise TypeError(f"{type(value).__name__} for a text")


def _encoded(text: str) -> str | bytes:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text.encode() if "\0" in text else text


def _connect(path: Path, mode: str, options: str = "") -> sqlite3.Connection:
    with said(path):
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}{options}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,  # opened in one thread, used in the one of the event loop
        )


@contextlib.contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def _is_blank(connection: sqlite3.Connection) -> bool:
    """Whether nothing is in it: it is new, or its maker was killed before it had tables."""
    connection.execute("PRAGMA trusted_schema = OFF")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return not tables and not _pragma(connection, "application_id")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise UserError(
            f"got a database that is no ledger ({path}); allowed: a file that longqa made; "
            "fix: move it away"
        )
    version = _pragma(connection, "user_version")
    if version != FORMAT:
        raise UserError(
            f"got a ledger of format {version} ({path}); allowed: format {FORMAT}; fix: use the "
            "version of longqa that wrote it, or move it away and pay for its answers again"
        )
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    if dict(found.fetchall()) != SCHEMA:
        raise damaged(path, "its tables are not those of a ledger")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _only_a_file(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise UserError(
            f"got {path}, which is not a file; allowed: a ledger or nothing; fix: move it away"
        )


def _code(error: sqlite3.Error) -> int:
    """SQLite's code without its subcode. Python's own errors have none."""
    if isinstance(error, sqlite3.ProgrammingError):
        return sqlite3.SQLITE_MISUSE
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # a text is no UTF-8
    return code & 0xFF


def _line(path: Path, error: sqlite3.Error) -> UserError:
    code = _code(error)
    if code in _DAMAGE:
        name = getattr(error, "sqlite_errorname", "a text that cannot be read")
        return damaged(path, name)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UserError(
            f"got a ledger that another process holds locked ({path}); allowed: one build at a "
            "time; fix: end what has the file open and run the same command again"
        )
    fix = "make room" if code == sqlite3.SQLITE_FULL else "make the file and its folder writable"
    return UserError(
        f"got a ledger that cannot be read or written ({path}: {error}); allowed: a writable "
        f"folder with room; fix: {fix} and run the same command again, what was paid for is kept"
    )
