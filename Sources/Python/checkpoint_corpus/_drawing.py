"""How pairs are drawn: the arguments of a PairStream that C has in other forms."""

from __future__ import annotations

import math
import os
from typing import Any, Mapping, Optional, Sequence, Union

import numpy as np

from . import _library as library
from ._batches import Options, Stage, stage_defaults
from .corpus import Corpus, Path
from .errors import CorpusError

BALANCES = ("none", "metric", "quantile", "log")
DIRECTIONS = ("forward", "both")
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
    return corpus.path if isinstance(corpus, Corpus) else os.fspath(corpus)


def apply(options: Options, arguments: Mapping[str, Any]) -> None:
    """Sets what PairStream calls balance, balance_range, starts, directions, unchanged, run_weights and stages."""
    stages = arguments["stages"]
    _set(options, {name: value for name, value in arguments.items() if name != "stages" and value is not None})
    made = (Stage * len(stages))(*(_stage(*stage) for stage in stages))
    options.stages, options.stage_count = made if len(stages) else None, len(stages)


def _stage(first_epoch: Any, changes: Mapping[str, Any]) -> Stage:
    stage = stage_defaults()
    if not isinstance(first_epoch, (int, np.integer)) or not 0 <= first_epoch < 2**28:
        raise CorpusError("invalid_argument", f"a stage begins at epoch {first_epoch!r}", "make it a whole number, at least 0")
    stage.first_epoch = int(first_epoch)
    changes = dict(changes)
    where = changes.pop("where", None)
    if where is not None:
        stage.where = text("where", where)
    _set(stage, changes)
    return stage


def _set(target: Union[Options, Stage], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name == "balance":
            target.balance = choice(name, value, BALANCES)
        elif name == "directions":
            target.directions = choice(name, value, DIRECTIONS)
        elif name == "balance_range":
            target.balance_low, target.balance_high = _range(value)
        elif name == "starts":
            target.initial_starts = {"any": 0.0, "initial": 1.0}[value] if value in ("any", "initial") else _share(name, value)
        elif name == "unchanged":
            target.unchanged = _share(name, value)
        elif name == "run_weights":
            target.run_weights = text(name, value)
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


def text(name: str, value: Optional[str]) -> Optional[bytes]:
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value:
        raise CorpusError("invalid_argument", f"{name} is {value!r}", "make it a text, without a zero character")
    return value.encode()


def choice(name: str, value: Any, values: Sequence[str]) -> int:
    if value not in values:
        raise CorpusError("invalid_argument", f"{name} is {value!r}", f"make it one of {', '.join(values)}")
    return values.index(value)


def source_arguments(shares: Sequence[Share]) -> tuple[tuple[bytes, float], ...]:
    """The shares as C takes their directories."""
    return tuple((library.path_bytes(path), share) for path, share in shares)
