"""What is around a stream: DataLoader's workers, processes that are being started, other ranks, a GPU."""

from __future__ import annotations

import functools
import os
import sys
from typing import Any, Optional

from .errors import CorpusError


def loader_worker() -> Any:
    """What DataLoader says of the worker that this process is; None where it is none."""
    data = sys.modules.get("torch.utils.data")
    return None if data is None else data.get_worker_info()


def is_spawning() -> bool:
    """Whether what is being pickled goes to a process that is being started."""
    context = sys.modules.get("multiprocessing.context")
    return context is not None and context.get_spawning_popen() is not None


@functools.lru_cache(maxsize=None)
def has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def world(rank: Optional[int], world_size: Optional[int]) -> tuple[int, int]:
    """This process's rank and how many there are: as given, or else as torch.distributed or torchrun say."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        found = distributed.get_rank(), distributed.get_world_size()
    else:
        found = _variable("RANK", 0), _variable("WORLD_SIZE", 1)
    return (found[0] if rank is None else rank), (found[1] if world_size is None else world_size)


def _variable(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        raise CorpusError(
            "invalid_argument", f"the variable {name} is {text!r}", "make it a number, or pass rank and world_size"
        ) from None
