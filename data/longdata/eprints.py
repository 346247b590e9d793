"""A paper's source as arXiv packs it → a folder of files and the main LaTeX file in it.

    unpack(Path("2309.12307"), folder, max_bytes=300 << 20)  -> folder/main.tex

An e-print is a tar archive, one LaTeX file, or a PDF, mostly gzip-packed. Archives are hostile
until shown otherwise: only regular files below the folder come out, of bounded number and size.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import zlib
from pathlib import Path

from longdata.errors import SourceError
from longdata.tex_files import decode, flatten

MAX_FILES = 5000
_MAIN = re.compile(r"^[^%\n]*\\document(?:class|style)\b", re.MULTILINE)


class NoSource(SourceError):
    """The authors gave no LaTeX: a PDF alone, or a format of another time."""


def unpack(packed: Path, folder: Path, max_bytes: int) -> Path:
    """The main file. NoSource: no LaTeX in it. SourceError: "damaged", "too large"."""
    plain = packed.with_name("plain")
    _gunzip(packed, plain, max_bytes)
    with plain.open("rb") as file:
        head = file.read(1024)
    if b"%PDF-" in head:
        raise NoSource("no source", "the e-print is a PDF")
    if tarfile.is_tarfile(plain):
        _extract(plain, folder, max_bytes)
        return _main_of(folder)
    if b"\0" in head or b"\\" not in head:
        raise NoSource("no source", "the e-print is no LaTeX")
    main = folder / "main.tex"
    plain.rename(main)
    return main


def _gunzip(packed: Path, plain: Path, max_bytes: int) -> None:
    """Write what is packed, or the same bytes when they are not packed; never above the limit."""
    with packed.open("rb") as source, plain.open("wb") as target:
        is_packed = source.read(2) == b"\x1f\x8b"
        source.seek(0)
        unpacker = zlib.decompressobj(wbits=31)
        size = 0
        while chunk := source.read(1 << 16):
            while chunk and not (is_packed and unpacker.eof):
                try:
                    piece = unpacker.decompress(chunk, 1 << 20) if is_packed else chunk
                except zlib.error as error:
                    raise SourceError("damaged", f"gzip: {error}") from None
                chunk = unpacker.unconsumed_tail if is_packed else b""
                size += len(piece)
                if size > max_bytes:
                    raise SourceError("too large", f"more than {max_bytes} bytes when unpacked")
                target.write(piece)
        if is_packed and not unpacker.eof:
            raise SourceError("damaged", "gzip: the file ends too early")


def _extract(archive: Path, folder: Path, max_bytes: int) -> None:
    size = count = 0
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue  # folders are made for their files; links and devices never
                size, count = size + member.size, count + 1
                if size > max_bytes or count > MAX_FILES:
                    raise SourceError("too large", f"the archive has over {max_bytes} bytes")
                _write(tar, member, folder)
    except tarfile.TarError as error:
        raise SourceError("damaged", f"tar: {error}") from None


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """One regular file; without tarfile's filters, which Python 3.11 has only since 3.11.4."""
    target = (folder / member.name).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise SourceError("damaged", f"the archive reaches outside its folder: {member.name}")
    content = tar.extractfile(member)
    assert content is not None  # it is a regular file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with content, target.open("wb") as file:
            shutil.copyfileobj(content, file)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise SourceError("damaged", f"tar: {error.strerror}: {member.name}") from None


def _main_of(folder: Path) -> Path:
    """The LaTeX file with a \\documentclass that no other one includes; of several, the longest."""
    candidates: list[Path] = []
    for path in sorted(folder.rglob("*.tex")):
        if path.is_file() and _MAIN.search(decode(path.read_bytes())):
            candidates.append(path.resolve())
    if not candidates:
        raise NoSource("no source", "no file of the e-print has a \\documentclass")
    flat = {path: flatten(path) for path in candidates}
    included = {part for path in candidates for part in flat[path].files if part != path}
    roots = [path for path in candidates if path not in included] or candidates
    longest = max(roots, key=lambda path: (len(flat[path].text), path.as_posix()))
    return folder / longest.relative_to(folder.resolve())
