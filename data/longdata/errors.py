"""The two ways a run says no: to the person who typed, and to one file among many.

UserError("got --ctx 12; allowed: 256 or more; fix: --ctx 8192")  -> one line, exit code 2
SourceError("encrypted", "the PDF asks for a password")  -> one counted line, the run goes on
"""

from __future__ import annotations


class UserError(Exception):
    """A mistake the user can mend: what was given, what is allowed, how to fix it, in one line."""


class SourceError(Exception):
    """One source cannot be used; the rest of the run goes on.

    `reason` is a short fixed phrase that is counted ("empty", "encrypted", "damaged", …);
    `detail` is for the person who has to mend the file.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[SourceError], tuple[str, str]]:
        return (type(self), (self.reason, self.detail))  # crosses process borders whole
