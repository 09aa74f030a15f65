"""The C interface, checkpoint_corpus.h, by ctypes: declarations, errors as exceptions, and calls that Ctrl-C ends."""

from __future__ import annotations

import ctypes
import operator
import os
import pathlib
import threading
from ctypes import POINTER, c_char_p, c_float, c_int, c_int32, c_int64, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any, Callable, Iterator, Optional, TypeVar

from ._remedies import in_python
from .errors import CorpusError, invalid_argument

_NAME = "libcheckpoint_corpus.so"


def _find_repository() -> Optional[pathlib.Path]:
    """The repository that this file lies in, where it is not installed but used from there."""
    root = pathlib.Path(__file__).resolve().parents[3]
    return root if (root / "Package.swift").exists() else None


repository = _find_repository()


def _load() -> ctypes.CDLL:
    path = pathlib.Path(__file__).parent / _NAME
    if not path.exists() and repository is not None:
        path = repository / ".build" / "release" / _NAME
    try:
        return ctypes.CDLL(os.environ.get("CHECKPOINT_CORPUS_LIBRARY") or str(path))
    except OSError as error:
        raise ImportError(
            f"the native library of checkpoint_corpus does not load: {error}. Install a wheel that was built for this "
            "system, or build it with Swift: pip install ./Sources/Python (in the repository: Scripts/build). It needs "
            "x86-64 Linux with a glibc as new as that of the system that built it, and libstdc++6."
        ) from None


class Content(ctypes.Union):
    _fields_ = [("integer", c_int64), ("real", ctypes.c_double), ("text", c_void_p)]


class Value(ctypes.Structure):
    """cc_value."""

    _fields_ = [("type", c_int32), ("unused", c_int32), ("length", c_int64), ("content", Content)]


class RunInfo(ctypes.Structure):
    """cc_run."""

    _fields_ = [("run", c_int64), ("checkpoints", c_int64), ("status", c_int32), ("split", c_int32)]


NULL, INTEGER, REAL, TEXT, BLOB = range(5)
STALE = 1
INTERRUPTED = 20

#: Of each function what it returns (None for a code that becomes an exception) and what it takes.
_DECLARATIONS: dict[str, tuple[Any, list[Any]]] = {
    "version": (c_char_p, []),
    "error_name": (c_char_p, [c_int]),
    "error_message": (c_char_p, []),
    "error_remedy": (c_char_p, []),
    "error_cause": (c_char_p, []),
    "corpus_open": (c_int, [c_char_p, c_uint, POINTER(c_void_p)]),
    "corpus_close": (None, [c_void_p]),
    "corpus_manifest": (c_char_p, [c_void_p]),
    "corpus_count": (c_int, [c_void_p, POINTER(c_int64), POINTER(c_int64)]),
    "corpus_run": (c_int, [c_void_p, c_int64, POINTER(RunInfo)]),
    "corpus_read": (c_int, [c_void_p, c_int64, c_int64, c_int64, c_void_p]),
    "corpus_read_run": (c_int, [c_void_p, c_int64, c_int64, c_void_p, c_void_p, c_void_p]),
    "corpus_canonicalize": (c_int, [c_void_p, c_size_t, c_void_p]),
    "index": (c_int, [c_char_p, c_int]),
    "index_forget": (c_int, [c_char_p, c_int]),
    "query": (c_int, [c_void_p, c_char_p, POINTER(Value), c_size_t, POINTER(c_void_p)]),
    "rows_column_count": (c_size_t, [c_void_p]),
    "rows_column": (c_char_p, [c_void_p, c_size_t]),
    "rows_fetch": (c_int, [c_void_p, c_size_t, POINTER(c_void_p), POINTER(c_size_t)]),
    "rows_interrupt": (None, [c_void_p]),
    "rows_close": (None, [c_void_p]),
    "writer_open": (c_int, [c_char_p, c_char_p, POINTER(c_void_p)]),
    "writer_close": (None, [c_void_p]),
    "writer_contains": (c_int, [c_void_p, c_int64, POINTER(c_int)]),
    "writer_begin": (c_int, [c_void_p, c_int64]),
    "writer_abandon": (None, [c_void_p, c_int64]),
    "writer_store": (c_int, [c_void_p, c_int64, c_int64, c_void_p, c_void_p, c_void_p]),
    "writer_status": (c_int, [c_void_p, c_int64, POINTER(c_int32)]),
    "evaluator_open": (c_int, [c_char_p, c_char_p, c_char_p, POINTER(c_void_p)]),
    "evaluator_close": (None, [c_void_p]),
    "evaluator_parameter_count": (c_int64, [c_void_p]),
    "evaluator_metric_count": (c_size_t, [c_void_p]),
    "evaluator_metric": (c_char_p, [c_void_p, c_size_t]),
    "evaluator_run": (c_int, [c_void_p, c_size_t, c_void_p, c_uint64, c_uint, c_void_p]),
    "evaluator_initial_network": (c_int, [c_void_p, c_uint64, c_void_p]),
    "evaluator_cancel": (None, [c_void_p]),
    "published_prompt": (c_float, [c_char_p, c_char_p]),
    "stream_defaults": (None, [c_void_p]),
    "stream_open": (c_int, [c_char_p, c_void_p, POINTER(c_void_p)]),
    "stream_stage_defaults": (None, [c_void_p]),
    "stream_open_mixture": (c_int, [c_void_p, c_size_t, c_void_p, POINTER(c_void_p)]),
    "stream_close": (None, [c_void_p]),
    "stream_describe": (c_int, [c_void_p, c_void_p]),
    "stream_left_out": (c_int, [c_void_p, c_void_p]),
    "stream_statistics": (c_int, [c_void_p, c_void_p]),
    "stream_position": (c_int, [c_void_p, POINTER(c_int64), POINTER(c_int64)]),
    "stream_seek": (c_int, [c_void_p, c_int64, c_int64]),
    "stream_next": (c_int, [c_void_p, c_void_p]),
    "stream_cancel": (None, [c_void_p]),
    "batch_sources": (c_void_p, [c_void_p]),
    "batch_release": (None, [c_void_p]),
}

_library = _load()
for _function, (_result, _arguments) in _DECLARATIONS.items():
    try:
        _declared = getattr(_library, f"cc_{_function}")
    except AttributeError:
        raise ImportError(
            f"the native library of checkpoint_corpus is older than this package: cc_{_function} is missing; build it"
        ) from None
    _declared.restype, _declared.argtypes = _result, _arguments


def function(name: str) -> Callable[..., Any]:
    """The function cc_NAME as it is."""
    return getattr(_library, f"cc_{name}")


def call(name: str, *arguments: Any) -> None:
    """Calls a function that returns a code, and raises CorpusError where it has failed."""
    code = function(name)(*_fitting(name, arguments))
    if code:
        raise _last_error(code)


#: What integers of C hold, from the first to below the last; ctypes takes others modulo that.
_BOUNDS = {
    kind: (-(2 ** (8 * ctypes.sizeof(kind) - 1)), 2 ** (8 * ctypes.sizeof(kind) - 1)) if kind(-1).value < 0
    else (0, 2 ** (8 * ctypes.sizeof(kind)))
    for kind in (c_int, c_uint, c_int32, c_int64, c_uint64, c_size_t)
}  # fmt: skip


def _fitting(name: str, arguments: tuple[Any, ...]) -> Iterator[Any]:
    """The arguments of a function, none of which becomes another number in C."""
    for kind, argument in zip(_DECLARATIONS[name][1], arguments):
        low, end = _BOUNDS.get(kind, (0, 0))
        if end and hasattr(argument, "__index__"):
            argument = operator.index(argument)
            if not low <= argument < end:
                raise invalid_argument(f"the number {argument} is out of range", f"pass one from {low} to {end - 1}")
        yield argument


def _last_error(code: int) -> CorpusError:
    texts = (function(f"error_{part}")().decode("utf-8", "replace") for part in ("message", "remedy", "cause"))
    message, remedy, cause = texts
    return CorpusError(function("error_name")(code).decode(), message, in_python(remedy), cause)


def call_interruptibly(interrupt: Callable[[], Any], name: str, *arguments: Any) -> None:
    """Calls a function that may take long: Ctrl-C calls `interrupt`, which has to end it, and raises KeyboardInterrupt.

    Python's signal handlers run between steps of the main thread only, so the call goes to a thread of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        return call(name, *arguments)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            call(name, *arguments)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work, name=f"cc_{name}", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        interrupt()
        thread.join()
        raise
    if failures:
        raise failures[0]


def version() -> str:
    """The version of the native library."""
    return function("version")().decode()


class Handle:
    """Something open in the library, closed with its owner. Children of this process cannot use it."""

    def __init__(self, close: str, open_: str, *arguments: Any) -> None:
        pointer = c_void_p()
        self._close = function(close)
        self._pointer: Optional[int] = None
        call(open_, *arguments, ctypes.byref(pointer))
        self._pointer = pointer.value
        self.process = os.getpid()

    @property
    def pointer(self) -> int:
        if self._pointer is None:
            raise invalid_argument("this is closed", "open it again")
        return self._pointer

    @property
    def is_closed(self) -> bool:
        return self._pointer is None

    def close(self) -> None:
        pointer, self._pointer = self._pointer, None
        if pointer is not None:
            self._close(pointer)

    def __del__(self) -> None:
        if getattr(self, "_pointer", None) is not None:
            self.close()


_Self = TypeVar("_Self")


class Closing:
    """What is closed at the end of a `with` statement."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()  # type: ignore[attr-defined]


def path_bytes(path: Any) -> bytes:
    """A path for C, which means the same after a change of the working directory."""
    text = os.fsencode(os.path.abspath(path))
    if b"\0" in text:
        raise invalid_argument(f"{path!r} is no path", "leave out the zero character")
    return text
