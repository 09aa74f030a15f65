"""The MNIST recipe in plain PyTorch: the peer that `corpus generate mnist` is timed against, and compared
with.

One thread, eager mode, the images in memory, written the way such a script usually is. Prints the seconds of a
run without loading, and the final test loss and error; --out saves a .npz file: iterations (checkpoints), metrics
(checkpoints, 2), test loss and error, and parameters, float32 (checkpoints, 7960). --check DIR instead trains from the network and on the batches that `Benchmarks mnist-parity DIR`
has written there, and tells how far apart the two end.
"""

import argparse
import gzip
import math
import pathlib
import time

import numpy as np
import torch
from torch import nn

EPOCHS, BATCH, CHECKPOINTS = 25, 128, 200
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 5e-4


def load(folder):
    def read(name, offset):
        path = pathlib.Path(folder) / name
        data = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(name + ".gz").read_bytes())
        return torch.frombuffer(bytearray(data[offset:]), dtype=torch.uint8)

    def part(name):
        pixels = read(f"{name}-images-idx3-ubyte", 16).reshape(-1, 784)
        return (pixels.float() / 255 - 0.1307) / 0.3081, read(f"{name}-labels-idx1-ubyte", 8).long()

    return part("train"), part("t10k")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 10)
        self.fc2 = nn.Linear(10, 10)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


def checkpoint(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()]).numpy().copy()


def optimizer_of(net):
    return torch.optim.SGD(
        net.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
    )


def step(net, optimizer, criterion, x, y):
    logits = net(x)
    loss = criterion(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return logits.detach(), loss.detach()


@torch.no_grad()
def evaluate(net, criterion, x, y):
    logits = net(x)
    return criterion(logits, y).item(), 100 * (logits.argmax(1) != y).float().mean().item()


def kept_iterations(seed, count, total, schedule):
    """The iterations after which checkpoints are kept, 0 left out."""
    between = np.arange(1, total)
    shares = 1 / between if schedule == "log" else np.ones(total - 1)
    chosen = np.random.default_rng(seed).choice(between, count - 2, replace=False, p=shares / shares.sum())
    return {int(i) for i in chosen} | {total}


def train(seed, epochs, train_set, test_set, schedule="uniform"):
    torch.manual_seed(seed)
    (x, y), net, criterion = train_set, Net(), nn.CrossEntropyLoss()
    optimizer = optimizer_of(net)
    steps = len(x) // BATCH
    total = epochs * steps
    kept = kept_iterations(seed, CHECKPOINTS, total, schedule)
    checkpoints, metrics = [checkpoint(net)], [evaluate(net, criterion, *test_set)]
    iteration = 0
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 0.5 * LEARNING_RATE * (1 + math.cos(math.pi * epoch / epochs))
        order = torch.randperm(len(x))
        for start in range(0, steps * BATCH, BATCH):
            rows = order[start : start + BATCH]
            target = y[rows]
            logits, loss = step(net, optimizer, criterion, x[rows], target)
            iteration += 1
            if iteration in kept:
                train_metrics = loss.item(), 100 * (logits.argmax(1) != target).float().mean().item()
                checkpoints.append(checkpoint(net))
                metrics.append(train_metrics + evaluate(net, criterion, *test_set))
    return [0, *sorted(kept)], np.stack(checkpoints), np.array([m[-2:] for m in metrics])


def check(folder, train_set):
    """The same first steps as ours: prints the largest differences as shares of the largest value."""
    folder = pathlib.Path(folder)
    initial = torch.from_numpy(np.fromfile(folder / "initial.f32", "<f4"))
    batches = torch.from_numpy(np.fromfile(folder / "batches.u32", "<u4").astype(np.int64)).reshape(-1, BATCH)
    ours = np.fromfile(folder / "after.f32", "<f4")
    losses = np.fromfile(folder / "losses.f32", "<f4")

    net, criterion = Net(), nn.CrossEntropyLoss()
    nn.utils.vector_to_parameters(initial.clone(), net.parameters())
    optimizer = optimizer_of(net)
    theirs = []
    for rows in batches:
        theirs.append(step(net, optimizer, criterion, train_set[0][rows], train_set[1][rows])[1].item())
    expected = checkpoint(net)
    moved = np.abs(expected - initial.numpy()).max()
    print(
        f"after {len(batches)} steps: parameters differ by {np.abs(ours - expected).max() / np.abs(expected).max():.2e}"
        f" of the largest ({np.linalg.norm(ours - expected) / np.linalg.norm(expected):.2e} in norm;"
        f" they moved by up to {moved:.2f}),"
        f" losses by {np.abs(losses / np.array(theirs) - 1).max():.2e} of themselves"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--datasets", default="Data/mnist", help="the folder of MNIST's four files")
    parser.add_argument("--schedule", choices=["uniform", "log"], default="uniform")
    parser.add_argument("--out", help="write the checkpoints to this .npz file")
    parser.add_argument("--check", metavar="DIR", help="compare with what mnist-parity wrote")
    options = parser.parse_args()
    torch.set_num_threads(1)
    train_set, test_set = load(options.datasets)
    if options.check:
        return check(options.check, train_set)
    start = time.perf_counter()
    marks, checkpoints, metrics = train(options.seed, options.epochs, train_set, test_set, options.schedule)
    loss, error = metrics[-1]
    seconds = time.perf_counter() - start
    print(f"seconds {seconds:.2f}  test_loss {loss:.5f}  test_error {error:.2f}", flush=True)
    if options.out:
        np.savez(options.out, iterations=np.array(marks), metrics=metrics, parameters=checkpoints)


if __name__ == "__main__":
    main()
