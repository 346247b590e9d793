"""Documents → packed rows: `longdata pack` against LongLoRA's way and datatrove's pipeline.

    python benchmarks/pack_corpus.py [--megabytes 80] [--repeat 2] [--tokenizer NAME] [--ctx 8192]

Four ways from the same JSONL files, with two processes each: what LongLoRA does (`datasets.map`
with one tokenizer call for 1,000 joined documents, padded and cut), datatrove's own blocks
(JsonlReader, DocumentTokenizer and its merger), `longdata pack` with the tokenizer itself, and with
gigatoken. Short documents and whole books. Each way is a process of its own, and what is counted is
all of it: starting Python, reading, encoding, packing, writing. The ways take turns, and the best
of the rounds counts. The rows of both of ours must be the same bytes. Needs `pip install orjson`,
for datatrove's reader.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from pack_measuring import Cost, corpus, machine, measure, text_bytes

from longdata.tokenizers import Tokenizer

WORKERS = 2
WAYS = {
    "longlora": "LongLoRA's way",
    "datatrove": "datatrove's pipeline",
    "ours": "longdata pack",
    "fast": "longdata pack --fast",
}
TARGETS = {
    ("short", "ours"): (2.5, 1.2),
    ("long", "ours"): (2.0, 1.2),
    ("short", "fast"): (8.0, 4.0),
    ("long", "fast"): (8.0, 4.0),
}


def main() -> None:
    """Measure, compare, print tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=80)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--ctx", type=int, default=8192)
    parser.add_argument("--tokenizer", default=None)
    parser.add_argument("--kinds", default="short,long")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        WAY[arguments.way](arguments.folder, arguments.ctx)
        return
    for library in ("orjson", "gigatoken"):
        if find_spec(library) is None:
            sys.exit(f"got no module named {library}; fix: pip install {library}")
    print(f"{machine()}; {WORKERS} processes, rows of {arguments.ctx:,} tokens\n")
    for kind in arguments.kinds.split(","):
        with tempfile.TemporaryDirectory(prefix="pack-corpus-") as folder:
            compare(kind, Path(folder), arguments)


def compare(kind: str, folder: Path, arguments: argparse.Namespace) -> None:
    """One table."""
    tokenizer = Tokenizer.load(arguments.tokenizer)
    (folder / "tokenizer").mkdir()
    tokenizer.hf.save(str(folder / "tokenizer" / "tokenizer.json"))
    special = {"bos_token": tokenizer.bos_token, "eos_token": tokenizer.eos_token}
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(special))
    paths = corpus(kind, arguments.megabytes, folder / "corpus")
    size = text_bytes(paths) / 1e6
    best: dict[str, Cost] = {}
    digests = set()
    for _ in range(arguments.repeat):
        for way in WAYS:
            shutil.rmtree(folder / way, ignore_errors=True)
            cost = measure(command_of(way, folder, arguments))
            best[way] = min(cost, best.get(way, cost), key=lambda one: one.wall)
            if way in ("ours", "fast"):
                digests.add(digest(folder / way / f"ctx-{arguments.ctx}" / "data"))
    if len(digests) != 1:
        sys.exit("the rows of both encoders differ: the numbers mean nothing")
    print_table(kind, f"{size:.1f} MB of text, tokenizer {tokenizer.name}", size, best)


def print_table(kind: str, title: str, size: float, best: dict[str, Cost]) -> None:
    """Ratios are how many times faster than the other two a way is."""
    base, other = best["longlora"], best["datatrove"]
    print(f"{kind} documents, {title}\n")
    print(
        "| way | wall s | CPU s | MB/s | MB/s a core | largest process, MB "
        "| LongLoRA's: wall, CPU | datatrove's: wall, CPU | aim |\n|" + 9 * "---|"
    )
    for way, cost in best.items():
        aim = TARGETS.get((kind, way))
        print(
            f"| {WAYS[way]} | {cost.wall:.2f} | {cost.cpu:.2f} | {size / cost.wall:.1f} | "
            f"{size / cost.cpu:.1f} | {cost.peak / 1e6:.0f} | "
            f"{base.wall / cost.wall:.2f}, {base.cpu / cost.cpu:.2f} | "
            f"{other.wall / cost.wall:.2f}, {other.cpu / cost.cpu:.2f} | "
            f"{f'{aim[0]:g} and {aim[1]:g}' if aim else ''} |"
        )
    print()


def command_of(way: str, folder: Path, arguments: argparse.Namespace) -> list[str]:
    """Ours is the command itself; the others are functions of this file."""
    if way in ("longlora", "datatrove"):
        given = ["--way", way, "--folder", str(folder), "--ctx", str(arguments.ctx)]
        return [sys.executable, __file__, *given]
    return [
        str(Path(sys.executable).with_name("longdata")), "pack", str(folder / "corpus"),
        "--tokenizer", str(folder / "tokenizer" / "tokenizer.json"), "--ctx", str(arguments.ctx),
        "--workers", str(WORKERS), "--out", str(folder / way), "--quiet",
        "--fast" if way == "fast" else "--no-fast",
    ]  # fmt: skip


def longlora(folder: Path, ctx: int) -> None:
    """What its fine-tune.py does with its corpus: 1,000 documents in one call, padded and cut."""
    import datasets
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer" / "tokenizer.json"),
        pad_token="[PAD]",
        **special_of(folder),
    )
    files = sorted(str(path) for path in (folder / "corpus").iterdir())
    cache = str(folder / "longlora")
    rows = datasets.load_dataset("json", data_files=files, split="train", cache_dir=cache)

    def tokenize(batch: dict[str, list[str]]) -> dict[str, object]:
        found = tokenizer(
            str(tokenizer.eos_token).join(batch["text"]),
            return_tensors="pt",
            padding=True,
            pad_to_multiple_of=ctx,
        )
        return {name: ids.view(-1, ctx) for name, ids in found.items()}

    done = rows.map(tokenize, batched=True, num_proc=WORKERS, remove_columns=rows.column_names)
    assert len(done[0]["input_ids"]) == ctx


def datatrove(folder: Path, ctx: int) -> None:
    """Its reader, tokenizer and merger; it cuts rows only when they are read."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.tokens import DocumentTokenizer, DocumentTokenizerMerger

    made = folder / "datatrove"
    first = LocalPipelineExecutor(
        pipeline=[
            JsonlReader(str(folder / "corpus")),
            DocumentTokenizer(
                output_folder=str(made / "parts"),
                tokenizer_name_or_path=str(folder / "tokenizer" / "tokenizer.json"),
                eos_token=special_of(folder)["eos_token"],
                seed=0,
            ),
        ],
        tasks=len(list((folder / "corpus").iterdir())),
        workers=WORKERS,
        logging_dir=str(made / "logs-1"),
    )
    LocalPipelineExecutor(
        pipeline=[
            DocumentTokenizerMerger(
                input_folder=str(made / "parts"),
                output_folder=str(made / "merged"),
                save_filename="tokens",
                seed=0,
                progress=False,
            )
        ],
        tasks=1,
        logging_dir=str(made / "logs-2"),
        depends=first,
    ).run()
    assert list((made / "merged").glob("*.ds"))


def special_of(folder: Path) -> dict[str, str]:
    """BOS and EOS by the names that transformers has for them."""
    said = json.loads((folder / "tokenizer" / "tokenizer_config.json").read_text())
    return {name: token for name, token in said.items() if token}


def digest(folder: Path) -> str:
    """Of all files' names and bytes."""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        found.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


WAY = {"longlora": longlora, "datatrove": datatrove}


if __name__ == "__main__":
    main()
