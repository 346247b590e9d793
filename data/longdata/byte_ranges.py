"""A file of lines → parts that can be read each by itself, in any order, by anyone.

    ranges_of(100, size=40)                        -> [(0, 40), (40, 80), (80, 100)]
    list(lines_in(io.BytesIO(b"ab\\ncde\\nf"), (2, 5)))   -> [(3, b"cde")]

A line belongs to the range in which its first byte stands, and is read to its end. So the lines of
all ranges together are those of the file, each once, with the place of its first byte, which is
what it is called by. Memory is that of the longest line, and a line that is too long for that is
given as None: what is read on the way to its end is thrown away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO

Range = tuple[int, int]  # the first byte, and the one behind the last
Line = tuple[int, bytes | None]  # the place of its first byte; None: longer than LONGEST

SMALLEST, LARGEST = 4 << 20, 256 << 20  # bytes of a range
PARTS = 1024  # into which a corpus is divided while ranges are neither smallest nor largest
LONGEST = 256 << 20  # bytes of a line
_CHUNK = 1 << 18


def range_size(total: int) -> int:
    """Bytes of a range in a corpus of `total` bytes: a power of two, decided by nothing else."""
    size = SMALLEST
    while size < LARGEST and size * PARTS < total:
        size *= 2
    return size


def ranges_of(length: int, size: int) -> list[Range]:
    """A file's ranges; none of an empty file."""
    return [(start, min(length, start + size)) for start in range(0, length, size)]


def lines_in(file: IO[bytes], part: Range) -> Iterator[Line]:
    """The lines that begin in a range, without their ends, blank ones left out."""
    start, stop = part
    if start == 0:
        return lines_of(chunks_of(file), stop=stop)
    file.seek(start - 1)  # a line begins at `start` if the byte before it ends one
    return lines_of(chunks_of(file), first=start - 1, stop=stop, is_inside=True)


def chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    """What is left of a file, in pieces."""
    while chunk := file.read(_CHUNK):
        yield chunk


def lines_of(
    chunks: Iterable[bytes], *, first: int = 0, stop: int | None = None, is_inside: bool = False
) -> Iterator[Line]:
    """The lines that begin before `stop`; `first` is the place of the first byte of the chunks.

    With `is_inside` what stands before the first line end is no line. An error of `chunks` comes
    through; the line it stands in is not given.
    """
    begin = place = first  # of the line, of the chunk
    begun: list[bytes] = []
    size = 0
    is_wanted = not is_inside
    for chunk in chunks:
        at = 0
        while (end := chunk.find(b"\n", at)) >= 0:
            if is_wanted:
                begun.append(chunk[at:end])
                yield from _line(begin, begun, size + end - at)
            at, begun, size = end + 1, [], 0
            begin, is_wanted = place + at, True
            if stop is not None and begin >= stop:
                return
        place += len(chunk)
        if not is_wanted:
            if stop is not None and place >= stop:
                return
            continue
        size += len(chunk) - at
        if size <= LONGEST:
            begun.append(chunk[at:] if at else chunk)
        else:
            begun = []
            if stop is not None and place >= stop:
                break  # nobody needs to know where it ends
    if is_wanted and size:
        yield from _line(begin, begun, size)


def _line(begin: int, pieces: list[bytes], size: int) -> Iterator[Line]:
    if size > LONGEST:
        yield begin, None
        return
    joined = [b"".join(pieces)]
    pieces.clear()
    if joined[0] and not joined[0].isspace():
        yield begin, joined.pop()  # who takes it may free it before asking for the next
