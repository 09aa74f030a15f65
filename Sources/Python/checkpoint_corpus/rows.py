"""Rows of SQL as columns of numpy."""

from __future__ import annotations

import ctypes
from typing import Any, Iterator, Sequence

import numpy as np

from . import _library as library
from .errors import CorpusError

_BATCH = 65536
#: cc_value as numpy sees it.
_VALUE = np.dtype([("type", "<i4"), ("unused", "<i4"), ("length", "<i8"), ("content", "<i8")])


def fetch(corpus: int, query: str, parameters: Sequence[Any]) -> tuple[list[str], list[np.ndarray]]:
    """All rows: the names of the columns, and their values.

    A column of whole numbers is int64, one of numbers or NULL float64 with NaN for NULL; anything else is a column of
    Python's objects.
    """
    with Rows(corpus, query, parameters) as rows:
        batches, names = list(rows.batches()), rows.names
    if not batches:
        return names, [np.empty(0, object) for _ in names]
    return names, [_joined([batch[column] for batch in batches]) for column in range(len(names))]


def column_of(metric: str) -> str:
    """A metric's column in SQL, whatever else its name may mean there."""
    return f'checkpoints."{metric}"'


def measured(metric: str) -> str:
    """Where a checkpoint has a finite value of a metric, in SQL; the index has NULL for NaN."""
    largest = "3.4028234663852886e+38"
    return f"{column_of(metric)} BETWEEN -{largest} AND {largest}"


def status_of(statuses: Sequence[str]) -> str:
    """Where a run has one of some statuses, in SQL."""
    return f"runs.status IN ({', '.join(repr(status) for status in statuses)})"


def expression(corpus: int, condition: str) -> str:
    """A condition on the columns of runs and checkpoints in parentheses, to stand inside a statement of ours.

    It must be one expression by itself: "1) OR (1" closes a parenthesis that is ours. Alone, SQLite does not accept it;
    and what it accepts alone but is more, such as "1 LIMIT 5", it does not accept in parentheses.

    Raises:
        CorpusError: "invalid_sql".
    """
    # The line breaks end comments.
    in_parentheses = f"(\n{condition}\n)"
    for form in (condition, in_parentheses):
        with Rows(corpus, f"SELECT 1 FROM checkpoints JOIN runs USING (run) WHERE\n{form}\n", ()):
            pass
    return in_parentheses


class Rows(library.Closing):
    """The rows of a statement, in batches."""

    def __init__(self, corpus: int, query: str, parameters: Sequence[Any]) -> None:
        if "\0" in query:
            raise CorpusError("invalid_sql", "the SQL has a zero character in it", "leave it out")
        values = (library.Value * len(parameters))()
        # Kept until the library has made its copies.
        kept = [_set(value, parameter) for value, parameter in zip(values, parameters)]
        self._handle = library.Handle(
            "rows_close", "query", corpus, query.encode(), values, ctypes.c_size_t(len(parameters))
        )
        del kept
        pointer = self._handle.pointer
        count = library.function("rows_column_count")(pointer)
        self.names = [library.function("rows_column")(pointer, column).decode() for column in range(count)]

    def close(self) -> None:
        self._handle.close()

    def batches(self) -> Iterator[list[np.ndarray]]:
        """Some rows at a time: a column for each name."""
        pointer, found, count = self._handle.pointer, ctypes.c_void_p(), ctypes.c_size_t()

        def interrupt() -> None:
            library.function("rows_interrupt")(pointer)

        while True:
            library.call_interruptibly(
                interrupt, "rows_fetch", pointer, _BATCH, ctypes.byref(found), ctypes.byref(count)
            )
            if count.value == 0:
                return
            size = count.value * len(self.names) * _VALUE.itemsize
            memory = (ctypes.c_char * size).from_address(found.value or 0)
            values = np.frombuffer(memoryview(memory), _VALUE).reshape(count.value, len(self.names))
            yield [_column(values[:, column]) for column in range(len(self.names))]
            if count.value < _BATCH:
                return


def _set(value: library.Value, parameter: Any) -> Any:
    """Sets a value that goes with a statement; returns what has to stay as long as the value is used."""
    if isinstance(parameter, np.generic):
        parameter = parameter.item()
    if parameter is None:
        value.type = library.NULL
    elif isinstance(parameter, int):
        if not -(2**63) <= parameter < 2**63:
            raise CorpusError("invalid_sql", f"{parameter} has more than 64 bits", "pass it as a text")
        value.type, value.content.integer = library.INTEGER, parameter
    elif isinstance(parameter, float):
        value.type, value.content.real = library.REAL, parameter
    elif isinstance(parameter, (str, bytes)):
        content = parameter.encode() if isinstance(parameter, str) else parameter
        kept = ctypes.create_string_buffer(content, len(content) + 1)
        value.type = library.TEXT if isinstance(parameter, str) else library.BLOB
        value.length, value.content.text = len(content), ctypes.addressof(kept)
        return kept
    else:
        kind = type(parameter).__name__
        raise CorpusError("invalid_sql", f"a {kind} is no value of SQL", "pass None, a number, a text or bytes")
    return None


def _column(values: np.ndarray) -> np.ndarray:
    """A column's values out of the library's memory."""
    types = values["type"]
    kinds = set(np.unique(types).tolist())
    if kinds == {library.INTEGER}:
        return values["content"].copy()
    reals = np.ascontiguousarray(values["content"]).view("<f8")
    if library.REAL in kinds and kinds <= {library.REAL, library.NULL}:
        return np.where(types == library.NULL, np.nan, reals)
    objects = np.empty(len(values), object)
    for row, (kind, _, length, content) in enumerate(values.tolist()):
        if kind == library.INTEGER:
            objects[row] = content
        elif kind == library.REAL:
            objects[row] = float(reals[row])
        elif kind == library.TEXT:
            objects[row] = ctypes.string_at(content, length).decode("utf-8", "replace")
        elif kind == library.BLOB:
            objects[row] = ctypes.string_at(content, length)
    return objects


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """One column of several batches, whose types may differ."""
    if len({part.dtype for part in parts}) == 1:
        return np.concatenate(parts)
    if all(part.dtype.kind == "f" or (part.dtype == object and all(v is None for v in part)) for part in parts):
        return np.concatenate([part.astype(np.float64) for part in parts])
    return np.concatenate([part.astype(object) for part in parts])
