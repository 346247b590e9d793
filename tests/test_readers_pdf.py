"""PDF files → documents: small PDFs written here byte by byte, and real papers where they are."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from longdata.documents import Document
from longdata.errors import SourceError
from longdata.readers import pdf_chars
from longdata.readers.pdf import read_pdf
from longdata.sources import Facts, Source

PAPERS = Path(__file__).parents[2] / "shared" / "data" / "papers" / "pdf"
needs_papers = pytest.mark.skipif(not PAPERS.is_dir(), reason="the shared papers are not here")

# ---- a small PDF writer ---------------------------------------------------------------------

Text = tuple[float, float, float, str, str]  # x, y from below, size, font, text

FONTS = {"F": "Times-Roman", "B": "Times-Bold", "C": "Courier", "I": "Times-Italic"}


def pdf(
    pages: Sequence[Sequence[Text]],
    *,
    title: str = "",
    author: str = "",
    rotate: int = 0,
    password: str = "",
) -> bytes:
    """A PDF with these texts on its pages; with a password it is encrypted (RC4, 40 bits)."""
    key, encrypt = _encryption(password) if password else (b"", "")
    bodies: list[bytes] = []

    def add(body: bytes) -> int:
        bodies.append(body)
        return len(bodies)

    latin = "/Encoding/WinAnsiEncoding"
    fonts = " ".join(
        f"/{short} {add(f'<</Type/Font/Subtype/Type1/BaseFont/{name}{latin}>>'.encode())} 0 R"
        for short, name in FONTS.items()
    )
    tree = len(bodies) + 2 * len(pages) + 1
    kids: list[int] = []
    for texts in pages:
        shown = "\n".join(
            f"BT /{font} {size} Tf 1 0 0 1 {x} {y} Tm ({_escaped(text)}) Tj ET"
            for x, y, size, font, text in texts
        ).encode("cp1252")
        if key:
            shown = _rc4(_object_key(key, len(bodies) + 1), shown)
        content = add(b"<</Length %d>>stream\n%s\nendstream" % (len(shown), shown))
        kids.append(
            add(
                f"<</Type/Page/Parent {tree} 0 R/MediaBox[0 0 600 800]/Rotate {rotate}"
                f"/Resources<</Font<<{fonts}>>>>/Contents {content} 0 R>>".encode()
            )
        )
    refs = " ".join(f"{kid} 0 R" for kid in kids)
    assert add(f"<</Type/Pages/Count {len(kids)}/Kids[{refs}]>>".encode()) == tree
    root = add(f"<</Type/Catalog/Pages {tree} 0 R>>".encode())
    info = add(f"<</Title({_escaped(title)})/Author({_escaped(author)})>>".encode("cp1252"))
    lock = f"/Encrypt {add(encrypt.encode('latin-1'))} 0 R/ID[<00><00>]" if key else ""
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += f"trailer<</Size {len(bodies) + 1}/Root {root} 0 R/Info {info} 0 R{lock}>>\n".encode()
    return out + b"startxref\n%d\n%%%%EOF" % start


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


_PAD = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")


def _encryption(password: str) -> tuple[bytes, str]:
    """The key and the dictionary of the PDF standard's first encryption."""
    padded = (password.encode() + _PAD)[:32]
    owner = _rc4(hashlib.md5(padded).digest()[:5], padded)
    rights = -4
    seed = padded + owner + rights.to_bytes(4, "little", signed=True) + b"\x00"
    key = hashlib.md5(seed).digest()[:5]
    user = _rc4(key, _PAD)
    return key, f"<</Filter/Standard/V 1/R 2/O<{owner.hex()}>/U<{user.hex()}>/P {rights}>>"


def _object_key(key: bytes, number: int) -> bytes:
    return hashlib.md5(key + number.to_bytes(3, "little") + b"\x00\x00").digest()[:10]


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def source(path: Path, facts: Facts | None = None) -> Source:
    return Source(path=path, name=path.name, sha256="0" * 64, facts=facts or Facts())


def read(tmp_path: Path, data: bytes, facts: Facts | None = None) -> Document:
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    (document,) = read_pdf(source(path, facts))
    return document


LEFT = [f"the left column is filled with words, line {i:02}," for i in range(30)]
RIGHT = [f"the right column is filled with words, line {i:02}," for i in range(30)]


def two_columns(top: float = 620) -> list[Text]:
    left = [(50.0, top - 12 * i, 10.0, "F", text) for i, text in enumerate(LEFT)]
    right = [(310.0, top - 3 - 12 * i, 10.0, "F", text) for i, text in enumerate(RIGHT)]
    return [text for pair in zip(left, right, strict=True) for text in pair]


def paper(**options: str) -> bytes:
    """A two-column paper of two pages."""
    first: list[Text] = [
        (120, 740, 18, "F", "A Paper about Reading Columns"),
        (220, 710, 11, "F", "Ada Author and Ben Writer"),
        (
            150,
            690,
            9,
            "F",
            "Released under a Creative Commons Attribution 4.0 International license",
        ),
        (50, 650, 11, "B", "ABSTRACT"),
        *two_columns(),
    ]
    first[4:] = [(x, y - 20, size, font, text) for x, y, size, font, text in first[4:]]
    first.append((310, 220, 12, "B", "1. Introduction"))
    first += [
        (310, 202 - 12 * i, 10, "F", text)
        for i, text in enumerate(["This is the begin-", "ning of a short introduction and"])
    ]
    second: list[Text] = [
        (310, 745, 8, "F", "Fig. 1. A figure at the top of the page"),
        (50, 700, 10, "F", "it ends on the next page."),
        (50, 660, 12, "B", "References"),
        (50, 640, 10, "F", "[1] A. Author. One title. 1999."),
        (50, 628, 10, "F", "[2] B. Writer. Another title that takes"),
        (65, 616, 10, "F", "two lines. 2001."),
    ]
    for number, texts in enumerate((first, second), 1):
        texts.append((50, 780, 9, "I", "Journal of Columns"))
        texts.append((300, 20, 9, "F", str(number)))
    return pdf([first, second], **options)


# ---- what a document holds ------------------------------------------------------------------


def test_a_two_column_paper_is_read_column_by_column(tmp_path: Path) -> None:
    text = read(tmp_path, paper()).text
    assert " ".join(LEFT) in text
    assert " ".join(RIGHT) in text
    assert text.index(LEFT[-1]) < text.index(RIGHT[0])


def test_sections_references_and_captions_of_a_paper_are_known(tmp_path: Path) -> None:
    document = read(tmp_path, paper())
    assert document.kind == "paper"
    assert [(s.kind, s.number, s.title) for s in document.sections] == [
        ("abstract", "", "ABSTRACT"),
        ("section", "1", "Introduction"),
        ("references", "", "References"),
    ]
    assert [document.text[r.start : r.end] for r in document.references] == [
        "[1] A. Author. One title. 1999.",
        "[2] B. Writer. Another title that takes two lines. 2001.",
    ]
    assert [c.label for c in document.captions] == ["Figure 1"]
    abstract = document.section_of("abstract")
    assert abstract is not None
    assert document.text[abstract.body : abstract.end].startswith(LEFT[0])


def test_a_sentence_across_two_pages_and_a_figure_is_whole(tmp_path: Path) -> None:
    text = read(tmp_path, paper()).text
    assert "This is the beginning of a short introduction and it ends on the next page." in text


def test_running_heads_are_dropped_and_counted(tmp_path: Path) -> None:
    document = read(tmp_path, paper())
    assert "Journal of Columns" not in document.text
    assert [(d.reason, d.text) for d in document.dropped] == [
        ("running head", "Journal of Columns"),
        ("page number", "1"),
        ("running head", "Journal of Columns"),
        ("page number", "2"),
    ]


def test_what_the_paper_says_about_itself_is_its_metadata(tmp_path: Path) -> None:
    document = read(tmp_path, paper(author="Ada Author, Ben Writer"))
    assert document.title == "A Paper about Reading Columns"
    assert document.author == "Ada Author, Ben Writer"
    assert document.license == "CC-BY-4.0"


def test_authors_are_read_below_the_title_when_the_file_does_not_name_them(tmp_path: Path) -> None:
    assert read(tmp_path, paper()).author == "Ada Author, Ben Writer"


def test_a_title_in_the_file_that_is_not_printed_is_not_believed(tmp_path: Path) -> None:
    document = read(tmp_path, paper(title="Microsoft Word - draft7.doc"))
    assert document.title == "A Paper about Reading Columns"


def test_facts_of_the_sidecar_override_the_file(tmp_path: Path) -> None:
    facts = Facts(title="T", author="A", year=1901, license="CC0-1.0", language="en", url="u:x")
    document = read(tmp_path, paper(), facts)
    assert (document.title, document.author, document.year) == ("T", "A", 1901)
    assert (document.license, document.language, document.url) == ("CC0-1.0", "en", "u:x")


@pytest.mark.parametrize("rotate", [0, 90])
def test_a_turned_page_reads_the_same(tmp_path: Path, rotate: int) -> None:
    lines: list[Text] = [
        (50, 700 - 12 * i, 10, "F", f"some words of the line {i}") for i in range(9)
    ]
    text = read(tmp_path, pdf([lines], rotate=rotate)).text
    assert text == " ".join(f"some words of the line {i}" for i in range(9))


def test_letter_spaced_words_close_up(tmp_path: Path) -> None:
    spaced: list[Text] = [
        (50 + 12 * i, 740, 10, "F", char) for i, char in enumerate("ARTICLE") if char != " "
    ]
    lines: list[Text] = [(50, 700 - 12 * i, 10, "F", f"words of line {i}") for i in range(9)]
    assert "ARTICLE" in read(tmp_path, pdf([[*spaced, *lines]])).text


def test_reading_twice_gives_the_same_document(tmp_path: Path) -> None:
    assert read(tmp_path, paper()) == read(tmp_path, paper())


# ---- files that cannot be used --------------------------------------------------------------


def refused(tmp_path: Path, data: bytes) -> SourceError:
    path = tmp_path / "bad.pdf"
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        list(read_pdf(source(path)))
    return caught.value


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, b"").reason == "empty"


def test_a_file_that_is_no_pdf_is_damaged(tmp_path: Path) -> None:
    assert refused(tmp_path, b"PK\x03\x04 something else").reason == "damaged"


def test_a_pdf_that_is_cut_to_its_head_is_damaged(tmp_path: Path) -> None:
    assert refused(tmp_path, paper()[:60]).reason == "damaged"


def test_a_pdf_of_garbage_is_damaged(tmp_path: Path) -> None:
    assert refused(tmp_path, b"%PDF-1.7\n" + bytes(range(256)) * 40).reason == "damaged"


def test_a_pdf_that_asks_for_a_password_is_encrypted(tmp_path: Path) -> None:
    assert refused(tmp_path, paper(password="secret")).reason == "encrypted"


def test_pages_without_text_say_that_they_are_scanned(tmp_path: Path) -> None:
    error = refused(tmp_path, pdf([[], []]))
    assert error.reason == "no text"
    assert "scanned pages" in error.detail


def test_absurd_numbers_of_pages_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf_chars, "MAX_PAGES", 3)
    error = refused(tmp_path, pdf([[(50, 700, 10, "F", "text")]] * 4))
    assert (error.reason, error.detail) == ("too large", "4 pages; at most 3")


def test_absurd_numbers_of_characters_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf_chars, "MAX_CHARS_PER_PAGE", 10)
    assert refused(tmp_path, pdf([[(50, 700, 10, "F", "many more letters")]])).reason == "too large"


def test_a_vanished_file_is_one_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        list(read_pdf(source(tmp_path / "gone.pdf")))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files in /proc")
def test_no_file_stays_open(tmp_path: Path) -> None:
    read(tmp_path, paper())
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        read(tmp_path, paper())
        refused(tmp_path, paper(password="x"))
        refused(tmp_path, pdf([[]]))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# ---- real papers ----------------------------------------------------------------------------

ACROSS_BREAKS = [  # what is printed on both sides of a column's or page's end
    ("jcon_00092", "with the property that for every S"),
    ("jcon_00092", "compute the probability mass of more complicated sets"),
    ("jcon_00092", "depends not only on the shape but also on its location"),
    ("jcon_00092", "parameterized by its argument"),
    ("jcon_00092", "to be its lower Cholesky factor"),
    ("jcon_00092", "In particular, α might be a discrete measure"),
    ("jcon_00092", "The drawbacks of Distributions.jl are essentially"),
    ("jcon_00148", "In this case, the function momentum_u! showed up only"),
    ("jcon_00148", "Hence the condition for inner while loop"),
    ("jcon_00148", "to the developers.⁸ Within a day"),
    ("jcon_00148", "such as GPU kernels or C programs"),
    ("jcon_00148", "floating-point exception detection in NVIDIA GPUs"),
    ("jcon_00130", "internal as well as external quality assurance"),
    ("jcon_00130", "models like decision trees"),
    ("jcon_00130", "models made available through MLJ"),
    ("jcon_00130", "maximally diverse counterfactuals"),
    ("jcon_00130", "by the same DGP as the observed data"),
    ("jcon_00130", "constrain the mutability of features"),
    ("jcon_00012", "a serial implementation of the algorithm"),
    ("jcon_00012", "the task was to sort 128 sequences"),
    ("jcon_00012", "No change in performance can be seen"),
    ("jcon_00012", "on machines with different vector sizes"),
]


@pytest.fixture(scope="module")
def columns() -> dict[str, Document]:
    names = sorted({name for name, _ in ACROSS_BREAKS})
    return {name: next(read_pdf(source(PAPERS / f"{name}.pdf"))) for name in names}


@needs_papers
@pytest.mark.parametrize(("name", "phrase"), ACROSS_BREAKS)
def test_sentences_across_columns_and_pages_are_whole(
    name: str, phrase: str, columns: dict[str, Document]
) -> None:
    assert phrase in columns[name].text


@needs_papers
def test_numbered_sections_come_in_the_order_of_their_numbers(
    columns: dict[str, Document],
) -> None:
    for document in columns.values():
        numbers = [[int(n) for n in s.number.split(".")] for s in document.sections if s.number]
        assert len(numbers) > 10
        assert numbers == sorted(numbers)


def _benchmark() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "pdf_headings.py"
    spec = importlib.util.spec_from_file_location("pdf_headings", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_heading_benchmark_counts_missing_and_wrong_headings() -> None:
    missing, wrong = _benchmark().compare(["1. One", "Two", "Three"], ["1 One", "Six", "Three"])
    assert (missing, wrong) == (["Two"], ["Six"])


@needs_papers
def test_nearly_all_headings_marked_by_hand_are_found() -> None:
    import json

    bench = _benchmark()
    marked = json.loads(bench.MARKED.read_text(encoding="utf-8"))
    total = found = bad = 0
    for name, headings in marked.items():
        document = next(read_pdf(source(PAPERS / name)))
        missing, wrong = bench.compare(headings, [document.heading(s) for s in document.sections])
        total += len(headings)
        found += len(headings) - len(missing)
        bad += len(wrong)
    assert found >= 0.95 * total
    assert bad <= 0.05 * (found + bad)
