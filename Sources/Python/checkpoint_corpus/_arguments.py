"""The arguments of a PairStream, as C has them."""

from __future__ import annotations

import math
import os
from typing import Any, Mapping, Optional, Sequence, Union

import numpy as np

from . import _library as library
from ._batches import Options, Stage, defaults, stage_defaults
from .corpus import Corpus, Path
from .errors import CorpusError

_SPLITS = ("train", "test", "all")
_STATUSES = ("ok", "nonfinite", "out_of_range")
_ITEMS = ("pairs", "checkpoints")
_ORDERS = ("random", "sequential")
AUGMENTATIONS = ("none", "permute", "canonical", "automatic")
_DAMAGE = ("stop", "skip")
_BALANCES = ("none", "metric", "quantile", "log")
_DIRECTIONS = ("forward", "both")
Share = tuple[str, float]


def shares_of(corpus: Union[Corpus, Path, Sequence[tuple[Union[Corpus, Path], float]]]) -> tuple[Share, ...]:
    """The directories of one corpus, or of several with their shares."""
    if isinstance(corpus, (Corpus, str, os.PathLike)):
        return ((_path(corpus), 1.0),)
    try:
        return tuple((_path(part), float(share)) for part, share in corpus)
    except (TypeError, ValueError):
        raise CorpusError(
            "invalid_argument", f"{corpus!r} is no corpus, and no mixture of corpora",
            'pass a directory, or pairs such as [("corpora/a", 0.7), ("corpora/b", 0.3)]',
        ) from None  # fmt: skip


def _path(corpus: Union[Corpus, Path]) -> str:
    return corpus.path if isinstance(corpus, Corpus) else os.path.abspath(corpus)


def options_of(
    *, metric: Optional[str], batch_size: int, seed: int, split: str, where: Optional[str], statuses: Sequence[str],
    order: str, augment: str, scale: Optional[float], workers: Optional[int], prefetch: int, cache: Optional[str],
    cache_bytes: Optional[int], rank: int, world_size: int, items_per_epoch: Optional[int], on_damage: str, item: str,
    as_torch: bool, include_unmeasured: bool = False, **how: Any,
) -> Options:  # fmt: skip
    """The arguments of a PairStream as C has them."""
    options = defaults()
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
            raise CorpusError("invalid_argument", "the scale is 0", "make it a finite number other than 0")
        options.scale = scale
    # In C 0 stands for the default, which here has to be asked for by None.
    for name, value, limit in (("workers", workers, 2**31), ("items_per_epoch", items_per_epoch, 2**63)):
        if value is not None:
            setattr(options, name, _whole(name, value, 1, limit))
    options.prefetch = _whole("prefetch", prefetch, -(2**31), 2**31)
    options.rank = _whole("rank", rank, -(2**31), 2**31)
    options.world_size = _whole("world_size", world_size, -(2**31), 2**31)
    if cache is not None or cache_bytes is not None:
        options.cache = 1 if cache is None or cache == "memory" else 2
        options.cache_path = library.path_bytes(cache) if options.cache == 2 else None
        if cache_bytes is not None:
            options.cache_bytes = _whole("cache_bytes", cache_bytes, 0, 2**63)
    _draw(options, how)
    return options


def _whole(name: str, value: Any, least: int, limit: int) -> int:
    if not isinstance(value, (int, np.integer)) or not least <= value < limit:
        remedy = f"make it a whole number, at least {max(least, 0)}"
        raise CorpusError("invalid_argument", f"{name} is {value!r}", remedy)
    return int(value)


def _draw(options: Options, arguments: Mapping[str, Any]) -> None:
    """Sets what PairStream calls balance, balance_range, starts, directions, unchanged, run_weights and stages."""
    stages = arguments["stages"]
    _set(options, {name: value for name, value in arguments.items() if name != "stages" and value is not None})
    made = (Stage * len(stages))(*(_stage(*stage) for stage in stages))
    options.stages, options.stage_count = made if len(stages) else None, len(stages)


def _stage(first_epoch: Any, changes: Mapping[str, Any]) -> Stage:
    stage = stage_defaults()
    if not isinstance(first_epoch, (int, np.integer)) or not 0 <= first_epoch < 2**28:
        remedy = "make it a whole number, at least 0"
        raise CorpusError("invalid_argument", f"a stage begins at epoch {first_epoch!r}", remedy)
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
            target.initial_starts = named[value] if value in ("any", "initial") else _share(name, value)
        elif name == "unchanged":
            target.unchanged = _share(name, value)
        elif name == "run_weights":
            target.run_weights = _text(name, value)
        else:
            known = "where, balance, balance_range, starts, directions, unchanged, run_weights"
            raise CorpusError("invalid_argument", f"a stage has no {name}", f"choose among {known}")


def _range(value: Any) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in value)
    except (TypeError, ValueError):
        low = high = math.nan
    if not low < high:
        raise CorpusError("invalid_argument", f"balance_range is {value!r}", "make it a number and a higher one")
    return low, high


def _share(name: str, value: Any) -> float:
    if isinstance(value, (bool, str)) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
        also = '"any", "initial" or ' if name == "starts" else ""
        raise CorpusError("invalid_argument", f"{name} is {value!r}", f"make it {also}a share from 0 to 1")
    return float(value)


def _text(name: str, value: Optional[str]) -> Optional[bytes]:
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value:
        raise CorpusError("invalid_argument", f"{name} is {value!r}", "make it a text, without a zero character")
    return value.encode()


def _choice(name: str, value: Any, values: Sequence[str]) -> int:
    if value not in values:
        raise CorpusError("invalid_argument", f"{name} is {value!r}", f"make it one of {', '.join(values)}")
    return values.index(value)


def shares_in_c(shares: Sequence[Share]) -> tuple[tuple[bytes, float], ...]:
    """The shares as C takes their directories."""
    return tuple((library.path_bytes(path), share) for path, share in shares)
