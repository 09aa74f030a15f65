"""Training pairs."""

from __future__ import annotations

import copy
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Sequence, Union

from . import _omissions
from ._library import Closing
from ._stream import torch_glue
from ._stream.native import NativeStream, OpenStream
from ._stream.options import AUGMENTATIONS, Corpora, mixture_of
from ._stream.position import Position, StreamPosition
from ._stream.state import batch_of, part_of_pass
from ._stream.structures import Batch
from .corpus import Path
from .errors import CorpusError, LeftOutWarning, invalid_argument

if TYPE_CHECKING:
    import torch


class PairStream(Closing):
    """Batches of prompt pairs: two checkpoints of a run, as a rule the start before the target, with their metrics.

        >>> stream = PairStream("corpora/mnist", "test_error", batch_size=256)
        >>> for epoch in range(100):
        ...     for batch in stream:                        # one epoch, or what is left of it
        ...         loss = model(batch["start"], batch["start_metric"], batch["target_metric"], batch["target"])

    A batch is a dict of arrays: `start` and `target`, float32 (B, P), scaled and with their hidden units permuted
    alike; `start_metric` and `target_metric`, float32 (B,); `run`, int64 (B,), `start_step` and `target_step`, int32
    (B,), which say where they come from. Of single checkpoints there are no targets. Arrays are views into the memory
    that the library has decoded into, which they keep: nothing is copied. Tensors share it too, or are in pinned
    memory where CUDA is there. They may be written to.

    Pairs as they come are nearly all of well-trained networks. What a model learns depends on which are drawn:

        >>> PairStream("corpora/mnist", "test_loss", balance="metric", balance_range=(0.3, 2.3), starts=0.5)
        >>> PairStream([("corpora/mnist", 0.7), ("corpora/short", 0.3)], "test_loss", unchanged=0.1)

    Which pair comes when depends on the corpus, the selection and the seed alone, not on the number of workers,
    processes or GPUs. Under torchrun every process makes the same PairStream, and gets its part of each global batch.
    Stop and go on by `state_dict` and `load_state_dict`, as with any part of PyTorch:

        >>> torch.save({"model": model.state_dict(), "stream": stream.state_dict()}, "checkpoint.pt")
        >>> stream.load_state_dict(torch.load("checkpoint.pt")["stream"])

    It decodes on threads of its own, and needs no DataLoader. Where torch was imported before, it is a
    torch.utils.data.IterableDataset all the same:

        >>> loader = DataLoader(stream, batch_size=None, num_workers=4)

    whose workers share each epoch's batches, in the stream's order. torchdata's StatefulDataLoader goes on exactly by its
    own `state_dict` and `load_state_dict`, with as many workers as then. In a process forked or spawned from this one, it
    opens itself again where it stands.

    Args:
        corpus: a corpus, or its directory; or several of one architecture that are mixed, with their shares of the
            items: [("corpora/a", 0.7), ("corpora/b", 0.3)]. A mixture's batches have an array more, `source`, int32
            (B,): which of them each item comes from. Its scale is common.
        metric: the metric of starts and targets; None for the last one of the corpus.
        batch_size: B, the items in a batch of this process.
        seed: of everything that is drawn, from 0 to 2^64 - 1.
        split: "train", "test" or "all".
        where: a condition in SQL on the columns of runs and checkpoints, such as "iteration >= 100"; checkpoints that
            do not meet it do not occur.
        statuses: which runs, by their fitness for training: "ok", "nonfinite", "out_of_range".
        include_unmeasured: whether checkpoints without a finite value of the metric may occur; it then comes as it is,
            NaN or infinite. Otherwise pairs are drawn among the checkpoints that have one.
        order: "random"; or "sequential", which reads whole blocks of files, for disks that hate seeks.
        augment: what is done to the hidden units, the same to both members: "permute" puts those of each permutation
            group that the corpus declares in a random order, which leaves the function unchanged; "canonical" in the
            one order that follows from the start parameters; "none"; "automatic" is "permute" where groups are
            declared, else "none".
        scale: what parameters are multiplied by; None for 0.538 / their standard deviation in the selected runs.
        workers: threads that decode; None for one a processor.
        prefetch: batches that are made ahead.
        cache: where decoded runs are kept from one epoch to the next: "memory", or a directory, which serves later
            streams and other processes, too; None for nowhere.
        cache_bytes: the most that the cache may take: 4,096,000,000 if there is one; given alone, one in memory.
        rank: which part of each global batch, of world_size x B items, this process gets; None for torch.distributed's
            rank where that is initialised, else the variable RANK, else 0.
        world_size: how many processes share each global batch; None for what torch.distributed says where it is
            initialised, else the variable WORLD_SIZE, else 1.
        items_per_epoch: about how many items an epoch has, as each run is visited equally often; None for the
            published number, 100,800, or 806,400 for Cartpole.
        on_damage: what happens when a checkpoint cannot be decoded: "stop" raises the error, which names the file;
            "skip" puts another run in its place, and counts it in `statistics`.
        item: "pairs"; or "checkpoints", for other kinds of learning from weights.
        balance: how the metrics of targets (of single checkpoints: theirs) are spread: "none", as they come; "metric",
            evenly over its range; "quantile", evenly over its quantiles among the selected checkpoints; "log", evenly
            over its logarithm.
        balance_range: of which part of the metric's range; None for all that the selected runs have.
        starts: "any"; "initial", the first checkpoint of the run that may occur; or the share of pairs that start
            there.
        directions: "forward", the start before the target (where a balance draws the first checkpoint, it is its own
            start); or "both", either may come first.
        unchanged: the share of pairs whose target is the start itself, or the checkpoint before or after it.
        run_weights: an expression in SQL on the columns of runs, or on aggregates over a run's checkpoints, such as
            "max(train_return) > 400", in proportion to which runs are visited.
        stages: what changes with the epoch, as pairs of a first epoch and a dict of the arguments above, from balance
            on, or of where, a condition besides the stream's own: [(9, dict(starts=1)), (20, dict(where="run < 9"))].
            An epoch obeys the last stage that has begun; what it does not say is as without it.
        as_torch: whether batches are tensors; None for tensors where torch was imported before.

    Raises:
        CorpusError: "invalid_argument" for what cannot be, such as a metric that the corpus has not; "invalid_sql" for
            the condition; "empty_selection" if no run is left, or fewer items than a batch has.

    Warns:
        LeftOutWarning: of what split and condition select and is not drawn from, with the argument that would take it;
            `left_out` has the numbers.
    """

    def __new__(cls, *_: Any, **__: Any) -> PairStream:
        return object.__new__(torch_glue.dataset_class(cls) if cls is PairStream and "torch" in sys.modules else cls)

    def __init__(
        self,
        corpus: Corpora,
        metric: Optional[str] = None,
        batch_size: int = 1024,
        *,
        seed: int = 0,
        split: str = "train",
        where: Optional[str] = None,
        statuses: Sequence[str] = ("ok",),
        include_unmeasured: bool = False,
        order: str = "random",
        augment: str = "automatic",
        scale: Optional[float] = None,
        workers: Optional[int] = None,
        prefetch: int = 4,
        cache: Optional[Path] = None,
        cache_bytes: Optional[int] = None,
        rank: Optional[int] = None,
        world_size: Optional[int] = None,
        items_per_epoch: Optional[int] = None,
        on_damage: str = "stop",
        item: str = "pairs",
        balance: str = "none",
        balance_range: Optional[tuple[float, float]] = None,
        starts: Union[str, float] = "any",
        directions: str = "forward",
        unchanged: float = 0,
        run_weights: Optional[str] = None,
        stages: Sequence[tuple[int, Mapping[str, Any]]] = (),
        as_torch: Optional[bool] = None,
    ) -> None:
        #: The directories of the corpora, and their shares.
        self.shares = mixture_of(corpus)
        self.batch_size = batch_size
        self.seed = seed
        #: This process's index among those that share each global batch, and how many they are.
        self.rank, self.world_size = torch_glue.world(rank, world_size)
        self._as_torch = "torch" in sys.modules if as_torch is None else as_torch
        self._position = StreamPosition()
        self._native = NativeStream(self.shares, dict(
            metric=metric, batch_size=batch_size, seed=seed, split=split, where=where, statuses=tuple(statuses),
            include_unmeasured=include_unmeasured, order=order, augment=augment, scale=scale, workers=workers,
            prefetch=prefetch, cache=cache if cache is None or cache == "memory" else os.path.abspath(cache),
            cache_bytes=cache_bytes, rank=self.rank, world_size=self.world_size, items_per_epoch=items_per_epoch,
            on_damage=on_damage, item=item, balance=balance, balance_range=balance_range, starts=starts,
            directions=directions, unchanged=unchanged, run_weights=run_weights, stages=tuple(stages),
        ))  # fmt: skip
        opened = self._native.opened()
        info = opened.info()
        #: The name of the metric of starts and targets.
        self.metric: str = info.metric.decode()
        #: P, the length of a parameter vector.
        self.parameter_count: int = info.parameter_count
        #: What parameters are multiplied by: divide by it before you use them as a network's.
        self.scale: float = info.scale
        #: What is done to hidden units: "none", "permute" or "canonical".
        self.augment: str = AUGMENTATIONS[info.augmentation]
        #: The number of runs that it draws from.
        self.runs: int = info.runs
        #: The items of an epoch, of all processes together, with those that do not fill a last batch.
        self.items_per_epoch: int = info.items_per_epoch
        #: Names the sequence of items: of streams with the same one, each can go on where another has stopped.
        self.fingerprint: str = info.fingerprint.decode()
        self._batches: int = info.batches_per_epoch
        #: How much split and condition select and is not drawn from: runs by their status ("nonfinite",
        #: "out_of_range", "ok"), "unmeasured" checkpoints, which have no finite value of the metric, and "singles", runs
        #: of which one checkpoint is left where two make a pair. What is not there is none.
        self.left_out: dict[str, int] = opened.left_out()
        if self.left_out and self.rank == 0:
            text = _omissions.text(self.left_out, self.metric, _omissions.WAYS)
            warnings.warn(f"{self.path}: left out are {text}", LeftOutWarning, stacklevel=2)

    @property
    def path(self) -> str:
        """The corpus's directory; of a mixture, all of them."""
        return " + ".join(path for path, _ in self.shares)

    def close(self) -> None:
        """Ends its threads; it cannot be used any more. Batches that were taken stay valid."""
        self._native.close()

    def __reduce__(self) -> Any:
        return _restored, (self.__dict__,)

    def __repr__(self) -> str:
        if self._native.is_closed:
            return f"<PairStream {self.path!r}: closed>"
        return (
            f"<PairStream {self.path!r}: {self.runs} runs, {self._batches} batches of {self.batch_size} an epoch, "
            f"{self.metric}>"
        )

    def __len__(self) -> int:
        """The batches of an epoch that this process gets."""
        return self._batches

    # Batches

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The batches of one epoch from where the stream stands; after its end, the next call begins the next one."""
        self._native.require_open()
        worker = torch_glue.loader_worker()
        return self._rest_of_epoch() if worker is None else self._epoch_of_worker(worker)

    def _rest_of_epoch(self) -> Iterator[dict[str, Any]]:
        epoch = self.position[0]
        while self.position[0] == epoch:
            yield self._next()

    def _next(self) -> dict[str, Any]:
        with self._native.locked():
            opened = self._native.opened(self.position)
            try:
                batch = opened.next()
            except BaseException as error:
                if not isinstance(error, CorpusError) or error.code == "interrupted":
                    # It is cancelled for good.
                    self._native.drop()
                raise
            self._stand(batch.epoch, batch.first_item // (self.batch_size * self.world_size) + 1)
        return self._converted(batch)

    def _converted(self, batch: Batch) -> dict[str, Any]:
        arrays = batch.arrays(is_mixture=len(self.shares) > 1)
        return torch_glue.tensors_of(arrays) if self._as_torch else arrays

    def _epoch_of_worker(self, worker: Any) -> Iterator[dict[str, Any]]:
        """The batches of an epoch that a worker of DataLoader loads: as many of them as there are take turns.

        All but the batches comes at once, not with the first of them: loaders ask for the state before.
        """
        epoch, first = self._position.begin_pass(worker)
        indices = range(first + worker.id, self._batches, worker.num_workers)[self._position.taken :]
        if indices:
            turn, worker_index = divmod(indices[0], worker.num_workers)
            with self._native.locked():
                opened = self._native.opened((epoch, turn), (worker_index, worker.num_workers))
            return self._load(opened, len(indices), worker)
        self._position.end_pass(worker)
        return iter(())

    def _load(self, opened: OpenStream, count: int, worker: Any) -> Iterator[dict[str, Any]]:
        for _ in range(count):
            batch = self._converted(opened.next())
            self._position.taken += 1
            yield batch
        self._position.end_pass(worker)

    def dataset(self) -> torch.utils.data.IterableDataset:
        """A torch IterableDataset of the same batches, which begins where this stream stands; for a stream that was
        made before torch was imported, as any other is one itself."""
        import torch  # noqa: F401

        stream = copy.deepcopy(self)
        stream._as_torch = True
        return stream

    @property
    def statistics(self) -> dict[str, int]:
        """What this process's part of it has done since it was opened: items made, those of them that were cached, and
        damaged ones that were replaced."""
        with self._native.locked():
            return self._native.opened(self.position).statistics()

    # Where it stands

    @property
    def position(self) -> Position:
        """Where the next batch is taken: its epoch, and its number in that."""
        return self._position.get()

    def _stand(self, epoch: int, batch: int) -> None:
        self._position.set((epoch, batch) if batch < self._batches else (epoch + 1, 0))

    def seek(self, epoch: int, batch: int = 0) -> None:
        """Goes on from a batch of an epoch, both counted from 0.

        Raises:
            CorpusError: "invalid_argument" for a batch or an epoch that there is not.
        """
        self._native.require_open()
        if not (0 <= epoch < 2**28 and 0 <= batch <= self._batches):
            raise invalid_argument(
                f"there is no batch {batch} of epoch {epoch}", f"an epoch has {self._batches} batches"
            )
        with self._native.locked():
            self._stand(epoch, batch)

    def state_dict(self, taken: int = 0) -> dict[str, Any]:
        """Where it stands, for `load_state_dict`: made of numbers and texts alone.

        Args:
            taken: the number of batches that a loop over a DataLoader with workers has taken of its pass; as these
                run ahead, only the loop knows. 0 without workers, and between two passes.
        """
        epoch, batch = self.position
        batch += taken
        size = self.batch_size * self.world_size
        state = {
            "epoch": epoch, "batch": batch, "item": batch * size, "seed": self.seed, "fingerprint": self.fingerprint
        }  # fmt: skip
        part = part_of_pass(size)
        return state | part | {"taken": self._position.taken} if part else state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where the stream stood that gave the state, with the same items in the same order.

        Batch size and world size may be others than then, if a global batch of the new size begins there.

        Raises:
            CorpusError: "different_corpus" for the state of another seed, corpus or selection; "invalid_argument" for
                one within a global batch.
        """
        self.seek(*batch_of(
            state, seed=self.seed, fingerprint=self.fingerprint, path=self.path,
            global_batch=self.batch_size * self.world_size,
        ))  # fmt: skip
        if torch_glue.loader_worker() is not None:
            # StatefulDataLoader keeps where the pass began and how much of it the worker has given.
            self._position.resume(state["taken"])


def _restored(attributes: dict[str, Any]) -> PairStream:
    stream = PairStream.__new__(PairStream)
    stream.__dict__.update(attributes)
    return stream
