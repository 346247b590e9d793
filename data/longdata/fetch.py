"""Documents from the network, kept in a cache folder: web addresses, Project Gutenberg, arXiv.

    fetch("https://example.org/essay.html", cache)  -> cache/files/<sha>/essay.html
    fetch("gutenberg:36", cache)                    -> cache/files/<sha>/pg36.txt
    fetch("arxiv:2309.12307", cache)                -> cache/files/<sha>/source/main.tex

What was fetched once is asked for again only with its ETag or date, and used as it is when the
server cannot be reached (this is said) or with `offline`. Sizes, redirects, retries and waiting are
bounded (`downloads.Limits`).

LONGQA_GUTENBERG and LONGQA_ARXIV replace the two sites' base addresses, for mirrors and tests.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from longdata.downloads import Answer, Limits, NotFound, download
from longdata.eprints import NoSource, unpack
from longdata.errors import SourceError, UserError
from longdata.readers import READERS, suffix_of

_say = logging.getLogger("longdata").warning

_ARXIV_ID = r"(?:\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?"
_SUFFIX_BY_TYPE = {
    "text/html": ".html",
    "application/xhtml+xml": ".xhtml",
    "application/pdf": ".pdf",
    "application/epub+zip": ".epub",
    "text/markdown": ".md",
    "text/x-tex": ".tex",
    "application/x-tex": ".tex",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/jats+xml": ".xml",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "application/vnd.apache.parquet": ".parquet",
}
# Types that say nothing about the format: the name in the address decides.
_VAGUE_TYPES = frozenset(
    ("", "text/plain", "application/octet-stream", "application/gzip", "application/zstd")
)


@dataclass(frozen=True, slots=True)
class _Entry:
    etag: str | None
    last_modified: str | None
    path: str  # inside the cache


def check_address(address: str) -> None:
    """UserError for an address of a kind that cannot be fetched."""
    allowed = "http://…, https://…, gutenberg:36, arxiv:2309.12307"
    kind, _, rest = address.partition(":")
    kind = kind.lower()
    if kind in ("http", "https"):
        try:
            parts = urlsplit(address)
            if parts.hostname and (parts.port is None or parts.port > 0):
                return
        except ValueError:
            pass
        fix = "correct the address"
    elif kind == "gutenberg":
        if re.fullmatch(r"\d{1,7}", rest):
            return
        fix = "give the book's number, as in gutenberg:36"
    elif kind == "arxiv":
        if re.fullmatch(_ARXIV_ID, rest):
            return
        fix = "give the paper's id, as in arxiv:2309.12307 or arxiv:math/0211159"
    else:
        fix = "download it yourself and name the file"
    raise UserError(f"got the address {address[:200]!r}; allowed: {allowed}; fix: {fix}")


def address_of(name: str) -> str:
    """The address a reader of the dataset can open: gutenberg:36 → its page at Gutenberg."""
    kind, _, rest = name.partition(":")
    if kind.lower() == "gutenberg":
        return f"https://www.gutenberg.org/ebooks/{rest}"
    if kind.lower() == "arxiv":
        return f"https://arxiv.org/abs/{rest}"
    return name


def default_cache_dir() -> Path:
    """$LONGQA_CACHE, or longqa in the user's cache folder."""
    if chosen := os.environ.get("LONGQA_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "longqa"


def fetch(
    address: str,
    cache_dir: Path,
    *,
    offline: bool = False,
    limits: Limits | None = None,
    gutenberg: str | None = None,
    arxiv: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """The local file behind an address; for arXiv LaTeX the main file, the others beside it.

    `gutenberg` and `arxiv` are base addresses. UserError: no such kind of address. SourceError:
    "no network", "not found", "refused", "too large", "unknown format", "offline", "damaged".
    """
    check_address(address)
    getter = _Getter(cache_dir, offline, limits or Limits(), sleep)
    kind, _, rest = address.partition(":")
    if kind.lower() == "gutenberg":
        base = _base(gutenberg, "LONGQA_GUTENBERG", "https://www.gutenberg.org")
        names = [f"ebooks/{rest}.txt.utf-8", f"cache/epub/{rest}/pg{rest}.txt"]
        names += [f"files/{rest}/{rest}-0.txt", f"files/{rest}/{rest}.txt"]
        return getter.first_of([f"{base}/{name}" for name in names], f"pg{rest}.txt")
    if kind.lower() == "arxiv":
        base = _base(arxiv, "LONGQA_ARXIV", "https://export.arxiv.org")
        try:
            return getter.get(f"{base}/e-print/{rest}", unpacked=True)
        except SourceError as error:
            if not isinstance(error, NotFound | NoSource) and error.reason != "offline":
                raise
            _say("%s: reading the PDF, for there is no LaTeX source (%s)", address, error.detail)
            return getter.get(f"{base}/pdf/{rest}", name=f"{rest.replace('/', '_')}.pdf")
    return getter.get(address)


def _base(argument: str | None, variable: str, default: str) -> str:
    base = (argument or os.environ.get(variable) or default).rstrip("/")
    if urlsplit(base).scheme not in ("http", "https"):
        raise UserError(f"got {variable}={base!r}; allowed: http(s)://…; fix: correct or unset it")
    return base


class _Getter:
    def __init__(
        self, cache: Path, offline: bool, limits: Limits, sleep: Callable[[float], None]
    ) -> None:
        self.cache = cache
        self.offline = offline
        self.limits = limits
        self.sleep = sleep

    def first_of(self, urls: list[str], name: str) -> Path:
        """The first of several addresses of the same text that exists."""
        missing: SourceError | None = None
        for url in urls:
            try:
                return self.get(url, name=name)
            except NotFound as error:
                missing = missing or error
            except SourceError as error:
                if error.reason != "offline":
                    raise
                missing = missing or error
        assert missing is not None
        raise missing

    def get(self, url: str, *, name: str | None = None, unpacked: bool = False) -> Path:
        """From the cache if the server says it is the same, or if there is no server to ask."""
        key = hashlib.sha256(url.encode()).hexdigest()[:32]
        index = self.cache / "addresses" / f"{key}.json"
        entry = _read_entry(index, self.cache)
        if entry is not None and (self.offline or not (entry.etag or entry.last_modified)):
            return self.cache / entry.path  # a server without dates cannot be asked for changes
        if self.offline:
            raise SourceError("offline", f"{url} is not in the cache {self.cache}")
        try:
            (self.cache / "files").mkdir(parents=True, exist_ok=True)
            index.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.cache, prefix="part-") as work:
                known = entry or _Entry(etag=None, last_modified=None, path="")
                answer = download(
                    url, Path(work), self.limits, known.etag, known.last_modified, self.sleep
                )
                if answer.path is None:
                    assert entry is not None
                    return self.cache / entry.path
                stored = self._store(answer, Path(work), name, unpacked)
                fields = {
                    "address": url,
                    "etag": answer.etag,
                    "last_modified": answer.last_modified,
                    "path": stored.relative_to(self.cache).as_posix(),
                }
                ready = Path(work) / "entry.json"
                ready.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
                ready.replace(index)
                return stored
        except SourceError as error:
            if entry is None or error.reason != "no network":
                raise
            _say("%s: using the copy in the cache (%s)", url, error.detail)
            return self.cache / entry.path
        except OSError as error:
            raise UserError(
                f"got the cache folder {self.cache}, which cannot be written ({error.strerror}); "
                "allowed: a writable folder with room; fix: set LONGQA_CACHE"
            ) from error

    def _store(self, answer: Answer, work: Path, name: str | None, unpacked: bool) -> Path:
        """Move what was fetched into files/<sha>/; the name is the cache's, never the server's."""
        assert answer.path is not None
        with answer.path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()[:32]
        filled = work / "filled"
        filled.mkdir()
        if unpacked:
            main = unpack(answer.path, filled, self.limits.max_bytes)
        else:
            main = filled / (name or _file_name(answer.url, answer.content_type))
            answer.path.rename(main)
        place = self.cache / "files" / sha256 / ("source" if unpacked else "")
        target = place / main.relative_to(filled)
        if not target.exists():
            if place.exists():  # the same bytes under another name, or what a crash left behind
                shutil.copy(main, target) if not unpacked else shutil.rmtree(place)
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                try:
                    filled.rename(place)
                except OSError:
                    if not target.exists():  # else another process stored the same bytes first
                        raise
        return target


def _file_name(url: str, content_type: str) -> str:
    """A safe file name whose suffix tells the format."""
    named = PurePosixPath(unquote(urlsplit(url).path)).name
    suffix = suffix_of(Path(named))
    by_type = _SUFFIX_BY_TYPE.get(content_type)
    if by_type is not None and not (by_type == ".html" and suffix == ".xhtml"):
        kept = suffix if suffix in READERS and READERS[suffix] == READERS[by_type] else by_type
    elif content_type in _VAGUE_TYPES and suffix in READERS:
        kept = suffix
    elif content_type == "text/plain":
        kept = ".txt"
    else:
        raise SourceError("unknown format", f"{url}: {content_type or 'no content type'}")
    stem = named[: len(named) - len(suffix)] if suffix in READERS else named
    return (re.sub(r"[^A-Za-z0-9_-]+", "_", stem)[:80].strip("_") or "document") + kept


def _read_entry(index: Path, cache: Path) -> _Entry | None:
    """A cache entry whose file is still there."""
    try:
        fields = json.loads(index.read_text(encoding="utf-8"))
        entry = _Entry(fields["etag"], fields["last_modified"], str(fields["path"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    path = PurePosixPath(entry.path)
    inside = not path.is_absolute() and ".." not in path.parts
    return entry if inside and (cache / path).is_file() else None
