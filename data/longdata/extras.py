"""Optional dependencies: import one where it is needed, or say in one line how to get it.

    torch = require("torch", "eval")
    -> the module, or UserError: got no module named torch; needed: the eval extra of longqa;
       fix: pip install 'longqa[eval]'

A module is imported by this function inside the function that needs it, never at the top of a file.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Literal

from longdata.errors import UserError

# as in pyproject.toml
Extra = Literal["eval", "fast", "finetune", "flash", "qlora", "ray", "web", "dev", "all"]


def require(module: str, extra: Extra) -> ModuleType:
    """Import `module`, which the extra `extra` installs.

    Raises UserError with the pip command when it is not installed. A module that is installed but
    fails to import raises its own error: installing the extra again would not mend it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or module.partition(".")[0] != error.name:
            raise
        raise UserError(
            f"got no module named {error.name}; needed: the {extra} extra of longqa; "
            f"fix: pip install 'longqa[{extra}]'"
        ) from None
