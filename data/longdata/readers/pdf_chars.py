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
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from longdata.errors import SourceError
from longdata.readers.pdf_page import Page, Run
from longdata.readers.pdf_runs import INTEGER, POINTER, native, read_runs

MAX_PAGES = 20_000
MAX_CHARS_PER_PAGE = 1_000_000  # a dense page holds 10,000; beyond this it is an attack or a map


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


_page_object = native("FPDFPage_GetObject", POINTER, POINTER, INTEGER)
_object_type = native("FPDFPageObj_GetType", INTEGER, POINTER)


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
    runs, unmapped = read_runs(textpage.raw, handle, max(count, 0), _own_objects(page))
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

    def run(self, run: Run) -> Run:
        (ax, ay), (bx, by) = self.point(run.x0, run.top), self.point(run.x1, run.bottom)
        bottom = max(ay, by)
        x, y = (run.x0, run.baseline) if run.angle in (0, 180, -1) else (run.baseline, run.top)
        return replace(
            run,
            x0=min(ax, bx),
            top=min(ay, by),
            x1=max(ax, bx),
            bottom=bottom,
            baseline=self.point(x, y)[1] if (run.angle - self.angle) % 180 == 0 else bottom,
            angle=(run.angle - self.angle) % 360 if run.angle >= 0 else -1,
            centres=tuple(x - self.left for x in run.centres) if not self.angle else (),
        )


def _main_angle(runs: list[Run]) -> int:
    votes = Counter[int]()
    for run in runs:
        if run.angle >= 0:
            votes[run.angle] += len(run.text)
    return votes.most_common(1)[0][0] if votes else 0


def _own_objects(page: Any) -> set[int]:
    """The page's own text objects; those inside embedded drawings are missing."""
    handle = ctypes.cast(page.raw, ctypes.c_void_p).value
    items = (_page_object(handle, i) for i in range(pdfium.FPDFPage_CountObjects(page.raw)))
    return {item for item in items if _object_type(item) == pdfium.FPDF_PAGEOBJ_TEXT}
