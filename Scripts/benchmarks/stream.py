"""Training pairs per second on one core: ours in codec delta, in codec raw and from the cache, beside a plain loader.

The loader is written as one usually writes it, and works as the published one does: an LMDB directory a run, two reads
a pair, a random permutation of the hidden units in numpy, PyTorch's DataLoader and its default collation. Both sides
read the same runs, warm, pinned to one core, turn by turn.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import lmdb
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from common import CORPUS, PLACE, corpus

TASKS = {
    "mnist": dict(metric="test_loss", batch=1024, key="avg_test_loss"),
    "cifar10": dict(metric="test_loss", batch=550, key="avg_test_loss"),
    "cartpole": dict(metric="train_return", batch=8192, key="train_ret"),
}


class Pairs(Dataset):
    """Pairs of checkpoints out of the released layout."""

    def __init__(self, folder, tensors, metric, scale, items):
        self.scale, self.items, self.tensors = scale, items, tensors
        self.environments, self.keys, self.metrics = [], [], []
        for run in sorted(os.listdir(folder)):
            path = os.path.join(folder, run)
            environment = lmdb.open(path, readonly=True, lock=False, readahead=False, meminit=False)
            with open(os.path.join(path, "runs.json")) as file:
                checkpoints = json.load(file)["checkpoints"]
            self.environments.append(environment)
            self.keys.append([key.encode() for key in checkpoints])
            self.metrics.append([values[metric] for values in checkpoints.values()])

    def __len__(self):
        return self.items

    def parameters(self, run, step):
        with self.environments[run].begin() as transaction:
            return np.frombuffer(transaction.get(self.keys[run][step]), np.float32)

    def permute(self, vectors):
        """The same random order of the units of every hidden layer for all vectors."""
        columns, results = None, [[] for _ in vectors]
        start, weights = 0, [shape for _, shape in self.tensors if len(shape) > 1]
        rows, seen = None, 0
        for _, shape in self.tensors:
            count = int(np.prod(shape))
            if len(shape) > 1:
                seen += 1
                columns, rows = rows, np.random.permutation(shape[0]) if seen < len(weights) else None
            for result, vector in zip(results, vectors):
                tensor = vector[start : start + count].reshape(shape)
                if seen and rows is not None:
                    tensor = tensor[rows]
                if len(shape) > 1 and columns is not None:
                    tensor = tensor[:, columns]
                result.append(tensor.reshape(-1))
            start += count
        return [np.concatenate(result) for result in results]

    def __getitem__(self, index):
        run = index % len(self.keys)
        count = len(self.keys[run])
        spacing = np.random.randint(1, count)
        start = np.random.randint(0, count - spacing)
        vectors = self.permute([self.parameters(run, start), self.parameters(run, start + spacing)])
        return {
            "start": torch.from_numpy(vectors[0]) * self.scale,
            "target": torch.from_numpy(vectors[1]) * self.scale,
            "start_metric": self.metrics[run][start],
            "target_metric": self.metrics[run][start + spacing],
        }


def peer_rate(folder, path, task, seconds):
    manifest = json.loads((path / "corpus.json").read_text())
    tensors = [(tensor["name"], tensor["shape"]) for tensor in manifest["architecture"]["tensors"]]
    pairs = Pairs(folder, tensors, TASKS[task]["key"], 2.0, 10_000_000)
    loader = iter(DataLoader(pairs, batch_size=TASKS[task]["batch"], shuffle=False))
    next(loader)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        count += len(next(loader)["start"])
    return count / (time.perf_counter() - began)


def our_rate(path, task, seconds, *options):
    text = corpus(
        "stream", path, "--measure", "--workers", 1, "--metric", TASKS[task]["metric"], "--split", "all",
        "--batch-size", TASKS[task]["batch"], "--seconds", seconds, *options)
    return float(text.split()[1].split("/")[0].replace(",", ""))


def prepare(task, arguments):
    """The corpora in codecs delta and raw, and the released layout."""
    path = PLACE / f"stream-{task}"
    runs = {"mnist": 60, "cifar10": 8, "cartpole": 60}[task]
    # Short runs: what a pair costs depends on the size of a network and a little on how well it compresses.
    recipe = {
        "mnist": ["--epochs", 5], "cifar10": ["--epochs", 1, "--checkpoints", 40], "cartpole": ["--iterations", 250],
    }[task]
    if task != "cartpole":
        recipe += ["--datasets", arguments.datasets] if arguments.datasets else ["--dataset", "synthetic"]
    corpus("generate", task, "--runs", f"0..<{runs}", "--out", path, *recipe, capture_output=False)
    corpus("compact", path, "--quiet")
    raw, released = PLACE / f"stream-{task}-raw", PLACE / f"stream-{task}-lmdb"
    if not raw.exists():
        shutil.copytree(path, raw)
        corpus("repack", "--codec", "raw", raw, "--quiet")
    if not released.exists():
        corpus("export", path, "--format", "lmdb", "--out", released, "--quiet")
    return path, raw, released


def touch(folder):
    subprocess.run(f"find '{folder}' -type f -exec cat {{}} + > /dev/null", shell=True, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--datasets", help="real data instead of synthetic")
    arguments = parser.parse_args()
    prepared = {task: prepare(task, arguments) for task in arguments.tasks or TASKS}
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
    torch.set_num_threads(1)
    for task, (path, raw, released) in prepared.items():
        rates = {"peer": [], "delta": [], "raw": [], "cached": []}
        for _ in range(arguments.rounds):
            for folder in (path, raw, released):
                touch(folder)
            rates["peer"].append(peer_rate(released, path, task, arguments.seconds))
            rates["delta"].append(our_rate(path, task, arguments.seconds))
            rates["raw"].append(our_rate(raw, task, arguments.seconds))
            rates["cached"].append(our_rate(path, task, arguments.seconds, "--cache", "memory"))
        medians = {name: statistics.median(values) for name, values in rates.items()}
        print(
            f"stream {task}: peer {medians['peer']:,.0f} pairs/s; "
            + "; ".join(
                f"{name} {medians[name]:,.0f} ("
                f"{statistics.median(a / b for a, b in zip(rates[name], rates['peer'])):.1f} times)"
                for name in ("delta", "raw", "cached"))
            + f" (one core, medians of {arguments.rounds})", flush=True)


if __name__ == "__main__":
    main()
