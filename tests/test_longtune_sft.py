"""longtune sft: the loss is that of the answers, each given its own prompt and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sft_tokenizers
from training_made import write_model
from typer.testing import CliRunner

from longdata.errors import UserError
from longtune import metrics
from longtune.cli import app
from longtune.config import Recipe
from longtune.sft_run import refused_line, settled

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("peft", reason="peft is not installed")

CTX = 64
FAST = ("--steps", "5", "--learning-rate", "3e-2", "--warmup-steps", "0", "--accumulation", "1")
torch.set_num_threads(1)  # what is computed here is small


def rows(count: int) -> list[dict[str, str]]:
    texts = ("the ferry left the quay", "it was cold before the lamps", "Alice read the text")
    return [
        {"instruction": f"{texts[i % 3]} " * (1 + i % 2), "output": f"The {texts[i % 3][:9]}."}
        for i in range(count)
    ]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tokenizer = sft_tokenizers.byte_level()
    folder = write_model(
        tmp_path / "model", vocab_size=len(tokenizer), max_position_embeddings=CTX // 2
    )
    tokenizer.save_pretrained(folder)
    return folder


def recipe_for(model: Path, values: list[Any], **settings: Any) -> Recipe:
    folder = model.parent
    (folder / "rows.json").write_text(json.dumps(values), encoding="utf-8")
    given = {"model": str(model), "data": str(folder / "rows.json"), "out": str(folder / "out")}
    return Recipe(**{"task": "sft", "ctx": CTX, **given, **settings})


def flags_of(recipe: Recipe, *more: str) -> list[str]:
    named = ("model", "data", "out", "ctx")
    return ["sft", *(f for n in named for f in (f"--{n}", str(getattr(recipe, n)))), *more]


def invoke(*arguments: str) -> Any:
    said = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert said.exit_code == 0, said.output
    return said


def mean_loss_of_answers(recipe: Recipe) -> float:
    """Row by row, without packing: the mean over the tokens that are learned."""
    from longtune.building import build_model

    recipe, data = settled(recipe)
    model, _ = build_model(recipe)
    total = count = 0.0
    for row in range(len(data.prepared)):
        ids = torch.tensor(data.prepared.ids(row).astype("int64"))[None]
        first = int(data.prepared.num_prompt[row])
        with torch.no_grad():
            logits = model.eval()(input_ids=ids).logits[0, first - 1 : -1]
        total += torch.nn.functional.cross_entropy(logits, ids[0, first:], reduction="sum").item()
        count += ids.shape[1] - first
    return total / count


@pytest.mark.parametrize("packing", ["--packing", "--no-packing"])
def test_the_first_loss_is_that_of_every_answer_behind_its_own_prompt(
    model: Path, packing: str
) -> None:
    recipe = recipe_for(model, rows(12))
    expected = mean_loss_of_answers(recipe)
    batch = ("--batch-size", "12") if packing == "--no-packing" else ("--batch-size", "1")
    examples = len(settled(recipe)[1]) if packing == "--packing" else 1
    invoke(*flags_of(recipe, packing, *batch, "--accumulation", str(examples), "--steps", "1",
                     "--attention", "full", "--quiet"))  # fmt: skip
    (line,) = metrics.read(Path(recipe.out) / metrics.NAME)
    assert line["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_run_learns_the_answers_and_gives_an_adapter(model: Path) -> None:
    values = [*rows(6), {"instruction": "long " * 99, "output": "lost"}]
    recipe = recipe_for(model, values)
    said = invoke(*flags_of(recipe, *FAST))
    losses = [line["loss"] for line in metrics.read(Path(recipe.out) / metrics.NAME)]
    assert losses[-1] < losses[0] - 0.2
    assert "1 of 7 rows left out (1 longer than the context); listed in" in said.output
    out = Path(recipe.out)
    assert (out / "model" / "adapter_model.safetensors").is_file()
    assert (out / "model" / "tokenizer.json").is_file() and (out / "loss.png").is_file()
    (listed,) = (out / "rows").glob("*.refused.jsonl")
    assert json.loads(listed.read_text())["row"] == "rows.json:7"


def test_the_same_command_again_does_nothing_and_other_rows_are_another_run(model: Path) -> None:
    recipe = recipe_for(model, rows(4))
    command = flags_of(recipe, "--steps", "1", "--quiet")
    assert invoke(*command).output == invoke(*command).output
    recipe_for(model, rows(5))
    with pytest.raises(UserError, match=r"holds another run \(other data\)"):
        invoke(*command)


def test_an_adapter_is_trained_further(model: Path) -> None:
    first = recipe_for(model, rows(6), out=str(model.parent / "first"))
    invoke(*flags_of(first, *FAST, "--quiet"))
    second = recipe_for(model, rows(6), out=str(model.parent / "second"))
    invoke(*flags_of(second, *FAST, "--quiet", "--adapter", f"{first.out}/model"))
    one, two = (
        [line["loss"] for line in metrics.read(Path(r.out) / metrics.NAME)] for r in (first, second)
    )
    assert two[0] < one[0] - 0.03, "it begins where the first one ended"


def test_a_model_that_reads_the_context_keeps_its_rope(model: Path) -> None:
    assert settled(recipe_for(model, rows(2), ctx=CTX))[0].rope == "linear"
    short = recipe_for(model, rows(2), ctx=CTX // 2, rope_factor=8.0)
    kept, data = settled(short)
    assert (kept.rope, kept.rope_factor) == ("keep", None) and len(data.prepared) > 0


def test_a_folder_that_is_taken_is_left_as_it_was(model: Path) -> None:
    out = model.parent / "out"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="which is taken"):
        settled(recipe_for(model, rows(2)))
    assert [path.name for path in out.iterdir()] == ["letter.txt"]


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", vocab_size=40)
    with pytest.raises(UserError, match=r"has no tokenizer; needed: that of the model"):
        settled(recipe_for(folder, rows(2)))
    sft_tokenizers.byte_level().save_pretrained(folder)
    with pytest.raises(UserError, match=r"writes token \d+ for .*, which knows 40"):
        settled(recipe_for(folder, rows(2)))


def test_nothing_is_said_where_nothing_was_left_out(model: Path) -> None:
    assert refused_line(settled(recipe_for(model, rows(2)))[1]) == ""


def test_a_recipe_fills_every_setting_of_the_command(model: Path) -> None:
    recipe = recipe_for(model, rows(4))
    flags = flags_of(recipe, "--recipe", "longalpaca-7b-16k", "--epochs", "1", "--quiet")
    invoke(*flags, "--dtype", "float32", "--sharding", "none")
    saved = json.loads((Path(recipe.out) / "run.json").read_text())["recipe"]
    assert (saved["ctx"], saved["template"], saved["packing"]) == (CTX, "plain", False)
    assert saved["accumulation"] == 8 and saved["notes"].startswith("The released supervised")
