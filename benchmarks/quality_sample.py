"""Draw questions from a dataset for a person to judge, and write the judgement down.

    python benchmarks/quality_sample.py DATASET                      # prints the sample to read
    python benchmarks/quality_sample.py DATASET --verdicts FILE      # prints docs/quality.md

The sample is simple random: the rows with the smallest SHA-256 of (seed, id), whatever their kind.
FILE is JSON: row id → "ok", or what is wrong with the row. A row of the sample without a verdict
stops the script, so that no row can be left out quietly.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from longdata.markdown import plain
from longqa.dataset import read_rows

CHARACTERS_SHOWN = 420


def draw(rows: Any, size: int, seed: int) -> list[dict[str, Any]]:
    """The `size` rows whose hash with the seed is smallest, in that order."""

    def key(row: dict[str, Any]) -> str:
        return hashlib.sha256(f"{seed}/{row['id']}".encode()).hexdigest()

    chosen: list[tuple[str, dict[str, Any]]] = []
    for row in rows:
        kept = {k: row[k] for k in ("id", "question", "answer", "question_kind", "evidence")}
        kept |= {"ctx": row["ctx"], "title": row["sources"][0]["title"]}
        chosen = sorted([*chosen, (key(row), kept)], key=lambda pair: pair[0])[:size]
    return [row for _, row in chosen]


def shown(row: dict[str, Any], number: int) -> str:
    """One row as Markdown: question, answer, evidence."""
    lines = [
        f"### {number}. {row['question_kind']} · {plain(row['title'])} · {row['ctx']:,} tokens",
        "",
        f"`{row['id']}`",
        "",
        *_quoted("Q", row["question"]),
        "",
        *_quoted("A", row["answer"]),
    ]
    for evidence in row["evidence"][:2]:
        text = evidence["text"]
        if text.strip() not in row["answer"]:
            lines += ["", *_quoted(f"Evidence at {evidence['depth']:.0%}", text)]
    return "\n".join(lines)


def _quoted(label: str, text: str) -> list[str]:
    if len(text) > CHARACTERS_SHOWN:
        text = f"{text[:CHARACTERS_SHOWN]} … ({len(text):,} characters)"
    return [
        f"> **{label}:** {plain(line)}" if i == 0 else f"> {plain(line)}  "
        for i, line in enumerate(text.split("\n"))
    ]


def wilson(good: int, size: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927): the 95 % one for z = 1.96."""
    share, weight = good / size, z * z / size
    middle = (share + weight / 2) / (1 + weight)
    half = z * math.sqrt(share * (1 - share) / size + weight / (4 * size)) / (1 + weight)
    return middle - half, middle + half


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, nargs="?")
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verdicts", type=Path)
    options = parser.parse_args()
    if options.dataset is None:
        print("needs a dataset folder: python benchmarks/quality_sample.py DATASET")
        return
    sample = draw(read_rows(options.dataset), options.size, options.seed)
    if options.verdicts is None:
        for number, row in enumerate(sample, 1):
            print(shown(row, number), end="\n\n")
        return
    verdicts: dict[str, str] = json.loads(options.verdicts.read_text(encoding="utf-8"))
    missing = [row["id"] for row in sample if row["id"] not in verdicts]
    if missing:
        raise SystemExit(f"no verdict in {options.verdicts} for: {', '.join(missing)}")
    good = [row for row in sample if verdicts[row["id"]] == "ok"]
    kinds = Counter(row["question_kind"] for row in sample)
    good_kinds = Counter(row["question_kind"] for row in good)
    low, high = wilson(len(good), len(sample))
    print(f"**{len(good)} of {len(sample)} acceptable** (95 % interval {low:.1%} to {high:.1%}).\n")
    print("| Kind | Read | Acceptable |\n| --- | ---: | ---: |")
    for kind, count in sorted(kinds.items()):
        print(f"| {kind} | {count} | {good_kinds[kind]} |")
    for number, row in enumerate(sample, 1):
        verdict = verdicts[row["id"]]
        mark = "acceptable" if verdict == "ok" else f"not acceptable: {verdict}"
        print(f"\n{shown(row, number)}\n\n**Verdict:** {mark}")


if __name__ == "__main__":
    main()
