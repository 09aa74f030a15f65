"""Makes corpora in the layout of the published release, by Python's lmdb, as its generators did."""

import json

import lmdb
import numpy as np

SIZES = {
    "mnist": [7840, 10, 100, 10],
    "cifar10": [432, 4608, 320, 10],
    "cartpole": [1, 128, 32, 1024, 32, 32, 1],
}
VISION = ["avg_train_loss", "avg_train_err", "avg_test_loss", "avg_test_err"]


class Run:
    """A made-up run: keys in order of time, a parameter vector and metrics for each."""

    def __init__(self, task, name, checkpoints=5, steps_per_epoch=7, seed=0):
        self.task, self.name = task, name
        random = np.random.default_rng([seed, int(name)])
        last = 3 * steps_per_epoch
        middle = random.choice(np.arange(1, last), checkpoints - 2, replace=False)
        self.steps = sorted([0, last, *map(int, middle)])
        moments = [divmod(step - 1, steps_per_epoch) if step else (0, -1) for step in self.steps]
        if task == "cartpole":
            self.keys = [f"{name}/it{step:05d}.pt" for step in self.steps]
        else:
            self.keys = [f"{name}/ep{epoch:03d}_it{it + 1:05d}.pt" for epoch, it in moments]
        length = sum(SIZES[task])
        walk = random.normal(0, 1e-3, (checkpoints, length)).cumsum(axis=0)
        self.parameters = (random.normal(0, 0.1, length) + walk).astype("<f4")
        # The release has the returns as float64 in runs.json; the metrics of the vision tasks are float32.
        names = ["train_ret"] if task == "cartpole" else VISION
        self.metrics = {name: [float(np.float32(v)) for v in random.uniform(0, 3, checkpoints)] for name in names}

    def entries(self):
        arch = np.array(SIZES[self.task], "<f4").tobytes()
        for i, key in enumerate(self.keys):
            yield key, self.parameters[i].tobytes()
            yield f"{key}_arch", arch
            if self.task == "cartpole":
                yield f"{key}_train_ret", np.float32(self.metrics["train_ret"][i]).tobytes()

    def record(self):
        checkpoints = {
            key: {name: values[i] for name, values in self.metrics.items()} for i, key in enumerate(self.keys)
        }
        metadata = {"min_parameter_val": float("inf"), "max_parameter_val": float("-inf")}
        for vector in self.parameters:
            metadata["min_parameter_val"] = min(metadata["min_parameter_val"], float(vector.min()))
            metadata["max_parameter_val"] = max(metadata["max_parameter_val"], float(vector.max()))
        if self.task == "cartpole":
            summaries = [("train_ret", "optimal_train_ret", max, float("-inf"))]
        else:
            summaries = [
                ("avg_test_loss", "optimal_test_loss", min, float("inf")),
                ("avg_test_err", "optimal_test_err", min, float("inf")),
            ]
        for name, optimal, better, start in summaries:
            metadata[name] = list(self.metrics[name])
            for value in metadata[name]:
                start = better(start, value)
            metadata[optimal] = start
        return {"checkpoints": checkpoints, "metadata": metadata}


def write(root, *runs, done=True):
    """Writes one LMDB directory with these runs."""
    folder = root / "_".join(run.name for run in runs)
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 40) as environment:
        for run in runs:
            with environment.begin(write=True) as transaction:
                for key, value in run.entries():
                    transaction.put(key.encode(), value)
    records = {run.name: run.record() for run in runs}
    write_record(folder, records if len(runs) > 1 else records[runs[0].name])
    if done:
        (folder / "DONE.txt").touch()
    return folder


def write_record(folder, record):
    with open(folder / "runs.json", "w") as file:
        json.dump(record, file, indent=2, sort_keys=True)


def change(folder, changes):
    """Sets entries of an LMDB directory; None deletes one."""
    with lmdb.open(str(folder), map_size=1 << 30) as environment, environment.begin(write=True) as transaction:
        for key, value in changes.items():
            if value is None:
                assert transaction.delete(key.encode())
            else:
                transaction.put(key.encode(), value)


def read(folder):
    """All entries of an LMDB directory."""
    with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return {bytes(key).decode(): bytes(value) for key, value in transaction.cursor()}
