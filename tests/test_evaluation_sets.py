"""Evaluation sets: which texts are taken from which files, and how sets are fetched."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard

from longdata import evaluation_sets
from longdata.errors import UserError
from longdata.evaluation_sets import EVALUATION_SETS, Hub, Web, resolve
from longdata.sources import Skip

LONG = "A text that is longer than fifty characters, number {}, stands here."
ROWS = [
    {"context": LONG.format(1), "answers": [LONG.format(2), "short"], "length": 7},
    {"meta": {"deep": [{"er": LONG.format(3)}]}, "_id": "0123456789" * 3},
]
TEXTS = [LONG.format(n) for n in (1, 2, 3)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def read(path: Path) -> tuple[list[str], list[Skip]]:
    skips: list[Skip] = []
    return list(resolve(str(path)).texts(skips)), skips


def zipped(members: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return held.getvalue()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    held = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), held)
    return held.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("set.jsonl", LINES),
        ("set.jsonl.gz", gzip.compress(LINES)),
        ("set.jsonl.zst", zstandard.compress(LINES)),
        ("set.json", json.dumps({"data": ROWS}).encode()),
        ("set.zip", zipped({"data/a.jsonl": LINES})),
        ("set.parquet", parquet([{"n": 1, "a": TEXTS[0], "b": TEXTS[1:], "c": b"x" * 99}])),
    ],
)
def test_every_long_string_of_rows_is_a_text(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name) == (TEXTS, [])


def test_fifty_characters_are_too_few() -> None:
    assert list(evaluation_sets._strings(["x" * 50, "y" * 51])) == ["y" * 51]


def test_a_folder_gives_the_texts_of_all_formats_and_says_what_it_cannot_read(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a.txt").write_text("A short text is a document.")
    (folder / "b.jsonl").write_bytes(LINES)
    (folder / "c.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "d.png").write_bytes(b"\x89PNG")
    found = resolve(str(folder))
    skips: list[Skip] = []
    assert list(found.texts(skips)) == ["A short text is a document.", *TEXTS]
    assert [Path(skip.name).name for skip in skips] == ["c.pdf"]
    assert found.name == "set" and found.revision == f"sha256:{found.fingerprint[:16]}"


def test_the_fingerprint_is_of_what_is_read_not_of_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINES)
    (tmp_path / "b.jsonl").write_bytes(LINES)
    (tmp_path / "c.txt").write_bytes(LINES)
    (tmp_path / "d.jsonl").write_bytes(LINES * 2)
    a, b, c, d = (resolve(str(path)).fingerprint for path in sorted(tmp_path.iterdir()))
    assert a == b and len({a, c, d}) == 3


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("set.jsonl", b'{"a": broken\n' + LINES, "bad row"),
        ("set.jsonl", b"[" * 100_000 + b"\n" + LINES, "bad row"),
        ("set.jsonl.gz", gzip.compress(LINES * 5000)[:-20], "truncated"),
        ("set.json", b'{"a": broken', "damaged"),
        ("set.json", b"[" * 100_000, "damaged"),
        ("set.zip", b"PK\x03\x04 and nothing more", "damaged"),
        ("set.zip", zipped({"a.jsonl": LINES})[:-30], "damaged"),
        ("set.zip", zipped({"a.exe": b"MZ", "b.jsonl": LINES}), "unknown format"),
        ("set.parquet", b"PAR1 and nothing more", "damaged"),
    ],
)
def test_what_is_damaged_is_said_and_the_rest_is_read(
    name: str, content: bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    texts, skips = read(tmp_path / name)
    assert [skip.reason for skip in skips] == [reason]
    assert not texts or texts[:3] == TEXTS
    assert bool(texts) == (reason in ("bad row", "truncated", "unknown format"))


def test_a_file_that_vanishes_is_said(tmp_path: Path) -> None:
    (tmp_path / "set.json").write_text(json.dumps(ROWS))
    found = resolve(str(tmp_path / "set.json"))
    (tmp_path / "set.json").unlink()
    skips: list[Skip] = []
    assert list(found.texts(skips)) == [] and skips[0].reason == "vanished"


def test_an_archive_is_read_in_place_and_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "set.zip"
    path.write_bytes(zipped({"../../evil.jsonl": LINES, "z.jsonl": b"1" * 5000 + b"\n" + LINES}))
    assert read(path)[0] == TEXTS * 2
    assert [entry.name for entry in tmp_path.rglob("*")] == ["set.zip"]
    assert not (tmp_path.parents[1] / "evil.jsonl").exists()
    monkeypatch.setattr(evaluation_sets.rows, "MAX_LINE", 4000)
    texts, skips = read(path)
    assert texts == TEXTS and [skip.reason for skip in skips] == ["too large"]
    monkeypatch.setattr(evaluation_sets, "MAX_UNPACKED", 10)
    assert read(path)[0] == []


def test_an_archive_with_a_password_is_said(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.jsonl": LINES}))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(magic) + offset
        content[at : at + 2] = struct.pack("<H", 1)  # the flag of an encrypted member
    (tmp_path / "set.zip").write_bytes(content)
    texts, skips = read(tmp_path / "set.zip")
    assert texts == [] and skips[0].reason == "damaged" and "password" in skips[0].detail


@pytest.mark.parametrize("name", ["pg20", "nothing/here.jsonl", "", "a\0b"])
def test_neither_a_name_nor_a_path_is_refused_with_the_names(name: str) -> None:
    with pytest.raises(
        UserError, match="allowed: pg19, proof-pile, longbench, longchat"
    ) as refusal:
        resolve(name)
    assert "\n" not in str(refusal.value)


def test_a_folder_with_nothing_to_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file to read"):
        resolve(str(tmp_path))


def test_sets_are_pinned_to_a_commit() -> None:
    for where in EVALUATION_SETS.values():
        revision = where.commit if isinstance(where, Hub) else where.revision
        assert len(revision) == 40 and set(revision) <= set("0123456789abcdef")
        if isinstance(where, Web):
            assert all(revision in address for address in where.addresses)


# What the Hub answers, for the repositories of the three sets there.
FILES = {
    "emozilla/pg19": {
        "README.md": b"a card",
        "data/train-00000-of-00001.parquet": b"never asked for",
        "data/validation-00000-of-00001-ab12.parquet": parquet([{"text": TEXTS[0]}]),
        "data/test-00000-of-00001-cd34.parquet": parquet([{"text": TEXTS[1]}, {"text": TEXTS[2]}]),
    },
    "hoskinson-center/proof-pile": {
        "proof-pile.py": b"raise SystemExit('run')",
        "test/proofpile_test.jsonl.gz": gzip.compress(LINES),
    },
    "zai-org/LongBench": {
        "LongBench.py": b"raise SystemExit('run')",
        "data.zip": zipped({"data/qasper.jsonl": LINES}),
    },
}


class _Server:
    """A Hub on this machine, and the web server of the topics."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.tokens: set[str | None] = set()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.append(f"{self.command} {urlsplit(self.path).path}")
                hub.tokens.add(self.headers.get("authorization"))
                status, headers, body = hub.answer(urlsplit(self.path).path)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/topics/"):
            return 200, {"Content-Type": "text/plain; charset=utf-8", "ETag": '"1"'}, LINES
        for repo, files in FILES.items():
            where = EVALUATION_SETS[
                {"emozilla/pg19": "pg19", "zai-org/LongBench": "longbench"}.get(repo, "proof-pile")
            ]
            assert isinstance(where, Hub) and where.repo == repo
            if path == f"/api/datasets/{repo}/tree/{where.commit}":
                return 200, {"Content-Type": "application/json"}, json.dumps(_tree(files)).encode()
            if path == f"/api/datasets/{repo}/revision/{where.commit}":
                info = {"id": repo, "sha": where.commit, "siblings": [], "tags": []}
                info["siblings"] = [{"rfilename": name} for name in files]
                return 200, {"Content-Type": "application/json"}, json.dumps(info).encode()
            begin = f"/datasets/{repo}/resolve/{where.commit}/"
            if path.startswith(begin) and path.removeprefix(begin) in files:
                body = files[path.removeprefix(begin)]
                etag = hashlib.sha1(body).hexdigest()
                return 200, {"ETag": f'"{etag}"', "X-Repo-Commit": where.commit}, body
        return 404, {"X-Error-Code": "RepoNotFound"}, b"no such repository"


def _tree(files: dict[str, bytes]) -> list[dict[str, Any]]:
    return [
        {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
        for name, body in files.items()
    ]


@pytest.fixture
def hub() -> Iterator[_Server]:
    server = _Server()
    yield server
    server.server.shutdown()
    server.server.server_close()


# huggingface_hub reads its environment once, at import: so each time in a process of its own.
ASK = """
import json, sys
from longdata.errors import UserError
from longdata.evaluation_sets import resolve
said = {}
for name in sys.argv[1:]:
    try:
        found, skips = resolve(name), []
        said[name] = [sorted(found.texts(skips)), found.revision, len(skips)]
    except UserError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


def ask(home: Path, endpoint: str, *names: str, offline: bool = False) -> dict[str, Any]:
    environment = {
        **os.environ,
        "HF_HOME": str(home),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": "1" if offline else "0",
        "TRANSFORMERS_OFFLINE": "0",
        "HF_TOKEN": "hf_secret",
    }
    root = Path(evaluation_sets.__file__).parents[1]
    environment["PYTHONPATH"] = os.pathsep.join([str(root), environment["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-c", ASK, *names], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "hf_secret" not in done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_sets_of_the_hub_are_fetched_once_and_read_offline(hub: _Server, tmp_path: Path) -> None:
    names = ("pg19", "proof-pile", "longbench")
    said = ask(tmp_path, hub.url, *names)
    for name in names:
        where = EVALUATION_SETS[name]
        assert isinstance(where, Hub)
        assert said[name] == [sorted(TEXTS), where.commit, 0]
    fetched = [line for line in hub.asked if line.startswith("GET") and "/resolve/" in line]
    assert len(fetched) == 4 and not [line for line in fetched if "train" in line or ".py" in line]
    hub.asked.clear()
    assert ask(tmp_path, hub.url, *names, offline=True) == said
    assert hub.asked == []


def test_a_set_that_cannot_be_had_is_one_line(hub: _Server, tmp_path: Path) -> None:
    never = ask(tmp_path, hub.url, "pg19", offline=True)["pg19"]
    whole = {**FILES["emozilla/pg19"]}
    gone = FILES.pop("zai-org/LongBench")
    del FILES["emozilla/pg19"]["data/test-00000-of-00001-cd34.parquet"]
    try:
        said = ask(tmp_path, hub.url, "longbench", "pg19")
    finally:
        FILES["zai-org/LongBench"] = gone
        FILES["emozilla/pg19"] = whole
    for line in (never, *said.values()):
        assert line.startswith("got --against ") and "\n" not in line and "fix: " in line
    assert "the Hub cannot be reached" in never
    assert "the Hub does not give it" in said["longbench"]
    assert "there is no data/test-*.parquet" in said["pg19"]


@pytest.mark.soak  # huggingface_hub tries again for half a minute
def test_a_hub_that_does_not_answer_is_one_line_and_what_is_here_is_used(
    hub: _Server, tmp_path: Path
) -> None:
    nowhere = "http://127.0.0.1:9"
    line = ask(tmp_path, nowhere, "pg19")["pg19"]
    assert "the Hub cannot be reached" in line and "\n" not in line
    said = ask(tmp_path, hub.url, "pg19")
    assert ask(tmp_path, nowhere, "pg19") == said


def test_files_of_the_web_come_through_the_cache(
    hub: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = (f"{hub.url}/topics/5_topics.jsonl",)
    monkeypatch.setitem(EVALUATION_SETS, "topics", Web(revision="0" * 40, addresses=addresses))
    with pytest.raises(UserError, match="offline"):
        resolve("topics", cache_dir=tmp_path, offline=True)
    found = resolve("topics", cache_dir=tmp_path)
    assert list(found.texts([])) == TEXTS and found.revision == "0" * 40
    hub.asked.clear()
    assert resolve("topics", cache_dir=tmp_path, offline=True) == found and not hub.asked


def test_the_topics_are_read_as_they_are_published(shared_data: Path) -> None:
    found = resolve(str(shared_data / "longchat" / "topics" / "testcases"))
    skips: list[Skip] = []
    texts = list(found.texts(skips))
    assert len(texts) >= 5 * 50 and not skips
    assert sum("USER: I would like to discuss the topic" in text for text in texts) == 250
