"""The plain loader that Scripts/benchmark stream measures beside ours."""

import json
import os
import time

import lmdb
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

torch.set_num_threads(1)


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


def peer_rate(folder, path, key, batch, seconds):
    manifest = json.loads((path / "corpus.json").read_text())
    tensors = [(tensor["name"], tensor["shape"]) for tensor in manifest["architecture"]["tensors"]]
    pairs = Pairs(folder, tensors, key, 2.0, 10_000_000)
    loader = iter(DataLoader(pairs, batch_size=batch, shuffle=False))
    next(loader)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        count += len(next(loader)["start"])
    return count / (time.perf_counter() - began)
