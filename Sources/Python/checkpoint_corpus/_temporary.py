"""Names of files that are being written, as the library gives them, too (Schemas/corpus.md)."""

from __future__ import annotations

import os
import pathlib
import re
import secrets
import time

#: How long a file counts as being written after it was last changed, where nobody can tell, in seconds.
_PATIENCE = 3600


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "-", os.uname().nodename[:32]) or "unknown"


def path_for(path: pathlib.Path) -> pathlib.Path:
    """A new path beside a file's, which no other writer has; what killed ones have left of the file is removed."""
    try:
        names = os.listdir(path.parent)
    except OSError:
        # Opening the file will tell why.
        names = []
    for name in names:
        if name.startswith(f".{path.name}.") and name.endswith(".tmp"):
            _remove_leftover(path.with_name(name), name[len(path.name) + 2 : -4])
    return path.with_name(f".{path.name}.{_host()}.{os.getpid()}.{secrets.randbits(60):d}.tmp")


def _remove_leftover(path: pathlib.Path, writer: str) -> None:
    match = re.fullmatch(r"([^.]*)\.([1-9][0-9]*)\.[0-9a-z]+", writer)
    if match is None:
        return
    try:
        if match[1] != _host() or lives(int(match[2])):
            if time.time() - path.lstat().st_mtime < _PATIENCE:
                return
        path.unlink()
    except OSError:
        # Somebody else's, or gone meanwhile: in nobody's way.
        pass


def lives(process: int) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
