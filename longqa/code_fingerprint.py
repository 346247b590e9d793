"""A hash of the code and the libraries that decide what a document gives: part of a unit's name.

    code_fingerprint()    -> "5be1…"      another one after a change to a reader, a check, a wording

Work that was done by other code is not used again, and work done by the same code always is.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
import unicodedata
from functools import cache
from pathlib import Path

# Changes to these do not change what a unit holds; whatever is not listed does, to be safe.
_NOT_IN_UNITS = frozenset(
    (
        "longdata/cli_engine.py",
        "longdata/commands.py",
        "longdata/engine_executors.py",
        "longdata/engine_local.py",
        "longdata/engine_options.py",
        "longdata/engine_ray.py",
        "longdata/engine_slurm.py",
        "longdata/engine_tasks.py",
        "longdata/engines.py",
        "longdata/licenses.py",
        "longdata/markdown.py",
        "longdata/workers.py",
        "longqa/__main__.py",
        "longqa/accounting.py",
        "longqa/attribution.py",
        "longqa/build.py",
        "longqa/card.py",
        "longqa/card_header.py",
        "longqa/card_making.py",
        "longqa/card_row.py",
        "longqa/charts.py",
        "longqa/cli.py",
        "longqa/cli_build.py",
        "longqa/cli_build_run.py",
        "longqa/cli_export.py",
        "longqa/cli_values.py",
        "longqa/engine_units.py",
        "longqa/export.py",
        "longqa/facts.py",
        "longqa/folder.py",
        "longqa/harvest.py",
        "longqa/llm/breaker.py",
        "longqa/llm/calls.py",
        "longqa/llm/capacity.py",
        "longqa/llm/cut_prompts.py",
        "longqa/llm/forecast.py",
        "longqa/llm/jobs.py",
        "longqa/llm/ledger.py",
        "longqa/llm/ledger_file.py",
        "longqa/llm/limit.py",
        "longqa/llm/preflight.py",
        "longqa/llm/purse.py",
        "longqa/llm/server.py",
        "longqa/llm/talk.py",
        "longqa/llm/wire.py",
        "longqa/longalpaca.py",
        "longqa/nothing.py",
        "longqa/order.py",
        "longqa/overview.py",
        "longqa/pieces.py",
        "longqa/preview.py",
        "longqa/progress.py",
        "longqa/report.py",
        "longqa/report_overview.py",
        "longqa/short.py",
        "longqa/short_file.py",
        "longqa/source_work.py",
        "longqa/spending.py",
        "longqa/splits.py",
        "longqa/summary.py",
        "longqa/taxonomy_page.py",
    )
)
_NO_CODE = (".pyc", ".css", ".js", ".html", "")
_LIBRARIES = (
    "charset-normalizer",
    "json-repair",
    "lxml",
    "markdown-it-py",
    "mistral-common",
    "numpy",
    "nupunkt",
    "py3langid",
    "pypandoc-binary",
    "pypdfium2",
    "rapidfuzz",
    "tokenizers",
)


@cache
def code_fingerprint() -> str:
    """A hash of the code and the libraries that decide what a document gives."""
    import longdata
    import longqa

    digest = hashlib.sha256()
    for package in (longdata, longqa):
        folder = Path(str(package.__file__)).parent
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder.parent).as_posix()
            is_code = path.suffix not in _NO_CODE and path.is_file()
            if not is_code or name in _NOT_IN_UNITS:
                continue
            digest.update(f"{name}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    libraries = [f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES]
    python = [f"{sys.version_info.major}.{sys.version_info.minor}", unicodedata.unidata_version]
    digest.update("\n".join(libraries + python).encode())
    return digest.hexdigest()
