"""Three commands take a small model past its context: pack, extend, merge. It then reads there.

The model knows 1,024 tokens; it is trained for a few steps on rows of 2,048 tokens of four books it
was trained on, and reads the middle of a book that it has never seen, with full attention. The
whole claim, at 4,096 tokens with four ways of training, is benchmarks/extend_books.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("peft", reason="peft is not installed")

from longtune.checkpoint import load  # noqa: E402

torch.set_num_threads(1)
CTX, STEPS = 2048, 16
SEEN = (
    "43_the-strange-case-of-dr-jekyll-and-mr-hyde",
    "159_the-island-of-doctor-moreau",
    "1951_the-coming-race",
    "123_at-the-earth-s-core",
)
UNSEEN = "62_a-princess-of-mars"


@pytest.fixture(scope="module")
def model(shared_data: Path) -> Path:
    folder = shared_data / "models" / "hf" / "books-2.8M"
    if not folder.is_dir():
        pytest.skip("../shared/data has no books-2.8M")
    return folder


@pytest.fixture(scope="module")
def run(shared_data: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands leave: packed/, extended/ and merged/."""
    work = tmp_path_factory.mktemp("run")
    books = [str(shared_data / "books" / "clean" / f"{name}.txt") for name in SEEN]
    size = ["--ctx", str(CTX)]
    done("longdata", "pack", *books, *size, "--tokenizer", model, "--out", work / "packed")
    training = {
        "model": model,
        "data": work / "packed",
        "out": work / "extended",
        "steps": STEPS,
        "batch-size": 2,
        "accumulation": 1,
        "learning-rate": 4e-3,
        "schedule": "linear",
        "warmup-steps": 2,
        "loss": "plain",
    }
    flags = [part for name, value in training.items() for part in (f"--{name}", value)]
    done("longtune", "extend", *size, *flags, "--no-checkpointing", "--quiet")
    adapter = work / "extended" / "model"
    done("longtune", "merge", "--adapter", adapter, "--out", work / "merged")
    return work


def done(command: str, *arguments: object) -> None:
    """Run a command as a user does; it must end well."""
    words = [str(Path(sys.executable).with_name(command)), *map(str, arguments)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr


def row(shared_data: Path, model: Path) -> Any:
    """2,048 tokens from the middle of the book that nobody was trained on."""
    text = (shared_data / "books" / "clean" / f"{UNSEEN}.txt").read_text(encoding="utf-8")
    middle = " ".join(text[100_000:112_000].split())
    ids = load(model).tokenizer(middle, return_tensors="pt", verbose=False)["input_ids"]
    assert ids.shape[1] >= CTX
    return ids[:, :CTX]


def nll(model: Any, ids: Any) -> float:
    """Mean over the second half of the row: what lies beyond the original context."""
    from torch.nn.functional import cross_entropy

    with torch.inference_mode():
        logits = model(ids).logits[0, CTX // 2 : -1]
    return float(cross_entropy(logits, ids[0, CTX // 2 + 1 :]))


def interpolated(model: Path) -> Any:
    """The model with its positions interpolated, and no training."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from longtune.rope import extend_context

    config = AutoConfig.from_pretrained(model)
    extend_context(config, ctx=CTX)
    return AutoModelForCausalLM.from_pretrained(model, config=config).eval()


def test_it_reads_past_its_context_what_it_has_never_seen(
    run: Path, shared_data: Path, model: Path
) -> None:
    ids = row(shared_data, model)
    before = nll(load(model).model, ids)
    untrained = nll(interpolated(model), ids)
    after = nll(load(run / "extended" / "model").model, ids)
    within = nll_within(load(model).model, ids)
    assert before > within + 0.8  # beyond its context the model is lost
    assert untrained > within + 0.2
    assert after < untrained - 0.05
    assert after < within + 0.25


def nll_within(model: Any, ids: Any) -> float:
    """The same tokens for a model that is shown no more than it knows: the second half alone."""
    from torch.nn.functional import cross_entropy

    half = ids[:, CTX // 2 :]
    with torch.inference_mode():
        logits = model(half).logits[0, :-1]
    return float(cross_entropy(logits, half[0, 1:]))


def test_the_adapter_and_the_merged_model_have_the_same_logits(
    run: Path, shared_data: Path, model: Path
) -> None:
    ids = row(shared_data, model)
    with torch.inference_mode():
        one = load(run / "extended" / "model").model(ids).logits
        other = load(run / "merged").model(ids).logits
        exact = [
            load(folder, dtype="float64").model(ids[:, :256]).logits
            for folder in (run / "extended" / "model", run / "merged")
        ]
    assert (one - other).abs().max() < 1e-4
    assert (exact[0] - exact[1]).abs().max() < 1e-5  # what was merged was rounded to float32


def test_the_loss_went_down_and_the_run_says_so(run: Path) -> None:
    lines = (run / "extended" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert len(losses) == STEPS
    assert sum(losses[-4:]) < sum(losses[:4]) - 4 * 0.05


def test_rope_and_context_came_all_the_way(run: Path, model: Path) -> None:
    for folder in (run / "extended" / "model", run / "merged"):
        loaded = load(folder)
        assert loaded.rope is not None
        assert (loaded.rope.kind, loaded.rope.factor, loaded.ctx) == ("linear", 2.0, CTX)
        assert loaded.description["tied"] == load(model).description["tied"]
