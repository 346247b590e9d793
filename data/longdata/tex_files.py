"""A LaTeX main file and the files it includes → one text, without ever leaving the paper's folder.

    main.tex:  \\section{A} \\input{chapter}        chapter.tex:  Text. % a note
    flatten(Path("main.tex"))
    -> Flat(text="\\section{A} Text. % a note\\n", files=(main.tex, chapter.tex), dropped=())

`\\input`, `\\include`, `\\subfile`, `\\import` and `\\subimport` are followed as TeX does: names
are relative to the main file's folder, ".tex" may be left out, what is commented out or inside
verbatim text is left alone. A file that is missing, lies outside the folder (absolute names, "..",
links) or includes itself is counted as dropped and never read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from longdata.documents import Dropped
from longdata.errors import SourceError

MAX_BYTES = 64 << 20  # of one flattened paper
MAX_DEPTH = 16
MAX_INCLUDES = 5000

_TOKEN = re.compile(
    r"""
    %[^\n]*
  | \\begin\{(?P<verbatim>(?:verbatim|lstlisting|minted|Verbatim|comment|filecontents)\*?)\}
  | \\verb\*?(?P<bar>[^A-Za-z\s*])
  | \\(?P<two>import|subimport)\*?\s*\{(?P<folder>[^{}\n]*)\}\s*\{(?P<file>[^{}\n]*)\}
  | \\(?:input|include|subfile)\s*\{(?P<braced>[^{}\n]*)\}
  | \\input[ \t]+(?P<bare>[^\s{}\\%]+)
  | \\(?P<stop>endinput)(?![A-Za-z])
  | \\[A-Za-z]+
  | \\.
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """The text of a paper, the files it came from (the main file first), what was not included."""

    text: str
    files: tuple[Path, ...]
    dropped: tuple[Dropped, ...]


@dataclass(slots=True)
class _Work:
    base: Path
    files: dict[Path, None] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)
    size: int = 0
    includes: int = 0


def flatten(main: Path) -> Flat:
    """SourceError("too large") beyond 64 MB or 5000 includes; OSError if the main file is gone."""
    work = _Work(base=main.resolve().parent)
    text = _flatten(main.resolve(), work, stack=())
    return Flat(text=text, files=tuple(work.files), dropped=tuple(work.dropped))


def decode(content: bytes) -> str:
    """LaTeX source as text: UTF-8, or else the Western encoding that older papers have."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def bibliography_files(main: Path, text: str) -> tuple[Path, ...]:
    """The .bbl and .bib files that a flattened paper uses, as far as they lie in its folder."""
    base = main.resolve().parent
    names = [f"{main.stem}.bbl"]
    for match in re.finditer(r"\\(?:bibliography|addbibresource)\s*\{([^{}\n]*)\}", text):
        for name in match[1].split(","):
            names.append(name.strip() if name.strip().endswith(".bib") else f"{name.strip()}.bib")
    paths = (_below(base, base, name) for name in dict.fromkeys(names))
    return tuple(path for path in paths if path is not None)


def _flatten(path: Path, work: _Work, stack: tuple[Path, ...], local: Path | None = None) -> str:
    size = path.stat().st_size
    work.size += size
    work.includes += 1
    if work.size > MAX_BYTES or work.includes > MAX_INCLUDES:
        raise SourceError("too large", f"more than {MAX_BYTES >> 20} MB of LaTeX with its includes")
    work.files.setdefault(path)
    text = decode(path.read_bytes())
    if stack and "\\begin{document}" in text:  # a chapter that can also be typeset alone
        text = text.split("\\begin{document}", 1)[1].split("\\end{document}", 1)[0]
    here = local or work.base
    pieces: list[str] = []
    copied = at = 0
    while (match := _TOKEN.search(text, at)) is not None:
        at = match.end()
        if match["verbatim"]:
            end = text.find(f"\\end{{{match['verbatim']}}}", at)
            if end < 0:
                break
            at = end
        elif match["bar"]:
            line_end = text.find("\n", at)
            end = text.find(match["bar"], at, line_end if line_end >= 0 else len(text))
            at = end + 1 if end >= 0 else at
        elif match["stop"]:
            text = text[: match.start()]
            break
        else:
            name = match["braced"] if match["braced"] is not None else match["bare"]
            folder = here
            if match["two"]:
                name = match["file"]
                folder = (here if match["two"] == "subimport" else work.base) / match["folder"]
            if name is None:
                continue
            pieces.append(text[copied : match.start()])
            pieces.append(_included(name.strip().strip('"'), folder, work, (*stack, path), local))
            copied = at
    pieces.append(text[copied:])
    flat = "".join(pieces)
    return flat if not stack or flat.endswith("\n") else flat + "\n"


def _included(
    name: str, folder: Path, work: _Work, stack: tuple[Path, ...], local: Path | None
) -> str:
    found = _below(work.base, folder, f"{name}.tex") or _below(work.base, folder, name)
    if found is None:
        outside = name.startswith(("/", "~")) or ".." in Path(name).parts
        reason = "include outside the folder" if outside else "include not found"
        work.dropped.append(Dropped(reason=reason, text=name))
    elif found in stack or len(stack) > MAX_DEPTH:
        work.dropped.append(Dropped(reason="include loop", text=name))
    else:
        try:
            return _flatten(found, work, stack, folder if folder != work.base else local)
        except OSError as error:
            why = error.strerror or type(error).__name__
            work.dropped.append(Dropped(reason="include unreadable", text=f"{name}: {why}"))
    return ""


def _below(base: Path, folder: Path, name: str) -> Path | None:
    """The regular file folder/name, if it is one and lies below `base` once links are followed."""
    if not name.strip() or "\\" in name or "\0" in name:
        return None
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(base) and path.is_file() else None
    except OSError:
        return None
