"""Reading a corpus."""

from __future__ import annotations

import ctypes
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Union

import numpy as np

from . import _library as library
from .errors import invalid_argument
from .rows import fetch

if TYPE_CHECKING:
    import torch

Path = Union[str, "os.PathLike[str]"]

_STATUSES = ("ok", "nonfinite", "out_of_range")
_SPLITS = ("train", "test")


@dataclass(frozen=True, repr=False)
class Run:
    """One training run: K checkpoints of P parameters.

    Attributes:
        run: its number, which is its seed.
        status: "ok"; "nonfinite" or "out_of_range" (a magnitude above 10, in runs of the built-in tasks) for a run that
            is not fit for training on.
        split: "train" or "test".
        iterations: int32 (K,), the training iteration of each checkpoint.
        metrics: by name, float32 (K,); NaN where a checkpoint has no value.
        parameters: float32 (K, P).
    """

    run: int
    status: str
    split: str
    iterations: np.ndarray
    metrics: Mapping[str, np.ndarray]
    parameters: np.ndarray

    def __len__(self) -> int:
        return len(self.iterations)

    def __repr__(self) -> str:
        return f"<run {self.run}: {len(self)} checkpoints, {self.split}, {self.status}>"


class Corpus(library.Closing):
    """A corpus that is open for reading.

        >>> corpus = Corpus("corpora/cartpole")
        >>> corpus
        <Corpus 'corpora/cartpole': cartpole, 500 runs, 100000 checkpoints of 1250 parameters>
        >>> corpus.sql("SELECT run, step FROM checkpoints ORDER BY train_return DESC LIMIT 1")
        >>> corpus.parameters(7, -1)                    # the last checkpoint of run 7
        >>> corpus[7].metrics["train_return"]           # a whole run
        >>> for run in corpus: ...                      # the numbers of all runs

    Any number of threads may use it at once, and the corpus may grow or be compacted meanwhile. In a process forked
    or spawned from this one, as DataLoader's workers are, it opens itself again.

    Args:
        path: the corpus's directory.
        stale: whether to use an index that is older than the files; otherwise that is an error, and `index(path)`
            mends it.
    """

    def __init__(self, path: Path, *, stale: bool = False) -> None:
        # Where it is also after a change of the working directory.
        self.path = os.path.abspath(path)
        self._stale = stale
        self._handle = self._open()
        manifest = library.function("corpus_manifest")(self._handle.pointer)
        #: All that corpus.json says.
        self.manifest: dict[str, Any] = json.loads(manifest)
        #: The task's name.
        self.task: str = self.manifest["task"]
        #: The shape of each tensor by its name, in the order of the parameter vector.
        self.architecture: dict[str, tuple[int, ...]] = {
            tensor["name"]: tuple(tensor["shape"]) for tensor in self.manifest["architecture"]["tensors"]
        }
        #: Of each metric by its name whether to "minimize" or to "maximize" it.
        self.metrics: dict[str, str] = {metric["name"]: metric["goal"] for metric in self.manifest["metrics"]}
        #: Everything that determines a run but its seed.
        self.recipe: Any = self.manifest["recipe"]
        #: P, the length of a parameter vector.
        self.parameter_count: int = sum(int(np.prod(shape)) for shape in self.architecture.values())

    def _open(self) -> library.Handle:
        flags = library.STALE if self._stale else 0
        return library.Handle("corpus_close", "corpus_open", library.path_bytes(self.path), flags)

    @property
    def _pointer(self) -> int:
        # A child of the process that opened it has to open it for itself.
        if self._handle.process != os.getpid() and not self._handle.is_closed:
            self._handle = self._open()
        return self._handle.pointer

    def close(self) -> None:
        """Closes its files; it cannot be used any more."""
        self._handle.close()

    def __reduce__(self) -> Any:
        return _reopen, (os.path.abspath(self.path), self._stale)

    def __repr__(self) -> str:
        if self._handle.is_closed:
            return f"<Corpus {self.path!r}: closed>"
        runs, checkpoints = self._count()
        return (
            f"<Corpus {self.path!r}: {self.task}, {runs} runs, {checkpoints} checkpoints of "
            f"{self.parameter_count} parameters>"
        )

    def _count(self) -> tuple[int, int]:
        runs, checkpoints = ctypes.c_int64(), ctypes.c_int64()
        library.call("corpus_count", self._pointer, ctypes.byref(runs), ctypes.byref(checkpoints))
        return runs.value, checkpoints.value

    # Runs

    def __len__(self) -> int:
        """The number of runs."""
        return self._count()[0]

    def __iter__(self) -> Iterator[int]:
        """The numbers of the runs, ascending."""
        return iter([row["run"] for row in self.sql("SELECT run FROM runs ORDER BY run", frame=False)])

    def __contains__(self, run: object) -> bool:
        """Whether there is a run of this number."""
        if not isinstance(run, (int, np.integer)) or not 0 <= run < 2**63:
            return False
        return bool(self.sql("SELECT 1 FROM runs WHERE run = ?", int(run), frame=False))

    def __getitem__(self, run: int) -> Run:
        """Reads a whole run, as `run` does."""
        return self.run(run)

    def _info(self, run: int) -> library.RunInfo:
        info = library.RunInfo()
        library.call("corpus_run", self._pointer, run, ctypes.byref(info))
        return info

    def _proven_info(self, run: int) -> library.RunInfo:
        """What the index says of a run, compared with the shard: memory is taken by it, and an index may be damaged."""
        info = self._info(run)
        self._read(run, 0, 0)
        return info

    def run(self, run: int) -> Run:
        """Reads a whole run, proving it against its content hash.

        Raises:
            CorpusError: "unknown_run", "damaged_shard".
        """
        info = self._proven_info(run)
        count = info.checkpoints
        iterations = np.empty(count, np.int32)
        metrics = np.empty((len(self.metrics), count), np.float32)
        parameters = np.empty((count, self.parameter_count), np.float32)
        library.call(
            "corpus_read_run", self._pointer, run, count, iterations.ctypes.data, metrics.ctypes.data,
            parameters.ctypes.data,
        )  # fmt: skip
        return Run(
            run=int(run), status=_STATUSES[info.status], split=_SPLITS[info.split], iterations=iterations,
            metrics=dict(zip(self.metrics, metrics)), parameters=parameters,
        )  # fmt: skip

    def parameters(self, run: int, step: Union[int, slice, None] = None) -> np.ndarray:
        """Reads the parameters of one or several checkpoints of a run.

            >>> corpus.parameters(7, 0).shape                   # the initial network
            (1250,)
            >>> corpus.parameters(7, slice(-10, None)).shape    # the last ten
            (10, 1250)
            >>> corpus.parameters(7).shape                      # all
            (200, 1250)

        Args:
            run: the run's number.
            step: the checkpoint's number within it, negative from the end; a slice for several; None for all.

        Returns:
            float32 (P,), or (n, P) for several.

        Raises:
            CorpusError: "unknown_run", "invalid_argument" for a step that the run has not, "damaged_shard".
        """
        if step is None or isinstance(step, slice):
            count = self._proven_info(run).checkpoints
            steps = range(count)[step or slice(None)]
            first, end = (min(steps[0], steps[-1]), max(steps[0], steps[-1]) + 1) if steps else (0, 0)
            vectors = self._read(run, first, end)
            if len(steps) == end - first and steps.step > 0:
                return vectors
            return vectors[[number - first for number in steps]]
        number = int(step)
        count = self._info(run).checkpoints
        if not -count <= number < count:
            raise invalid_argument(
                f"run {run} of {self.path} has no step {number}: it has {count} checkpoints",
                f"ask for a step from 0 to {count - 1}, or from {-count} to -1",
            )
        number %= count
        return self._read(run, number, number + 1)[0]

    def _read(self, run: int, first: int, end: int) -> np.ndarray:
        vectors = np.empty((end - first, self.parameter_count), np.float32)
        library.call("corpus_read", self._pointer, run, first, end, vectors.ctypes.data)
        return vectors

    def canonical(self, vectors: np.ndarray) -> np.ndarray:
        """Networks (P,), or several (N, P), with their hidden units in the canonical order.

        Networks that differ in the order of their units alone become the same, and compute what they did. It is the
        order of PairStream's augment="canonical", and that of starts for a model which was trained on such pairs.

        Raises:
            CorpusError: "invalid_argument" where the corpus declares no permutation groups.
        """
        ordered = np.array(vectors, np.float32, order="C")
        if ordered.ndim not in (1, 2) or ordered.shape[-1] != self.parameter_count:
            raise invalid_argument(
                f"an array of shape {ordered.shape} holds no parameter vectors of {self.path}",
                f"pass one of shape (N, {self.parameter_count})",
            )
        count = ordered.size // self.parameter_count
        library.call("corpus_canonicalize", self._pointer, count, ordered.ctypes.data)
        return ordered

    def tensors(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """The tensors of a parameter vector (P,) by their names, or of several (…, P); views, not copies."""
        vector = np.asarray(vector)
        if vector.shape[-1:] != (self.parameter_count,):
            raise invalid_argument(
                f"an array of shape {vector.shape} is no parameter vector of {self.path}",
                f"pass one whose last dimension is {self.parameter_count}",
            )
        tensors, start = {}, 0
        for name, shape in self.architecture.items():
            size = int(np.prod(shape))
            tensors[name] = vector[..., start : start + size].reshape(vector.shape[:-1] + shape)
            start += size
        return tensors

    def state_dict(self, vector: np.ndarray) -> dict[str, torch.Tensor]:
        """The tensors of a parameter vector (P,) by their names, as PyTorch's, for `module.load_state_dict`; they share
        its memory."""
        import torch

        return {name: torch.from_numpy(tensor) for name, tensor in self.tensors(vector).items()}

    # SQL

    def sql(self, query: str, *parameters: Any, frame: Optional[bool] = None) -> Any:
        """Asks the index in SQL. Ctrl-C ends a query that takes too long.

            >>> corpus.sql("SELECT step, train_return FROM checkpoints WHERE run = ?", 7)

        The tables are runs, checkpoints, shards, chunks and corpus; `corpus.sql("SELECT sql FROM sqlite_schema")`
        shows their columns.

        Args:
            query: one statement that only reads.
            parameters: the values of its question marks, in order: None, numbers, texts or bytes.
            frame: whether to give a pandas frame; None does so where pandas is installed.

        Returns:
            A pandas.DataFrame with a column for each of the statement's; or else a list of the rows, each a dict.

        Raises:
            CorpusError: "invalid_sql", and what is wrong with the index.
        """
        if frame is None:
            frame = _has_pandas()
        names, columns = fetch(self._pointer, query, parameters)
        if frame:
            import pandas

            if len(set(names)) == len(names):
                return pandas.DataFrame(dict(zip(names, columns)), columns=names)
            table = pandas.DataFrame(dict(enumerate(columns)))
            table.columns = pandas.Index(names)
            return table
        lists = [column.tolist() for column in columns]
        return [dict(zip(names, row)) for row in zip(*lists)]

    def to_parquet(self, path: Path, *, where: Optional[str] = None, overwrite: bool = False) -> int:
        """Writes a row for each checkpoint to a Parquet file: run, step, iteration, split, status and the metrics.

        Needs pyarrow. The file is there as a whole or not at all.

        Args:
            path: the file.
            where: a condition in SQL on the columns of runs and checkpoints, such as "split = 'train'".
            overwrite: whether a file that is there already may go.

        Returns:
            The number of rows.
        """
        from .parquet import write

        return write(self._pointer, list(self.metrics), os.fspath(path), where, overwrite)


def _reopen(path: str, stale: bool) -> Corpus:
    return Corpus(path, stale=stale)


def _has_pandas() -> bool:
    try:
        import pandas  # noqa: F401
    except ImportError:
        return False
    return True


def index(path: Path, *, rebuild: bool = False, forget: bool = False) -> None:
    """Makes a corpus's index agree with its files.

    Args:
        path: the corpus's directory.
        rebuild: whether to make it anew from the files alone, as is needed for one that is damaged.
        forget: whether to forget runs whose files are gone, which otherwise stay in it as missing.

    Raises:
        CorpusError: the first of what is wrong with the files; the others are taken up all the same. "index_stale" where
            runs are missing.
    """
    library.call("index_forget" if forget else "index", library.path_bytes(path), int(rebuild))
