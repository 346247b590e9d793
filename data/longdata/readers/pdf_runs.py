"""PDFium's characters → runs: one per text object and line, accents and letter-spacing mended.

    ("K", "¨", "u", "hn")   -> "Kühn"       accents drawn as characters of their own
    "A R T I C L E"         -> "ARTICLE"    letters set apart for show

The functions called for each character go to PDFium directly, with addresses as integers.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import re
import statistics
import unicodedata
from dataclasses import replace
from typing import Any

import pypdfium2.raw as pdfium

from longdata.readers.pdf_page import Font, Run


def native(name: str, result: Any, *arguments: Any) -> Any:
    """A PDFium function with a plain signature: addresses as integers, the GIL kept.

    Called once per character, where building pointer objects costs more than the call itself.
    """
    address = ctypes.cast(getattr(pdfium, name), ctypes.c_void_p).value or 0
    return ctypes.PYFUNCTYPE(result, *arguments)(address)


POINTER, INTEGER = ctypes.c_void_p, ctypes.c_int
_unicode = native("FPDFText_GetUnicode", ctypes.c_uint, POINTER, INTEGER)
_text_object = native("FPDFText_GetTextObject", POINTER, POINTER, INTEGER)
_char_box = native(
    "FPDFText_GetCharBox", INTEGER, POINTER, INTEGER, POINTER, POINTER, POINTER, POINTER
)


_char_origin = native("FPDFText_GetCharOrigin", INTEGER, POINTER, INTEGER, POINTER, POINTER)


def read_runs(textpage: Any, handle: int, count: int, own: set[int]) -> tuple[list[Run], int]:
    """Characters → runs, in PDF coordinates (top < bottom in value: y still grows upwards)."""
    codes = [_unicode(handle, i) for i in range(count)]
    text = "".join(chr(c) if c < 0x110000 else "\x00" for c in codes)
    box = (ctypes.c_double * 4)()
    at = ctypes.addressof(box)  # left, right, bottom, top
    letter_spaced = _letter_spaced(text, handle)
    styles: dict[int, tuple[float, Font, int]] = {}
    runs: list[Run] = []
    unmapped = 0
    chars: list[str] = []
    spans: list[tuple[float, float]] = []  # x of each character of `chars` that is not a space
    current = -1
    glued = False  # the space before this character was letter-spacing
    size, font, angle = 0.0, _font("", 0), 0
    x0 = x1 = y0 = y1 = baseline = 0.0

    def close() -> None:
        nonlocal chars
        words = unicodedata.normalize("NFC", "".join(chars))
        for glyphs, wrong, right in _TEX_GLYPHS:
            if font.name.startswith(glyphs):
                words = words.replace(wrong, right)
        if words.strip():
            nested = current not in own
            centres = tuple((a + b) / 2 for a, b in spans)
            runs.append(Run(words, x0, y0, x1, y1, baseline, size, font, angle, nested, centres))
        chars = []

    for i, char in enumerate(text):
        if char in "\r\n":
            close()
            continue
        if char in " \u00a0\t":
            if i in letter_spaced:
                glued = True
            elif chars:
                chars.append(" ")
            continue
        item = _text_object(handle, i)
        _char_box(handle, i, at, at + 8, at + 16, at + 24)
        left, right, low, high = box
        if char == "\x00" or "\ue000" <= char <= "\uf8ff":
            unmapped += 1
            continue
        jumps = item != current or left - x1 > 1.5 * size or left < x0 - size
        if not chars or (jumps and not glued):
            close()
            current = item or 0
            if current not in styles:
                styles[current] = _char_style(textpage, i)
            size, font, angle = styles[current]
            x0, x1, y0, y1 = left, right, low, high
            _char_origin(handle, i, at, at + 8)
            baseline = box[1] if angle in (0, 180, -1) else box[0]
        glued = False
        mark = _ACCENTS.get(char)
        if mark and chars and x0 <= (left + right) / 2 <= x1 and _over(spans, left, right):
            char = mark  # an accent drawn over the letter before it
            left, right = spans.pop()
        elif chars and chars[-1] in _ACCENTS and _over([(left, right)], *spans[-1]):
            char = char.replace("ı", "i").replace("ȷ", "j") + _ACCENTS[chars.pop()]
            spans.pop()  # the accent was drawn first, then its letter
        chars.append(char)
        if len(chars) == 1:
            spans = []
        spans.append((left, right))
        x0, x1 = min(x0, left), max(x1, right)
        y0, y1 = min(y0, low), max(y1, high)
    close()
    return _measured(_accented(runs)), unmapped


def _measured(runs: list[Run]) -> list[Run]:
    """A font without a name (a bitmap font) is monospaced when its letters have equal steps."""
    steps: list[float] = []
    letters = ""
    for run in runs:
        if not run.font.name and " " not in run.text.strip() and len(run.centres) > 2:
            steps += [(b - a) / run.size for a, b in itertools.pairwise(run.centres)]
            letters += run.text
    if len(steps) < 12 or not re.search("[iljtfr]", letters):
        return runs
    steps.sort()
    low, middle, high = (steps[int(len(steps) * share)] for share in (0.1, 0.5, 0.9))
    if high - low > 0.25 * middle:
        return runs
    return [
        replace(run, font=replace(run.font, mono=True)) if not run.font.name else run
        for run in runs
    ]


# TeX's formula fonts often do not say what their glyphs are; PDFium then gives the code as ASCII.
_TEX_GLYPHS = (("CMSY", "7→", "↦"), ("CMSY", "0", "′"), ("CMMI", "`", "ℓ"))
# Accents that old fonts draw as characters of their own → the combining mark.
_ACCENTS = {
    "¨": "\u0308", "´": "\u0301", "`": "\u0300", "ˆ": "\u0302", "^": "\u0302", "˜": "\u0303",
    "~": "\u0303", "¯": "\u0304", "˘": "\u0306", "˙": "\u0307", "¸": "\u0327", "˚": "\u030a",
    "ˇ": "\u030c", "˝": "\u030b", "˛": "\u0328",
}  # fmt: skip


def _accented(runs: list[Run]) -> list[Run]:
    """Joins an accent drawn as a text object of its own with the letter drawn after it."""
    result: list[Run] = []
    for run in runs:
        accent = result[-1] if result else None
        mark = _ACCENTS.get(accent.text.strip()) if accent else None
        if (
            accent
            and mark
            and run.centres
            and run.text[:1].isalpha()
            and accent.x0 - 0.3 * run.size <= run.centres[0] <= accent.x1 + 0.3 * run.size
            and abs(accent.baseline - run.baseline) < 0.6 * run.size
        ):
            text = unicodedata.normalize("NFC", run.text[0] + mark) + run.text[1:]
            result[-1] = replace(run, text=text)
        else:
            result.append(run)
    return result


def _over(spans: list[tuple[float, float]], left: float, right: float) -> bool:
    """Whether [left, right] stands over the last span, as an accent does over its letter."""
    if not spans:
        return False
    a, b = spans[-1]
    return a - 0.1 * (b - a) <= (left + right) / 2 <= b + 0.1 * (b - a)


def _letter_spaced(text: str, handle: int) -> set[int]:
    """Where spaces are only letter-spacing: "A R T I C L E  I N F O" reads "ARTICLE INFO"."""
    inner: set[int] = set()
    box = (ctypes.c_double * 4)()
    at = ctypes.addressof(box)
    for match in re.finditer(r"(?<!\S)[^\W\d_](?: +[^\W\d_]){4,}(?!\S)", text):
        letters = [i for i in range(*match.span()) if text[i] != " "]
        if not match.group().isupper() and len(letters) < 7:
            continue
        edges = []
        for i in letters:
            _char_box(handle, i, at, at + 8, at + 16, at + 24)
            edges.append((box[0], box[1]))
        gaps = [b[0] - a[1] for a, b in itertools.pairwise(edges)]
        usual = statistics.median(gaps)
        if usual <= 0 or min(gaps) < 0.4 * usual:
            continue
        for i, j, gap in zip(letters, letters[1:], gaps, strict=False):
            if gap < 1.6 * usual:
                inner.update(range(i + 1, j))
    return inner


def _char_style(textpage: Any, i: int) -> tuple[float, Font, int]:
    """Size in points as seen on the page, font and direction of character i."""
    matrix = pdfium.FS_MATRIX()
    size = float(pdfium.FPDFText_GetFontSize(textpage, i))
    angle = 0
    if pdfium.FPDFText_GetMatrix(textpage, i, ctypes.byref(matrix)):
        size *= math.hypot(matrix.c, matrix.d) or 1.0
        degrees = math.degrees(math.atan2(matrix.b, matrix.a)) % 360
        nearest = round(degrees / 90) * 90
        angle = nearest % 360 if abs(degrees - nearest) < 3 else -1
    name = ctypes.create_string_buffer(256)
    flags = ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(textpage, i, name, 256, ctypes.byref(flags))
    return max(size, 0.5), _font(name.value.decode("utf-8", "replace"), flags.value), angle


_BOLD = re.compile(r"bold|black|heavy|demi|semib|medi(?!um-?it)|-bd|cmb|sfbx|ecbx|lmb", re.I)
_ITALIC = re.compile(r"ital|obli|slant|cmti|cmsl|cmmi|sfti|ecti", re.I)
_MONO = re.compile(
    r"mono|courier|cour|typewr|consol|menlo|cmtt|sftt|ectt|cmsltt|lmtt|txtt"
    r"|code|hack|iosevka|terminal|fixed",
    re.I,
)


_FIXED_PITCH, _ITALIC_FLAG, _FORCE_BOLD = 1, 1 << 6, 1 << 18  # font descriptor flags


def _font(name: str, flags: int) -> Font:
    name = re.sub(r"^[A-Z]{6}\+", "", name)
    return Font(
        name=name,
        bold=bool(_BOLD.search(name)) or bool(flags & _FORCE_BOLD),
        italic=bool(_ITALIC.search(name)) or bool(flags & _ITALIC_FLAG),
        mono=bool(_MONO.search(name)) or bool(flags & _FIXED_PITCH),
    )
