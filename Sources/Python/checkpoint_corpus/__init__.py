"""Corpora of neural-network checkpoints.

A corpus is a directory with the training runs of one task: for each run its checkpoints, each of them a vector of
float32 parameters with the iteration and the metrics that belong to it. Read one that `corpus generate` has made:

    >>> from checkpoint_corpus import Corpus
    >>> corpus = Corpus("corpora/mnist")
    >>> corpus.sql("SELECT run, min(test_error) FROM checkpoints GROUP BY run ORDER BY 2 LIMIT 5")
    >>> vector = corpus.parameters(run=7, step=-1)           # the last checkpoint of run 7, (P,)
    >>> corpus.tensors(vector)["fc1.weight"].shape
    (10, 784)

Train on pairs of checkpoints, an epoch at a time, as numpy arrays or torch tensors:

    >>> from checkpoint_corpus import PairStream
    >>> for batch in PairStream("corpora/mnist", "test_error", batch_size=256):
    ...     batch["start"], batch["start_metric"], batch["target"], batch["target_metric"]

Store the checkpoints of any PyTorch training in one of your own:

    >>> from checkpoint_corpus import Writer
    >>> with Writer("corpora/mine", task="mine", architecture=model, metrics={"test_loss": "minimize"},
    ...             recipe={"learning_rate": 0.1}) as writer:
    ...     for seed in writer.missing(range(100)):
    ...         with writer.run(seed) as run:
    ...             for iteration in range(1000):
    ...                 ...
    ...                 run.log(iteration, model, test_loss=loss)

Measure networks, many at once and on all cores, by the tasks that are built in:

    >>> from checkpoint_corpus import evaluate
    >>> evaluate(corpus, corpus.parameters(7, slice(0, 100)))["test_error"]

Once this package is imported, h5py reads shards of the codec `delta` too. What fails raises CorpusError, whose
message names the file or run and whose remedy says what to do.
"""

from . import hdf5 as _hdf5
from ._library import version as _version
from .corpus import Corpus, Run, index
from .errors import CorpusError, LeftOutWarning
from .evaluation import evaluate, initial_networks
from .permutations import Permutations, PermutationWarning
from .stream import PairStream
from .writer import RunWriter, Writer

__all__ = [
    "Corpus", "CorpusError", "LeftOutWarning", "PairStream", "PermutationWarning", "Permutations", "Run", "RunWriter",
    "Writer", "evaluate", "index", "initial_networks",
]  # fmt: skip
__version__ = _version()

_hdf5.register()
