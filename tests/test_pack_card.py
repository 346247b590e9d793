"""The card of packed rows: `datasets` obeys its header, and its numbers are those of pack.json."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from packed_samples import documents, pack_into, tokenizer_in

from longdata.errors import UserError
from longdata.mixing import Mixture
from longdata.pack_card import IMAGE, card, contexts_of, write_card
from longdata.packed_rows import PackedRows
from longdata.sources import Skip
from longdata.token_shard import DocumentText, TokenSettings

GOLDEN = Path(__file__).parent / "golden" / "pack_card.md"
MORE = {
    "versions": {"longqa": "1.2.3", "tokenizers": "4.5.6"},
    "command": "longdata pack web.jsonl --tokenizer words --ctx 64,256 --mix book=0.5",
    "decontamination": {
        "width": 13,
        "share": 0.01,
        "stretch_words": 50,
        "sets": [
            {
                "name": "own.jsonl",
                "revision": "sha256:0123456789abcdef",
                "fingerprint": "0123456789abcdef",
                "texts": 3,
                "grams": 4321,
                "skipped": [],
            }
        ],
    },
}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    facts = pack_into(folder, tokenizer_in(tmp_path_factory.mktemp("words")))
    for ctx in facts:  # as longdata pack writes it
        path = folder / f"ctx-{ctx}" / "pack.json"
        said = json.loads(path.read_text()) | MORE
        said["tokenizer"] |= {"tokenizer": "words", "fingerprint": "f" * 64, "vocab_size": 61}
        path.write_text(json.dumps(said))
    write_card(folder)
    return folder


def text(out: Path) -> str:
    return (out / "README.md").read_text(encoding="utf-8")


def header(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text(out).split("---\n")[1])
    return found


def test_the_card_is_the_golden_one(out: Path) -> None:
    """Sizes on disk are the compressor's; everything else is ours."""
    shown = re.sub(r"(download_size|dataset_size|num_bytes): \d+", r"\1: N", text(out))
    assert shown == GOLDEN.read_text(encoding="utf-8")


def test_the_same_folders_have_the_same_card_and_picture(out: Path) -> None:
    before = (out / "README.md").read_bytes(), (out / IMAGE).read_bytes()
    write_card(out)
    assert ((out / "README.md").read_bytes(), (out / IMAGE).read_bytes()) == before


@pytest.mark.parametrize("ctx", [64, 256])
def test_datasets_loads_each_length_by_its_name(
    out: Path, ctx: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import datasets

    rows = datasets.load_dataset(str(out), f"ctx-{ctx}", split="train", cache_dir=str(tmp_path))
    facts = contexts_of(out)[ctx]
    assert len(rows) == facts["rows"]
    assert rows.features["input_ids"] == datasets.List(datasets.Value("int32"), length=ctx)
    assert sum(len(row["input_ids"]) - row["n_pad"] for row in rows) == facts["tokens"]
    assert "dataset card" not in caplog.text  # no part of the header is ignored


def test_the_header_knows_the_rows_and_their_sizes(out: Path) -> None:
    for info in header(out)["dataset_info"]:
        facts = contexts_of(out)[int(info["config_name"].removeprefix("ctx-"))]
        (split,) = info["splits"]
        assert split["num_examples"] == facts["rows"]
        assert split["num_bytes"] == info["dataset_size"] > 4 * facts["rows"] * facts["ctx"]
        shards = [out / f"ctx-{facts['ctx']}" / name for name in facts["shards"]]
        assert info["download_size"] == sum(path.stat().st_size for path in shards)


def test_every_number_of_a_source_is_on_the_card(out: Path) -> None:
    facts = contexts_of(out)[64]
    for name, count in facts["sources"].items():
        (line,) = [line for line in text(out).splitlines() if line.startswith(f"| {name} ")]
        numbers = re.findall(r"[\d,]+", line)
        for number in (count["given"]["documents"], count["documents"], count["tokens"]):
            assert f"{number:,}" in numbers, (name, number)
    assert "| book " in text(out) and "50.0 %" in text(out)


def test_what_was_left_out_is_counted_by_reason_and_by_set(out: Path) -> None:
    assert "| bad row | 1 |" in text(out)
    assert re.search(r"\| own.jsonl \| sha256:0123456789abcdef \| 3 \| 4,321 \| 1 \|", text(out))


def test_foreign_names_are_shown_and_never_obeyed(tmp_path: Path) -> None:
    bad = "</table><script>alert(1)</script> | [x](javascript:1) `"
    found = [
        DocumentText(key=document.key, source=bad, text=document.text)
        if isinstance(document, DocumentText)
        else Skip(document.name, f"bad {bad}", "")
        for document in documents()
    ]
    words = tokenizer_in(tmp_path / "words")
    pack_into(tmp_path / "out", words, (64,), found=found, mixture=Mixture())
    write_card(tmp_path / "out")
    body = text(tmp_path / "out").split("---\n", 2)[2]
    assert "<script>" not in body and not re.search(r"(?<!\\)\]\(javascript", body)
    assert body.count("alert(1)") >= 2
    (row,) = [line for line in body.splitlines() if "alert" in line and line.startswith("| &lt;")]
    cells = re.split(r"(?<!\\)\|", row)
    assert len(cells) == 9 + 2


def test_one_length_has_a_card_of_its_own(tmp_path: Path) -> None:
    pack_into(tmp_path / "out", tokenizer_in(tmp_path / "words"), (128,))
    write_card(tmp_path / "out")
    assert "# Packed rows of 128 tokens" in text(tmp_path / "out")
    assert "Not compared with any evaluation set." in text(tmp_path / "out")
    (config,) = header(tmp_path / "out")["configs"]
    assert (config["config_name"], config["default"]) == ("ctx-128", True)


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ctx-old").mkdir()
    with pytest.raises(UserError, match="holds no packed rows"):
        write_card(tmp_path)


def test_half_a_folder_has_no_card(tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack_into(out, tokenizer_in(tmp_path / "words"))
    (out / "ctx-256" / "pack.json").unlink()
    with pytest.raises(UserError, match="ctx-256, which holds no complete packed rows"):
        write_card(out)
    assert not (out / "README.md").exists()


def test_the_card_needs_nothing_but_the_folders(out: Path) -> None:
    assert card(out, contexts_of(out)) == text(out)


def test_rows_with_all_their_facts_open_for_their_tokenizer_and_no_other(out: Path) -> None:
    said = json.loads((out / "ctx-64" / "pack.json").read_text())["tokenizer"]
    names = [one.name for one in fields(TokenSettings)]
    assert set(names) < set(said)  # pack.json says more of the tokenizer than decides the tokens
    settings = TokenSettings(**{name: said[name] for name in names})
    rows = PackedRows.open(out / "ctx-64", settings)
    assert len(rows) == rows.facts["rows"]
    with pytest.raises(UserError, match="ctx-64, made with tokenizer words"):
        PackedRows.open(out / "ctx-64", replace(settings, fingerprint="0" * 64))
