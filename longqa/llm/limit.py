"""How many calls at once: found by trying, judged by the answers that come back per second.

    limit = Limit(most=256)         # 4 at once
    …  4 answers, 4 a second        # kept, and 8 are tried
    …  8 answers, 8 a second        # kept, and 16 are tried
    … 32 answers, 8.1 a second      # seen twice: only a queue has grown. Back to 8 and an eighth
    limit.pushed_back(…)            # refused while more was tried: back to what was kept;
                                    # refused at what was kept: three quarters of it

A limit that was tried is kept when it brings more: doubled, a quarter more answers a second; later,
when it changes in smaller steps, half of what it grew by. So a server that queues (vLLM, llama.cpp)
is filled up to where its queue begins. There, lower limits are tried in turn, and kept if they lose
less than a quarter of what they are smaller: else chance alone would let the limit drift upwards. A
server that refuses says itself when it is full, and is filled up to that. After trials that failed
it rests, longer each time.

A rate is measured over as many answers as there are calls at once, or more. A window in which there
was not enough to do says nothing and begins again.
"""

from __future__ import annotations

_START = 4  # a small server that queues must answer the last of them in time
_DOUBLED_GAIN = 0.25
_GAIN = 0.5  # of the growth
_LOSS = 0.25  # of the reduction
_BACK_OFF = 0.75
_STEP = 8  # an eighth up or down
_FEWEST = 16  # answers in a window of small steps
_MOST_PATIENCE = 16  # windows


class _Window:
    """Counts answers to calls from a number on; from a given time, or from the first of them."""

    def __init__(self, size: int, *, first: int, since: float | None) -> None:
        self.size = size
        self._first = first
        self._since = since
        self._answers = 0

    def add(self, number: int, now: float) -> float | None:
        """Answers a second, when there were enough."""
        if number < self._first:
            return None
        if self._since is None:
            self._since = now
            return None
        self._answers += 1
        if self._answers < self.size or now <= self._since:
            return None
        return self._answers / (now - self._since)


class Limit:
    """`value` calls may run at once. Calls have numbers, in the order they began."""

    def __init__(self, *, most: int, now: float, start: int = _START) -> None:
        assert most >= 1
        self.most = most
        self.value = min(start, most)
        self._kept = self.value
        self._rate: float | None = None  # of what is kept
        self._is_doubling = True
        self._looked_again = False
        self._goes_up = True
        self._step = 1
        self._patience = 1  # windows at what is kept before something else is tried
        self._rested = 0
        self._refused_at = 0  # 0: it does not refuse, as far as is known
        self._open(now, 0)

    def answered(self, number: int, *, now: float, next_number: int, is_busy: bool) -> None:
        """A call was answered. `is_busy`: there was enough to do."""
        if not is_busy:
            self._open(now, next_number)
            return
        rate = self._window.add(number, now)
        if rate is None:
            return
        if self._is_doubling:
            self._double(rate, now, next_number)
        elif self.value == self._kept:
            self._rest(rate, now, next_number)
        else:
            self._judge(rate, now, next_number)

    def pushed_back(self, *, now: float, next_number: int, is_refusal: bool) -> None:
        """A call was refused for being too much, or (no refusal) hung until its time was over."""
        if is_refusal:
            self._refused_at = self.value
        if self.value > self._kept:
            self.value = self._kept
            self._patience = min(_MOST_PATIENCE, 2 * self._patience)
        else:
            self.value = self._kept = max(1, int(self.value * _BACK_OFF))
            self._patience = 1
        self._is_doubling = False
        self._goes_up = True
        self._step = max(1, self._kept // _STEP)
        self._rested = 0
        self._open(now, next_number)

    def _open(self, now: float, next_number: int) -> None:
        """A new window. While doubling, calls that began before stand for those that follow."""
        if self._is_doubling:
            self._window = _Window(self.value, first=0, since=now)
        else:
            size = max(_FEWEST, 2 * self.value)
            self._window = _Window(size, first=next_number, since=None)

    def _double(self, rate: float, now: float, next_number: int) -> None:
        growth = self.value / self._kept - 1
        if self._rate is None or rate >= self._rate * (1 + _DOUBLED_GAIN * growth):
            self._kept, self._rate, self._looked_again = self.value, rate, False
            self.value = min(self.most, 2 * self.value)
            self._is_doubling = self.value > self._kept
        elif not self._looked_again:
            self._looked_again = True
            self._window.size += self.value  # the rate over both
            return
        else:  # an eighth more than fills it: the next is there when one is done
            self._kept = min(self.most, self._kept + self._kept // _STEP)
            self.value, self._is_doubling = self._kept, False
        self._step = max(1, self._kept // _STEP)
        self._open(now, next_number)

    def _rest(self, rate: float, now: float, next_number: int) -> None:
        self._rate = rate
        self._rested += 1
        if self._rested >= self._patience:
            self._try()
        self._open(now, next_number)

    def _judge(self, rate: float, now: float, next_number: int) -> None:
        assert self._rate is not None
        change = self.value / self._kept - 1
        needed = self._rate * (1 + (_GAIN if change > 0 else _LOSS) * change)
        if self._refuses or rate >= needed:
            least = max(1, self.value // _STEP)
            self._step = max(least, min(2 * self._step, self.value // (1 if change > 0 else 2)))
            self._kept, self._rate, self._patience = self.value, rate, 1
            self._try()
        else:
            self.value, self._rested = self._kept, 0
            self._step = max(1, self._kept // _STEP)
            self._goes_up = not self._goes_up
            self._patience = min(_MOST_PATIENCE, 2 * self._patience)
        self._open(now, next_number)

    @property
    def _refuses(self) -> bool:
        """Whether the server says itself when it is full; forgotten where it took twice as much."""
        return self._kept < 2 * self._refused_at

    def _try(self) -> None:
        """Another limit, in the direction of turn if there is room."""
        self._goes_up = self._goes_up or self._refuses
        if self._kept == (self.most if self._goes_up else 1):
            self._goes_up = not self._goes_up and not self._refuses
        step = self._step if self._goes_up else -self._step
        self.value = min(self.most, max(1, self._kept + step))
