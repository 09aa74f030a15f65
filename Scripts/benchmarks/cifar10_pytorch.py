"""The CIFAR-10 recipe in plain PyTorch: the peer that `corpus generate cifar10` is timed against, and
compared with.

One thread, eager mode, the images in memory, written the way such a script usually is. Prints the seconds of
training and of evaluation, without loading, and the final test loss and error; --out saves a .npz file: iterations
(checkpoints), metrics (checkpoints, 2), test loss and error, and parameters, float32 (checkpoints, 5370). --check DIR instead trains from the network and on the batches that
`Benchmarks cifar10-parity DIR` has written there, in float64 and in float32, and tells how far apart they end.
"""

import argparse
import math
import pathlib
import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, pad, relu

from mnist_pytorch import kept_iterations

EPOCHS, BATCH, CHECKPOINTS = 50, 128, 200
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 5e-4
TEST_BATCH = 128  # faster than larger ones, whose activations leave the caches
MEAN = torch.tensor([125.3, 123.0, 113.9]).reshape(3, 1, 1)
DEVIATION = torch.tensor([63.0, 62.1, 66.7]).reshape(3, 1, 1)


def load(folder):
    def part(names):
        data = np.concatenate([np.fromfile(pathlib.Path(folder) / name, np.uint8) for name in names])
        records = torch.from_numpy(data.reshape(-1, 3073))
        return (records[:, 1:].float().reshape(-1, 3, 32, 32) - MEAN) / DEVIATION, records[:, 0].long()

    return part([f"data_batch_{i}.bin" for i in range(1, 6)]), part(["test_batch.bin"])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        x = relu(self.conv1(x), inplace=True)
        x = relu(self.conv2(x), inplace=True)
        return self.fc(adaptive_avg_pool2d(x, 1).flatten(1))


def checkpoint(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()]).numpy().copy()


def optimizer_of(net):
    return torch.optim.SGD(
        net.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
    )


def augment(images, flips, rows, columns):
    """(n, 3, 32, 32): mirrored where `flips`, padded by 4 and cut from these rows and columns on."""
    padded = pad(torch.where(flips.reshape(-1, 1, 1, 1), images.flip(3), images), (4, 4, 4, 4))
    out = torch.empty_like(images)
    for i, (row, column) in enumerate(zip(rows.tolist(), columns.tolist())):
        out[i] = padded[i, :, row : row + 32, column : column + 32]
    return out


def step(net, optimizer, criterion, x, y):
    logits = net(x)
    loss = criterion(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return logits.detach(), loss.detach()


@torch.no_grad()
def evaluate(net, criterion, x, y):
    logits = torch.cat([net(images) for images in x.split(TEST_BATCH)])
    return criterion(logits, y).item(), 100 * (logits.argmax(1) != y).float().mean().item()


class Clock:
    """Seconds spent inside `with clock:`."""

    seconds = 0.0

    def __enter__(self):
        self.began = time.perf_counter()

    def __exit__(self, *_):
        self.seconds += time.perf_counter() - self.began


def train(seed, epochs, count, layout, train_set, test_set, schedule="uniform"):
    torch.manual_seed(seed)
    (x, y), criterion = train_set, nn.CrossEntropyLoss()
    net = Net().to(memory_format=layout)
    test_set = test_set[0].contiguous(memory_format=layout), test_set[1]
    optimizer = optimizer_of(net)
    steps = len(x) // BATCH
    total = epochs * steps
    kept = kept_iterations(seed, count, total, schedule)
    training, testing = Clock(), Clock()
    with testing:
        checkpoints, metrics = [checkpoint(net)], [evaluate(net, criterion, *test_set)]
    iteration = 0
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 0.5 * LEARNING_RATE * (1 + math.cos(math.pi * epoch / epochs))
        order = torch.randperm(len(x))
        for start in range(0, steps * BATCH, BATCH):
            with training:
                rows = order[start : start + BATCH]
                places = torch.randint(8, (2, BATCH))
                images = augment(x[rows], torch.rand(BATCH) < 0.5, *places).contiguous(memory_format=layout)
                logits, loss = step(net, optimizer, criterion, images, y[rows])
            iteration += 1
            if iteration in kept:
                train_metrics = loss.item(), 100 * (logits.argmax(1) != y[rows]).float().mean().item()
                checkpoints.append(checkpoint(net))
                with testing:
                    metrics.append(train_metrics + evaluate(net, criterion, *test_set))
    metrics = np.array([m[-2:] for m in metrics])
    return [0, *sorted(kept)], np.stack(checkpoints), metrics, training.seconds, testing.seconds


def check(folder, train_set):
    """The same first steps as ours, in float64 and float32."""
    folder = pathlib.Path(folder)
    initial = torch.from_numpy(np.fromfile(folder / "initial.f32", "<f4"))
    batches = torch.from_numpy(np.fromfile(folder / "batches.u32", "<u4").astype(np.int64)).reshape(-1, BATCH, 4)
    ours, losses = (np.fromfile(folder / name, "<f4") for name in ("after.f32", "losses.f32"))

    def follow(dtype):
        net, criterion = Net().to(dtype), nn.CrossEntropyLoss()
        nn.utils.vector_to_parameters(initial.to(dtype, copy=True), net.parameters())
        optimizer = optimizer_of(net)
        theirs = []
        for batch in batches:
            images, flips, rows, columns = batch.T
            x = augment(train_set[0][images].to(dtype), flips > 0, rows, columns)
            theirs.append(step(net, optimizer, criterion, x, train_set[1][images])[1].item())
        return checkpoint(net), np.array(theirs)

    exact, exact_losses = follow(torch.float64)
    single, single_losses = follow(torch.float32)
    print(f"after {len(batches)} steps, which moved parameters by up to {np.abs(exact - initial.numpy()).max():.2f}:")
    for title, a, b, loss_a, loss_b in (
        ("ours from PyTorch's float64", ours, exact, losses, exact_losses),
        ("PyTorch's float32 from its float64", single, exact, single_losses, exact_losses),
        ("ours from PyTorch's float32", ours, single, losses, single_losses),
    ):
        print(
            f"  {title}: {np.abs(a - b).max() / np.abs(b).max():.1e} of the largest parameter,"
            f" {np.linalg.norm(a - b) / np.linalg.norm(b):.1e} of the norm,"
            f" losses by {np.abs(loss_a / loss_b - 1).max():.1e} of themselves"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--checkpoints", type=int, default=CHECKPOINTS)
    parser.add_argument("--layout", choices=["channels_last", "contiguous"], default="contiguous")
    parser.add_argument("--datasets", default="Data/cifar10", help="the folder of CIFAR-10's six binary files")
    parser.add_argument("--schedule", choices=["uniform", "log"], default="uniform")
    parser.add_argument("--out", help="write the checkpoints to this .npz file")
    parser.add_argument("--check", metavar="DIR", help="compare with what cifar10-parity wrote")
    options = parser.parse_args()
    torch.set_num_threads(1)
    train_set, test_set = load(options.datasets)
    if options.check:
        return check(options.check, train_set)
    layout = torch.channels_last if options.layout == "channels_last" else torch.contiguous_format
    marks, checkpoints, metrics, training, testing = train(
        options.seed, options.epochs, options.checkpoints, layout, train_set, test_set, options.schedule
    )
    loss, error = metrics[-1]
    print(
        f"train {training:.2f} s  evaluate {testing:.2f} s ({len(checkpoints)} times)"
        f"  test_loss {loss:.5f}  test_error {error:.2f}", flush=True,
    )
    if options.out:
        np.savez(options.out, iterations=np.array(marks), metrics=metrics, parameters=checkpoints)


if __name__ == "__main__":
    main()
