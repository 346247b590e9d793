"""One address → one file, with everything about the transfer bounded.

    download("https://example.org/a.pdf", folder, Limits())
    -> Answer(path=folder/"body", content_type="application/pdf", etag='"abc"', …)

Too many requests (429), server errors and cut connections are tried again, later each time, or
when the server says. A redirect may not leave http(s), nor lead from a public host to a private
one: only an address that the user typed may be inside the local network. (A host that changes its
DNS answer between this check and the connection is not caught.)
"""

from __future__ import annotations

import email.utils
import ipaddress
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from longdata.errors import SourceError

_RETRIED = frozenset((429, 500, 502, 503, 504))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one fetch may cost. Times in seconds, sizes in bytes."""

    max_bytes: int = 300 << 20
    timeout: float = 30.0  # without a sign of life
    total_time: float = 900.0  # for one transfer
    redirects: int = 6
    retries: int = 4
    first_wait: float = 1.0  # doubled at each retry
    longest_wait: float = 60.0  # a server that asks for more is not waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server sent: a file in the cache's temporary folder, or None for "not changed"."""

    path: Path | None
    url: str
    content_type: str
    etag: str | None
    last_modified: str | None


class NotFound(SourceError):
    """The server answers, and has nothing at this address."""


def download(
    url: str,
    work: Path,
    limits: Limits,
    etag: str | None = None,
    last_modified: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Get `url` into the folder `work`, unless it is still what `etag` and `last_modified` say.

    SourceError: "no network" (after the retries), "not found", "refused", "too large", "damaged".
    """
    wait = limits.first_wait
    for attempt in range(limits.retries + 1):
        try:
            return _attempt(url, work, limits, etag, last_modified)
        except _Again as again:
            asked = wait if again.wait is None else again.wait
            last = attempt == limits.retries
            if last or asked > limits.longest_wait:
                note = "" if last else f"; the server asks to wait {asked:.0f} s"
                raise SourceError(again.reason, f"{url}: {again.detail}{note}") from None
            sleep(asked)
            wait *= 2
    raise AssertionError("the last attempt returns or raises")


@lru_cache
def _client(timeout: float) -> httpx.Client:
    """One client for all: reading the certificates takes longer than a small page."""
    return httpx.Client(timeout=timeout, follow_redirects=False)


def _attempt(
    url: str, work: Path, limits: Limits, etag: str | None, last_modified: str | None
) -> Answer:
    headers = {"User-Agent": "longqa", "Accept-Encoding": "identity"}
    if etag:
        headers["If-None-Match"] = etag
    if last_modified:
        headers["If-Modified-Since"] = last_modified
    here = url
    try:
        for _ in range(limits.redirects + 1):
            client = _client(limits.timeout)
            with client.stream("GET", here, headers=headers) as response:
                if response.has_redirect_location:
                    here = _redirect(url, here, response.headers.get("location", ""))
                    continue
                return _answer(response, here, work, limits)
    except httpx.TransportError as error:
        said = str(error) or type(error).__name__
        raise _Again("no network", said) from None
    except httpx.InvalidURL as error:
        raise SourceError("refused", f"{here}: {error}") from None
    raise SourceError("refused", f"{url}: more than {limits.redirects} redirects")


def _answer(response: httpx.Response, url: str, work: Path, limits: Limits) -> Answer:
    status = response.status_code
    if status in _RETRIED:
        wait = _retry_after(response.headers.get("retry-after"))
        raise _Again("no network", f"status {status}", wait)
    if status in (404, 410):
        raise NotFound("not found", f"{url}: status {status}")
    path: Path | None = None
    if status == 200:
        path = work / "body"
        _write(response, url, path, limits)
    elif status != 304:
        raise SourceError("refused", f"{url}: status {status}")
    return Answer(
        path=path,
        url=url,
        content_type=response.headers.get("content-type", "").split(";")[0].strip().lower(),
        etag=response.headers.get("etag"),
        last_modified=response.headers.get("last-modified"),
    )


def _write(response: httpx.Response, url: str, path: Path, limits: Limits) -> None:
    limit = limits.max_bytes
    declared = response.headers.get("content-length", "")
    too_large = SourceError("too large", f"{url}: more than {limit} bytes")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large
    deadline = time.monotonic() + limits.total_time
    size = 0
    with path.open("wb") as file:
        for chunk in _decoded(response, url):
            size += len(chunk)
            if size > limit:
                raise too_large
            if time.monotonic() > deadline:
                raise SourceError("refused", f"{url}: slower than {limits.total_time} s")
            file.write(chunk)


class _Again(Exception):
    """An attempt that failed for a reason that may pass."""

    def __init__(self, reason: str, detail: str, wait: float | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.wait = wait


def _decoded(response: httpx.Response, url: str) -> Iterator[bytes]:
    """The body; unpacked in small pieces when the server packs it unasked."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        yield from response.iter_raw()
        return
    if encoding not in ("gzip", "x-gzip"):
        raise SourceError("refused", f"{url}: content encoding {encoding}")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        for packed in response.iter_raw():
            while packed and not unpacker.eof:
                yield unpacker.decompress(packed, 1 << 20)
                packed = unpacker.unconsumed_tail
    except zlib.error as error:
        raise SourceError("damaged", f"{url}: {error}") from None
    if not unpacker.eof:
        raise _Again("no network", "the packed answer ends too early")


def _redirect(typed: str, here: str, location: str) -> str:
    """Where a redirect leads, if it may be followed."""
    target = urljoin(here, location)
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SourceError("refused", f"{typed}: redirects to {target[:200]!r}")
    if _is_private(parts.hostname) and not _is_private(urlsplit(typed).hostname or ""):
        raise SourceError("refused", f"{typed}: redirects into a private network ({target[:200]})")
    return target


def _is_private(host: str) -> bool:
    """Whether a host has an address that is not on the public internet."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False  # connecting will fail and say so
    return any(not ipaddress.ip_address(str(item[4][0]).split("%")[0]).is_global for item in found)


def _retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header: a number or a date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
