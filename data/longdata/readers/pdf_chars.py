"""A PDF page → runs of characters, each with its box, baseline, size and font.

    with open_pdf(path) as pages:
        for page in pages:
            page.runs[0]   -> Run(text="1. Introduction", x0=54.0, top=301.2, x1=131.7, …)

Lengths are in points (1/72 inch), y grows downwards, and a page is turned so that most of its
text is upright. A run is what one PDF text object shows on one line: same font, same size. Spaces
are those PDFium finds from the distances; `SOFT_HYPHEN` marks a hyphen that ends a line.

PDFium is not thread-safe: one process may read many PDFs, but only one at a time.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from longdata.errors import SourceError

MAX_PAGES = 20_000
MAX_CHARS_PER_PAGE = 1_000_000  # a dense page holds 10,000; beyond this it is an attack or a map

SOFT_HYPHEN = "\x02"  # PDFium's mark for a hyphen at a line's end


@dataclass(frozen=True, slots=True)
class Font:
    """A font as far as reading needs it; `name` has no subset prefix ("ABCDEF+")."""

    name: str
    bold: bool
    italic: bool
    mono: bool


@dataclass(frozen=True, slots=True)
class Run:
    """Characters in one font on one line. `angle` is 0, 90, 180, 270, or -1 for a slanted text."""

    text: str
    x0: float
    top: float
    x1: float
    bottom: float
    baseline: float
    size: float
    font: Font
    angle: int = 0
    nested: bool = False  # inside an embedded drawing (a form XObject), as figures are
    centres: tuple[float, ...] = ()  # x of the middle of each character that is not a space


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the page: an image, an embedded drawing or a ruled line."""

    x0: float
    top: float
    x1: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Page:
    """One page's runs in the order the file draws them, and where pictures and rules are."""

    width: float
    height: float
    runs: tuple[Run, ...]
    pictures: tuple[Box, ...] = ()
    rules: tuple[Box, ...] = ()  # thin horizontal lines
    unmapped: int = 0  # glyphs whose font does not say which characters they are


class PdfPages:
    """The pages of one open PDF, read one after the other; `info` holds Title, Author, …"""

    def __init__(self, document: Any) -> None:
        self._document = document
        self.info: dict[str, str] = document.get_metadata_dict(skip_empty=True)

    def __len__(self) -> int:
        return len(self._document)

    def __iter__(self) -> Iterator[Page]:
        for index in range(len(self)):
            yield self._read(index)

    def _read(self, index: int) -> Page:
        try:
            page = self._document[index]
        except pypdfium2.PdfiumError as error:
            raise SourceError("damaged", f"page {index + 1} cannot be loaded: {error}") from error
        try:
            textpage = page.get_textpage()
            try:
                return _read_page(page, textpage, index)
            finally:
                textpage.close()
        except pypdfium2.PdfiumError as error:
            raise SourceError("damaged", f"page {index + 1} cannot be read: {error}") from error
        finally:
            page.close()


@contextmanager
def open_pdf(path: Path) -> Iterator[PdfPages]:
    """Open a PDF; everything PDFium holds is closed at the end of the `with` block.

    Raises SourceError "empty", "encrypted", "damaged" or "too large".
    """
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise SourceError("unreadable", error.strerror or str(error)) from error
    if not head:
        raise SourceError("empty", "the file has no bytes")
    if b"%PDF-" not in head:
        raise SourceError("damaged", "not a PDF: no %PDF- in its first 1024 bytes")
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD:
            raise SourceError("encrypted", "the PDF asks for a password") from error
        if getattr(error, "err_code", None) == pdfium.FPDF_ERR_SECURITY:
            raise SourceError("encrypted", "an encryption PDFium does not know") from error
        raise SourceError("damaged", f"PDFium cannot open it: {error}") from error
    try:
        if len(document) > MAX_PAGES:
            raise SourceError("too large", f"{len(document):,} pages; at most {MAX_PAGES:,}")
        if len(document) == 0:
            raise SourceError("damaged", "the PDF has no pages")
        yield PdfPages(document)
    finally:
        document.close()


def _native(name: str, result: Any, *arguments: Any) -> Any:
    """A PDFium function with a plain signature: addresses as integers, the GIL kept.

    Called once per character, where building pointer objects costs more than the call itself.
    """
    address = ctypes.cast(getattr(pdfium, name), ctypes.c_void_p).value or 0
    return ctypes.PYFUNCTYPE(result, *arguments)(address)


_P, _I = ctypes.c_void_p, ctypes.c_int
_unicode = _native("FPDFText_GetUnicode", ctypes.c_uint, _P, _I)
_text_object = _native("FPDFText_GetTextObject", _P, _P, _I)
_char_box = _native("FPDFText_GetCharBox", _I, _P, _I, _P, _P, _P, _P)
_char_origin = _native("FPDFText_GetCharOrigin", _I, _P, _I, _P, _P)
_page_object = _native("FPDFPage_GetObject", _P, _P, _I)
_object_type = _native("FPDFPageObj_GetType", _I, _P)
_object_bounds = _native("FPDFPageObj_GetBounds", _I, _P, _P, _P, _P, _P)


def _read_page(page: Any, textpage: Any, index: int) -> Page:
    handle = ctypes.cast(textpage.raw, ctypes.c_void_p).value or 0
    count = pdfium.FPDFText_CountChars(textpage.raw)
    if count > MAX_CHARS_PER_PAGE:
        raise SourceError(
            "too large",
            f"page {index + 1} has {count:,} characters; at most {MAX_CHARS_PER_PAGE:,}",
        )
    left, bottom, right, top = page.get_bbox()
    to_page = _Turn(angle=0, left=left, bottom=bottom, right=right, top=top)
    own, pictures, rules = _page_objects(page)
    runs, unmapped = _runs(textpage.raw, handle, max(count, 0), own)
    angle = _main_angle(runs)
    if angle:
        to_page = replace(to_page, angle=angle)
    prose = Counter[bool]()
    for run in runs:
        prose[run.nested] += len(re.findall(r"\b[a-z]{4,}\b", run.text))
    if prose[True] > 2 * prose[False]:  # the whole page is one drawing
        runs = [replace(run, nested=False) for run in runs]
    width, height = to_page.size()
    return Page(
        width=width,
        height=height,
        runs=tuple(to_page.run(run) for run in runs),
        pictures=tuple(to_page.box(*box) for box in pictures),
        rules=tuple(to_page.box(*box) for box in rules) if not angle else (),
        unmapped=unmapped,
    )


@dataclass(frozen=True, slots=True)
class _Turn:
    """PDF coordinates (y up) → page coordinates (y down), the main text direction made upright."""

    angle: int
    left: float
    bottom: float
    right: float
    top: float

    def size(self) -> tuple[float, float]:
        width, height = self.right - self.left, self.top - self.bottom
        return (height, width) if self.angle in (90, 270) else (width, height)

    def point(self, x: float, y: float) -> tuple[float, float]:
        if self.angle == 90:
            return y - self.bottom, x - self.left
        if self.angle == 180:
            return self.right - x, y - self.bottom
        if self.angle == 270:
            return self.top - y, self.right - x
        return x - self.left, self.top - y

    def box(self, x0: float, y0: float, x1: float, y1: float) -> Box:
        (ax, ay), (bx, by) = self.point(x0, y0), self.point(x1, y1)
        return Box(min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))

    def run(self, run: Run) -> Run:
        box = self.box(run.x0, run.top, run.x1, run.bottom)
        x, y = (run.x0, run.baseline) if run.angle in (0, 180, -1) else (run.baseline, run.top)
        return replace(
            run,
            x0=box.x0,
            top=box.top,
            x1=box.x1,
            bottom=box.bottom,
            baseline=self.point(x, y)[1] if (run.angle - self.angle) % 180 == 0 else box.bottom,
            angle=(run.angle - self.angle) % 360 if run.angle >= 0 else -1,
            centres=tuple(x - self.left for x in run.centres) if not self.angle else (),
        )


def _main_angle(runs: list[Run]) -> int:
    votes = Counter[int]()
    for run in runs:
        if run.angle >= 0:
            votes[run.angle] += len(run.text)
    return votes.most_common(1)[0][0] if votes else 0


_Rect = tuple[float, float, float, float]


def _page_objects(page: Any) -> tuple[set[int], list[_Rect], list[_Rect]]:
    """The page's own text objects (nested ones are missing), its pictures and its rules."""
    handle = ctypes.cast(page.raw, ctypes.c_void_p).value
    floats = (ctypes.c_float * 4)()
    at = ctypes.addressof(floats)
    own: set[int] = set()
    pictures: list[_Rect] = []
    rules: list[_Rect] = []
    for number in range(pdfium.FPDFPage_CountObjects(page.raw)):
        item = _page_object(handle, number)
        kind = _object_type(item)
        if kind == pdfium.FPDF_PAGEOBJ_TEXT:
            own.add(item)
            continue
        if kind not in (
            pdfium.FPDF_PAGEOBJ_PATH,
            pdfium.FPDF_PAGEOBJ_IMAGE,
            pdfium.FPDF_PAGEOBJ_FORM,
        ):
            continue
        if not _object_bounds(item, at, at + 4, at + 8, at + 12):
            continue
        box = (floats[0], floats[1], floats[2], floats[3])
        if kind != pdfium.FPDF_PAGEOBJ_PATH:
            pictures.append(box)
        elif box[3] - box[1] < 2.5 and box[2] - box[0] > 20:
            rules.append(box)
    return own, pictures, rules


def _runs(textpage: Any, handle: int, count: int, own: set[int]) -> tuple[list[Run], int]:
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
                styles[current] = _style(textpage, i)
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


def _style(textpage: Any, i: int) -> tuple[float, Font, int]:
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
