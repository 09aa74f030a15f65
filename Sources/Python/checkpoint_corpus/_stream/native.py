"""The library's pair stream: one that is open, and one that every process and every worker opens for itself."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from typing import Any, Iterator, Mapping, Optional

from .. import _library as library
from ..errors import invalid_argument
from .options import Mixture, options_of
from .position import Position
from .structures import Batch, Component, Counts, Omissions, Options, StreamInfo


class OpenStream:
    """An open stream of the library."""

    def __init__(self, mixture: Mixture, options: Options) -> None:
        components = (Component * len(mixture))(*((library.path_bytes(path), share) for path, share in mixture))
        self._handle = library.Handle(
            "stream_close", "stream_open_mixture", ctypes.byref(components), len(mixture), ctypes.byref(options)
        )
        self.process = self._handle.process
        #: The worker that it loads for, and how many workers take turns.
        self.worker = (options.share, options.shares)

    def close(self) -> None:
        self._handle.close()

    def info(self) -> StreamInfo:
        info = StreamInfo()
        library.call("stream_describe", self._handle.pointer, ctypes.byref(info))
        return info

    def seek(self, position: Position) -> None:
        library.call("stream_seek", self._handle.pointer, *position)

    def next(self) -> Batch:
        """The next batch. Ctrl-C cancels the stream, which then has to be opened again."""
        batch, pointer = Batch(), self._handle.pointer
        library.call_interruptibly(
            lambda: library.function("stream_cancel")(pointer), "stream_next", pointer, ctypes.byref(batch)
        )
        return batch

    def left_out(self) -> dict[str, int]:
        omissions = Omissions()
        library.call("stream_left_out", self._handle.pointer, ctypes.byref(omissions))
        counts = {name: getattr(omissions, name) for name, _ in Omissions._fields_ if name != "unused"}
        return {name: count for name, count in counts.items() if count}

    def statistics(self) -> dict[str, int]:
        counts = Counts()
        library.call("stream_statistics", self._handle.pointer, ctypes.byref(counts))
        return {"items": counts.items, "cached": counts.cached, "replaced": counts.replaced}


class NativeStream:
    """A stream of the library that opens itself anew in each process, and for each worker of DataLoader.

    Args:
        arguments: those of a PairStream that `options_of` takes.
    """

    def __init__(self, mixture: Mixture, arguments: Mapping[str, Any]) -> None:
        self._mixture, self._arguments = mixture, arguments
        self.is_closed = False
        self._lock = threading.RLock()
        self._stream: Optional[OpenStream] = None

    def __reduce__(self) -> Any:
        self.require_open()
        return NativeStream, (self._mixture, self._arguments)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other threads out; those of the process that this one was forked from don't count: they are not here,
        and one of them may have had the lock."""
        if self._stream is not None and self._stream.process != os.getpid():
            self._lock = threading.RLock()
        with self._lock:
            yield

    def opened(self, position: Optional[Position] = None, worker: tuple[int, int] = (0, 1)) -> OpenStream:
        """The stream of a worker's batches, standing at a position among them; to be called while it is locked."""
        self.require_open()
        if self._stream is not None and (self._stream.process != os.getpid() or self._stream.worker != worker):
            self.drop()
        if self._stream is None:
            self._stream = self._open(*worker)
        if position is not None:
            self._stream.seek(position)
        return self._stream

    def _open(self, worker_index: int = 0, worker_count: int = 1) -> OpenStream:
        options = options_of(**self._arguments)
        options.share, options.shares = worker_index, worker_count
        if options.workers == 0 and worker_count > 1:
            options.workers = max(1, len(os.sched_getaffinity(0)) // worker_count)
        return OpenStream(self._mixture, options)

    def drop(self) -> None:
        """Closes what is open; the next use opens it again."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def close(self) -> None:
        with self.locked():
            self.is_closed = True
            self.drop()

    def require_open(self) -> None:
        if self.is_closed:
            path = " + ".join(path for path, _ in self._mixture)
            raise invalid_argument(f"the stream of {path} is closed", "open it again")
