"""The command as users run it: killed at random moments, by several processes, under torchrun."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from longeval_small import model_folder, random_tokens, token_set

pytestmark = pytest.mark.soak
pytest.importorskip("torch")
COMMAND = [sys.executable, "-m", "longeval", "perplexity"]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("soak")
    model_folder(folder / "model", hidden_size=128, num_hidden_layers=4, ctx=2048)
    token_set(folder / "set", [40_000, 20_000], tokens=random_tokens(60_000))
    return folder


def arguments(here: Path, out: Path) -> list[str]:
    return [
        *("--model", str(here / "model"), "--data", str(here / "set"), "--out", str(out)),
        *("--ctx", "256,512", "--protocol", "longlora,strided", "--stride", "64"),
        *("--device", "cpu", "--quiet"),
    ]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


def numbers(out: Path) -> Any:
    return json.loads((out / "result.json").read_text())["numbers"]


@pytest.fixture(scope="module")
def undisturbed(here: Path) -> Any:
    subprocess.run(
        [*COMMAND, *arguments(here, here / "whole")],
        check=True,
        capture_output=True,
        env=environment(),
    )
    return numbers(here / "whole")


def test_killed_ten_times_at_random_moments_the_number_is_the_same(
    here: Path, undisturbed: Any
) -> None:
    out, rng = here / "killed", random.Random(0)
    kills = 0
    while kills < 10:
        with subprocess.Popen(
            [*COMMAND, *arguments(here, out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        ) as running:
            before = len(list(out.rglob("*.nll")))
            while running.poll() is None and len(list(out.rglob("*.nll"))) <= before:
                time.sleep(0.01)  # until it is at work
            time.sleep(rng.random() * 0.5)
            if running.poll() is not None:
                assert running.returncode == 0
                break  # all was done before this kill; what is left is to begin again
            running.send_signal(signal.SIGKILL)
            kills += 1
        assert not (out / "result.json").exists() or numbers(out) == undisturbed
    else:
        subprocess.run(
            [*COMMAND, *arguments(here, out)], check=True, capture_output=True, env=environment()
        )
    assert kills == 10
    assert numbers(out) == undisturbed


def test_two_processes_of_torchrun_give_the_same_number(here: Path, undisturbed: Any) -> None:
    out = here / "two"
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("--standalone", "-m", "longeval", "perplexity", *arguments(here, out)),
        ],
        check=True,
        capture_output=True,
        env=environment(),
    )
    assert numbers(out) == undisturbed


def test_one_of_two_that_dies_is_replaced_by_the_other(here: Path, undisturbed: Any) -> None:
    out = here / "dying"
    both = [
        subprocess.Popen(
            [*COMMAND, *arguments(here, out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(RANK=str(rank), WORLD_SIZE="2"),
        )
        for rank in range(2)
    ]
    while not list(out.rglob("*.nll")):
        time.sleep(0.01)
    both[1].kill()
    both[1].wait()
    assert both[0].wait() == 0
    assert numbers(out) == undisturbed
