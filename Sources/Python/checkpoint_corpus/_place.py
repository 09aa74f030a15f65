"""The place of a stream whose batches are loaded by other processes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import tempfile
import weakref
from typing import Any, Iterator, Optional

Place = tuple[int, int]


class SharedPlace:
    """Where a stream stands, (epoch, batch), told by DataLoader's workers to the process that they load for.

    DataLoader tells the dataset nothing in the process that it lives in, and makes its workers anew for each pass. So
    the workers keep count in a small file, made when the first of them begins: an epoch is over once all have ended it.
    """

    def __init__(self, path: Optional[str] = None) -> None:
        self.path = path or os.path.join(tempfile.gettempdir(), f"checkpoint-corpus-{secrets.token_hex(8)}.place")
        if path is None:
            weakref.finalize(self, _remove, self.path, os.getpid())

    def read(self) -> Optional[Place]:
        """The place, if workers have told one."""
        if not os.path.exists(self.path):
            return None
        with self._state() as state:
            return tuple(state["place"]) if "place" in state else None

    def move(self, place: Place) -> None:
        """Says where workers begin next, if there are any that would not know it otherwise."""
        if os.path.exists(self.path):
            with self._state() as state:
                state.clear()
                state["place"] = place

    def begin(self, iteration: int, worker: int, place: Place, *, is_certain: bool = False) -> Place:
        """Where an iteration of all workers begins.

        Args:
            place: where, if it is the first of all iterations.
            is_certain: whether it begins there whatever came before, as a state that was loaded says.
        """
        with self._state() as state:
            if is_certain:
                state["place"] = place
            state.setdefault("place", place)
            if state.get("iteration") != iteration:
                state["iteration"], state["finished"] = iteration, []
            # One that begins again did not get to the end with all others. Nor did one that is gone, where a state brings
            # back its iteration.
            state["finished"] = [
                (other, process) for other, process in state["finished"]
                if other != worker and (not is_certain or _is_alive(process))
            ]  # fmt: skip
            return tuple(state["place"])

    def finish(self, iteration: int, worker: int, workers: int) -> None:
        """Says that a worker has come to the end of its epoch."""
        with self._state() as state:
            if state.get("iteration") != iteration:
                return
            state["finished"].append((worker, os.getpid()))
            if len({other for other, _ in state["finished"]}) == workers:
                state["place"], state["finished"] = (state["place"][0] + 1, 0), []

    @contextlib.contextmanager
    def _state(self) -> Iterator[dict[str, Any]]:
        """What the file says, locked; changes are written back."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            text = file.read()
            state = json.loads(text) if text else {}
            yield state
            file.seek(0)
            file.truncate()
            json.dump(state, file)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _remove(path: str, process: int) -> None:
    # Children, which inherit this, leave the file alone.
    if os.getpid() == process:
        with contextlib.suppress(OSError):
            os.remove(path)
