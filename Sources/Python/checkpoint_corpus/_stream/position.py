"""Where a stream stands, also when DataLoader's workers load its batches."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import sys
import tempfile
import weakref
from typing import Any, Iterator, Optional

from .._temporary import lives
from .torch_glue import loader_worker

#: The epoch of the next batch, and the batch's index in that.
Position = tuple[int, int]


class StreamPosition:
    """The position of a stream, in the process that it lives in and in DataLoader's workers, which load for that.

    DataLoader tells the dataset nothing in the process that it lives in, and makes its workers anew for each pass. So
    the workers keep count in a small file, made when the first of them begins: an epoch is over once all have ended it.
    In a worker the position is where the pass of all workers began.

    Attributes:
        taken: in a worker, how many batches of its pass it has given, or will not give, as a state that was loaded says.
    """

    def __init__(
        self, position: Position = (0, 0), path: Optional[str] = None, taken: int = 0, is_loaded: bool = False
    ) -> None:
        self._position, self.taken, self._is_loaded = position, taken, is_loaded
        self._path = path or os.path.join(tempfile.gettempdir(), f"checkpoint-corpus-{secrets.token_hex(8)}.position")
        if path is None:
            weakref.finalize(self, _remove, self._path, os.getpid())

    def __reduce__(self) -> Any:
        # A process that is being started may be a worker, which tells this one where it is; any other is on its own.
        path = self._path if _is_spawning() else None
        return StreamPosition, (self.get(), path, self.taken, self._is_loaded)

    def get(self) -> Position:
        if loader_worker() is None and os.path.exists(self._path):
            with self._state() as state:
                self._position = tuple(state.get("position", self._position))
        return self._position

    def set(self, position: Position) -> None:
        self._position = position
        # Workers that are there would not know it otherwise.
        if loader_worker() is None and os.path.exists(self._path):
            with self._state() as state:
                state.clear()
                state["position"] = position

    def resume(self, taken: int) -> None:
        """Says that the next pass begins here whatever came before, and that this worker has given some of it."""
        self.taken, self._is_loaded = taken, True

    def begin_pass(self, worker: Any) -> Position:
        """Where the pass of all workers begins that this one takes part in."""
        if not self._is_loaded:
            self.taken = 0
        with self._state() as state:
            if self._is_loaded:
                state["position"] = self._position
            self._position = tuple(state.setdefault("position", self._position))
            if state.get("pass") != _number_of_pass(worker):
                state["pass"], state["finished"] = _number_of_pass(worker), []
            # One that begins again did not get to the end with all others. Nor did one that is gone, where a state brings
            # back its pass.
            state["finished"] = [
                (other, process) for other, process in state["finished"]
                if other != worker.id and (not self._is_loaded or lives(process))
            ]  # fmt: skip
        self._is_loaded = False
        return self._position

    def end_pass(self, worker: Any) -> None:
        """Says that this worker has come to the end of its epoch."""
        with self._state() as state:
            if state.get("pass") != _number_of_pass(worker):
                return
            state["finished"].append((worker.id, os.getpid()))
            if len({other for other, _ in state["finished"]}) == worker.num_workers:
                state["position"], state["finished"] = (state["position"][0] + 1, 0), []

    @contextlib.contextmanager
    def _state(self) -> Iterator[dict[str, Any]]:
        """What the file says, locked; changes are written back."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            text = file.read()
            state = json.loads(text) if text else {}
            yield state
            file.seek(0)
            file.truncate()
            json.dump(state, file)


def _number_of_pass(worker: Any) -> int:
    """What DataLoader gives all workers of a pass, and those of no other."""
    return worker.seed - worker.id


def _is_spawning() -> bool:
    """Whether what is being pickled goes to a process that is being started."""
    context = sys.modules.get("multiprocessing.context")
    return context is not None and context.get_spawning_popen() is not None


def _remove(path: str, process: int) -> None:
    # Children, which inherit this, leave the file alone.
    if os.getpid() == process:
        with contextlib.suppress(OSError):
            os.remove(path)
