"""The arguments of a PairStream as C takes them."""

from __future__ import annotations

import math
import os
from typing import Any, Mapping, Optional, Sequence, Union

import numpy as np

from .. import _library as library
from ..corpus import Corpus, Path
from ..errors import invalid_argument
from .structures import Options, Stage, with_defaults

_SPLITS = ("train", "test", "all")
_STATUSES = ("ok", "nonfinite", "out_of_range")
_ITEMS = ("pairs", "checkpoints")
_ORDERS = ("random", "sequential")
AUGMENTATIONS = ("none", "permute", "canonical", "automatic")
_DAMAGE = ("stop", "skip")
_BALANCES = ("none", "metric", "quantile", "log")
_DIRECTIONS = ("forward", "both")
#: The directories of corpora, each with its share of the items.
Mixture = tuple[tuple[str, float], ...]
#: What PairStream takes as a mixture.
Corpora = Union[Corpus, Path, Sequence[tuple[Union[Corpus, Path], float]]]


def mixture_of(corpus: Corpora) -> Mixture:
    """One corpus, or several with their shares, as a mixture; raises CorpusError for anything else."""
    if isinstance(corpus, (Corpus, str, os.PathLike)):
        return ((_path(corpus), 1.0),)
    try:
        return tuple((_path(one), float(share)) for one, share in corpus)
    except (TypeError, ValueError):
        raise invalid_argument(
            f"{corpus!r} is no corpus, and no mixture of corpora",
            'pass a directory, or pairs such as [("corpora/a", 0.7), ("corpora/b", 0.3)]',
        ) from None


def _path(corpus: Union[Corpus, Path]) -> str:
    return corpus.path if isinstance(corpus, Corpus) else os.path.abspath(corpus)


def options_of(
    *, metric: Optional[str], batch_size: int, seed: int, split: str, where: Optional[str], statuses: Sequence[str],
    order: str, augment: str, scale: Optional[float], workers: Optional[int], prefetch: int, cache: Optional[str],
    cache_bytes: Optional[int], rank: int, world_size: int, items_per_epoch: Optional[int], on_damage: str, item: str,
    include_unmeasured: bool, stages: Sequence[tuple[int, Mapping[str, Any]]], **drawing: Any,
) -> Options:  # fmt: skip
    """The options of a stream in C; `drawing` is balance, balance_range, starts, directions, unchanged, run_weights.

    Raises CorpusError, naming the argument that cannot be.
    """
    options = with_defaults(Options(), "stream_defaults")
    options.metric, options.where = _text("metric", metric), _text("where", where)
    options.batch_size = _whole("batch_size", batch_size, -(2**63), 2**63)
    options.seed = _whole("seed", seed, 0, 2**64)
    options.split = _choice("split", split, _SPLITS)
    options.statuses = sum({1 << _choice("status", status, _STATUSES) for status in statuses})
    options.unmeasured = int(include_unmeasured)
    options.item = _choice("item", item, _ITEMS)
    options.order = _choice("order", order, _ORDERS)
    options.augmentation = _choice("augment", augment, AUGMENTATIONS)
    if options.augmentation == 3:
        options.augmentation = -1
    options.on_damage = _choice("on_damage", on_damage, _DAMAGE)
    if scale is not None:
        if float(np.float32(scale)) == 0:
            raise invalid_argument("the scale is 0", "make it a finite number other than 0")
        options.scale = scale
    # In C 0 stands for the default, which here has to be asked for by None.
    for name, value, limit in (("workers", workers, 2**31), ("items_per_epoch", items_per_epoch, 2**63)):
        if value is not None:
            setattr(options, name, _whole(name, value, 1, limit))
    for name, value in (("prefetch", prefetch), ("rank", rank), ("world_size", world_size)):
        setattr(options, name, _whole(name, value, -(2**31), 2**31))
    if cache is not None or cache_bytes is not None:
        options.cache = 1 if cache is None or cache == "memory" else 2
        options.cache_path = library.path_bytes(cache) if options.cache == 2 else None
        if cache_bytes is not None:
            options.cache_bytes = _whole("cache_bytes", cache_bytes, 0, 2**63)
    _set(options, {name: value for name, value in drawing.items() if value is not None})
    options.stages = (Stage * len(stages))(*(_stage(*stage) for stage in stages)) if stages else None
    options.stage_count = len(stages)
    return options


def _whole(name: str, value: Any, least: int, limit: int) -> int:
    if not isinstance(value, (int, np.integer)) or not least <= value < limit:
        raise invalid_argument(f"{name} is {value!r}", f"make it a whole number, at least {max(least, 0)}")
    return int(value)


def _stage(first_epoch: Any, changes: Mapping[str, Any]) -> Stage:
    stage = with_defaults(Stage(), "stream_stage_defaults")
    if not isinstance(first_epoch, (int, np.integer)) or not 0 <= first_epoch < 2**28:
        raise invalid_argument(f"a stage begins at epoch {first_epoch!r}", "make it a whole number, at least 0")
    stage.first_epoch = int(first_epoch)
    changes = dict(changes)
    where = changes.pop("where", None)
    if where is not None:
        stage.where = _text("where", where)
    _set(stage, changes)
    return stage


def _set(target: Union[Options, Stage], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name == "balance":
            target.balance = _choice(name, value, _BALANCES)
        elif name == "directions":
            target.directions = _choice(name, value, _DIRECTIONS)
        elif name == "balance_range":
            target.balance_low, target.balance_high = _range(value)
        elif name == "starts":
            named = {"any": 0.0, "initial": 1.0}
            target.initial_starts = named[value] if value in ("any", "initial") else _fraction(name, value)
        elif name == "unchanged":
            target.unchanged = _fraction(name, value)
        elif name == "run_weights":
            target.run_weights = _text(name, value)
        else:
            known = "where, balance, balance_range, starts, directions, unchanged, run_weights"
            raise invalid_argument(f"a stage has no {name}", f"choose among {known}")


def _range(value: Any) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in value)
    except (TypeError, ValueError):
        low = high = math.nan
    if not low < high:
        raise invalid_argument(f"balance_range is {value!r}", "make it a number and a higher one")
    return low, high


def _fraction(name: str, value: Any) -> float:
    if isinstance(value, (bool, str)) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
        also = '"any", "initial" or ' if name == "starts" else ""
        raise invalid_argument(f"{name} is {value!r}", f"make it {also}a share from 0 to 1")
    return float(value)


def _text(name: str, value: Optional[str]) -> Optional[bytes]:
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value:
        raise invalid_argument(f"{name} is {value!r}", "make it a text, without a zero character")
    return value.encode()


def _choice(name: str, value: Any, values: Sequence[str]) -> int:
    if value not in values:
        raise invalid_argument(f"{name} is {value!r}", f"make it one of {', '.join(values)}")
    return values.index(value)
