"""The safe inside of an EPUB file: its members, its metadata and its reading order.

    with EpubArchive(path) as archive:
        archive.package        -> Package(title="Emma", spine=("text/1.xhtml", …), labels={…}, …)
        archive.text("text/1.xhtml")   -> the page, decoded

An EPUB is a ZIP archive from anywhere: sizes, names and encryption are checked before anything is
unpacked, nothing is written to disk, and no XML entity is resolved.
"""

from __future__ import annotations

import lzma
import posixpath
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from longdata.errors import SourceError
from longdata.readers.html_tree import Element, elements, name_of, parse_html, text_of

_LARGEST = 256 * 2**20  # bytes of all members together
_HIGHEST_RATIO = 200  # unpacked to packed, of an archive that unpacks to more than a megabyte
_MOST_MEMBERS = 20_000
# These only disguise fonts; the text of the book is readable.
_FONT_ALGORITHMS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What the package document says; paths are those of the archive."""

    title: str
    authors: tuple[str, ...]
    date: str
    language: str
    rights: str
    publisher: str
    identifiers: tuple[str, ...]
    spine: tuple[str, ...]  # in reading order
    missing: tuple[str, ...]  # named in the spine, not in the archive
    labels: dict[str, str]  # path of a page → its title in the table of contents


_ENCODING = re.compile(rb"\s*<\?xml[^>]{0,100}encoding=[\"']([\w-]{2,30})[\"']")
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class EpubArchive:
    """Raises SourceError "damaged", "encrypted", "zip bomb" or "unsafe archive"."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except _DAMAGE as error:
            raise SourceError("damaged", f"it is no ZIP archive: {error}") from error
        try:
            _check(self._zip.infolist())
            self._names = set(self._zip.namelist())
            self.package = self._package()
            self._check_encryption()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> EpubArchive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def bytes_of(self, name: str) -> bytes:
        """One member, unpacked. Raises SourceError "damaged"."""
        try:
            return self._zip.read(name)
        except KeyError as error:
            raise SourceError("damaged", f"{name} is not in the archive") from error
        except _DAMAGE as error:
            raise SourceError("damaged", f"{name}: {error}") from error

    def text(self, name: str) -> str:
        """One page, decoded: XML is UTF-8 unless its declaration or byte order mark says else."""
        data = self.bytes_of(name)
        for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
            if data.startswith(mark):
                return data.decode(encoding, errors="replace")
        declared = _ENCODING.match(data[:200])
        encoding = declared[1].decode("ascii") if declared else "utf-8"
        try:
            return data.decode(encoding, errors="replace").removeprefix("\ufeff")
        except LookupError:
            return data.decode("utf-8", errors="replace").removeprefix("\ufeff")

    def _xml(self, name: str) -> Element:
        try:
            return parse_html(self.text(name), xml=True)
        except SourceError as error:
            raise SourceError("damaged", f"{name}: {error.detail}") from error

    def _check_encryption(self) -> None:
        if "META-INF/encryption.xml" not in self._names:
            return
        spine = set(self.package.spine)
        for data in elements(self._xml("META-INF/encryption.xml"), "encrypteddata"):
            methods = [one.get("Algorithm") or "" for one in elements(data, "encryptionmethod")]
            if all(method in _FONT_ALGORITHMS for method in methods) and methods:
                continue
            covered = {
                posixpath.normpath(unquote(one.get("URI") or ""))
                for one in elements(data, "cipherreference")
            }
            if covered & spine:
                raise SourceError(
                    "encrypted", "the book's pages are under digital rights management"
                )

    def _package(self) -> Package:
        if "META-INF/container.xml" not in self._names:
            raise SourceError("damaged", "META-INF/container.xml is missing")
        roots = [
            one.get("full-path") or ""
            for one in elements(self._xml("META-INF/container.xml"), "rootfile")
        ]
        opf = next((unquote(root) for root in roots if unquote(root) in self._names), None)
        if opf is None:
            raise SourceError("damaged", "the package document (OPF) is missing")
        root = self._xml(opf)
        base = posixpath.dirname(opf)
        items = {one.get("id") or "": one for one in elements(root, "item") if one.get("href")}
        paths = {key: _resolved(base, one.get("href")) for key, one in items.items()}
        spine_paths = [
            paths[one.get("idref")]
            for one in elements(root, "itemref")
            if one.get("idref") in paths
        ]
        if not spine_paths:
            raise SourceError("damaged", "the package document names no pages")
        return Package(
            title=_first(root, "title"),
            authors=tuple(_authors(root)),
            date=_date(root),
            language=_first(root, "language"),
            rights=_first(root, "rights"),
            publisher=_first(root, "publisher"),
            identifiers=tuple(
                text_of(one) for tag in ("identifier", "source") for one in elements(root, tag)
            ),
            spine=tuple(path for path in spine_paths if path in self._names),
            missing=tuple(path for path in spine_paths if path not in self._names),
            labels=self._labels(items, paths),
        )

    def _labels(self, items: dict[str, Element], paths: dict[str, str]) -> dict[str, str]:
        """From the navigation document (EPUB 3) or the NCX (EPUB 2)."""
        labels: dict[str, str] = {}
        for key, item in items.items():
            path = paths[key]
            if path not in self._names:
                continue
            if "nav" in (item.get("properties") or "").split():
                for link in elements(self._xml(path), "a"):
                    _label(labels, posixpath.dirname(path), link.get("href"), text_of(link))
            elif item.get("media-type") == "application/x-dtbncx+xml":
                for point in elements(self._xml(path), "navpoint"):
                    _label(
                        labels,
                        posixpath.dirname(path),
                        next((c.get("src") for c in point if name_of(c) == "content"), None),
                        next((text_of(c) for c in point if name_of(c) == "navlabel"), ""),
                    )
        return labels


def _check(members: Sequence[zipfile.ZipInfo]) -> None:
    """Sizes, names and encryption flags, before anything is unpacked."""
    if len(members) > _MOST_MEMBERS:
        raise SourceError("zip bomb", f"{len(members):,} members; allowed: {_MOST_MEMBERS:,}")
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if unpacked > _LARGEST:
        raise SourceError("zip bomb", f"unpacks to {unpacked:,} bytes; allowed: {_LARGEST:,}")
    if unpacked > 2**20 and unpacked > _HIGHEST_RATIO * max(1, packed):
        raise SourceError("zip bomb", f"unpacks to {unpacked // max(1, packed)} times its size")
    for member in members:
        parts = member.filename.replace("\\", "/").split("/")
        if parts[0].endswith(":") or not parts[0] or ".." in parts or "\x00" in member.filename:
            raise SourceError("unsafe archive", f"member {member.filename!r} leaves the archive")
        if member.flag_bits & 0x1:
            raise SourceError("encrypted", f"member {member.filename!r} asks for a password")


def _resolved(base: str, href: str | None) -> str:
    """The archive path of a reference, percent-decoded, without its fragment."""
    path = unquote(urlsplit(href or "").path)
    return posixpath.normpath(posixpath.join(base, path)) if path else ""


def _label(labels: dict[str, str], base: str, href: str | None, label: str) -> None:
    path = _resolved(base, href)
    if path and label:
        labels.setdefault(path, label)


def _first(root: Element, name: str) -> str:
    metadata = next(elements(root, "metadata"), root)
    return next((text_of(one) for one in elements(metadata, name) if text_of(one)), "")


_OPF = "{http://www.idpf.org/2007/opf}"


def _authors(root: Element) -> list[str]:
    """The creators, without those whose role is another one (translator, illustrator)."""
    roles = {
        (one.get("refines") or "").removeprefix("#"): text_of(one)
        for one in elements(root, "meta")
        if one.get("property") == "role"
    }
    names = []
    for one in elements(root, "creator"):
        role = one.get(f"{_OPF}role") or roles.get(one.get("id") or "", "aut")
        if role == "aut" and text_of(one):
            names.append(text_of(one))
    return names


def _date(root: Element) -> str:
    dates = list(elements(root, "date"))
    published = [one for one in dates if one.get(f"{_OPF}event") in (None, "publication")]
    return text_of(published[0]) if published else ""
