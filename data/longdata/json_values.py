"""The values of a JSON list, or of a file with one in each line, in bounded memory.

    next(json_values(Path("alpaca.json")))    -> {"instruction": "Name three colours.", …}
    next(json_values(Path("chat.jsonl.gz")))  -> {"messages": [{"role": "user", …}, …]}

Whatever the name says, a file whose first character is "[" is a list. A line that is no JSON comes
as `NotJSON`, for the lines after it can be read; a list that is broken ends where it is.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from longdata.errors import SourceError
from longdata.readers.rows import BROKEN, unpacked

MAX_VALUE = 64 << 20  # characters of one value
_GAP = re.compile(r"[\s,]*")


class NotJSON(str):
    """Why a line holds no value: it is none."""


def json_values(path: Path, *, max_value: int = MAX_VALUE) -> Iterator[Any]:
    """One value after the other, packed with gzip or zstd too.

    SourceError: "damaged", with the reason, once the values before it were given.
    """
    texts = _texts(path)
    start = next((begun for text in texts if (begun := text.lstrip())), "")
    if start.startswith("["):
        return _listed(start[1:], texts, max_value)
    return _lines(start, texts, max_value)


def _texts(path: Path) -> Iterator[str]:
    """The characters of a file in pieces, unpacked."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        with path.open("rb") as raw:
            for chunk in unpacked(raw, path.stat().st_size):
                yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)
    except (*BROKEN, UnicodeDecodeError, SourceError, OSError) as error:
        raise SourceError("damaged", str(error)) from None


def _lines(start: str, texts: Iterator[str], max_value: int) -> Iterator[Any]:
    begun: list[str] = []  # the pieces of a line that goes on
    size = 0
    for text in chain([start], texts, ["\n"]):
        piece, *others = text.split("\n")
        begun.append(piece)
        size += len(piece)
        if size > max_value:
            raise SourceError("damaged", f"a line of more than {max_value:,} characters")
        if not others:
            continue
        *whole, last = others
        for line in ("".join(begun), *whole):
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield NotJSON("not JSON")
        begun, size = [last], len(last)


def _listed(start: str, texts: Iterator[str], max_value: int) -> Iterator[Any]:
    """The values of a JSON list whose bracket is open already, one at a time."""
    decoder = json.JSONDecoder()
    buffer, at, number = start, 0, 0
    while True:
        at = _GAP.match(buffer, at).end()  # type: ignore[union-attr]
        if buffer[at : at + 1] == "]":
            return
        try:
            value, end = decoder.raw_decode(buffer, at)
            if end == len(buffer):
                raise ValueError("the value may go on")
        except (ValueError, RecursionError) as error:
            left = len(buffer) - at
            more = _at_least(left, texts) if left <= max_value else ""
            if not more:
                said = "it ends within the list" if left <= max_value else str(error)
                raise SourceError("damaged", f"after row {number}: {said}") from None
            buffer, at = buffer[at:] + more, 0
        else:
            number, at = number + 1, end
            yield value


def _at_least(size: int, texts: Iterator[str]) -> str:
    """The next characters, `size` of them or more where there are as many: never quadratic."""
    parts: list[str] = []
    found = 0
    while found <= size and (text := next(texts, None)) is not None:
        parts.append(text)
        found += len(text)
    return "".join(parts)
