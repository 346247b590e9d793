"""The whole command in one process: against the published scripts, killed, damaged, sampled."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from longeval_small import model_folder, random_tokens, small_llama, token_set

from longdata.errors import UserError
from longeval import perplexity as module
from longeval.nll import losses_in_full
from longeval.nll_store import Store
from longeval.perplexity import Order, measure
from longeval.results import load, read

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

LENGTHS = [500, 300, 3, 700]
CONTEXTS = (32, 64, 128)
STRIDE = 16


@pytest.fixture(scope="module")
def scripts() -> Any:
    path = Path(__file__).parents[1] / "benchmarks" / "perplexity.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_perplexity", path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("perplexity")
    model_folder(folder / "model")
    token_set(folder / "set", LENGTHS)
    return folder


def order(here: Path, **changes: Any) -> Order:
    settings: dict[str, Any] = {
        "model": str(here / "model"),
        "data": str(here / "set"),
        "contexts": CONTEXTS,
        "stride": STRIDE,
        "device": "cpu",
    }
    return Order(**{**settings, **changes})


def value(run: dict[str, Any] | None, name: str, protocol: str, ctx: int) -> float:
    assert run is not None
    (found,) = (
        number["value"]
        for number in run["numbers"]
        if (number["name"], number["protocol"], number["ctx"]) == (name, protocol, ctx)
    )
    assert isinstance(found, float)
    return found


@pytest.mark.parametrize("batch_size", [1, 5])
def test_longlora_is_the_number_of_the_published_script(
    here: Path, scripts: Any, batch_size: int
) -> None:
    run = measure(order(here, longlora_batch=batch_size))
    for ctx in CONTEXTS:
        published = scripts.published_longlora(
            small_llama(),
            random_tokens(sum(LENGTHS)),
            ctx=ctx,
            stride=STRIDE,
            batch_size=batch_size,
        )
        ours = value(run, "mean_nll", "longlora", ctx)
        assert ours == pytest.approx(published, rel=1e-6)
        printed = value(run, "perplexity_as_printed", "longlora", ctx)
        assert printed == pytest.approx(2.71828**published, rel=1e-6)
        assert value(run, "perplexity", "longlora", ctx) == math.exp(ours)


def test_strided_is_the_number_of_transformers_documentation_with_its_weights_mended(
    here: Path, scripts: Any, tmp_path: Path
) -> None:
    tokens = random_tokens(128 + 20 * STRIDE)
    token_set(tmp_path / "set", [len(tokens)], tokens=tokens)
    run = measure(order(here, data=str(tmp_path / "set"), protocols=("strided",)))
    published = scripts.published_strided(small_llama(), tokens, ctx=128, stride=STRIDE)
    assert value(run, "mean_nll", "strided", 128) == pytest.approx(published, rel=1e-6)


def test_every_protocol_is_what_its_windows_say_one_by_one(here: Path) -> None:
    names = ("longlora", "strided", "disjoint", "document", "yarn", "yarn-truncated")
    run = measure(order(here, protocols=names))
    model, tokens = small_llama(), random_tokens(sum(LENGTHS)).astype(np.int64)
    offsets = np.cumsum([0, *LENGTHS])
    stream = module.Stream(num_tokens=len(tokens), offsets=offsets)
    for name in names:
        protocol = module.protocol_of(name)
        for ctx in CONTEXTS:
            windows = protocol.windows(stream, ctx=ctx, stride=STRIDE, bos=False)
            sums, counts = [], []
            for start, end, first in windows.rows():
                ids = tokens[start:end]
                ids = np.concatenate([[1], ids]) if windows.bos else ids
                losses = losses_in_full(model, ids)[first - end :]
                sums.append(losses.sum(dtype=np.float64))
                counts.append(float(len(losses)))
            by_hand = protocol.mean(np.array(sums), np.array(counts))
            assert value(run, "mean_nll", name, ctx) == pytest.approx(by_hand, rel=1e-6), name


def test_several_contexts_at_once_are_each_by_itself(here: Path) -> None:
    together = measure(order(here, protocols=("longlora", "strided")))
    for ctx in CONTEXTS:
        single = measure(order(here, contexts=(ctx,), protocols=("longlora", "strided")))
        for protocol in ("longlora", "strided"):
            one = value(single, "mean_nll", protocol, ctx)
            assert value(together, "mean_nll", protocol, ctx) == pytest.approx(one, rel=1e-6)


def test_text_units_are_of_the_text_and_only_where_each_token_is_scored_once(here: Path) -> None:
    run = measure(order(here, protocols=("disjoint", "longlora"), contexts=(64,)))
    assert run is not None
    nll = value(run, "mean_nll", "disjoint", 64)
    bits = value(run, "bits_per_byte", "disjoint", 64)
    assert bits == pytest.approx(nll / math.log(2))  # a letter is a token and a byte
    assert value(run, "byte_perplexity", "disjoint", 64) == pytest.approx(math.exp(nll))
    named = {n["name"] for n in run["numbers"] if n["protocol"] == "longlora"}
    assert not named & {"bits_per_byte", "word_perplexity", "byte_perplexity"}


def test_a_result_says_what_was_measured_and_opens_as_frames(here: Path, tmp_path: Path) -> None:
    run = measure(order(here, protocols=("strided",), out=tmp_path / "out"))
    facts = read(tmp_path / "out")
    assert run is not None and facts["numbers"] == run["numbers"]
    assert "only the 16 new tokens" in facts["protocol"]["words"]["strided at 64"]
    assert facts["model"]["fingerprint"] and facts["data"]["num_documents"] == 4
    assert any("no BOS" in line for line in facts["warnings"])
    assert facts["skipped"] == {"documents shorter than 128 tokens, measured as they are": 1}
    frames = load(tmp_path / "out")
    numbers = frames.numbers[frames.numbers.name == "mean_nll"]
    assert list(numbers.ctx) == list(CONTEXTS)
    assert (numbers.low < numbers.value).all() and (numbers.value < numbers.high).all()
    windows = frames.samples[frames.samples.ctx == 64]
    total = windows.nll.sum() / windows.scored.sum()
    assert total == pytest.approx(value(run, "mean_nll", "strided", 64), rel=1e-12)
    curve = frames.numbers[(frames.numbers.name == "mean_nll_at") & (frames.numbers.ctx == 64)]
    assert (curve.value * curve.n).sum() / curve.n.sum() == pytest.approx(total, rel=1e-9)
    assert curve.context_to.max() >= 64


class Killed(Exception):
    pass


def test_a_run_that_was_killed_goes_on_and_gives_the_same_number(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measure(order(here, batch_size=2, out=tmp_path / "whole"))
    written: list[int] = []
    write = Store.write

    def dying(self: Store, *arguments: Any) -> None:
        if len(written) in (3, 7, 8):
            written.append(0)
            raise Killed
        written.append(1)
        write(self, *arguments)

    monkeypatch.setattr(Store, "write", dying)
    for _ in range(3):
        with pytest.raises(Killed):
            measure(order(here, batch_size=2, out=tmp_path / "out"))
        assert not (tmp_path / "out" / "result.json").exists()
    again = measure(order(here, batch_size=2, out=tmp_path / "out"))
    assert whole is not None and again is not None
    assert again["numbers"] == whole["numbers"]
    before = len(written)
    assert measure(order(here, batch_size=2, out=tmp_path / "out")) is not None
    assert len(written) == before  # all of it was there


def test_a_damaged_store_is_found_out_and_done_again(here: Path, tmp_path: Path) -> None:
    whole = measure(order(here, batch_size=2, out=tmp_path / "out"))
    files = sorted((tmp_path / "out" / "losses").rglob("*.nll"))
    raw = bytearray(files[4].read_bytes())
    raw[-2] ^= 255
    files[4].write_bytes(bytes(raw))
    files[9].write_bytes(files[9].read_bytes()[:-8])
    said: list[str] = []
    again = measure(order(here, batch_size=2, out=tmp_path / "out"), say=said.append)
    assert whole is not None and again is not None and again["numbers"] == whole["numbers"]
    assert "2 damaged blocks of the store were computed again" in said


def test_processes_share_the_passes_and_only_the_first_has_the_result(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = measure(order(here))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="--out"):
        measure(order(here))
    monkeypatch.setenv("RANK", "1")
    assert measure(order(here, out=tmp_path / "out")) is None
    monkeypatch.setenv("RANK", "0")
    together = measure(order(here, out=tmp_path / "out"))
    assert alone is not None and together is not None
    assert together["numbers"] == alone["numbers"]


def test_another_model_rope_dtype_or_text_takes_nothing_from_the_store(
    here: Path, tmp_path: Path
) -> None:
    model_folder(tmp_path / "other", seed=1)
    token_set(tmp_path / "text", LENGTHS, tokens=random_tokens(sum(LENGTHS), seed=5))
    changes: list[dict[str, Any]] = [
        {},
        {"model": str(tmp_path / "other")},
        {"dtype": "bfloat16"},
        {"attention": "eager"},
        {"rope": "linear", "contexts": (32, 64, 1024), "across_documents": True},
        {"data": str(tmp_path / "text")},
    ]
    keys, numbers = set(), set()
    for changed in changes:
        run = measure(order(here, out=tmp_path / "out", **changed))
        assert run is not None
        keys.add(run["settings"]["store"])
        numbers.add(value(run, "mean_nll", "longlora", 64))
    assert len(keys) == len(changes)
    assert len(numbers) >= len(changes) - 1  # eager attention may round to the same


def test_a_sample_is_never_presented_as_the_number(here: Path) -> None:
    full = measure(order(here, protocols=("strided",), contexts=(64,)))
    run = measure(order(here, protocols=("strided",), contexts=(64,), max_windows=40))
    assert run is not None
    names = {number["name"] for number in run["numbers"]}
    assert names and all(name.startswith("estimated_") for name in names)
    (mean,) = (n for n in run["numbers"] if n["name"] == "estimated_mean_nll")
    assert mean["n"] < mean["of"] and "drawn" in mean["interval_over"]
    low, high = mean["interval"]
    assert low < value(full, "mean_nll", "strided", 64) < high
    again = measure(order(here, protocols=("strided",), contexts=(64,), max_windows=40))
    assert again is not None and again["numbers"] == run["numbers"]
    other = measure(order(here, protocols=("strided",), contexts=(64,), max_windows=40, seed=1))
    assert other is not None and other["numbers"] != run["numbers"]


def test_all_windows_within_the_limit_are_the_number_itself(here: Path) -> None:
    full = measure(order(here, contexts=(64,)))
    run = measure(order(here, contexts=(64,), max_windows=10_000))
    assert full is not None and run is not None and run["numbers"] == full["numbers"]


def test_a_budget_is_kept_by_the_run_that_goes_on(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = iter([1e6, 1e9])  # the second time the machine is said to be far faster

    def rate(*arguments: Any) -> Any:
        import dataclasses

        return dataclasses.replace(measured(*arguments), a_second=next(rates))

    measured = module.measure_rate
    monkeypatch.setattr(module, "measure_rate", rate)
    settings: dict[str, Any] = {"contexts": (64,), "budget": 100.0, "out": tmp_path / "out"}
    first = measure(order(here, **settings))
    second = measure(order(here, **settings))
    assert first is not None and second is not None
    assert first["protocol"]["sample"] == {"seed": 0}
    assert second["numbers"] == first["numbers"]


def test_losses_that_are_no_numbers_give_no_result(here: Path, tmp_path: Path) -> None:
    broken = small_llama()
    with torch.no_grad():
        broken.model.layers[1].mlp.up_proj.weight[0] = float("nan")
    broken.save_pretrained(tmp_path / "broken")
    with pytest.raises(UserError, match="no numbers"):
        measure(order(here, model=str(tmp_path / "broken"), out=tmp_path / "out"))
    assert not (tmp_path / "out" / "result.json").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"contexts": ()},
        {"protocols": ()},
        {"contexts": (64, 64)},
        {"batch_size": 0},
        {"max_windows": 0},
        {"budget": 10.0, "max_windows": 3},
        {"longlora_batch": -1},
    ],
)
def test_an_order_that_means_nothing_is_one_line(here: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="fix:"):
        order(here, **changes)
