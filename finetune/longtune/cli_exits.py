"""How a command of longtune ends, and how its examples are shown: as with longqa."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

OK, USER_ERROR, BUG, INTERRUPTED = 0, 2, 3, 130


def examples(*lines: str) -> str:
    """An epilog whose example lines are not wrapped."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)]) + "\n"


def fail(line: str, code: int) -> NoReturn:
    """One line on standard error, and an exit code."""
    typer.echo(f"longtune: {' '.join(line.split())}", err=True)
    sys.exit(code)
