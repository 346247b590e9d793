"""LaTeX → Document: the files of a paper flattened, read by pandoc, numbered as LaTeX would.

    for document in read_latex(source):
        document.section_of("abstract")     the abstract, wherever the author put it
        document.captions[0]                Caption(label="Figure 1", …)
        document.references[0]              the span of "[1] D. Knuth. The TeXbook. …"

The way: `tex_files` follows \\input inside the paper's folder → `tex_rewrite` saves what pandoc
would lose → pandoc, in its sandbox, with bounded memory and time, expands macros and gives a tree
→ `tex_tree` makes blocks of it. An environment on which pandoc fails is left out and counted.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import pypandoc

from longdata.documents import Document, Dropped
from longdata.errors import SourceError
from longdata.readers.content import Content, document_of
from longdata.readers.tex_nodes import Format, Style
from longdata.readers.tex_references import Entry, entries
from longdata.readers.tex_rewrite import Prepared, plain_words, prepare
from longdata.readers.tex_tree import Tree
from longdata.sources import Source
from longdata.tex_files import bibliography_files, decode, flatten

MAX_CHARACTERS = 16_000_000
MEMORY = "1500m"  # pandoc's heap: macros that double themselves end there
SECONDS = 60.0  # and a minute for each MB
MAX_REPAIRS = 12
_LEAST_SHARE = 0.4  # of the words of the source that must come out


def read_latex(source: Source) -> Iterator[Document]:
    """One document per main file. SourceError: "damaged", "too large", "empty"."""
    yield document_of(content_of(source.path), source)


def content_of(path: Path) -> Content:
    """Read a main file with all that belongs to it."""
    flat = flatten(path)
    if len(flat.text) > MAX_CHARACTERS:
        raise SourceError("too large", f"{len(flat.text)} characters of LaTeX")
    dropped = list(flat.dropped)
    text = flat.text
    works: dict[str, Entry] = {}
    for file in bibliography_files(path, text):
        content = decode(file.read_bytes())
        if file.suffix == ".bbl" and "\\bibitem" in content:
            text = _with_bbl(text, content)
        elif file.suffix == ".bib":
            works.update(_works(content, file.name, dropped))
    prepared = prepare(text)
    dropped += prepared.dropped
    document, unread = _tree_of(prepared.text)
    dropped += unread
    tree = Tree(prepared, _style(text), works)
    blocks = tree.blocks(document)
    _check_words(prepared, [block.text for block in blocks])
    meta = document.get("meta", {})
    title, author = _title(tree, meta, dropped), _author(tree, meta)
    return Content(
        blocks=blocks,
        dropped=[*dropped, *tree.dropped],
        title=title,
        author=author,
        year=_year(tree, meta),
        license=_license(text),
        language=_language(text),
        kind="book" if re.search(r"\\documentclass[^{]*\{(\w*book|memoir)\}", text) else "paper",
    )


def _with_bbl(text: str, bbl: str) -> str:
    """The list BibTeX made, in the place where it would be printed."""
    start = bbl.find("\\begin{thebibliography}")
    end = bbl.rfind("\\end{thebibliography}")
    if start < 0 or end < 0 or "\\begin{thebibliography}" in text:
        return text
    listed = bbl[start : end + len("\\end{thebibliography}")]
    place = re.search(r"\\bibliography\s*\{[^{}]*\}", text)
    if place is None:
        return text
    return f"{text[: place.start()]}\n{listed}\n{text[place.end() :]}"


def _works(bib: str, name: str, dropped: list[Dropped]) -> dict[str, Entry]:
    # Pandoc writes English titles in small letters ("python"); "zxx" is no language at all.
    bib = re.sub(r"(@\w+\s*\{\s*[^,\s{}]+\s*,)", r"\1 langid={zxx},", bib)
    try:
        said = _pandoc(bib, "bibtex", "csljson")
        return entries(json.loads(said.stdout))
    except _Failed as error:
        dropped.append(Dropped(reason="unreadable bibliography", text=f"{name}: {error}"))
        return {}


# --- pandoc ----------------------------------------------------------------------------------


class _Failed(Exception):
    """What pandoc says, and the line of its input where it stopped."""

    def __init__(self, said: str, line: int) -> None:
        super().__init__(said)
        self.line = line


@lru_cache
def _binary() -> str:
    return str(pypandoc.get_pandoc_path())


def _pandoc(text: str, source: str, target: str) -> subprocess.CompletedProcess[str]:
    """Pandoc on `text`, without files or network. _Failed: what it says; SourceError: too long."""
    command = [_binary(), "+RTS", f"-M{MEMORY}", "-RTS", "--sandbox", "--verbose"]
    command += ["-f", source, "-t", target]
    seconds = SECONDS * (1 + len(text) / 1e6)
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, encoding="utf-8", timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise SourceError("damaged", f"pandoc does not finish in {seconds:.0f} s") from None
    if done.returncode == 0:
        return done
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("[INFO]", "[WARNING]"))]
    place = re.search(r"\(line (\d+), column \d+\)", done.stderr)
    reason = " ".join(said)[:300] or f"exit code {done.returncode}"
    if "Heap exhausted" in done.stderr:
        raise SourceError("damaged", f"pandoc needs more than {MEMORY} of memory")
    raise _Failed(reason, int(place[1]) if place else 0)


def _tree_of(text: str) -> tuple[dict[str, Any], list[Dropped]]:
    """Pandoc's tree. Where it fails, the environment or line at fault is left out and counted."""
    dropped: list[Dropped] = []
    for _ in range(MAX_REPAIRS + 1):
        try:
            done = _pandoc(text, "latex", "json")
            return cast("dict[str, Any]", json.loads(done.stdout)), [
                *dropped,
                *_skipped_commands(done.stderr),
            ]
        except _Failed as error:
            repaired = _without_fault(text, error.line, dropped)
            if repaired is None:
                raise SourceError("damaged", str(error)) from None
            text = repaired
            failure = error
    raise SourceError("damaged", str(failure))


def _without_fault(text: str, line: int, dropped: list[Dropped]) -> str | None:
    """The text without the innermost environment around a line, or without the line."""
    lines = text.split("\n")
    body = next((n for n, at in enumerate(lines) if "\\begin{document}" in at), 0)
    if not body < line - 1 < len(lines):
        return None
    first = last = line - 1
    opened: list[tuple[str, int]] = []
    for number in range(body, line):
        for match in re.finditer(r"\\(begin|end)\{([^{}]*)\}", lines[number]):
            if match[1] == "begin":
                opened.append((match[2], number))
            elif opened and opened[-1][0] == match[2] and number < line - 1:
                opened.pop()
    for name, start in reversed(opened):
        if name == "document":
            break
        closing = (n for n in range(line - 1, len(lines)) if f"\\end{{{name}}}" in lines[n])
        if (end := next(closing, -1)) >= 0:
            first, last = start, end
            break
    fault = lines[first : last + 1]
    if any("{document}" in at for at in fault) or not "".join(fault).strip():
        return None
    dropped.append(Dropped(reason="LaTeX that pandoc cannot read", text="\n".join(fault)[:2000]))
    return "\n".join([*lines[:first], *[""] * len(fault), *lines[last + 1 :]])


def _skipped_commands(log: str) -> Iterator[Dropped]:
    """One entry for each kind of command that pandoc left out: an example and their number."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for match in re.finditer(r"\[INFO\] Skipped '(\\[A-Za-z@]+.*?)' at ", log, re.DOTALL):
        command = re.match(r"\\[A-Za-z@]+", match[1])
        if (
            command
            and command[0] not in ("\\begin", "\\end")
            and re.search(r"\{[^{}]*\w[^{}]*\}", match[1])
        ):
            counts[command[0]] += 1
            examples.setdefault(command[0], " ".join(match[1].split())[:200])
    for name, count in sorted(counts.items()):
        yield Dropped(reason="LaTeX command", text=f"{examples[name]} ({count} of {name})")


def _check_words(prepared: Prepared, texts: Sequence[str]) -> None:
    """An environment that is never closed makes pandoc end early, and say nothing."""
    expected = plain_words(prepared.text)
    found = sum(len(re.findall(r"[A-Za-z]{3,}", text)) for text in texts)
    if expected > 50 and found < _LEAST_SHARE * expected:
        raise SourceError(
            "damaged", f"{found} of about {expected} words can be read: a part is not closed"
        )


# --- what the preamble says -----------------------------------------------------------------


def _style(text: str) -> Style:
    body = text.split("\\begin{document}", 1)[-1]
    has_chapters = re.search(r"\\chapter\s*[\[{]", body) is not None
    has_parts = re.search(r"\\part\s*[\[{]", body) is not None
    section = re.search(
        r"\\renewcommand\*?\s*\{?\\thesection\}?\s*\{([^{}\\]*)\\(arabic|Alph|alph|Roman|roman)"
        r"\{section\}",
        text,
    )
    depth = re.search(r"\\setcounter\s*\{secnumdepth\}\s*\{(-?\d)\}", text)
    return Style(
        has_chapters=has_chapters,
        has_parts=has_parts,
        prefix=section[1] if section else "",
        format=cast(Format, section[2]) if section else "arabic",
        depth=int(depth[1]) if depth else 2 if has_chapters else 3,
    )


def _inlines(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The inlines of a metadata value."""
    if value["t"] == "MetaInlines":
        return list(value["c"])
    if value["t"] == "MetaBlocks":
        return [i for block in value["c"] if block["t"] in ("Para", "Plain") for i in block["c"]]
    return [{"t": "Str", "c": str(value["c"])}] if value["t"] == "MetaString" else []


def _title(tree: Tree, meta: dict[str, Any], dropped: list[Dropped]) -> str:
    if "title" not in meta:
        return ""
    inlines = _inlines(meta["title"])
    for note in inlines:
        if note["t"] == "Note":
            dropped.append(Dropped(reason="note to the title", text=tree.text([note]).strip("() ")))
    return tree.text([inline for inline in inlines if inline["t"] != "Note"])


def _author(tree: Tree, meta: dict[str, Any]) -> str | None:
    """Names only: what follows a line break or stands in a note is an affiliation."""
    value = meta.get("author")
    if value is None:
        return None
    names = []
    for author in value["c"] if value["t"] == "MetaList" else [value]:
        inlines = _inlines(author)
        breaks = [n for n, inline in enumerate(inlines) if inline["t"] == "LineBreak"]
        inlines = inlines[: breaks[0]] if breaks else inlines
        kept = [i for i in inlines if i["t"] not in ("Note", "Superscript", "Math")]
        names.append(tree.text(kept).strip(" ,"))
    return ", ".join(name for name in names if name) or None


def _year(tree: Tree, meta: dict[str, Any]) -> int | None:
    said = tree.text(_inlines(meta["date"])) if "date" in meta else ""
    match = re.search(r"\b(1[5-9]\d\d|20\d\d)\b", said)
    return int(match[1]) if match else None


def _license(text: str) -> str | None:
    """A Creative Commons address in the text, if there is one and no other."""
    from longdata.licenses import normalise

    addresses = re.findall(r"https?://creativecommons\.org/[\w./-]+", text)
    found = {normalise(address) for address in addresses} - {None}
    return found.pop() if len(found) == 1 else None


_BABEL = {
    "english": "en",
    "american": "en",
    "british": "en",
    "german": "de",
    "ngerman": "de",
    "french": "fr",
    "spanish": "es",
    "italian": "it",
    "portuguese": "pt",
    "brazilian": "pt",
    "dutch": "nl",
    "polish": "pl",
    "russian": "ru",
}


def _language(text: str) -> str | None:
    """Babel's main language: the last of its options."""
    match = re.search(r"\\usepackage\s*\[([^\]]*)\]\s*\{babel\}", text)
    names = [name.strip().removeprefix("main=") for name in match[1].split(",")] if match else []
    return _BABEL.get(names[-1]) if names else None
