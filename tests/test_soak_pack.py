"""Packing in real processes: killed again and again it gives the same bytes, in bounded memory."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from eval_sets import text_of
from fake_slurm import FakeSlurm
from packing_runs import corpus, digests, tokenizer_file

from longdata import commands

pytestmark = pytest.mark.soak

COMMAND = [sys.executable, "-c", "from longdata.cli import main; main()"]
# The peak of each process and of its children, in MB: ru_maxrss would begin with pytest's.
PEAKS = """
import atexit, os, re, sys
folder = sys.argv.pop(1)
def peak():
    said = open("/proc/self/status").read()
    with open(f"{folder}/{os.getpid()}", "w") as file:
        file.write(re.search(r"VmHWM:\\s+(\\d+)", said)[1])
atexit.register(peak)
from longdata.cli import main; main()
"""


def begin(arguments: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_until_gone(group: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError("a worker outlived its parent")


def num_marks(out: Path) -> int:
    """Tasks that were done, in this run and before."""
    return len(list(out.glob(".work/engine/*/*/completions/*")))


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_killed_at_random_again_and_again_gives_the_same_bytes(
    seed: int, tmp_path: Path
) -> None:
    draw = random.Random(seed)
    words = tokenizer_file(tmp_path)
    data = corpus(tmp_path / "data", count=20_000)
    arguments = ["pack", str(data), "--tokenizer", words, "--ctx", "64,1024,8192", "--quiet"]
    arguments += ["--mix", "web=0.5", "--keep-short", "0.5", "--short-below", "100"]
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert subprocess.run([*COMMAND, *arguments, "--out", str(whole)]).returncode == commands.OK
    kills = 0
    while True:
        run = begin([*arguments, "--out", str(out), "--workers", str(draw.choice([1, 2, 3]))])
        goal = num_marks(out) + draw.randrange(4)
        while run.poll() is None and num_marks(out) < goal:
            time.sleep(0.005)
        try:
            run.wait(draw.uniform(0, 0.5))
        except subprocess.TimeoutExpired:
            if draw.random() < 0.5:
                run.kill()  # the parent alone: its workers must notice
            else:
                os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            kills += 1
        wait_until_gone(run.pid)
        for ctx in (64, 1024, 8192):  # what can be read is whole
            if (out / f"ctx-{ctx}" / "pack.json").exists():
                assert digests(out / f"ctx-{ctx}") == digests(whole / f"ctx-{ctx}")
        if run.returncode == commands.OK:
            break
        assert run.returncode == -signal.SIGKILL, run.stderr and run.stderr.read()
    assert kills > 3
    assert digests(out) == digests(whole)
    assert not list(out.rglob(".part-*"))


def test_ray_gives_the_bytes_of_a_local_run(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    words = tokenizer_file(tmp_path)
    data = corpus(tmp_path / "data", count=2_000)
    arguments = ["pack", str(data), "--tokenizer", words, "--ctx", "64,1024", "--quiet"]
    for name, options in (("local", []), ("ray", ["--engine", "ray", "--workers", "2"])):
        command = [*COMMAND, *arguments, "--out", str(tmp_path / name), *options]
        ended = subprocess.run(command, capture_output=True, text=True)
        assert ended.returncode == commands.OK, ended.stderr
    assert digests(tmp_path / "ray") == digests(tmp_path / "local")


def test_slurm_gives_the_bytes_of_a_local_run(tmp_path: Path) -> None:
    slurm = FakeSlurm(tmp_path)
    words = tokenizer_file(tmp_path)
    data = corpus(tmp_path / "data", count=2_000)
    arguments = ["pack", str(data), "--tokenizer", words, "--ctx", "64,1024"]
    run_local = [*COMMAND, *arguments, "--out", str(tmp_path / "local"), "--quiet"]
    assert subprocess.run(run_local).returncode == commands.OK
    command = [*COMMAND, *arguments, "--out", str(tmp_path / "by-slurm"), "--engine", "slurm"]
    said = [
        subprocess.run(
            [*command, "--slurm", "partition=cpu"],
            capture_output=True,
            text=True,
            env={**os.environ, **slurm.environment()},
        )
        for _ in range(2)
    ]
    assert [one.returncode for one in said] == [commands.OK] * 2, said
    assert "publish: job" in said[0].stdout and "squeue -j" in said[0].stdout
    assert said[1].stdout.startswith("nothing to do")
    assert digests(tmp_path / "by-slurm") == digests(tmp_path / "local")


def peaks(folder: Path, *arguments: object) -> int:
    """The most that a process of a run took, in MB."""
    folder.mkdir()
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    ended = subprocess.run(
        [sys.executable, "-c", PEAKS, folder, "pack", *map(str, arguments), "--quiet"],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert ended.returncode in (commands.OK, commands.SKIPPED), ended.stderr
    return max(int(path.read_text()) for path in folder.iterdir()) >> 10


def page(seed: int) -> str:
    return text_of(2_000, seed=seed).replace("word1", "naïve “words”")


def test_a_document_of_a_hundred_megabytes_takes_less_than_a_gigabyte(tmp_path: Path) -> None:
    text = "\n".join(page(seed) for seed in range(20))
    many = 100_000_000 // len(text.encode()) + 1
    for name in ("a.jsonl", "b.jsonl"):
        with (tmp_path / name).open("w", encoding="utf-8") as file:
            for at in range(2):
                content = f"{name}{at} 🙂 {text}\n" * many
                file.write(json.dumps({"text": content}, ensure_ascii=False) + "\n")
    most = peaks(
        *(tmp_path / "peaks", tmp_path / "a.jsonl", tmp_path / "b.jsonl"),
        *("--ctx", "8192", "--out", tmp_path / "out", "--workers", "1"),
    )
    assert most < 1024, f"{most} MB"
    facts = json.loads((tmp_path / "out" / "ctx-8192" / "pack.json").read_text())
    assert facts["documents"] == 4 and facts["tokens"] > 80_000_000


def test_a_document_of_twenty_million_characters_is_packed_and_so_is_one_of_a_token(
    tmp_path: Path,
) -> None:
    words = tokenizer_file(tmp_path)
    text = page(0)
    content = f"{text}\n" * (20_000_000 // len(text) + 1)
    rows = [{"text": content}, {"text": "word1"}, {"text": "x" * 20_000_000}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for number, tokenizer in enumerate((words, None)):
        options = ["--tokenizer", tokenizer] if tokenizer else []
        out = tmp_path / f"out{number}"
        most = peaks(
            *(tmp_path / f"peaks{number}", tmp_path / "a.jsonl", "--ctx", "8192"),
            *("--out", out, "--workers", "1", *options),
        )
        assert most < 1024, f"{most} MB"
        facts = json.loads((out / "ctx-8192" / "pack.json").read_text())
        # of a tokenizer of words it is not known where a text may be cut
        too_long = 2 if tokenizer else 1
        assert facts["skipped"] == {"too long to encode": too_long}
        assert facts["documents"] == 3 - too_long


def test_ten_times_the_corpus_takes_no_more_memory(tmp_path: Path) -> None:
    words = tokenizer_file(tmp_path)
    found = []
    for count in (2_000, 20_000):
        data = corpus(tmp_path / f"data{count}", count=count)
        out = tmp_path / f"out{count}"
        found.append(
            peaks(
                *(tmp_path / f"peaks{count}", data),
                *("--tokenizer", words, "--ctx", "8192"),
                *("--out", out, "--workers", "1"),
            )
        )
    assert found[1] < found[0] + 100, found


def test_the_sample_of_redpajama_is_packed_without_padding_or_cuts(
    shared_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = subprocess.run(
        [
            *(*COMMAND, "pack", str(shared_data / "redpajama" / "sample.jsonl.zst")),
            *("--ctx", "8192,32768", "--out", str(out)),
        ],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == commands.OK, ended.stderr
    counts = json.loads((shared_data / "redpajama" / "stats.json").read_text())
    for ctx in (8192, 32768):
        facts = json.loads((out / f"ctx-{ctx}" / "pack.json").read_text())
        assert facts["cut"]["that_fit"] == 0 and facts["padding"] < ctx * 2
        given = {name: one["given"]["documents"] for name, one in facts["sources"].items()}
        assert given == {name: one[0] for name, one in counts.items()}
    assert re.search(r"github +367 ", ended.stdout)
