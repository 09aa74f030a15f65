"""What a stream has to do with PyTorch, which need be neither installed nor imported."""

from __future__ import annotations

import functools
import os
import sys
from typing import Any, Optional

import numpy as np

from ..errors import invalid_argument


def loader_worker() -> Any:
    """What DataLoader says of the worker that this process is; None where it is none."""
    data = sys.modules.get("torch.utils.data")
    return None if data is None else data.get_worker_info()


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
        raise invalid_argument(
            f"the variable {name} is {text!r}", "make it a number, or pass rank and world_size"
        ) from None


def tensors_of(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Arrays as tensors that share their memory, or as copies in pinned memory where CUDA is there."""
    import torch

    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    # A worker of DataLoader has no CUDA; pin_memory=True pins what it sends.
    if loader_worker() is None and _has_cuda():
        return {name: torch.empty_like(tensor, pin_memory=True).copy_(tensor) for name, tensor in tensors.items()}
    return tensors


@functools.lru_cache(maxsize=None)
def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


@functools.lru_cache(maxsize=None)
def dataset_class(stream: type) -> type:
    """A class of streams as one of torch's IterableDatasets, too, under the name that it has."""
    from torch.utils.data import IterableDataset

    names = {"__doc__": stream.__doc__, "__module__": stream.__module__}
    return type(stream.__name__, (stream, IterableDataset), names)
