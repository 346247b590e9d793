"""`longeval perplexity`: what it prints, and one line, exit code 2 and no number for a mistake."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from longeval_small import model_folder, random_tokens, token_set
from test_longeval_models import make_adapter

from longdata.errors import UserError
from longeval import cli
from longeval.cli_perplexity import _numbers, _seconds, rows_of

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    model_folder(folder / "model")
    token_set(folder / "set", [600, 300])
    make_adapter(folder / "adapter", folder / "model")
    model_folder(folder / "other", hidden_size=64)
    (folder / "empty.txt").write_text("")
    random_tokens(900, vocab_size=5000).astype("<u2").tofile(folder / "other-vocabulary.bin")
    (folder / "odd.bin").write_bytes(b"\1\2\3")
    return folder


def longeval(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str | Path
) -> tuple[int | str | None, str, str]:
    monkeypatch.setattr(sys, "argv", ["longeval", "perplexity", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def test_the_table_the_warnings_and_the_forecast(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = longeval(
        capsys,
        monkeypatch,
        *("--model", here / "model", "--data", here / "set", "--ctx", "32,64", "--stride", "16"),
        *("--protocol", "longlora,strided,document", "--out", tmp_path / "out", "--device", "cpu"),
    )
    assert code == 0, err
    rows = [line.split() for line in out.splitlines()[1:]]
    assert [row[:2] for row in rows] == [
        [protocol, ctx] for protocol in ("longlora", "strided", "document") for ctx in ("32", "64")
    ]
    assert "warning: no BOS" in err and "tokens read" in err and "of disk" in err
    assert "result.json: written" in err
    assert (tmp_path / "out" / "result.json").is_file()


def test_a_sample_is_marked_in_the_table(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = longeval(
        capsys,
        monkeypatch,
        *("--model", here / "model", "--data", here / "set", "--ctx", "64", "--stride", "16"),
        *("--max-windows", "9", "--device", "cpu", "--quiet"),
    )
    assert code == 0, err
    assert (
        "≈" in out
        and "9 of 52" in out
        and "not the numbers of the whole text" in " ".join(out.split())
    )
    assert "tokens read" not in err and "warning" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "{}/nowhere"), "nowhere"),
        (("--model", "{}/other", "--adapter", "{}/adapter"), "allowed: the base"),
        (("--adapter", "{}/nowhere"), "nowhere"),
        (("--data", "{}/other-vocabulary.bin"), "for a vocabulary of 64"),
        (("--data", "{}/odd.bin"), "odd.bin"),
        (("--data", "{}/empty.txt"), "empty"),
        (("--data", "{}/nowhere"), "nowhere"),
        (("--data", "pg19", "--offline"), "pg19"),
        (("--ctx", "601"), "longer than any document"),
        (("--ctx", "601", "--protocol", "document"), "longer than any document"),
        (("--ctx", "many"), "--ctx many"),
        (("--ctx", "64", "--stride", "65", "--protocol", "strided"), "--stride 65"),
        (("--protocol", "press"), "--protocol press"),
        (("--budget", "soon"), "--budget soon"),
        (("--max-windows", "0"), "--max-windows 0"),
        (("--dtype", "float8"), "--dtype float8"),
        (("--rope", "magic"), "--rope magic"),
        (("--device", "tpu"), "--device tpu"),
        (("--quantization", "int2"), "--quantization int2"),
    ],
)
def test_a_mistake_is_one_line_and_no_number(
    here: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    given = {"--model": f"{here}/model", "--data": f"{here}/set", "--ctx": "64"}
    named = [part.format(here) for part in arguments]
    if named[0] == "--adapter":
        del given["--model"]
    given = {key: part for key, part in given.items() if key not in named}
    common = ["--stride", "16", "--device", "cpu", "--out", str(tmp_path / "out")]
    rest = [part for pair in given.items() for part in pair]
    kept: list[Any] = []
    for option, setting in zip(common[::2], common[1::2], strict=True):
        kept += [] if option in named else [option, setting]
    code, out, err = longeval(capsys, monkeypatch, *rest, *kept, *named)
    assert code == 2, err
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    line = err.strip()
    assert line.startswith("longeval: got ") and said in line, err
    assert not (tmp_path / "out" / "result.json").exists()


def test_neither_model_nor_adapter(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = longeval(capsys, monkeypatch, "--data", here / "set", "--ctx", "64")
    assert code == 2 and "neither --model nor --adapter" in err


def test_contexts_and_times_are_read_as_people_write_them() -> None:
    assert _numbers("2048, 4096,32_768") == (2048, 4096, 32768)
    assert [_seconds(given) for given in ("90s", "10m", "1.5h")] == [90, 600, 5400]
    for given in ("10", "m", "0m", "-3m"):
        with pytest.raises(UserError, match="--budget"):
            _seconds(given)


def test_a_number_without_interval_has_a_dash() -> None:
    common = {"protocol": "strided", "ctx": 64, "n": 1, "of": 1, "interval": None}
    numbers = [{"name": name, "value": 1.0, **common} for name in ("mean_nll", "perplexity")]
    assert rows_of(numbers) == [("strided", "64", "1.0000", "–", "1.000000", "1", "–")]
