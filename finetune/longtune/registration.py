"""`import longtune` makes transformers know "s2_attn", without importing transformers.

When transformers is loaded already, the name is registered at once; otherwise as soon as its
`modeling_utils` has been imported, before any model can be made. So a command that only prints its
help does not wait for torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

from longtune.attention import s2_attention
from longtune.documents import s2_mask
from longtune.groups import NAME

_WATCHED = "transformers.modeling_utils"


def register() -> None:
    """Register s2_attn with transformers, now or when it comes. Twice is as good as once."""
    if _WATCHED in sys.modules:
        _register()
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, s2_attention)
    AttentionMaskInterface.register(NAME, s2_mask)


class _Finder(MetaPathFinder):
    """Finds one module, as Python would, and loads it with `_Loader`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _WATCHED:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        _register()
