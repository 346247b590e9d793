"""The first lines of a dataset's card: what the Hub and `datasets` read.

    header(facts, files, statistics, sources, verdict)
    -> {"pretty_name": …, "license": "cc-by-4.0", …}

`configs` says which files belong to which split, `dataset_info` what columns and sizes to expect.
A licence that the Hub has no name for is "other" with its own name and link.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from longdata.licenses import LICENSES, Verdict
from longqa.attribution import Sources
from longqa.dataset import FEATURES, SplitFiles
from longqa.facts import BuildFacts
from longqa.overview import Statistics

# Licences the Hub knows by name; the others are "other" with name and link.
_HUB_LICENSES = {
    "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0",
    "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0",
    "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "gpl-2.0", "gpl-3.0", "isc", "mit",
}  # fmt: skip
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))


def pretty_name(sources: Sources) -> str:
    """What the dataset is called; titles of documents are not in it."""
    count = sources.num_documents
    return f"LongQA: questions on {count:,} {'document' if count == 1 else 'documents'}"


def header(
    facts: BuildFacts,
    files: Sequence[SplitFiles],
    statistics: Statistics,
    sources: Sources,
    verdict: Verdict,
) -> dict[str, Any]:
    """The fields of the card's YAML, in order. `files` has one entry per split.

    Languages are those of the documents and the one that questions were asked for in.
    """
    written = [split for split in files if split.num_examples]
    model = facts["model"]
    languages = {source.language or "" for source in sources}
    languages.add((model["language"] if model else None) or "")
    known = sorted(code for code in languages if re.fullmatch("[a-z]{2,3}", code))
    return {
        "pretty_name": pretty_name(sources),
        **_license_header(verdict),
        **({"language": known} if known else {}),
        **({"annotations_creators": ["machine-generated"]} if model else {}),
        "task_categories": ["question-answering", "text-generation"],
        "size_categories": [
            next((name for top, name in _SIZES if statistics.num_rows < top), "n>1M")
        ],
        "tags": ["long-context", "synthetic", "longqa"],
        "dataset_info": {
            "features": [_yaml_feature(name, kind) for name, kind in FEATURES.items()],
            "splits": [
                {"name": s.split, "num_bytes": s.num_bytes, "num_examples": s.num_examples}
                for s in written
            ],
            "download_size": sum(split.file_bytes for split in written),
            "dataset_size": sum(split.num_bytes for split in written),
        },
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": split.split, "path": f"data/{split.split}-*"} for split in written
                ],
            }
        ],
    }


def _yaml_feature(name: str, kind: Any) -> dict[str, Any]:
    """A column as the card's header has it: one dtype, a struct or a list of structs."""
    if isinstance(kind, list):
        return {"name": name, "list": [_yaml_feature(*field) for field in kind[0].items()]}
    if "dtype" in kind:
        return {"name": name, "dtype": kind["dtype"]}
    return {"name": name, "struct": [_yaml_feature(*field) for field in kind.items()]}


def _license_header(verdict: Verdict) -> dict[str, str]:
    if verdict.license == "unknown":
        return {"license": "unknown"}
    if verdict.license.lower() in _HUB_LICENSES:
        return {"license": verdict.license.lower()}
    if verdict.license in LICENSES:
        known = LICENSES[verdict.license]
        return {
            "license": "other",
            "license_name": known.id.lower(),
            "license_link": known.url,
        }
    return {"license": "other"}
