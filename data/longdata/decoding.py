"""Bytes of a text file → str, whatever encoding it was saved in.

    decode(b"\\xef\\xbb\\xbfcaf\\xc3\\xa9")   -> "café"      (UTF-8 with a byte order mark)
    decode(b"caf\\xe9 and na\\xefve")        -> "café and naïve"   (cp1252)
    decode(b"%PDF-1.5 ...")                 -> SourceError("not text", "it is a PDF")

Line ends come out as "\\n". Bytes that a UTF-8 file holds by accident become U+FFFD, so that a
reader can count them.
"""

from __future__ import annotations

import codecs
import re
from itertools import pairwise

from charset_normalizer import from_bytes

from longdata.errors import SourceError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with that one's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MAGIC = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
)
_ASCII = bytes(range(128))
_CONTROLS = bytes(b for b in range(32) if b not in b"\t\n\r\f\x1a") + b"\x7f"
_SAMPLE_BYTES = 1 << 16


def decode(data: bytes) -> str:
    """Text with "\\n" line ends. Raises SourceError "empty" or "not text"."""
    if not data.strip():
        raise SourceError("empty", "the file holds nothing but white space")
    for magic, what in _MAGIC:
        if data.startswith(magic):
            raise SourceError("not text", f"it is {what}")
    text = _decoded(data).lstrip("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text or text.isspace():
        raise SourceError("empty", "the file holds nothing but white space")
    return text


def _decoded(data: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _whole(data[len(mark) :], encoding)
    sample = data[:_SAMPLE_BYTES]
    if b"\x00" in sample:
        return _utf16_without_mark(data, sample)
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls > len(sample) // 50:
        raise SourceError("not text", f"{controls} control characters in the first 64 KiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _eight_bit(data)


def _whole(data: bytes, encoding: str) -> str:
    """A file that names its encoding: a damaged end or byte costs one character, not the file."""
    text = data.decode(encoding, errors="replace")
    if text.count("\ufffd") > len(text) // 10:
        raise SourceError("not text", f"it is marked as {encoding} and is not")
    return text


def _utf16_without_mark(data: bytes, sample: bytes) -> str:
    high, low = sample[0::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    for zeros, others, encoding in ((low, high, "utf-16-le"), (high, low, "utf-16-be")):
        if zeros > half // 3 and others < half // 50:
            return _whole(data, encoding)
    raise SourceError("not text", "it holds NUL bytes")


def _eight_bit(data: bytes) -> str:
    """No valid UTF-8: nearly UTF-8, Western European, or whatever the sample looks like."""
    high = len(data) - len(data.translate(None, bytes(range(128, 256))))
    sample = _around_high_bytes(data)
    text = sample.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    if sum(c > "\x7f" for c in text) - broken >= 20 * broken:
        return data.decode("utf-8", errors="replace")
    if high <= len(data) // 50:  # a few accents and curly quotes among ASCII
        return _western(data)
    guesses = [guess.encoding for guess in from_bytes(sample)][:8]
    if not guesses:
        raise SourceError("not text", "no encoding fits its bytes")
    # Cyrillic code pages are told apart by case: read with the wrong one, words look lIKE THIS.
    best = min(guesses, key=lambda encoding: round(_odd_case(sample, encoding), 2))
    if best in ("ascii", "latin_1", "cp1252"):
        return _western(data)
    return data.decode(best, errors="replace")


def _odd_case(sample: bytes, encoding: str) -> float:
    """The share of letters that are upper case behind a lower-case one."""
    text = sample.decode(encoding, errors="replace")
    odd = sum(one.islower() and other.isupper() for one, other in pairwise(text))
    return odd / max(1, len(text))


def _western(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:  # one of the five codes that cp1252 leaves open
        return data.decode("latin-1")


_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")
_AROUND = 300  # bytes on either side of a non-ASCII one, at most


def _around_high_bytes(data: bytes) -> bytes:
    """Up to 64 KiB of the lines that hold non-ASCII bytes: they alone tell encodings apart."""
    pieces, size, position = [], 0, 0
    while size < _SAMPLE_BYTES and (match := _HIGH_BYTES.search(data, position)):
        begin = max(position, data.rfind(b"\n", match.start() - _AROUND, match.start()) + 1)
        begin = max(begin, match.start() - _AROUND)
        end = data.find(b"\n", match.end(), match.end() + _AROUND)
        position = end + 1 if end >= 0 else match.end() + _AROUND
        pieces.append(data[begin:position])
        size += position - begin
    return b"".join(pieces)
