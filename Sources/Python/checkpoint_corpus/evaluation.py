"""Networks measured by the tasks that are built in."""

from __future__ import annotations

import functools
import json
import os
from typing import Any, Iterable, Mapping, Optional, Union

import numpy as np

from . import _library as library
from .corpus import Corpus, Path
from .errors import invalid_argument


def evaluate(
    task: Union[str, Corpus],
    parameters: Any,
    *,
    datasets: Optional[Path] = None,
    recipe: Optional[Mapping[str, Any]] = None,
    seed: int = 0,
    workers: int = 0,
) -> dict[str, Any]:
    """Measures networks by a task that is built in, many at once.

        >>> evaluate("cartpole", vectors)["train_return"]
        array([ 21.3, 487.9], dtype=float32)

    MNIST and CIFAR-10 give test_loss and test_error (%) on the whole test set: for a stored checkpoint exactly what
    is recorded with it. Cartpole gives train_return, the mean return of 512 episodes with noise. The numbers depend
    neither on the processor nor on the number of threads. Ctrl-C ends it.

    Args:
        task: "mnist", "cifar10" or "cartpole"; or a corpus of one of them, whose recipe then counts.
        parameters: (N, P), or (P,) for one network.
        datasets: the directory of the data sets; None for what CORPUS_DATASETS names, else Data.
        recipe: another recipe than the published one, as corpora record it.
        seed: of Cartpole's episodes, which are the same for every network; the other tasks have no random numbers.
        workers: the number of threads; 0 for one for each processor.

    Returns:
        For each metric float32 (N,), or a float for one network.

    Raises:
        CorpusError: "cannot_replay" for a task that is not built in, "missing_dataset", "interrupted", …
    """
    return _opened(task, datasets, recipe).run(np.asarray(parameters), seed, workers)


def initial_networks(
    task: Union[str, Corpus],
    seeds: Iterable[int],
    *,
    datasets: Optional[Path] = None,
    recipe: Optional[Mapping[str, Any]] = None,
) -> np.ndarray:
    """Makes the networks that runs of a built-in task begin with.

        >>> initial_networks("mnist", range(2**62, 2**62 + 16)).shape
        (16, 7960)

    Args:
        task, datasets, recipe: as in `evaluate`.
        seeds: N of them, from 0 to 2^64 - 1: that of a run for its own first checkpoint, to the bit; those from 2^62
            on are no run's, so that nothing has been trained on what they give.

    Returns:
        float32 (N, P).

    Raises:
        CorpusError: as `evaluate` does; "invalid_argument" for a seed that is none.
    """
    return _opened(task, datasets, recipe).initial_networks(list(seeds))


class _Evaluator:
    """A task with its data."""

    def __init__(self, task: str, recipe: Optional[str], datasets: Optional[str]) -> None:
        self._handle = library.Handle(
            "evaluator_close", "evaluator_open", task.encode(), recipe and recipe.encode(),
            library.path_bytes(datasets) if datasets else None,
        )  # fmt: skip
        pointer = self._handle.pointer
        self.task = task
        self.parameter_count = library.function("evaluator_parameter_count")(pointer)
        count = library.function("evaluator_metric_count")(pointer)
        self.metrics = [library.function("evaluator_metric")(pointer, i).decode() for i in range(count)]

    def initial_networks(self, seeds: list[int]) -> np.ndarray:
        networks = np.empty((len(seeds), self.parameter_count), np.float32)
        for network, seed in zip(networks, seeds):
            if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
                raise invalid_argument(f"{seed!r} is no seed", "pass whole numbers from 0 to 2^64 - 1")
            library.call("evaluator_initial_network", self._handle.pointer, int(seed), network.ctypes.data)
        return networks

    def run(self, parameters: np.ndarray, seed: int, workers: int) -> dict[str, Any]:
        if parameters.ndim not in (1, 2) or parameters.shape[-1] != self.parameter_count:
            raise invalid_argument(
                f"an array of shape {parameters.shape} holds no networks of the task {self.task}",
                f"pass one of shape (N, {self.parameter_count})",
            )
        if workers < 0 or not 0 <= seed < 2**64:
            raise invalid_argument("the seed or the number of workers is out of range", "let it be 0 or more")
        networks = np.ascontiguousarray(np.atleast_2d(parameters), np.float32)
        results = np.empty((len(networks), len(self.metrics)), np.float32)
        pointer = self._handle.pointer
        library.call_interruptibly(
            lambda: library.function("evaluator_cancel")(pointer), "evaluator_run", pointer, len(networks),
            networks.ctypes.data, seed, workers, results.ctypes.data,
        )  # fmt: skip
        if parameters.ndim == 1:
            return {name: float(value) for name, value in zip(self.metrics, results[0])}
        return {name: results[:, column].copy() for column, name in enumerate(self.metrics)}


def _opened(
    task: Union[str, Corpus], datasets: Optional[Path], recipe: Optional[Mapping[str, Any]]
) -> _Evaluator:
    """The evaluator of a task, kept for the next time."""
    if isinstance(task, Corpus):
        recipe = task.recipe if recipe is None else recipe
        task = task.task
    recipe_text = None if recipe is None else json.dumps(recipe, sort_keys=True)
    found = os.path.abspath(datasets) if datasets is not None else os.environ.get("CORPUS_DATASETS")
    return _evaluator(task, recipe_text, found, os.getcwd(), os.getpid())


@functools.lru_cache(maxsize=4)
def _evaluator(
    task: str, recipe: Optional[str], datasets: Optional[str], directory: str, process: int
) -> _Evaluator:
    # The directory and the process are there to be part of the key: of relative paths, and of handles.
    return _Evaluator(task, recipe, datasets)
