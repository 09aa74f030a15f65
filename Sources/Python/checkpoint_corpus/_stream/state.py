"""What a stream's state says besides its position, and whether another stream can go on from it."""

from __future__ import annotations

from typing import Any, Mapping

from ..errors import CorpusError, invalid_argument
from .torch_glue import loader_worker


def part_of_pass(global_batch: int) -> dict[str, int]:
    """Which part of a pass, in batches of so many items, this process gives where it is a worker of DataLoader."""
    worker = loader_worker()
    return {} if worker is None else {"worker": worker.id, "workers": worker.num_workers, "size": global_batch}


def batch_of(
    state: Mapping[str, Any], *, seed: int, fingerprint: str, path: str, global_batch: int
) -> tuple[int, int]:
    """The epoch and the batch, of this size, at which a state stands.

    Raises:
        CorpusError: as `PairStream.load_state_dict` says.
    """
    try:
        epoch, item, of_seed, of_stream = (state[name] for name in ("epoch", "item", "seed", "fingerprint"))
    except (KeyError, TypeError, IndexError):
        raise invalid_argument("this is no state of a PairStream", "pass what state_dict() has returned") from None
    if of_seed != seed:
        raise CorpusError(
            "different_corpus", f"the state is that of a stream with the seed {of_seed}, and this one has {seed}",
            f"open the stream with seed={of_seed}",
        )  # fmt: skip
    if of_stream != fingerprint:
        raise CorpusError(
            "different_corpus", f"the state is that of another stream than this one of {path}",
            "open it with the corpus, split, where, statuses, order, augment, item, items_per_epoch of then, and "
            "all that says how pairs are drawn",
        )  # fmt: skip
    if item % global_batch:
        raise invalid_argument(
            f"the state stands at item {item}, where no global batch of {global_batch} begins",
            f"choose batch_size x world_size so that it divides {item}",
        )
    if {name: state[name] for name in ("worker", "workers", "size") if name in state} != part_of_pass(global_batch):
        raise invalid_argument(
            "the state is that of another part of a pass than this process gives",
            "load it by the same kind of loader, with num_workers and batch_size of then",
        )
    return epoch, item // global_batch
