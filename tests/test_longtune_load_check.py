"""load-check finds what is known to go wrong with checkpoints, and says nothing of good ones."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from small_models import CTX, LONG, VOCAB, recipe_for, trained, write_model

from longdata.errors import UserError

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("peft", reason="peft is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

from longdata import commands as exits  # noqa: E402
from longtune import cli, load_check  # noqa: E402
from longtune.checkpoint import save  # noqa: E402
from longtune.load_check import check, example_text  # noqa: E402

torch.set_num_threads(1)
WEIGHTS = "adapter_model.safetensors"
TEXT = " ".join(f"w{number}" for number in random.Random(3).choices(range(VOCAB - 4), k=400))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    save(trained(recipe_for(base)), tmp_path / "adapter", recipe=recipe_for(base))
    return tmp_path / "adapter"


@pytest.fixture
def reads_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of random weights predicts every text worse than chance."""
    monkeypatch.setattr(load_check, "_mean_nll", lambda *_: 2.0)


def change(path: Path, **values: Any) -> None:
    said = json.loads(path.read_text(encoding="utf-8"))
    said.update(values)
    path.write_text(json.dumps(said), encoding="utf-8")


def longtune(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    monkeypatch.setattr(sys, "argv", ["longtune", *arguments])
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_a_good_adapter_has_no_problem(adapter: Path, reads_well: None) -> None:
    report = check(str(adapter), text=TEXT)
    assert report.problems == [] and report.notes == []
    assert report.facts["context"] == "128 tokens"
    assert report.facts["rope"].startswith("linear, factor 4")
    assert [(group.name, group.parameters) for group in report.trained] == [
        ("LoRA", 2 * 2 * 8 * (32 + 32) + 2 * 2 * 8 * (32 + 16)),
        ("embeddings", VOCAB * 32),
        ("norms", 5 * 32),
    ]


def test_the_reading_is_the_mean_nll_of_the_last_tokens(adapter: Path) -> None:
    from torch.nn.functional import cross_entropy

    from longtune.checkpoint import load

    report = check(str(adapter), text=TEXT)
    loaded = load(adapter)
    ids = loaded.tokenizer(TEXT, return_tensors="pt")["input_ids"][:, :LONG]
    assert report.reading is not None and report.reading.scored == CTX // 2
    for ctx, found in ((CTX, report.reading.short), (LONG, report.reading.long)):
        with torch.no_grad():
            logits = loaded.model(ids[:, LONG - ctx :]).logits[0, :-1]
        wanted = cross_entropy(logits[-(CTX // 2) :], ids[0, -(CTX // 2) :])
        assert found == pytest.approx(float(wanted), rel=1e-5)


def test_a_short_text_or_a_limit_is_noted(adapter: Path) -> None:
    report = check(str(adapter), text=TEXT, max_tokens=100)
    assert report.reading is not None and report.reading.long_ctx == 100
    assert report.notes == [
        "100 of 128 tokens were read: more need a longer text and a larger --max-tokens"
    ]
    with pytest.raises(UserError, match="a text of 2 tokens"):
        check(str(adapter), text="w1 w2")


def test_nothing_is_read_without_a_text(adapter: Path) -> None:
    report = check(str(adapter))
    assert report.reading is None and report.notes == ["no text was read"]


def test_a_context_that_grew_without_its_rope_is_found(base: Path, tmp_path: Path) -> None:
    recipe = recipe_for(base, method="full")
    save(trained(recipe), tmp_path / "full", recipe=recipe)
    plain = {"rope_type": "default", "rope_theta": 10000.0}
    change(tmp_path / "full" / "config.json", rope_parameters=plain)
    facts = json.loads((tmp_path / "full" / "longtune.json").read_text(encoding="utf-8"))
    change(tmp_path / "full" / "longtune.json", rope={**facts["rope"], "rope_parameters": plain})
    (problem,) = check(str(tmp_path / "full"), text=TEXT).problems
    assert "from 32 to 128 tokens" in problem and "its factor is 1" in problem
    (tmp_path / "full" / "longtune.json").unlink()
    assert len(check(str(tmp_path / "full"), text=TEXT).problems) == 1


@pytest.mark.parametrize("method", ["ntk", "theta"])
def test_a_rope_with_another_theta_is_no_problem(base: Path, tmp_path: Path, method: str) -> None:
    from longtune.rope import extend_context

    theta = 500_000.0 if method == "theta" else None
    recipe = recipe_for(base, method="full", rope=method, rope_theta=theta)
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(base)
    extend_context(config, ctx=LONG, method=method, theta=theta)
    model = AutoModelForCausalLM.from_pretrained(base, config=config)
    save(model, tmp_path / "full", recipe=recipe)
    assert check(str(tmp_path / "full")).problems == []


def test_weights_that_are_no_numbers_are_found(adapter: Path) -> None:
    weights = load_file(adapter / WEIGHTS)
    weights["base_model.model.model.norm.weight"][3] = float("inf")
    save_file(weights, adapter / WEIGHTS)
    report = check(str(adapter), text=TEXT)
    assert "norm" in report.problems[0] and "NaN or infinity" in report.problems[0]
    assert report.reading is None  # what is broken already is not read with


def test_a_tokenizer_that_is_larger_than_the_model_is_found(adapter: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    tokenizer.add_tokens([f"new{number}" for number in range(3)])
    tokenizer.save_pretrained(adapter)
    (problem,) = check(str(adapter), text=TEXT).problems
    assert problem == f"the tokenizer has {VOCAB + 3} tokens, the embeddings {VOCAB} rows"


@pytest.mark.parametrize("part", ["embeddings", "norms"])
def test_what_the_recipe_trained_and_the_adapter_lost_is_found(
    base: Path, tmp_path: Path, reads_well: None, part: str
) -> None:
    recipe = recipe_for(base, **{f"train_{part}": False})
    save(trained(recipe), tmp_path / "adapter", recipe=recipe)
    assert check(str(tmp_path / "adapter"), text=TEXT).problems == []
    facts = json.loads((tmp_path / "adapter" / "longtune.json").read_text(encoding="utf-8"))
    change(
        tmp_path / "adapter" / "longtune.json", recipe={**facts["recipe"], f"train_{part}": True}
    )
    (problem,) = check(str(tmp_path / "adapter"), text=TEXT).problems
    assert problem == f"the recipe trains {part}, and the adapter holds none"


def test_an_adapter_that_does_nothing_is_found(adapter: Path) -> None:
    weights = load_file(adapter / WEIGHTS)
    save_file(
        {n: torch.zeros_like(t) if "lora_B" in n else t for n, t in weights.items()},
        adapter / WEIGHTS,
    )
    (problem,) = check(str(adapter), text=TEXT).problems
    assert problem.startswith("LoRA does nothing")


def test_a_model_that_reads_worse_with_more_context_is_found(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = iter([2.0, 2.6])
    monkeypatch.setattr(load_check, "_mean_nll", lambda *_: next(read))
    (problem,) = check(str(adapter), text=TEXT).problems
    assert problem.startswith("it reads worse with more context: 2.60 nats")


@pytest.mark.parametrize("nll", [9.0, float("nan")])
def test_a_model_that_writes_blanks_is_found(
    adapter: Path, monkeypatch: pytest.MonkeyPatch, nll: float
) -> None:
    monkeypatch.setattr(load_check, "_mean_nll", lambda *_: nll)
    (problem,) = check(str(adapter), text=TEXT).problems
    assert problem.startswith("it predicts a text worse than chance")


def test_an_adapter_of_another_program_is_noted(adapter: Path) -> None:
    (adapter / "longtune.json").unlink()
    report = check(str(adapter), text=TEXT)
    assert report.notes[0].startswith("longtune did not make this adapter")


def test_the_command_prints_what_it_found_and_ends_with_0(
    adapter: Path,
    tmp_path: Path,
    reads_well: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    code, out, err = longtune(
        capsys, monkeypatch, "load-check", str(adapter), "--text", str(tmp_path / "text.txt")
    )
    assert (code, err) == (exits.OK, "")
    lines = out.splitlines()
    assert lines[-1] == "Nothing is wrong with it."
    share = 160 / (VOCAB * 32 + 160 + 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48))
    norms = f"norms: 160 parameters in 5 tensors ({100 * share:.3f} %)"
    assert ["trained", norms] in [line.split(maxsplit=1) for line in lines]
    assert sum(line.startswith("read ") for line in lines) == 2


def test_the_command_ends_with_2_and_the_reason(
    adapter: Path,
    base: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights = load_file(adapter / WEIGHTS)
    weights["base_model.model.model.norm.weight"][3] = float("nan")
    save_file(weights, adapter / WEIGHTS)
    code, out, err = longtune(
        capsys, monkeypatch, "load-check", str(base), "--adapter", str(adapter)
    )
    assert code == exits.USER_ERROR
    assert err.startswith("longtune: got a broken checkpoint: ") and err.count("\n") == 1
    assert "BROKEN" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--text", "nowhere.txt"], "got --text nowhere.txt"),
        (["--device", "tpu"], "got --device tpu; allowed: cpu"),
        (["--dtype", "int3"], "got dtype int3"),
    ],
)
def test_a_mistake_is_one_line(
    base: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    code, _, err = longtune(capsys, monkeypatch, "load-check", str(base), *arguments)
    assert code == exits.USER_ERROR and said in err and err.count("\n") == 1


def test_the_text_it_reads_by_default_is_the_examples_story() -> None:
    path = example_text()
    assert path is not None and path.name == "the-lamps-of-saltreve.txt"


def test_merge_and_import_print_what_they_wrote(
    adapter: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, out, err = longtune(
        capsys, monkeypatch, "merge", "--adapter", str(adapter), "--out", str(tmp_path / "merged")
    )
    assert (code, err) == (exits.OK, "")
    assert "rope        linear, factor 4" in out and "vocabulary  67, tied" in out
    assert out.splitlines()[-1] == f"Check it: longtune load-check {tmp_path / 'merged'}"
    code, _, err = longtune(
        capsys, monkeypatch, "import", str(adapter), "--out", str(tmp_path / "imported")
    )
    assert code == exits.USER_ERROR and "no checkpoint of LongLoRA" in err
