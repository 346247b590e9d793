"""What the benchmarks of packing share: corpora of any size, and what a command costs.

    files = corpus("short", 40, folder)             # 40 MB of JSONL, in 8 files
    cost = measure(["longdata", "pack", …])
    cost.wall, cost.cpu, cost.peak                  # seconds, seconds, bytes of the largest process

"short" are the documents of the RedPajama sample in ../shared/data that have up to 60,000
characters, "long" whole books; where they are missing, invented texts. They are repeated until
there are enough, each time with their passages in another order and with every thirtieth word
changed, so that no text comes twice and new words keep coming.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import platform
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

SHARED = Path(__file__).parents[2] / "shared" / "data"
FILES = 8
SHORT = 60_000  # characters
PASSAGE = 60  # words
CHANGED = 30  # every so many words
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of a command and all the processes it started. `peak` is of the largest of those it started,
    or of its own where it started none; `anonymous` is the part of that without files."""

    wall: float
    cpu: float
    peak: int
    anonymous: int


def measure(command: Sequence[str]) -> Cost:
    """Run a command to its end; what it says is shown when it fails."""
    begin = perf_counter()
    process = subprocess.Popen(
        [sys.executable, __file__, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"},
    )
    watch = _Watch(process.pid)
    said, _ = process.communicate()
    wall = perf_counter() - begin
    watch.end()
    lines = said.decode(errors="replace").splitlines()
    if process.returncode or not lines or not lines[-1].startswith("cpu "):
        sys.exit("\n".join([f"{' '.join(command)[:300]} failed:", *lines[-40:]]))
    return Cost(wall=wall, cpu=float(lines[-1][4:]), peak=watch.peak, anonymous=watch.anonymous)


def machine() -> str:
    """Processor, cores and versions in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = re.findall(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        model = names[0] if names else model
    libraries = ", ".join(f"{name} {version(name)}" for name in ("tokenizers", "pyarrow", "numpy"))
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {libraries}"


def corpus(kind: str, megabytes: float, folder: Path, files: int = FILES) -> list[Path]:
    """JSONL files of about that size together, as RedPajama has them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{kind}-{number}.jsonl" for number in range(files)]
    left = megabytes * 1e6
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(path.open("w", encoding="utf-8")) for path in paths]
        sizes = [0] * files
        for source, text in _repeated(kind):
            row = {"text": text, "meta": {"url": "", "language": "en"}, "red_pajama_subset": source}
            line = json.dumps(row, ensure_ascii=False) + "\n"
            smallest = sizes.index(min(sizes))
            sizes[smallest] += streams[smallest].write(line)
            left -= len(line.encode())
            if left <= 0:
                return paths
    return paths


def text_bytes(paths: Sequence[Path]) -> int:
    """Bytes of the texts alone."""
    size = 0
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            size += sum(len(json.loads(line)["text"].encode()) for line in lines)
    return size


def texts(kind: str) -> list[tuple[str, str]]:
    """(source, text) of every document there is of a kind."""
    found = list(_short() if kind == "short" else _long())
    return found or list(_invented(kind))


def _repeated(kind: str) -> Iterator[tuple[str, str]]:
    given = texts(kind)
    draw = random.Random(kind)
    draw.shuffle(given)
    yield from given
    while True:
        for source, text in given:
            yield source, _varied(text, draw)


def _varied(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    for at in range(draw.randrange(CHANGED), len(words), CHANGED):
        letters = list(words[at])
        draw.shuffle(letters)
        words[at] = "".join(letters)
    passages = [" ".join(words[at : at + PASSAGE]) for at in range(0, len(words), PASSAGE)]
    draw.shuffle(passages)
    return " ".join(passages)


def _short() -> Iterator[tuple[str, str]]:
    path = SHARED / "redpajama" / "sample.jsonl.zst"
    if not path.is_file():
        return
    import zstandard

    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8"):
            row = json.loads(line)
            if len(row["text"]) <= SHORT:
                yield row["red_pajama_subset"], row["text"]


def _long() -> Iterator[tuple[str, str]]:
    for path in sorted((SHARED / "books").rglob("*.txt")):
        yield "book", path.read_text(encoding="utf-8", errors="replace")


def _invented(kind: str) -> Iterator[tuple[str, str]]:
    draw = random.Random(0)
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randrange(2, 9))) for _ in range(20_000)]
    for _ in range(400 if kind == "short" else 20):
        count = round(draw.lognormvariate(6, 1)) if kind == "short" else 60_000
        yield "invented", " ".join(draw.choices(words, k=count))


class _Watch:
    """The largest memory of a process's descendants, looked at twenty times a second."""

    def __init__(self, pid: int) -> None:
        self.peak = self.anonymous = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            for pid in _descendants(self._pid):
                with contextlib.suppress(OSError, KeyError, ValueError):
                    status = _status(pid)
                    self.peak = max(self.peak, status["VmHWM"])
                    self.anonymous = max(self.anonymous, status["RssAnon"])


def _status(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines if line.endswith(" kB"))
    return {name: 1024 * int(value.split()[0]) for name, value in pairs}


def _descendants(pid: int) -> list[int]:
    """All below a process; it is the wrapper, which is not looked at."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                children = [int(one) for one in (task / "children").read_text().split()]
                found += children
                waiting += children
    return found


def _wrap(command: Sequence[str]) -> None:
    """Run a command, wait for all that it leaves behind, and say what processor time they took."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    code = subprocess.call(list(command))
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    times = os.times()
    print(f"\ncpu {times.children_user + times.children_system:.3f}")
    sys.exit(code)


if __name__ == "__main__":
    _wrap(sys.argv[1:])
