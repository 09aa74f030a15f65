"""The structures of pair streams in checkpoint_corpus.h, and batches as views into the library's memory."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_float, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from typing import Any

import numpy as np

from .. import _library as library


class Stage(ctypes.Structure):
    """cc_stream_stage."""

    _fields_ = [
        ("first_epoch", c_int64), ("where", c_char_p), ("run_weights", c_char_p), ("balance_low", c_float),
        ("balance_high", c_float), ("balance", c_int32), ("directions", c_int32), ("initial_starts", c_double),
        ("unchanged", c_double), ("unused", c_int64 * 4),
    ]  # fmt: skip


class Options(ctypes.Structure):
    """cc_stream_options."""

    _fields_ = [
        ("metric", c_char_p), ("where", c_char_p), ("batch_size", c_int64), ("seed", c_uint64), ("split", c_int32),
        ("statuses", c_uint32), ("item", c_int32), ("order", c_int32), ("augmentation", c_int32),
        ("on_damage", c_int32), ("scale", c_float), ("workers", c_int32), ("prefetch", c_int32), ("cache", c_int32),
        ("cache_path", c_char_p), ("cache_bytes", c_int64), ("rank", c_int32), ("world_size", c_int32),
        ("share", c_int32), ("shares", c_int32), ("items_per_epoch", c_int64), ("balance", c_int32),
        ("directions", c_int32), ("balance_low", c_float), ("balance_high", c_float), ("initial_starts", c_double),
        ("unchanged", c_double), ("run_weights", c_char_p), ("stages", POINTER(Stage)), ("stage_count", c_int64),
        ("unmeasured", c_int32), ("unused", c_int32 * 1),
    ]  # fmt: skip


class Component(ctypes.Structure):
    """cc_stream_share."""

    _fields_ = [("path", c_char_p), ("share", c_double)]


class StreamInfo(ctypes.Structure):
    """cc_stream_facts."""

    _fields_ = [
        ("parameter_count", c_int64), ("runs", c_int64), ("items_per_epoch", c_int64), ("batches_per_epoch", c_int64),
        ("scale", c_float), ("augmentation", c_int32), ("metric", c_char_p), ("fingerprint", c_char_p),
    ]  # fmt: skip


class Omissions(ctypes.Structure):
    """cc_stream_omissions."""

    _fields_ = [
        ("nonfinite", c_int64), ("out_of_range", c_int64), ("ok", c_int64), ("unmeasured", c_int64),
        ("singles", c_int64), ("unused", c_int64 * 3),
    ]  # fmt: skip


class Counts(ctypes.Structure):
    """cc_stream_counts."""

    _fields_ = [("items", c_int64), ("cached", c_int64), ("replaced", c_int64), ("unused", c_int64)]


class Batch(ctypes.Structure):
    """cc_batch; its memory goes back to the library with the last array that views it."""

    _fields_ = [
        ("count", c_int64), ("parameter_count", c_int64), ("epoch", c_int64), ("first_item", c_int64),
        ("replacements", c_int64), ("start", c_void_p), ("target", c_void_p), ("start_metric", c_void_p),
        ("target_metric", c_void_p), ("run", c_void_p), ("start_step", c_void_p), ("target_step", c_void_p),
        ("owner", c_void_p),
    ]  # fmt: skip

    _release = library.function("batch_release")

    def __del__(self) -> None:
        self._release(ctypes.byref(self))

    @property
    def source(self) -> int:
        return library.function("batch_sources")(ctypes.byref(self))

    def arrays(self, is_mixture: bool = False) -> dict[str, np.ndarray]:
        """The arrays by their names, as PairStream describes them; single checkpoints are starts without targets."""
        names = ["start", "target", "start_metric", "target_metric", "run", "start_step", "target_step"]
        if not self.target:
            names = [name for name in names if not name.startswith("target")]
        if is_mixture:
            names.append("source")
        return {name: np.asarray(_View(self, name)) for name in names}


class _View:
    """An array of a batch as numpy takes it up; numpy keeps this object, and this one the batch."""

    def __init__(self, batch: Batch, name: str) -> None:
        self._batch = batch
        wide = name in ("start", "target")
        shape = (batch.count, batch.parameter_count) if wide else (batch.count,)
        kind = "<i8" if name == "run" else "<i4" if name.endswith("step") or name == "source" else "<f4"
        data = (getattr(batch, name), False)
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": kind, "data": data}


def with_defaults(structure: Any, setter: str) -> Any:
    """A structure as a function of the library has set it."""
    library.function(setter)(ctypes.byref(structure))
    return structure
