"""The one kind of exception that this package raises for what a user can mend, and a warning."""

from __future__ import annotations


class CorpusError(Exception):
    """What went wrong, in a sentence that names the file or run, and what to do about it.

    Attributes:
        code: the kind of failure, for programs, such as "unknown_run"; checkpoint_corpus.h lists them all.
        message: what happened.
        remedy: what to do about it.
        cause: what the layer below said, such as SQLite; "" where it said nothing.
    """

    def __init__(self, code: str, message: str, remedy: str, cause: str = "") -> None:
        super().__init__(code, message, remedy, cause)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.cause = cause

    def __str__(self) -> str:
        detail = f" ({self.cause})" if self.cause else ""
        return f"{self.message}{detail}: {self.remedy}"


def invalid_argument(message: str, remedy: str, cause: str = "") -> CorpusError:
    """What to raise for an argument that cannot be."""
    return CorpusError("invalid_argument", message, remedy, cause)


class LeftOutWarning(UserWarning):
    """Something is left out, or will be: how much and why, and what takes it all the same."""
