"""When a run stops by itself: nothing is answered any more.

    breaker = Breaker("http://localhost:8000/v1", clock=time.monotonic)
    breaker.answered()
    breaker.failed(request=17, error=…)     # -> None; and, when enough of them failed for long
                                            #    enough, the UserError that ends the run

It takes five requests in a row, all different, that failed after a last answer two minutes ago: one
request that a server cannot bear stops nothing. A server that is only ever too busy gets half an
hour. While failures follow each other `is_suspicious`: then one call at a time is enough to see
whether the server is back.
"""

from __future__ import annotations

from collections.abc import Callable

from longdata.errors import UserError
from longqa.llm.wire import ServerError, TooManyRequests, Unreachable

REQUESTS = 5
SECONDS = 120.0
PUSHBACK_SECONDS = 1800.0


class Breaker:
    """Watches the calls to one server."""

    def __init__(self, base_url: str, *, clock: Callable[[], float]) -> None:
        self.base_url = base_url
        self._clock = clock
        self._requests: set[int] = set()  # that failed since the last answer
        self._since = self._pushed_since = clock()
        self._was_reached = self._has_answered = False

    @property
    def is_suspicious(self) -> bool:
        """Whether the last few requests all failed."""
        return len(self._requests) >= REQUESTS

    def answered(self) -> None:
        """A call was answered, whatever with."""
        self._since = self._pushed_since = self._clock()
        self._has_answered = True
        self._requests.clear()

    def failed(self, request: int, error: ServerError) -> UserError | None:
        """A call was not answered. The error that ends the run, if it is to end."""
        now = self._clock()
        self._was_reached = self._was_reached or not isinstance(error, Unreachable)
        if isinstance(error, TooManyRequests):  # it lives: other failures begin again
            self._requests.clear()
            self._since = now
            over = now - self._pushed_since >= PUSHBACK_SECONDS
            return self._stopped(error, now - self._pushed_since) if over else None
        self._requests.add(request)
        if self.is_suspicious and now - self._since >= SECONDS:
            return self._stopped(error, now - self._since)
        return None

    def _stopped(self, error: ServerError, seconds: float) -> UserError:
        what = f"for {seconds / 60:.0f} minutes"
        if self._has_answered:
            got = f"no answer {what} from {self.base_url}, which had answered before"
        elif self._was_reached:
            got = f"not one answer {what} from {self.base_url}, though it was reached"
        else:
            got = f"no connection {what} to {self.base_url}"
        return UserError(
            f"got {got} (last: {error}); allowed: a server that answers; fix: look at the server "
            "and run the same command again, answers so far are kept"
        )
