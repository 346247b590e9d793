"""README.md of a packed folder: what it holds, how to load it, how it was made.

    write_card(out)                                # of out/ctx-8192, out/ctx-32768, …
    datasets.load_dataset(out, "ctx-8192")         # works at once: its header says which files

Everything in it is read from the pack.json of each `ctx`; nothing is counted again and nothing is
guessed, so the same folders have the same card. Names of sources, files and tokenizers come from
elsewhere and are shown, never obeyed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from longdata.atomic import disk_errors, write_file
from longdata.errors import UserError
from longdata.markdown import fenced, plain, table
from longdata.pack_plots import length_histogram
from longdata.packed import read_facts, schema_of
from longdata.packed_words import listed, making_lines, percent, share

CARD = "README.md"
IMAGE = "images/lengths.png"
_FOLDER = re.compile(r"ctx-(\d+)")
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))
_COLUMNS = {
    "input_ids": "exactly `ctx` tokens",
    "seq_lengths": "tokens of each segment, together `ctx`; padding, if any, is the last one",
    "documents": "the document of each piece, without padding: file and place",
    "sources": "the source of each piece",
    "starts": "the token of its document at which a piece begins",
    "document_lengths": "tokens of the whole document of each piece",
    "n_pad": "how many of the last tokens are padding",
}
Facts = Mapping[str, Any]


def write_card(out: Path) -> None:
    """Write `README.md` and its picture for all complete `ctx-…` folders in `out`.

    Raises UserError when one is not complete and when there is none.
    """
    packs = contexts_of(out)
    if not packs:
        raise UserError(
            f"got {out}, which holds no packed rows; allowed: a folder with ctx-8192 or the like; "
            "fix: run longdata pack first"
        )
    with disk_errors(out):
        (out / IMAGE).parent.mkdir(parents=True, exist_ok=True)
        length_histogram(list(packs.values()), out / IMAGE)
        write_file(out / CARD, card(out, packs))


def contexts_of(out: Path) -> dict[int, Facts]:
    """The pack.json of each `ctx-…` folder, by ctx. UserError when one is not complete."""
    folders = {
        int(match[1]): path
        for path in sorted(out.iterdir())
        if (match := _FOLDER.fullmatch(path.name)) and path.is_dir()
    }
    return {ctx: read_facts(folders[ctx]) for ctx in sorted(folders)}


def card(out: Path, packs: Mapping[int, Facts]) -> str:
    """The text of the card."""
    first = next(iter(packs.values()))
    header = yaml.safe_dump(
        _header(out, packs), sort_keys=False, allow_unicode=True, width=100, default_flow_style=None
    )
    parts = (
        f"---\n{header}---",
        f"# {_title(packs)}",
        _introduction(packs, first),
        _loading(packs),
        _numbers(packs),
        *_sources(packs),
        f"![Documents by length, one row of bars for each source]({IMAGE})",
        _making(packs, first),
        _left_out(packs, first),
        _training(packs),
        "## Licence\n\nThat of the sources, which packing does not change. It is not looked at "
        "here: find out what the sources allow before the rows are passed on.",
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(packs: Mapping[int, Facts]) -> str:
    return f"Packed rows of {listed([f'{ctx:,}' for ctx in packs])} tokens"


def _header(out: Path, packs: Mapping[int, Facts]) -> dict[str, Any]:
    rows = sum(int(facts["rows"]) for facts in packs.values())
    return {
        "pretty_name": _title(packs),
        "task_categories": ["text-generation"],
        "size_categories": [next((name for top, name in _SIZES if rows < top), "n>1M")],
        "tags": ["long-context", "packed", "longdata"],
        "configs": [
            {
                "config_name": f"ctx-{ctx}",
                "data_files": [{"split": "train", "path": f"ctx-{ctx}/data/train-*.parquet"}],
                **({"default": True} if ctx == next(iter(packs)) else {}),
            }
            for ctx in packs
        ],
        "dataset_info": [_info(out / f"ctx-{ctx}", facts) for ctx, facts in packs.items()],
    }


def _info(folder: Path, facts: Facts) -> dict[str, Any]:
    """Columns and sizes; `num_bytes` are those of the rows before they are compressed."""
    shards = [folder / name for name in facts["shards"]]
    size = 0
    for shard in shards:
        groups = pq.ParquetFile(shard).metadata
        size += sum(groups.row_group(at).total_byte_size for at in range(groups.num_row_groups))
    split = {"name": "train", "num_bytes": size, "num_examples": int(facts["rows"])}
    return {
        "config_name": folder.name,
        "features": _features(int(facts["ctx"])),
        "splits": [split],
        "download_size": sum(shard.stat().st_size for shard in shards),
        "dataset_size": size,
    }


def _features(ctx: int) -> list[dict[str, Any]]:
    """The columns as `datasets` writes them in a card."""
    features = []
    for field in schema_of(ctx):
        kind = field.type
        if field.name == "input_ids":
            features.append({"name": field.name, "list": str(kind.value_type), "length": ctx})
        elif field.name == "n_pad":
            features.append({"name": field.name, "dtype": str(kind)})
        else:
            features.append({"name": field.name, "list": str(kind.value_type)})
    return features


def _introduction(packs: Mapping[int, Facts], first: Facts) -> str:
    names = [name for name, count in first["sources"].items() if count["documents"]]
    sources = listed([plain(name) for name in names[:12]])
    more = f" and {len(names) - 12:,} more" if len(names) > 12 else ""
    contexts = " Each length is packed from the same tokens." if len(packs) > 1 else ""
    return (
        f"{first['tokens']:,} tokens of {first['documents']:,} documents from {sources}{more}, "
        "packed into rows of one length for training language models on long contexts. Every row "
        "knows its documents: where they begin and end, and which they are."
        f"{contexts} Made with `longdata pack`."
    )


def _loading(packs: Mapping[int, Facts]) -> str:
    ctx = next(iter(packs))
    columns = table(
        ("Column", "Meaning"), [(f"`{name}`", _COLUMNS[name]) for name in schema_of(ctx).names]
    )
    return f"""## Loading

```python
from datasets import load_dataset

rows = load_dataset("path/to/this/folder", "ctx-{ctx}", split="train")  # or its name on the Hub
```

{columns}

Attention masks, positions and labels are not stored: they follow from `seq_lengths` and `n_pad`.
For random access without a copy in a cache:

```python
from longdata.packed_rows import PackedRows

rows = PackedRows.open(folder)  # a pathlib.Path of this folder / "ctx-{ctx}"
rows.input_ids(0), rows[0].borders
```"""


def _numbers(packs: Mapping[int, Facts]) -> str:
    head = (
        "Config", "Rows", "Tokens", "Padding", "Documents", "Of them cut", "Cut though they fit"
    )  # fmt: skip
    rows = [
        (
            f"`ctx-{ctx}`",
            f"{facts['rows']:,}",
            f"{facts['tokens']:,}",
            percent(facts["padding_share"]),
            f"{facts['documents']:,}",
            f"{facts['cut']['documents']:,} ({percent(facts['cut']['share'])})",
            f"{facts['cut']['that_fit']:,}",
        )
        for ctx, facts in packs.items()
    ]
    return (
        f"## Numbers\n\n{table(head, rows)}\n\nTokens are those of documents, BOS and EOS counted, "
        "padding not. Documents that are used more than once count once, and in tokens each time."
    )


def _sources(packs: Mapping[int, Facts]) -> Iterator[str]:
    """Per-source counts: one table where all contexts have the same, else one for each."""
    tables = {ctx: _source_table(facts) for ctx, facts in packs.items()}
    yield "## Sources"
    if len(set(tables.values())) == 1:
        yield next(iter(tables.values()))
    else:
        for ctx, shown in tables.items():
            yield f"`ctx-{ctx}`:\n\n{shown}"
    yield (
        "“Found” is what could be read and encoded; “asked” and “has” are shares of all tokens "
        "packed; “repeats” are further uses of documents."
    )


def _source_table(facts: Facts) -> str:
    asked_all = sum(count["asked"] for count in facts["sources"].values())
    rows = [
        (
            plain(name),
            f"{count['given']['documents']:,}",
            f"{count['given']['tokens']:,}",
            f"{count['documents']:,}",
            f"{count['repeats']:,}",
            f"{count['tokens']:,}",
            percent(share(count["asked"], asked_all)),
            percent(share(count["tokens"], facts["tokens"])),
            "; ".join(
                f"{plain(reason)} {left['documents']:,}"
                for reason, left in count["left_out"].items()
            )
            or "–",
        )
        for name, count in facts["sources"].items()
    ]
    head = (
        "Source", "Found", "Their tokens", "Used", "Repeats", "Tokens", "Asked", "Has", "Not used"
    )  # fmt: skip
    return table(head, rows)


def _making(packs: Mapping[int, Facts], first: Facts) -> str:
    lines = [f"- {line}" for line in making_lines(first, quote=plain)]
    if len({(facts["strategy"], facts["seed"]) for facts in packs.values()}) > 1:
        lines += [
            f"- `ctx-{ctx}`: {facts['strategy']}, seed {facts['seed']}"
            for ctx, facts in packs.items()
        ]
    command = first.get("command")
    told = "\n\n" + fenced(str(command), "console") if command else ""
    return "## How it was made\n\n" + "\n".join(lines) + told


def _left_out(packs: Mapping[int, Facts], first: Facts) -> str:
    skipped = first["skipped"]
    parts = ["## Left out"]
    if skipped:
        rows = [(plain(reason), f"{count:,}") for reason, count in skipped.items()]
        parts.append(
            "What could not be used, before anything was packed:\n\n"
            + table(("Reason", "Documents or lines"), rows)
        )
    else:
        parts.append("Nothing: everything that was found could be read and encoded.")
    checked = first.get("decontamination")
    if checked:
        sets = [
            (
                plain(one["name"]),
                plain(one["revision"]),
                f"{one['texts']:,}",
                f"{one['grams']:,}",
                f"{skipped.get('overlaps ' + one['name'], 0):,}",
            )
            for one in checked["sets"]
        ]
        head = ("Set", "Revision", "Texts", "Sequences", "Documents left out")
        parts.append(
            "Compared with evaluation sets: a document is left out when "
            f"{percent(checked['share'])} of its sequences of {checked['width']} words stand in "
            f"one set, or {checked['stretch_words']} words in a row do.\n\n{table(head, sets)}"
        )
    else:
        parts.append("Not compared with any evaluation set.")
    return "\n\n".join(parts)


def _training(packs: Mapping[int, Facts]) -> str:
    ctx = next(reversed(packs))
    return f"""## Training

```console
longtune extend --model MODEL --data path/to/this/folder/ctx-{ctx} --ctx {ctx} --out RUN
```

The model's tokenizer must be the one above. Padding is never to be learnt: its labels are left out
by `n_pad`. Whether attention may cross documents, and whether positions begin again at each, are
settings of the training, not of the rows."""
