"""How a command ends, and how its examples are shown."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

OK, SKIPPED, USER_ERROR, BUG, INTERRUPTED = 0, 1, 2, 3, 130


def examples(*lines: str, then: str = "") -> str:
    """An epilog whose example lines are not wrapped."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)]) + f"\n\n{then}"


def fail(line: str, code: int) -> NoReturn:
    """One line on standard error, and an exit code."""
    typer.echo(f"longqa: {' '.join(line.split())}", err=True)
    sys.exit(code)
