"""Datasets of the Hub: pinned to a commit, read in ranges, no script run, never short by chance.

huggingface_hub reads its environment once, at import: so each time in a process of its own.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from longdata import corpus_hub

COMMIT = "4b5faa52fda961b8ea5125b15ae984ff0d1c0f9d"


def lines(count: int, word: str) -> bytes:
    rows = ({"text": f"{word} {number} " + "é" * (number % 7)} for number in range(count))
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def parquet(count: int) -> bytes:
    held = io.BytesIO()
    table = pa.table({"text": [f"parquet {number}" for number in range(count)]})
    pq.write_table(table, held, row_group_size=10)
    return held.getvalue()


SAMPLE = "togethercomputer/RedPajama-Data-1T-Sample"
REPOS: dict[str, dict[str, bytes]] = {
    SAMPLE: {
        "README.md": b"# Sample",
        "RedPajama-Data-1T-Sample.py": b"raise SystemExit('run')",
        "arxiv_sample.jsonl": lines(40_000, "paper"),
        "cc_2019-30_sample.jsonl": lines(20, "page"),
    },
    "org/mixed": {
        "data/train-00000-of-00001.parquet": parquet(35),
        "data/test-00000-of-00001.parquet": parquet(3),
        "dataset_infos.json": b"{}",
        "en/c4-train.00000.json.gz": gzip.compress(lines(50, "c4")),
        "empty.jsonl": b"",
    },
    "org/script": {"script.py": b"raise SystemExit('run')", "urls/arxiv.txt": b"http://x"},
}


class Hub:
    """What the client asks for; `fail` answers that many requests for bytes with 503."""

    def __init__(self) -> None:
        self.ranges: list[str] = []
        self.fail = 0
        self.cut = False  # answer with fewer bytes than were asked for
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = hub.answer(
                    unquote(urlsplit(self.path).path), self.headers.get("range")
                )
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

    def answer(self, path: str, asked: str | None) -> tuple[int, dict[str, str], bytes]:
        as_json = {"Content-Type": "application/json"}
        for repo, files in REPOS.items():
            api = f"/api/datasets/{repo}"
            if path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
                info = {"id": repo, "sha": COMMIT, "siblings": [], "tags": []}
                return 200, as_json, json.dumps(info).encode()
            if path == f"{api}/tree/{COMMIT}":
                tree = [
                    {"type": "file", "path": name, "size": len(body), "oid": _digest(body)}
                    for name, body in files.items()
                ]
                return 200, as_json, json.dumps(tree).encode()
            begin = f"/datasets/{repo}/resolve/{COMMIT}/"
            if path.startswith(begin):
                return self._bytes(files[path.removeprefix(begin)], asked)
        return 404, {"X-Error-Code": "RepoNotFound"}, b"no such repository"

    def _bytes(self, body: bytes, asked: str | None) -> tuple[int, dict[str, str], bytes]:
        assert asked is not None, "a whole file was asked for"
        self.ranges.append(asked)
        if self.fail:
            self.fail -= 1
            return 503, {}, b"busy"
        first, last = map(int, asked.removeprefix("bytes=").split("-"))
        part = body[first : last + 1]
        return 206, {}, part[: len(part) // 2] if self.cut else part


def _digest(body: bytes) -> str:
    return hashlib.sha1(body).hexdigest()


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    yield server
    server.server.shutdown()
    server.server.server_close()


ASK = """
import json, sys
from longdata import corpus_hub
from longdata.corpora import find_corpus
from longdata.corpus_lines import Columns, documents_in
from longdata.errors import UserError
corpus_hub.BLOCK = 300_000
try:
    corpus = find_corpus(sys.argv[2:])
    found = {}
    for file in corpus.files:
        part = (0, file.size // 2) if sys.argv[1] == "half" else None
        read = documents_in([file], part, Columns()) if sys.argv[1] != "list" else []
        found[file.name] = [file.source, file.path, [[getattr(d, "key", None), getattr(d, "text",
            None)] for d in read]]
    print(json.dumps([found, [[s.name, s.reason, s.is_loss] for s in corpus.skips]]))
except UserError as error:
    print(json.dumps(str(error)))
"""


def ask(hub: Hub, tmp_path: Path, how: str, *sources: str, offline: bool = False) -> Any:
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path / "home"),
        "HF_ENDPOINT": hub.url,
        "HF_HUB_OFFLINE": "1" if offline else "0",
        "HF_TOKEN": "hf_secret",
    }
    root = Path(corpus_hub.__file__).parents[1]
    environment["PYTHONPATH"] = os.pathsep.join([str(root), environment["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-c", ASK, how, *sources], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "hf_secret" not in done.stdout + done.stderr
    return json.loads(done.stdout)


def texts(data: bytes) -> list[str]:
    return [json.loads(line)["text"] for line in data.splitlines()]


def test_the_rows_beside_a_script_are_read_in_ranges_at_one_commit(
    hub: Hub, tmp_path: Path
) -> None:
    found, skips = ask(hub, tmp_path, "read", SAMPLE)
    files = REPOS[SAMPLE]
    assert {name: source for name, (source, *_) in found.items()} == {
        f"{SAMPLE}/arxiv_sample.jsonl": "arxiv",
        f"{SAMPLE}/cc_2019-30_sample.jsonl": "common_crawl",
    }
    for name, (_, address, documents) in found.items():
        inside = name.removeprefix(f"{SAMPLE}/")
        assert address == f"hf://datasets/{SAMPLE}@{COMMIT}/{inside}"
        assert [text for _, text in documents] == texts(files[inside])
        second = files[inside].index(b"\n") + 1
        assert documents[1][0] == f"{name}:{second}"
    assert hub.ranges[:2] == ["bytes=0-299999", "bytes=300000-599999"]
    assert not any(is_loss for *_, is_loss in skips)
    assert list((tmp_path / "home").rglob("*.jsonl")) == []  # nothing is kept


def test_half_of_a_file_asks_for_half_of_it(hub: Hub, tmp_path: Path) -> None:
    found, _ = ask(hub, tmp_path, "half", f"hf://datasets/{SAMPLE}@main/arxiv_sample.jsonl")
    ((_, _, documents),) = found.values()
    data = REPOS[SAMPLE]["arxiv_sample.jsonl"]
    assert 10_000 < len(documents) < 30_000
    assert [text for _, text in documents] == texts(data)[: len(documents)]
    last = max(int(asked.split("-")[1]) for asked in hub.ranges)
    assert len(data) // 2 - 1 <= last < len(data) // 2 + 2 * 300_000 < len(data)


def test_parquet_and_packed_files_are_read_and_other_splits_are_not(
    hub: Hub, tmp_path: Path
) -> None:
    found, skips = ask(hub, tmp_path, "read", "org/mixed")
    assert {name: source for name, (source, *_) in found.items()} == {
        "org/mixed/data/train-00000-of-00001.parquet": "mixed",
        "org/mixed/en/c4-train.00000.json.gz": "en",
    }
    rows = found["org/mixed/data/train-00000-of-00001.parquet"][2]
    assert [text for _, text in rows] == [f"parquet {number}" for number in range(35)]
    assert len(found["org/mixed/en/c4-train.00000.json.gz"][2]) == 50
    assert sorted(skips) == [
        ["org/mixed/data/test-00000-of-00001.parquet", "not a document", False],
        ["org/mixed/dataset_infos.json", "not a document", False],
        ["org/mixed/empty.jsonl", "empty", True],
    ]
    for pattern in ("data/test*", "data/test-00000-of-00001.parquet"):
        named, _ = ask(hub, tmp_path, "list", f"held=hf://datasets/org/mixed/{pattern}")
        assert {name: source for name, (source, *_) in named.items()} == {
            "org/mixed/data/test-00000-of-00001.parquet": "held"
        }


def test_a_script_without_rows_is_refused_with_its_files(hub: Hub, tmp_path: Path) -> None:
    said = ask(hub, tmp_path, "list", "org/script")
    assert "a loading script (script.py)" in said and "urls/arxiv.txt" in said
    assert "\n" not in said and "fix: download the files" in said


def test_what_is_not_there_is_one_line(hub: Hub, tmp_path: Path) -> None:
    said = ask(hub, tmp_path, "list", "org/nothing")
    assert "the Hub does not give" in said and "\n" not in said
    said = ask(hub, tmp_path, "list", "org/mixed", offline=True)
    assert "offline" in said.lower() and "\n" not in said
    said = ask(hub, tmp_path, "list", "hf://datasets/org/mixed/nothing*.jsonl")
    assert "without rows that can be read" in said


def test_a_busy_server_is_asked_again(hub: Hub, tmp_path: Path) -> None:
    hub.fail = 1
    found, _ = ask(hub, tmp_path, "read", f"hf://datasets/{SAMPLE}/cc*")
    ((_, _, documents),) = found.values()
    assert len(documents) == 20


def test_bytes_that_do_not_come_are_no_shorter_file(hub: Hub, tmp_path: Path) -> None:
    hub.cut = True
    for source in (f"hf://datasets/{SAMPLE}/cc*", "org/mixed"):
        said = ask(hub, tmp_path, "read", source)
        assert "cannot be read now" in said and "goes on where it was" in said
