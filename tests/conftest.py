"""What holds for every test: no network, no caches of this machine, the same examples each time.

Everything here happens before a test module is imported, because huggingface_hub and datasets read
their environment once, at import.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
OFFLINE = Path(__file__).resolve().parent / "offline"
SHARED_DATA = ROOT.parent / "shared" / "data"

# Child processes load offline/sitecustomize.py from PYTHONPATH; this one loads it here.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(OFFLINE), *filter(None, [os.environ.get("PYTHONPATH")])]
)
if str(OFFLINE) not in sys.path:
    sys.path.insert(0, str(OFFLINE))
_spec = importlib.util.spec_from_file_location("offline_hook", OFFLINE / "sitecustomize.py")
assert _spec is not None and _spec.loader is not None
_spec.loader.exec_module(importlib.util.module_from_spec(_spec))

_cache = tempfile.TemporaryDirectory(prefix="longqa-tests-")  # removed when the process ends
os.environ.update(
    HF_HOME=_cache.name,
    LONGQA_CACHE=str(Path(_cache.name) / "longqa"),
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    TRANSFORMERS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    NO_PROXY="*",
)
for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    os.environ.pop(name, None)
    os.environ.pop(name.lower(), None)

settings.register_profile(
    "longqa",
    derandomize=True,
    deadline=None,  # a busy machine is not a failure
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("longqa")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real books and papers beside the checkout; not part of the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip("../shared/data is missing: no real books and papers to read")
    return SHARED_DATA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` need a CUDA device; torch is imported only when there are such tests."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    reason = _why_no_gpu()
    if reason:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


def _why_no_gpu() -> str | None:
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed"
    import torch

    return None if torch.cuda.is_available() else "no CUDA device"
