"""Fetching is bounded, cached and safe, shown against a server on the loopback interface."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from longdata import downloads
from longdata.downloads import Limits
from longdata.errors import SourceError, UserError
from longdata.fetch import address_of, check_address, fetch
from longdata.sources import Skip, Source, discover

Route = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Site:
    """A small web site: what each path answers, and which requests came."""

    base: str = ""
    routes: dict[str, Route] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def say(self, path: str, body: bytes, type: str = "text/plain", **headers: str) -> None:
        def route(handler: BaseHTTPRequestHandler) -> None:
            etag = headers.get("ETag")
            if etag and handler.headers.get("If-None-Match") == etag:
                handler.send_response(304)
                handler.end_headers()
                return
            handler.send_response(200)
            handler.send_header("Content-Type", type)
            handler.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)

        self.routes[path] = route

    def status(self, path: str, status: int, **headers: str) -> None:
        def route(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        self.routes[path] = route


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.requests.append((self.path, dict(self.headers)))
            if (route := site.routes.get(self.path)) is None:
                self.send_error(404)
            else:
                route(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    site.base = f"http://127.0.0.1:{server.server_address[1]}"
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


def get(site: Site, path: str, cache: Path, **changes: object) -> Path:
    waited: list[float] = changes.pop("waited", [])  # type: ignore[assignment]
    return fetch(
        f"{site.base}{path}",
        cache,
        limits=Limits(**{"timeout": 5.0, **changes}),  # type: ignore[arg-type]
        sleep=waited.append,
    )


def refusal(site: Site, path: str, cache: Path, **changes: object) -> SourceError:
    with pytest.raises(SourceError) as caught:
        get(site, path, cache, **changes)
    assert "\n" not in str(caught.value)
    return caught.value


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_a_page_is_stored_under_a_name_that_tells_its_format(site: Site, tmp_path: Path) -> None:
    site.say("/a/My%20Essay.php?x=1", b"<p>Hi</p>", "text/html; charset=utf-8")
    path = get(site, "/a/My%20Essay.php?x=1", tmp_path)
    assert path.name == "My_Essay_php.html"
    assert path.read_bytes() == b"<p>Hi</p>"


@pytest.mark.parametrize(
    ("path", "type", "name"),
    [
        ("/x.pdf", "application/pdf", "x.pdf"),
        ("/pdf/2309.12307", "application/pdf", "2309_12307.pdf"),
        ("/notes.md", "text/plain", "notes.md"),
        ("/rows.jsonl.gz", "application/octet-stream", "rows.jsonl.gz"),
        ("/book", "text/plain", "book.txt"),
        ("/", "text/html", "document.html"),
        ("/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "text/plain", "passwd.txt"),
    ],
)
def test_the_suffix_follows_the_content_type_then_the_address(
    site: Site, tmp_path: Path, path: str, type: str, name: str
) -> None:
    site.say(path, b"text", type)
    found = get(site, path, tmp_path)
    assert found.name == name
    assert tmp_path in found.parents


def test_a_picture_is_an_unknown_format(site: Site, tmp_path: Path) -> None:
    site.say("/x.png", b"...", "image/png")
    assert refusal(site, "/x.png", tmp_path).reason == "unknown format"


def test_what_is_not_there_is_not_found_and_not_tried_again(site: Site, tmp_path: Path) -> None:
    assert refusal(site, "/gone", tmp_path).reason == "not found"
    assert len(site.requests) == 1


def test_too_many_requests_are_waited_for_as_the_server_says(site: Site, tmp_path: Path) -> None:
    site.status("/slow", 429, Retry_After="7")
    waited: list[float] = []

    def then_good(seconds: float) -> None:
        waited.append(seconds)
        site.say("/slow", b"good")

    path = fetch(f"{site.base}/slow", tmp_path, sleep=then_good)
    assert path.read_text() == "good"
    assert waited == [7.0]


def test_server_errors_are_tried_again_ever_later_and_not_for_ever(
    site: Site, tmp_path: Path
) -> None:
    site.status("/broken", 503)
    waited: list[float] = []
    error = refusal(site, "/broken", tmp_path, waited=waited)
    assert error.reason == "no network"
    assert "503" in error.detail
    assert waited == [1.0, 2.0, 4.0, 8.0]


def test_a_server_that_asks_for_an_hour_is_not_waited_for(site: Site, tmp_path: Path) -> None:
    site.status("/busy", 429, Retry_After="3600")
    waited: list[float] = []
    assert "3600 s" in refusal(site, "/busy", tmp_path, waited=waited).detail
    assert waited == []


def test_redirects_are_followed_and_counted(site: Site, tmp_path: Path) -> None:
    site.status("/old", 301, Location="/new")
    site.say("/new", b"<p>new", "text/html")
    site.status("/loop", 302, Location="/loop")
    assert get(site, "/old", tmp_path).name == "new.html"
    assert "redirects" in refusal(site, "/loop", tmp_path).detail
    assert [path for path, _ in site.requests].count("/loop") == Limits().redirects + 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.org/x", "gopher:x"])
def test_a_redirect_out_of_the_web_is_refused(site: Site, tmp_path: Path, target: str) -> None:
    site.status("/evil", 302, Location=target)
    assert refusal(site, "/evil", tmp_path).reason == "refused"


def test_a_public_page_may_not_redirect_into_a_private_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addresses = {"public.example": "93.184.216.34", "intranet.example": "10.0.0.7"}
    monkeypatch.setattr(
        downloads.socket,
        "getaddrinfo",
        lambda host, *_, **__: [(2, 1, 6, "", (addresses.get(host, host), 0))],
    )
    for target in ("http://127.0.0.1/x", "http://169.254.169.254/", "http://intranet.example/"):
        with pytest.raises(SourceError, match="private network"):
            downloads._redirect("http://public.example/", "http://public.example/", target)
    assert downloads._redirect("http://intranet.example/", "http://intranet.example/", "/y")


def test_a_body_above_the_limit_is_refused_whatever_its_header_says(
    site: Site, tmp_path: Path
) -> None:
    site.say("/big", b"x" * 5000)

    def unannounced(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.end_headers()
        handler.wfile.write(b"x" * 5000)

    site.routes["/unannounced"] = unannounced
    site.say("/bomb", gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip")
    for path in ("/big", "/unannounced", "/bomb"):
        assert refusal(site, path, tmp_path, max_bytes=4000).reason == "too large"
    assert left_in(tmp_path) == []


def test_a_cut_connection_is_tried_again_and_leaves_nothing_behind(
    site: Site, tmp_path: Path
) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"only this")

    site.routes["/cut"] = cut
    assert refusal(site, "/cut", tmp_path, retries=2).reason == "no network"
    assert len(site.requests) == 3
    assert left_in(tmp_path) == []


def test_no_server_at_all_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        fetch("http://127.0.0.1:9/x", tmp_path, limits=Limits(retries=0))
    assert caught.value.reason == "no network"
    assert "\n" not in str(caught.value)


def test_a_second_fetch_asks_only_whether_it_changed(site: Site, tmp_path: Path) -> None:
    site.say("/a.txt", b"one", ETag='"1"')
    first = get(site, "/a.txt", tmp_path)
    assert get(site, "/a.txt", tmp_path) == first
    assert site.requests[1][1]["If-None-Match"] == '"1"'
    site.say("/a.txt", b"two", ETag='"2"')
    second = get(site, "/a.txt", tmp_path)
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")


def test_without_a_date_the_cached_copy_is_the_one_that_stays(site: Site, tmp_path: Path) -> None:
    site.say("/a.txt", b"one")
    first = get(site, "/a.txt", tmp_path)
    site.say("/a.txt", b"two")
    assert get(site, "/a.txt", tmp_path) == first
    assert len(site.requests) == 1


def test_offline_uses_the_cache_and_says_what_is_missing(site: Site, tmp_path: Path) -> None:
    site.say("/a.txt", b"one", ETag='"1"')
    first = get(site, "/a.txt", tmp_path)
    assert fetch(f"{site.base}/a.txt", tmp_path, offline=True) == first
    with pytest.raises(SourceError) as caught:
        fetch(f"{site.base}/b.txt", tmp_path, offline=True)
    assert caught.value.reason == "offline"
    assert len(site.requests) == 1


def test_the_cache_serves_when_the_server_does_not_and_this_is_said(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.say("/a.txt", b"one", ETag='"1"')
    first = get(site, "/a.txt", tmp_path)
    site.status("/a.txt", 503)
    assert get(site, "/a.txt", tmp_path, retries=0) == first
    assert "copy in the cache" in caplog.text


def test_a_damaged_cache_entry_is_fetched_again(site: Site, tmp_path: Path) -> None:
    site.say("/a.txt", b"one")
    path = get(site, "/a.txt", tmp_path)
    (index,) = (tmp_path / "addresses").iterdir()
    for damage in ("{", "[]", '{"path": "../../etc/passwd", "etag": null, "last_modified": null}'):
        index.write_text(damage)
        assert get(site, "/a.txt", tmp_path) == path
    path.unlink()
    assert get(site, "/a.txt", tmp_path).read_bytes() == b"one"


def test_a_cache_that_cannot_be_written_is_the_users_to_mend(site: Site, tmp_path: Path) -> None:
    site.say("/a.txt", b"one")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="LONGQA_CACHE"):
        get(site, "/a.txt", tmp_path / "file")


def test_gutenberg_books_are_found_at_the_first_standard_address_that_has_them(
    site: Site, tmp_path: Path
) -> None:
    site.status("/ebooks/36.txt.utf-8", 302, Location="/cache/epub/36/pg36.txt")
    site.say("/cache/epub/36/pg36.txt", b"No one would have believed")
    site.say("/files/7/7-0.txt", b"Seven")
    path = fetch("gutenberg:36", tmp_path, gutenberg=site.base)
    assert path.name == "pg36.txt"
    assert fetch("gutenberg:7", tmp_path, gutenberg=site.base).read_bytes() == b"Seven"
    with pytest.raises(SourceError, match="not found"):
        fetch("gutenberg:8", tmp_path, gutenberg=site.base)
    assert fetch("gutenberg:7", tmp_path, gutenberg=site.base, offline=True).name == "pg7.txt"


def tar_of(*members: tuple[str, bytes], links: tuple[tuple[str, str], ...] = ()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return buffer.getvalue()


MAIN = b"\\documentclass{article}\\begin{document}\\input{sec/one}\\end{document}"


def test_an_arxiv_paper_is_its_main_file_with_the_others_beside_it(
    site: Site, tmp_path: Path
) -> None:
    packed = tar_of(
        ("a_note.tex", b"%\\documentclass{x}\n words"),
        ("ms.tex", MAIN),
        ("sec/one.tex", b"One."),
        ("fig.png", b"\x89PNG"),
        links=(("link.tex", "/etc/passwd"),),
    )
    site.say("/e-print/2309.12307", packed, "application/gzip", ETag='"1"')
    path = fetch("arxiv:2309.12307", tmp_path, arxiv=site.base)
    assert path.name == "ms.tex"
    assert (path.parent / "sec/one.tex").read_bytes() == b"One."
    assert not (path.parent / "link.tex").is_symlink()
    assert fetch("arxiv:2309.12307", tmp_path, arxiv=site.base) == path


def test_an_eprint_that_is_one_packed_file_is_read(site: Site, tmp_path: Path) -> None:
    site.say("/e-print/math/0211159", gzip.compress(b"\\documentstyle{article} Ricci"))
    path = fetch("arxiv:math/0211159", tmp_path, arxiv=site.base)
    assert path.read_bytes() == b"\\documentstyle{article} Ricci"


def test_an_eprint_without_latex_gives_the_pdf_and_says_so(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.say("/e-print/2309.12307", b"%PDF-1.5", "application/pdf")
    site.say("/pdf/2309.12307", b"%PDF-1.5 whole", "application/pdf")
    path = fetch("arxiv:2309.12307", tmp_path, arxiv=site.base)
    assert path.name == "2309.12307.pdf"
    assert "reading the PDF" in caplog.text
    assert fetch("arxiv:2309.12307", tmp_path, arxiv=site.base, offline=True) == path


def test_a_hostile_archive_writes_nothing_outside_its_folder(site: Site, tmp_path: Path) -> None:
    for name in ("../../evil.tex", "/tmp/longqa-evil.tex", "a/../../evil.tex"):
        site.say("/e-print/2309.12307", tar_of(("ms.tex", MAIN), (name, b"evil")))
        cache = tmp_path / "deep" / "cache"
        try:
            fetch("arxiv:2309.12307", cache, arxiv=site.base)
        except SourceError as error:
            assert error.reason == "damaged"
        outside = [p for p in tmp_path.rglob("*evil.tex") if (cache / "files") not in p.parents]
        assert outside == []
    assert not Path("/tmp/longqa-evil.tex").exists()


def test_a_cut_or_swollen_archive_is_refused(site: Site, tmp_path: Path) -> None:
    whole = tar_of(("ms.tex", MAIN + b" %" * 50_000))
    for packed, reason in ((whole[: len(whole) // 2], "damaged"), (whole, "too large")):
        site.say("/e-print/2309.12307", packed)
        with pytest.raises(SourceError) as caught:
            fetch("arxiv:2309.12307", tmp_path, arxiv=site.base, limits=Limits(max_bytes=60_000))
        assert caught.value.reason == reason


def test_addresses_are_checked_and_have_a_page_to_cite() -> None:
    for good in ("http://a.b/c", "HTTPS://a.b", "gutenberg:36", "arxiv:2309.12307v2"):
        check_address(good)
    for bad in ("http://", "gutenberg:", "arxiv:1", "s3://x/y", "http://a:99999/"):
        with pytest.raises(UserError):
            check_address(bad)
    assert address_of("gutenberg:36") == "https://www.gutenberg.org/ebooks/36"
    assert address_of("arxiv:2309.12307") == "https://arxiv.org/abs/2309.12307"


def test_addresses_are_sources_like_files_and_their_failures_are_skips(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGQA_GUTENBERG", site.base)
    site.say("/ebooks/36.txt.utf-8", b"Martians")
    (tmp_path / "m.json").write_text(json.dumps({"gutenberg:36": {"license": "CC0-1.0"}}))
    found = list(
        discover(
            ["gutenberg:36", "gutenberg:37"], cache_dir=tmp_path / "c", sidecar=tmp_path / "m.json"
        )
    )
    source, missing, metadata = found
    assert isinstance(source, Source) and isinstance(missing, Skip)
    assert source.name == "gutenberg:36"
    assert source.url == "https://www.gutenberg.org/ebooks/36"
    assert source.facts.license == "CC0-1.0"
    assert (missing.name, missing.reason, missing.is_loss) == ("gutenberg:37", "not found", True)
    assert isinstance(metadata, Skip)
