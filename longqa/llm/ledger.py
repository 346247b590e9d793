"""The ledger: every question to a language model and its answer, so that none is paid for twice.

    with Ledger.open(folder.ledger) as ledger:
        ledger.reply(key)               -> None: not asked yet, or asked and failed
        ledger.record(call)             # on disk when it returns, even if the next line is a kill
        ledger.reply(key)               -> Reply(text="…", usage=Usage(prompt=9120, …), …)
        ledger.decide(document.id, decisions)       # replaces what was decided before
        ledger.spent()                  -> Spent(calls=812, usd=3.07, …): of all runs together

A failure is kept, counted and never given as an answer. Of two answers to one request the first
stays; the second is kept among the failures ("answered twice"), because it was paid for too. The
document is not in it, only its hash; headers and keys of an API have no place to be in.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from longqa.llm.ledger_file import bound, damaged, open_file, read_file, said, text_of
from longqa.llm.records import Call, Decision, Price, Reply, Usage

ANSWERED = "answered"
ANSWERED_TWICE = "answered twice"
_CALL = (
    "key, model, purpose, document_id, kind, prefix_sha, task, attempt, max_tokens, temperature, "
    "usd, started, seconds"
)
_REPLY = (
    "text, finish_reason, refusal, prompt, completion, cached, usage_is_estimated, reply_seconds"
)
_INSERT_ANSWER = (
    f"INSERT INTO answers ({_CALL}, {_REPLY}) VALUES ({', '.join('?' * 21)}) "
    "ON CONFLICT (key) DO NOTHING"
)
_INSERT_FAILURE = (
    f"INSERT INTO failures ({_CALL}, {_REPLY}, outcome, detail) VALUES ({', '.join('?' * 23)})"
)
_USED = "coalesce(prompt, 0) prompt, coalesce(completion, 0) completion, coalesce(cached, 0) cached"
_SHOWN = f"model, purpose, document_id, kind, usd, seconds, {_USED}"
_CALLS = (
    f"(SELECT {_SHOWN}, '{ANSWERED}' outcome FROM answers "
    f"UNION ALL SELECT {_SHOWN}, outcome FROM failures)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What calls used, failed ones included. `unpriced` calls used tokens that `usd` lacks."""

    calls: int = 0
    failed: int = 0
    prompt: int = 0
    completion: int = 0
    cached: int = 0  # of the prompt tokens
    usd: float = 0.0
    unpriced: int = 0

    @property
    def tokens(self) -> int:
        """Prompt and completion together, as --max-tokens counts them."""
        return self.prompt + self.completion

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            calls=self.calls + other.calls,
            failed=self.failed + other.failed,
            prompt=self.prompt + other.prompt,
            completion=self.completion + other.completion,
            cached=self.cached + other.cached,
            usd=self.usd + other.usd,
            unpriced=self.unpriced + other.unpriced,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """A call that took long."""

    seconds: float
    purpose: str
    kind: str
    document_id: str
    prompt: int
    completion: int
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A reason why calls failed, with the detail of the last one."""

    reason: str
    calls: int
    tokens: int
    usd: float
    detail: str


class Ledger:
    """The calls and decisions of one output folder, for one thread at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """The ledger to write to, made if there is none.

        UserError: damaged, of another format, not a ledger, disk full, read-only.
        """
        return cls(path, open_file(path))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The ledger as it is at this moment, also while a build writes to it.

        UserError: as for `open`, and when there is none.
        """
        return cls(path, read_file(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave one file without sidecars, unless somebody else is reading it. Twice is fine."""
        with said(self.path):
            self._connection.close()

    def reply(self, key: str) -> Reply | None:
        """The answer to the request of this key; None when it was not asked, or failed."""
        rows = self._rows(f"SELECT {_REPLY} FROM answers WHERE key = ?", key)
        if not rows:
            return None
        text, finish_reason, refusal, prompt, completion, cached, estimated, seconds = rows[0]
        with self._as_written():
            return Reply(
                text=text_of(text),
                finish_reason=text_of(finish_reason),
                refusal=None if refusal is None else text_of(refusal),
                usage=Usage(prompt=_int(prompt), completion=_int(completion), cached=_int(cached)),
                usage_is_estimated=bool(_int(estimated)),
                seconds=float(seconds),
            )

    def record(self, call: Call) -> None:
        """Keep a call; when this returns, it outlives the process."""
        about = (
            *(call.key, call.model, call.purpose, call.document_id, call.kind, call.prefix_sha),
            *(call.task, call.attempt, call.max_tokens, call.temperature),
            *(call.usd, call.started, call.seconds),
        )
        with self._transaction():
            if call.outcome != ANSWERED:
                self._insert_failure(about, call.reply, call.outcome, call.detail)
                return
            assert call.reply is not None, "answered without a reply"
            done = self._connection.execute(_INSERT_ANSWER, bound(*about, *_values(call.reply)))
            if done.rowcount == 0:
                self._insert_failure(about, call.reply, ANSWERED_TWICE, "the first answer stays")

    def decide(self, document_id: str, decisions: Sequence[Decision]) -> None:
        """Keep what became of a document's candidates, in place of what was kept before."""
        assert all(decision.document_id == document_id for decision in decisions)
        rows = [
            bound(document_id, number, d.kind, d.verdict, d.question, d.scores)
            for number, d in enumerate(decisions)
        ]
        with self._transaction():
            self._connection.execute(
                "DELETE FROM decisions WHERE document_id = ?", bound(document_id)
            )
            self._connection.executemany(
                "INSERT INTO decisions (document_id, number, kind, verdict, question, scores) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )

    def keep_decisions(self, document_ids: Collection[str]) -> int:
        """Forget the decisions on all other documents: they left the dataset. How many were."""
        others = {text_of(i) for (i,) in self._rows("SELECT DISTINCT document_id FROM decisions")}
        others -= set(document_ids)
        with self._transaction():
            for document_id in sorted(others):
                self._connection.execute(
                    "DELETE FROM decisions WHERE document_id = ?", bound(document_id)
                )
        return len(others)

    def is_blank(self) -> bool:
        """Whether no call was ever kept."""
        found = "EXISTS (SELECT 1 FROM answers) OR EXISTS (SELECT 1 FROM failures)"
        return not self._rows(f"SELECT {found}")[0][0]

    def spent(self, prices: Mapping[str, Price] | None = None) -> Spent:
        """What all calls of all runs used together; `prices` as for `spending`."""
        return sum(self.spending(prices).values(), Spent())

    def spending(self, prices: Mapping[str, Price] | None = None) -> dict[tuple[str, str], Spent]:
        """What was used, by model and purpose.

        `prices` by model are for calls that were kept without a price.
        """
        found: dict[tuple[str, str], Spent] = {}
        for model, purpose, is_priced, calls, failed, *tokens, usd, used in self._rows(
            "SELECT model, purpose, usd IS NOT NULL, count(*), sum(outcome <> ?), total(prompt), "
            "total(completion), total(cached), total(usd), sum(prompt + completion > 0) "
            f"FROM {_CALLS} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            ANSWERED,
        ):
            with self._as_written():
                key = text_of(model), text_of(purpose)
                prompt, completion, cached = map(int, tokens)
                usage = Usage(prompt=prompt, completion=completion, cached=cached)
                price = None if is_priced else (prices or {}).get(key[0])
                part = Spent(
                    calls=calls,
                    failed=failed,
                    prompt=usage.prompt,
                    completion=usage.completion,
                    cached=usage.cached,
                    usd=price.of(usage) if price else usd,
                    unpriced=0 if is_priced or price else used,
                )
            found[key] = found.get(key, Spent()) + part
        return found

    def failures(self) -> list[Failure]:
        """Why calls failed, the most frequent reason first."""
        rows = self._rows(  # a bare column beside max() is of the row that has the maximum
            "SELECT outcome, count(*), total(prompt + completion), total(usd), max(number), detail "
            f"FROM (SELECT number, outcome, detail, usd, {_USED} FROM failures) "
            "GROUP BY outcome ORDER BY count(*) DESC, outcome"
        )
        with self._as_written():
            return [
                Failure(
                    reason=text_of(r), calls=calls, tokens=int(tokens), usd=usd, detail=text_of(d)
                )
                for r, calls, tokens, usd, _, d in rows
            ]

    def slowest(self, num: int = 10) -> list[Slow]:
        """The calls that took longest, the slowest first."""
        rows = self._rows(
            "SELECT seconds, purpose, kind, document_id, prompt, completion, outcome "
            f"FROM {_CALLS} ORDER BY seconds DESC LIMIT ?",
            num,
        )
        with self._as_written():
            return [
                Slow(
                    seconds=float(seconds),
                    purpose=text_of(purpose),
                    kind=text_of(kind),
                    document_id=text_of(document_id),
                    prompt=_int(prompt),
                    completion=_int(completion),
                    outcome=text_of(outcome),
                )
                for seconds, purpose, kind, document_id, prompt, completion, outcome in rows
            ]

    def seconds_per_token(self) -> float | None:
        """How long a token of an answer took, over all that were answered; None: nothing was."""
        ((seconds, tokens),) = self._rows("SELECT total(seconds), total(completion) FROM answers")
        return seconds / tokens if tokens else None

    def verdicts(self) -> dict[tuple[str, str], int]:
        """How many candidates of each kind got each verdict."""
        rows = self._rows("SELECT kind, verdict, count(*) FROM decisions GROUP BY 1, 2 ORDER BY 1")
        with self._as_written():
            return {(text_of(kind), text_of(verdict)): count for kind, verdict, count in rows}

    def _insert_failure(
        self, about: Sequence[object], reply: Reply | None, outcome: str, detail: str
    ) -> None:
        values = [None] * 8 if reply is None else _values(reply)
        self._connection.execute(_INSERT_FAILURE, bound(*about, *values, outcome, detail))

    def _rows(self, statement: str, *values: object) -> list[Any]:
        with said(self.path):
            return self._connection.execute(statement, bound(*values)).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with said(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite ends it itself when the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _as_written(self) -> Iterator[None]:
        """Values of other types than were written: somebody else did."""
        try:
            yield
        except (TypeError, ValueError) as error:
            raise damaged(self.path, "a value that longqa did not write") from error


def _values(reply: Reply) -> list[object]:
    usage = reply.usage
    return [
        *(reply.text, reply.finish_reason, reply.refusal),
        *(usage.prompt, usage.completion, usage.cached),
        *(int(reply.usage_is_estimated), reply.seconds),
    ]


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{type(value).__name__} for a number")
    return value
