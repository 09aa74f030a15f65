"""Storing checkpoints of one's own."""

from __future__ import annotations

import ctypes
import json
import os
import warnings
from typing import Any, Iterable, Iterator, Mapping, Optional, Union

import numpy as np

from . import _library as library
from ._symmetry.declaring import groups_of
from .errors import CorpusError, LeftOutWarning, invalid_argument
from .vectors import architecture_of, bare_names, unwrapped, vector_of

#: Metrics whose direction goes without saying.
KNOWN_METRICS = {
    **dict.fromkeys(("train_loss", "train_error", "test_loss", "test_error"), "minimize"),
    **dict.fromkeys(("train_return", "eval_return"), "maximize"),
}


class Writer(library.Closing):
    """A corpus that is open for storing runs, made where nothing is yet.

        >>> with Writer("corpora/mine", task="mine", architecture=model, metrics=["train_loss", "test_loss"],
        ...             recipe={"learning_rate": 0.1, "epochs": 5}) as writer:
        ...     for seed in writer.missing(range(1000)):
        ...         with writer.run(seed) as run:
        ...             torch.manual_seed(seed)
        ...             ...
        ...             run.log(iteration, model, train_loss=loss, test_loss=test(model))

    A run is stored as a whole when its `with` block ends, and not at all if that raises. The index takes it up when
    it is free, at the latest when the writer is closed; runs that somebody's open cursor keeps out of it even then are
    left to `index`. Any number of threads and
    processes may store into one corpus, each run made by one of them; a job that is run again goes on where it was.
    That needs a file system with locks; without, set the environment variable CORPUS_ALONE=1 in the one process that stores.

    Args:
        path: the corpus's directory.
        task: a name for what is trained.
        architecture: the tensors of a parameter vector: a module, its state_dict, or a dict from names to shapes.
        metrics: what is logged with each checkpoint: a dict from names to "minimize" or "maximize"; for train_loss,
            train_error, test_loss, test_error, train_return and eval_return a list of names will do.
        recipe: everything that determines a run but its seed, as JSON.
        architecture_name: a name for the architecture.
        codec: "delta", the smallest, or "zstd", which h5py with hdf5plugin reads without this package.
        test_fraction: the part of the runs that is held out: the last ones.
        test_limit: the most runs that are held out.
        permutations: which axes of which tensors may be permuted together without changing what networks compute, so
            that `PairStream` can do it. "auto": those of a module that a pass through it suggests and that hold on
            random numbers, none for anything else, and a warning where nothing can be told; "trace": as "auto", but it
            raises instead of warning; "none"; or a dict, for each tensor in which something moves, of what moves in
            each axis, such as {"fc1.weight": ["hidden", None], "fc1.bias": ["hidden"], "fc2.weight": [None, "hidden"]}
            (`Permutations.declared` says more), which is checked where there is a module. A corpus that is there
            already keeps its own.
        example_input: what the module is called with: a tensor, a tuple of arguments or a dict of them by name; by
            default one is guessed by its layers.

    Raises:
        CorpusError: "different_task" or "different_recipe" if the corpus that is there is another one;
            "invalid_argument" for permutations that contradict the shapes, or change what the module computes.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        *,
        task: str,
        architecture: Any,
        metrics: Union[Mapping[str, str], Iterable[str]],
        recipe: Optional[Mapping[str, Any]] = None,
        architecture_name: str = "network",
        codec: str = "delta",
        test_fraction: float = 0.05,
        test_limit: int = 2050,
        permutations: Any = "auto",
        example_input: Any = None,
    ) -> None:
        #: Runs that `missing` has claimed, and that nobody has begun yet.
        self._offered: set[int] = set()
        # Where it is also after a change of the working directory.
        self.path = os.path.abspath(path)
        architecture = unwrapped(architecture)
        self.architecture = _as_stored(self.path, architecture_of(architecture))
        self.metrics = _goals(metrics)
        groups = groups_of(self.path, architecture, self.architecture, permutations, example_input)
        manifest = {
            "task": task,
            "architecture": {
                "name": architecture_name,
                "tensors": [{"name": name, "shape": shape} for name, shape in self.architecture.items()],
                **({} if groups is None else {"permutations": groups.json()}),
            },
            "metrics": [{"name": name, "goal": goal} for name, goal in self.metrics.items()],
            "recipe": dict(recipe or {}),
            "codec": codec,
            "split": {"test_fraction": test_fraction, "test_limit": test_limit},
        }
        _require_exact(manifest["recipe"], "recipe")
        try:
            text = json.dumps(manifest, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise CorpusError(
                "invalid_recipe", "the recipe cannot be written as JSON",
                "use finite numbers, texts, lists and dicts", str(error),
            ) from None  # fmt: skip
        self._handle = library.Handle("writer_close", "writer_open", library.path_bytes(self.path), text.encode())

    def close(self) -> None:
        """Ends writing; runs that were begun and not stored are given up."""
        self._handle.close()

    def __repr__(self) -> str:
        return f"<Writer {self.path!r}{': closed' if self._handle.is_closed else ''}>"

    def __contains__(self, seed: int) -> bool:
        """Whether the run is stored."""
        contains = ctypes.c_int()
        library.call("writer_contains", self._handle.pointer, seed, ctypes.byref(contains))
        return bool(contains.value)

    def missing(self, seeds: Iterable[int]) -> Iterator[int]:
        """Those of the seeds whose runs are neither stored nor being made by others, each looked up at its turn.

        The run is claimed for the caller until it is stored; one that is not begun only until the next is asked for.
        """
        for seed in seeds:
            if seed in self:
                continue
            try:
                library.call("writer_begin", self._handle.pointer, seed)
            except CorpusError as error:
                if error.code in ("already_exists", "claimed_elsewhere"):
                    continue
                raise
            self._offered.add(seed)
            try:
                yield seed
            finally:
                if seed in self._offered:
                    self._offered.discard(seed)
                    self._abandon(seed)

    def _abandon(self, seed: int) -> None:
        if not self._handle.is_closed:
            library.function("writer_abandon")(self._handle.pointer, seed)

    def run(self, seed: int) -> RunWriter:
        """Begins a run; to be used in a `with` statement.

        Args:
            seed: its name, from 0 on, and by custom the seed of all its random numbers.

        Raises:
            CorpusError: "already_exists" if it is stored, "claimed_elsewhere" if another process is making it.
        """
        if seed in self._offered:
            self._offered.discard(seed)
        else:
            library.call("writer_begin", self._handle.pointer, seed)
        return RunWriter(self, seed)


class RunWriter:
    """A run that is being made; `Writer.run` begins it. Its checkpoints are kept in memory until it is stored."""

    def __init__(self, writer: Writer, seed: int) -> None:
        self.writer = writer
        self.seed = seed
        self._iterations: list[int] = []
        self._metrics: list[list[float]] = []
        self._vectors: list[np.ndarray] = []

    def log(self, iteration: int, parameters: Any, **metrics: Any) -> None:
        """Takes a checkpoint.

        Args:
            iteration: the training iteration, ascending from one checkpoint to the next; 0 for the initial network.
            parameters: a module, wrapped by DistributedDataParallel, DataParallel or torch.compile or not, its
                state_dict, or a vector (P,); a copy is kept.
            metrics: values by name; those that are left out are NaN, which is NULL in SQL.
        """
        unknown = [name for name in metrics if name not in self.writer.metrics]
        if unknown:
            raise invalid_argument(
                f"the corpus has no metric {unknown[0]}",
                f"log {', '.join(self.writer.metrics)}, or begin a corpus with other metrics",
            )
        iteration = int(iteration)
        if iteration < 0 or (self._iterations and iteration <= self._iterations[-1]):
            raise invalid_argument(
                f"iteration {iteration} of run {self.seed} comes too late", "log checkpoints in their order, each once"
            )
        if iteration >= 2**31:
            raise invalid_argument(f"iteration {iteration} has more than 31 bits", "count in larger steps")
        vector = vector_of(parameters, self.writer.architecture)
        # A loss that PyTorch still could differentiate is worth no warning.
        values = [metrics.get(name, np.nan) for name in self.writer.metrics]
        self._metrics.append([float(value.detach() if hasattr(value, "detach") else value) for value in values])
        self._iterations.append(iteration)
        self._vectors.append(vector)

    def __len__(self) -> int:
        """The number of checkpoints taken."""
        return len(self._iterations)

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is not None:
            return self.writer._abandon(self.seed)
        try:
            self._store()
        except BaseException:
            self.writer._abandon(self.seed)
            raise

    def _store(self) -> None:
        if not self._iterations:
            raise invalid_argument(f"run {self.seed} has no checkpoints", "log at least one")
        iterations = np.array(self._iterations, np.int32)
        metrics = np.ascontiguousarray(np.array(self._metrics, np.float32).T)
        parameters = np.stack(self._vectors)
        library.call(
            "writer_store", self.writer._handle.pointer, self.seed, len(iterations), iterations.ctypes.data,
            metrics.ctypes.data, parameters.ctypes.data,
        )  # fmt: skip
        self._vectors.clear()
        status = ctypes.c_int32()
        library.call("writer_status", self.writer._handle.pointer, self.seed, ctypes.byref(status))
        if status.value:
            name, why = [("nonfinite", "are not finite"), ("out_of_range", "are above 10")][status.value - 1]
            warnings.warn(
                f"run {self.seed} of {self.writer.path} is stored with status {name}, as some of its parameters {why}: "
                f'it will be left out of pairs and exports unless they are asked for it, as by statuses=("ok", "{name}")',
                LeftOutWarning, stacklevel=3,
            )  # fmt: skip


def _as_stored(path: str, architecture: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """An architecture under the names that the corpus which is there has for it: that of an earlier release may have
    been begun with a wrapper's."""
    try:
        with open(os.path.join(path, "corpus.json"), encoding="utf-8") as file:
            tensors = json.load(file)["architecture"]["tensors"]
        stored = {tensor["name"]: tuple(tensor["shape"]) for tensor in tensors}
    except (OSError, ValueError, KeyError, TypeError):
        # What is there is for the library to judge.
        return architecture
    bare, known = bare_names(architecture), bare_names(stored)
    same = [(bare[name], shape) for name, shape in architecture.items()]
    return stored if same == [(known[name], shape) for name, shape in stored.items()] else architecture


def _goals(metrics: Union[Mapping[str, str], Iterable[str]]) -> dict[str, str]:
    if isinstance(metrics, str):
        metrics = [metrics]
    if isinstance(metrics, Mapping):
        goals = dict(metrics)
    else:
        goals = {name: KNOWN_METRICS.get(name, "") for name in metrics}
    for name, goal in goals.items():
        if goal not in ("minimize", "maximize"):
            raise invalid_argument(
                f"it is not said what is better for the metric {name}",
                f'pass metrics={{"{name}": "minimize"}}, or "maximize"',
            )
    return goals


def _require_exact(value: Any, name: str) -> None:
    """Refuses whole numbers that JSON's readers round: two recipes must not become one."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            _require_exact(member, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, member in enumerate(value):
            _require_exact(member, f"{name}[{index}]")
    elif isinstance(value, int) and abs(value) > 2**53:
        raise CorpusError(
            "invalid_recipe", f"{name} is {value}, which has more than 53 bits and would be rounded",
            "pass it as a text",
        )  # fmt: skip
