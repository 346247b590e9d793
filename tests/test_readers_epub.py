"""EPUB → Document, and what is refused before anything is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from longdata.documents import Document
from longdata.errors import SourceError
from longdata.readers.epub import read_epub
from longdata.sources import Source

CONTAINER = """<?xml version="1.0"?>
<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="OEBPS/content.opf"/></rootfiles></container>"""
OPF = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A Night</dc:title>
<dc:creator id="a">Jane Roe</dc:creator><dc:creator id="t">Al Poe</dc:creator>
<meta refines="#t" property="role">trl</meta><dc:language>fr-FR</dc:language>
<dc:date>1899-05-01</dc:date><dc:rights>CC BY 4.0</dc:rights></metadata>
<manifest><item id="c" href="text/cover.xhtml"/><item id="one" href="text/ch%201.xhtml"/>
<item id="two" href="text/ch2.xhtml"/><item id="gone" href="text/gone.xhtml"/>
<item id="end" href="text/end.xhtml"/><item id="nav" href="nav.xhtml" properties="nav"/></manifest>
<spine><itemref idref="c"/><itemref idref="one"/><itemref idref="gone"/><itemref idref="two"/>
<itemref idref="end"/></spine></package>"""


def page(body: str, kind: str = "bodymatter") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml" '
        'xmlns:epub="http://www.idpf.org/2007/ops"><head><title/></head>'
        f'<body epub:type="{kind}">{body}</body></html>'
    )


FILES = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": CONTAINER,
    "OEBPS/content.opf": OPF,
    "OEBPS/nav.xhtml": page('<nav><a href="text/ch2.xhtml">The Second Day</a></nav>'),
    "OEBPS/text/cover.xhtml": page("<h1>A Night</h1><p>By Jane Roe.</p>", "frontmatter"),
    "OEBPS/text/ch 1.xhtml": page(
        "<section><hgroup><h2>I</h2><p>The Arrival</p></hgroup>"
        "<p>It was dark.</p><blockquote><p>Come!</p><footer><p>Yours</p></footer></blockquote>"
        "</section>"
    ),
    "OEBPS/text/ch2.xhtml": page("<p>It was light.</p>"),
    "OEBPS/text/end.xhtml": page(
        "<section><h2>Colophon</h2><p>Set in type.</p></section>", "backmatter"
    ),
}


def write(path: Path, files: dict[str, str]) -> Source:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return Source(path=path, name=path.name, sha256="0")


def read(path: Path, files: dict[str, str]) -> Document:
    (document,) = read_epub(write(path, files))
    return document


def refused(path: Path, files: dict[str, str]) -> str:
    with pytest.raises(SourceError) as raised:
        list(read_epub(write(path, files)))
    return raised.value.reason


@pytest.fixture
def epub(tmp_path: Path) -> Path:
    return tmp_path / "night.epub"


def test_a_book_becomes_a_document(epub: Path) -> None:
    document = read(epub, FILES)
    assert document.text.split("\n\n") == [
        *("A Night", "By Jane Roe.", "I. The Arrival", "It was dark.", "Come!", "Yours"),
        *("The Second Day", "It was light.", "Colophon", "Set in type."),
    ]
    assert [(s.kind, s.number, s.title) for s in document.sections] == [
        ("chapter", "I", "The Arrival"),
        ("chapter", "", "The Second Day"),
        ("back", "", "Colophon"),
    ]
    assert document.kind == "book"


def test_its_metadata_is_read_and_the_translator_is_no_author(epub: Path) -> None:
    document = read(epub, FILES)
    assert (document.title, document.author, document.year) == ("A Night", "Jane Roe", 1899)
    assert (document.license, document.language) == ("CC BY 4.0", "fr")


def test_a_missing_page_is_counted(epub: Path) -> None:
    dropped = [(d.reason, d.text) for d in read(epub, FILES).dropped]
    assert ("missing page", "OEBPS/text/gone.xhtml") in dropped


def test_parts_and_chapters_in_headings_of_one_level_each(epub: Path) -> None:
    body = (
        "<h2>BOOK ONE</h2><h2>THE COMING</h2><h3>CHAPTER ONE</h3><h3>THE EVE</h3><p>x</p>"
        "<h3>CHAPTER TWO</h3><h3>THE STAR</h3><p>y</p>"
    )
    document = read(epub, {**FILES, "OEBPS/text/ch 1.xhtml": page(body)})
    assert [(s.kind, s.level, s.number, s.title) for s in document.sections][:3] == [
        ("part", 1, "ONE", "THE COMING"),
        ("chapter", 2, "ONE", "THE EVE"),
        ("chapter", 2, "TWO", "THE STAR"),
    ]


def test_gutenberg_boilerplate_inside_goes(epub: Path) -> None:
    body = (
        "<p>Title: A Night<br/>Author: Jane Roe<br/>"
        "*** START OF THIS PROJECT GUTENBERG EBOOK A NIGHT ***</p><h2>CHAPTER I</h2><p>Dark.</p>"
        "<p>*** END OF THIS PROJECT GUTENBERG EBOOK A NIGHT ***</p><p>Licence text.</p>"
    )
    document = read(epub, {**FILES, "OEBPS/text/ch 1.xhtml": page(body)})
    assert document.text == "CHAPTER I\n\nDark."
    assert document.license == "Public domain in the USA"
    assert document.year is None  # the date is that of Gutenberg's edition


def test_entity_attacks_are_not_resolved(epub: Path) -> None:
    bomb = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 20))
    text = (
        f'<?xml version="1.0"?><!DOCTYPE html [<!ENTITY l0 "ha">{bomb}'
        '<!ENTITY f SYSTEM "file:///etc/passwd">]>'
        '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>a &l19; &f; b&nbsp;c</p></body></html>'
    )
    document = read(epub, {**FILES, "OEBPS/text/ch2.xhtml": text})
    assert "a b c" in document.text
    assert "root:" not in document.text and len(document.text) < 300


@pytest.mark.parametrize("name", ["../evil.xhtml", "/etc/passwd", "a/../../b", "C:/x", "..\\evil"])
def test_names_that_leave_the_archive_are_refused(name: str, epub: Path) -> None:
    assert refused(epub, {**FILES, name: "x"}) == "unsafe archive"


def test_a_bomb_is_refused_before_it_is_unpacked(epub: Path) -> None:
    assert refused(epub, {**FILES, "OEBPS/big.txt": "0" * 50_000_000}) == "zip bomb"


def test_too_many_members_are_a_bomb(epub: Path) -> None:
    assert refused(epub, {**FILES, **{f"x/{i}": "" for i in range(20_001)}}) == "zip bomb"


@pytest.mark.parametrize("missing", ["META-INF/container.xml", "OEBPS/content.opf"])
def test_a_book_without_its_package_is_damaged(missing: str, epub: Path) -> None:
    files = {name: text for name, text in FILES.items() if name != missing}
    assert refused(epub, files) == "damaged"


def test_a_package_without_pages_is_damaged(epub: Path) -> None:
    assert refused(epub, {**FILES, "OEBPS/content.opf": "<package/>"}) == "damaged"
    assert refused(epub, {**FILES, "OEBPS/content.opf": "not xml at all"}) == "damaged"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 nonsense", b"just text"])
def test_what_is_no_archive_is_damaged(data: bytes, epub: Path) -> None:
    epub.write_bytes(data)
    with pytest.raises(SourceError) as raised:
        list(read_epub(Source(path=epub, name="x", sha256="0")))
    assert raised.value.reason == "damaged"


def test_a_broken_member_is_damaged(epub: Path) -> None:
    write(epub, FILES)
    data = bytearray(epub.read_bytes())
    place = data.find(b"OEBPS/content.opf") + len("OEBPS/content.opf") + 8
    data[place : place + 12] = b"\xff" * 12
    epub.write_bytes(bytes(data))
    with pytest.raises(SourceError) as raised:
        list(read_epub(Source(path=epub, name="x", sha256="0")))
    assert raised.value.reason == "damaged"


def encryption(method: str, path: str) -> str:
    return (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        'xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
        f'<enc:EncryptionMethod Algorithm="{method}"/><enc:CipherData>'
        f'<enc:CipherReference URI="{path}"/></enc:CipherData></enc:EncryptedData></encryption>'
    )


def test_encrypted_pages_are_refused_and_disguised_fonts_are_not(epub: Path) -> None:
    name = "META-INF/encryption.xml"
    aes = encryption("http://www.w3.org/2001/04/xmlenc#aes256-cbc", "OEBPS/text/ch2.xhtml")
    assert refused(epub, {**FILES, name: aes}) == "encrypted"
    font = encryption("http://www.idpf.org/2008/embedding", "OEBPS/fonts/a.otf")
    assert read(epub, {**FILES, name: font}).title == "A Night"


def test_a_password_is_a_reason_to_refuse(epub: Path) -> None:
    write(epub, FILES)
    data = bytearray(epub.read_bytes())
    place = data.find(b"PK\x01\x02")  # the first entry of the directory: flags at offset 8
    data[place + 8] |= 1
    epub.write_bytes(bytes(data))
    with pytest.raises(SourceError) as raised:
        list(read_epub(Source(path=epub, name="x", sha256="0")))
    assert raised.value.reason == "encrypted"


# name → (title, parts, numbered chapters, other chapters, licence)
REAL = {
    "pg36_the-war-of-the-worlds": (
        *("The War of the Worlds", 2, 27, 0, "Public domain in the USA"),
    ),
    "se_a-c-doyle_the-adventures-of-sherlock-holmes": (
        *("The Adventures of Sherlock Holmes", 0, 0, 12, "CC0-1.0"),
    ),
    "se_h-g-wells_the-invisible-man": ("The Invisible Man", 0, 28, 1, "CC0-1.0"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_books_have_all_their_chapters(name: str, shared_data: Path) -> None:
    path = shared_data / "books" / "epub" / f"{name}.epub"
    (document,) = read_epub(Source(path=path, name=path.name, sha256="0"))
    parts = sum(s.kind == "part" for s in document.sections)
    chapters = [s for s in document.sections if s.kind == "chapter"]
    numbered = sum(bool(s.number) for s in chapters)
    found = (document.title, parts, numbered, len(chapters) - numbered, document.license)
    assert found == REAL[name]
    assert document.language == "en"
    if name.startswith("se_"):
        sides = [(s.kind, s.title) for s in document.sections if s.kind in ("front", "back")]
        assert sides == [("front", "Imprint"), ("back", "Colophon"), ("back", "Uncopyright")]
