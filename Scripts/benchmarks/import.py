"""`corpus import lmdb` of MNIST-sized runs on one core, from the page cache: MB/s of raw parameters.

The release is made up: random walks whose steps get smaller, as those of a training that cools down; how well they
compress is printed, to be compared with real runs (1.37). --real CORPUS takes the runs of an MNIST corpus instead.
"""

import argparse
import json
import os
import shutil
import statistics
import time

import lmdb
import numpy as np

from common import PLACE, corpus, query

SIZES = [7840, 10, 100, 10]
STEPS = 468
METRICS = ["avg_train_loss", "avg_train_err", "avg_test_loss", "avg_test_err"]


def made_up(run):
    """Iterations, parameters (200, 7960) and metrics (4, 200) of a run."""
    random = np.random.default_rng(run)
    last = 25 * STEPS
    iterations = np.sort(np.r_[0, random.choice(np.arange(1, last), 198, replace=False), last])
    spacing = np.sqrt(np.diff(iterations, prepend=0))[:, None] * np.linspace(1, 0.05, 200)[:, None]
    walk = (random.normal(0, 3e-3, (200, sum(SIZES))) * spacing).cumsum(axis=0)
    parameters = (random.uniform(-1, 1, sum(SIZES)) / 28 + walk).astype("<f4")
    return iterations, parameters, random.uniform(0, 3, (4, 200)).astype("<f4")


def real(path, run):
    import h5py

    file = query(path, f"SELECT path FROM runs JOIN shards USING (shard) WHERE run = {run}")[0]["path"]
    with h5py.File(f"{path}/{file}") as shard:
        i = shard["runs/seed"][:].tolist().index(run)
        rows = slice(shard["runs/first_row"][i], shard["runs/first_row"][i] + shard["runs/count"][i])
        names = ["train_loss", "train_error", "test_loss", "test_error"]
        metrics = np.stack([shard[f"metrics/{name}"][rows] for name in names])
        return shard["iteration"][rows], shard["parameters"][rows], metrics


def write(folder, iterations, parameters, metrics):
    folder.mkdir(parents=True)
    arch = np.array(SIZES, "<f4").tobytes()
    checkpoints = {}
    with lmdb.open(str(folder), map_size=1 << 40, sync=False) as environment:
        for i, iteration in enumerate(iterations.tolist()):
            epoch, step = divmod(iteration - 1, STEPS) if iteration else (0, -1)
            key = f"{folder.name}/ep{epoch:03d}_it{step + 1:05d}.pt"
            # A transaction an entry, as the release was made.
            for name, value in [(key, parameters[i].tobytes()), (f"{key}_arch", arch)]:
                with environment.begin(write=True) as transaction:
                    transaction.put(name.encode(), value)
            checkpoints[key] = {name: float(values[i]) for name, values in zip(METRICS, metrics)}
    (folder / "runs.json").write_text(json.dumps({"checkpoints": checkpoints, "metadata": {}}, indent=2, sort_keys=True))
    (folder / "DONE.txt").touch()


parser = argparse.ArgumentParser()
parser.add_argument("--runs", type=int, default=40)
parser.add_argument("--repeats", type=int, default=3)
parser.add_argument("--real", help="an MNIST corpus whose runs to use")
options = parser.parse_args()

release, into = PLACE / "released-mnist", PLACE / "import"
shutil.rmtree(release, ignore_errors=True)
if options.real:
    os.environ.setdefault("HDF5_PLUGIN_PATH", str(PLACE.parent / "hdf5-plugins"))
    sql = f"SELECT run FROM runs ORDER BY run LIMIT {options.runs}"
    runs = {row["run"]: real(options.real, row["run"]) for row in query(options.real, sql)}
else:
    runs = {run: made_up(run) for run in range(options.runs)}
for run, contents in runs.items():
    write(release / f"{run:06d}", *contents)
raw = sum(parameters.nbytes for _, parameters, _ in runs.values())
for file in release.rglob("data.mdb"):
    file.read_bytes()

os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
rates = []
for _ in range(options.repeats):
    shutil.rmtree(into, ignore_errors=True)
    began = time.monotonic()
    corpus("import", "lmdb", release, "--out", into, "--quiet")
    rates.append(raw / (time.monotonic() - began) / 1e6)
stored = query(into, "SELECT sum(bytes) AS bytes FROM shards")[0]["bytes"]
print(
    f"import: {statistics.median(rates):.0f} MB/s of raw parameters (median of {len(rates)}, worst {min(rates):.0f}), "
    f"{len(runs)} runs, {raw / stored:.2f} smaller than raw"
)
