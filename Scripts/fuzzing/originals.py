"""The inputs as they were before they are damaged, made once in a place, and the values that are in them."""

import functools
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import traceback

import model_files
import numpy as np
from places import CORPUS

from checkpoint_corpus import PairStream, Writer

TASK = "mine"
METRICS = {"train_loss": "minimize", "test_error": "minimize"}


class Shape:
    """A corpus of made-up runs: of each, `checkpoints` of a network of `units` hidden units with `inputs` inputs.

    Runs from `sealed` on lie in files of their own.
    """

    def __init__(self, codec, runs, sealed, checkpoints, units, inputs):
        self.codec, self.runs, self.sealed, self.checkpoints = codec, runs, sealed, checkpoints
        self.architecture = {"h.weight": (units, inputs), "h.bias": (units,), "o.weight": (1, units)}
        self.parameters = units * inputs + 2 * units

    @functools.lru_cache(maxsize=None)
    def run(self, run):
        """A run's iterations, metrics and parameters: int32 (K,), float32 (2, K), float32 (K, P)."""
        random = np.random.default_rng(run)
        steps = np.arange(self.checkpoints)
        walk = random.normal(0, 1e-3, (self.checkpoints, self.parameters)).cumsum(axis=0)
        parameters = (random.normal(0, 0.1, self.parameters) + walk).astype(np.float32)
        metrics = np.stack([1 / (steps + 1) + run, 100 - steps + 0.01 * run]).astype(np.float32)
        return (10 * steps).astype(np.int32), metrics, parameters

    def scale(self):
        """What a stream of all runs multiplies by."""
        everything = np.concatenate([self.run(run)[2].ravel() for run in range(self.runs)]).astype(np.float64)
        return 0.538 / everything.std()


#: Small ones, of which a damaged byte seldom misses what matters, and one whose tables are so long that HDF5 has no
#: checksum for them.
SHAPES = {
    "delta": Shape("delta", 8, 6, 40, 6, 5),
    "zstd": Shape("zstd", 8, 6, 40, 6, 5),
    "raw": Shape("raw", 8, 6, 40, 6, 5),
    "long": Shape("delta", 12, 10, 900, 3, 2),
    "wide-delta": Shape("delta", 10, 7, 100, 30, 20),
    "wide-raw": Shape("raw", 10, 7, 100, 30, 20),
}


class Originals:
    """The originals below a directory; what is missing there is made when it is asked for.

    They are others where this file is another.
    """

    def __init__(self, path):
        digest = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()
        self.path = pathlib.Path(path) / f"originals-{digest[:8]}"

    def _made(self, name, make):
        path = self.path / name
        if not path.exists():
            temporary = self.path / f".{name}.new"
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            # This process forks for every input, and so has nothing open in the library.
            _in_child(make, temporary)
            temporary.rename(path)
        return path

    def corpus(self, name):
        """One of `SHAPES`."""
        return self._made(name, lambda path: _write(SHAPES[name], path))

    def cache(self, name):
        """What a stream has kept of a corpus, of which each run was decoded."""
        corpus = self.corpus(name)

        def make(path):
            with PairStream(corpus, cache=path, **STREAM) as stream:
                for _ in stream:
                    pass

        return self._made(f"{name}-cache", make)

    def cartpole(self):
        """A corpus of real runs, half of which are sealed."""

        def make(path):
            for runs in ["0..<3", "0..<6"]:
                corpus("generate", "cartpole", "--runs", runs, "--out", path / "corpus", *CARTPOLE)
                if runs == "0..<3":
                    corpus("compact", path / "corpus", "--quiet")

        return self._made("cartpole", make) / "corpus"

    def recipes(self):
        """Recipe files of short runs, one a task."""

        def make(path):
            for task, flags in [("cartpole", CARTPOLE), ("mnist", DIGITS)]:
                corpus("generate", task, "--runs", 0, "--out", path / task, *flags)
                (path / f"{task}.json").write_text(corpus("recipe", path / task))
                shutil.rmtree(path / task)

        return self._made("recipes", make)

    def released(self):
        """Two runs in the layout of the published corpora."""
        source = self.cartpole()

        def make(path):
            corpus("export", source, "--format", "lmdb", "--runs", "0..<2", "--out", path / "released", "--quiet")

        return self._made("released", make) / "released"

    def model(self):
        """A small model of the Cartpole runs, whose training is not at its end."""
        source = self.cartpole()

        def make(path):
            (path / "config.json").write_text(json.dumps(MODEL))
            corpus("train", source, "--config", path / "config.json", "--out", path / "model", "--quiet")
            model_files.extend_training(path / "model")

        return self._made("model", make) / "model"

    def references(self):
        """What the model writes, and where its training ends."""
        source, trained = self.cartpole(), self.model()

        def make(path):
            corpus("prompt", trained, *PROMPT, "--out", path / "networks.safetensors")
            shutil.copytree(trained, path / "model")
            corpus("train", source, "--out", path / "model", "--resume", "--workers", 1, "--quiet")

        return self._made("references", make)


def _write(shape, path):
    metrics = list(METRICS)
    with Writer(path, task=TASK, architecture=shape.architecture, metrics=METRICS, recipe={"lr": 0.1},
                codec="zstd" if shape.codec == "zstd" else "delta", permutations="none") as writer:  # fmt: skip
        for number in range(shape.runs):
            if number == shape.sealed:
                corpus("compact", path, "--quiet")
            iterations, values, parameters = shape.run(number)
            with writer.run(number) as run:
                for step, iteration in enumerate(iterations):
                    run.log(int(iteration), parameters[step], **{m: float(v[step]) for m, v in zip(metrics, values)})
    if shape.codec == "raw":
        corpus("repack", "--codec", "raw", path, "--quiet")


def _in_child(make, path):
    child = os.fork()
    if child == 0:
        try:
            make(path)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit(f"{path} cannot be made")


#: Pairs as they are stored.
STREAM = dict(
    metric="test_error", batch_size=64, split="all", augment="none", scale=1.0,
    statuses=("ok", "nonfinite", "out_of_range"), workers=2, prefetch=2, items_per_epoch=640,
)  # fmt: skip
CARTPOLE = ["--iterations", 12, "--checkpoints", 8, "--environments", 16, "--workers", 1, "--quiet"]
DIGITS = ["--dataset", "synthetic", "--epochs", 1, "--checkpoints", 3, "--workers", 1, "--quiet"]
PROMPT = ["--target", 30, "--count", 2, "--sampling-steps", 3, "--workers", 1, "--quiet"]
MODEL = {
    "model": {"width": 16, "layers": 1, "heads": 2, "frequencies": 8, "diffusion_steps": 50},
    "training": {
        "batch": 8, "learning_rate": 0.001, "warmup": 2, "steps": 6, "augmentation": "canonical", "evaluate_every": 0
    },
}  # fmt: skip


def corpus(*arguments):
    """Runs the command, which must end well."""
    return subprocess.run([CORPUS, *map(str, arguments)], capture_output=True, text=True, check=True).stdout
