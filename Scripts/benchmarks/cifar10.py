"""CIFAR-10 runs of this package and of cifar10_pytorch.py, turn by turn on one core: seconds, and what they end at.
Before them, how near the kernels come to the core's peak.

Each turn makes one run in a process of its own on either side; reading the images does not count, nor does storing
the checkpoints, on either side. `swift build -c release` makes the program `Benchmarks`.
"""

import argparse
import math
import pathlib
import statistics
import subprocess
import sys

NUMBERS = ["train", "evaluate", "test_loss", "test_error"]


def numbers(command):
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return [float(words[words.index(name) + 1]) for name in NUMBERS]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--datasets", default="Data/cifar10", help="the folder of CIFAR-10's six binary files")
    parser.add_argument("--benchmarks", default=".build/release/Benchmarks", help="the program")
    options = parser.parse_args()
    script = pathlib.Path(__file__).with_name("cifar10_pytorch.py")
    kernels = [options.benchmarks, "cifar10-kernels", "--datasets", options.datasets]
    print(subprocess.run(kernels, check=True, capture_output=True, text=True).stdout, end="", flush=True)
    mine, peers = [], []
    for seed in range(options.seeds):
        shared = ["--seed", str(seed), "--epochs", str(options.epochs), "--datasets", options.datasets]
        count = str(options.evaluations)
        mine.append(numbers([options.benchmarks, "cifar10-speed", *shared, "--evaluations", count]))
        peers.append(numbers([sys.executable, script, *shared, "--checkpoints", count]))
        print(f"seed {seed}: ours {mine[-1]}  PyTorch {peers[-1]}", flush=True)
    for i, name in enumerate(NUMBERS[:2]):
        a, b = [x[i] for x in mine], [x[i] for x in peers]
        print(f"{name}: ours {statistics.median(a):.2f} s, PyTorch {statistics.median(b):.2f} s (medians)")
    ratios = [sum(b[:2]) / sum(a[:2]) for a, b in zip(mine, peers)]
    print(f"ratio {statistics.median(ratios):.2f} (median; from {min(ratios):.2f} to {max(ratios):.2f})")
    for i, name in enumerate(NUMBERS[2:], 2) if options.seeds > 1 else ():
        a, b = [x[i] for x in mine], [x[i] for x in peers]
        error = math.sqrt((statistics.variance(a) + statistics.variance(b)) / options.seeds)
        apart = (statistics.mean(a) - statistics.mean(b)) / error
        print(
            f"{name}: ours {statistics.mean(a):.4f}, PyTorch {statistics.mean(b):.4f}:"
            f" {apart:+.2f} standard errors apart"
        )


if __name__ == "__main__":
    main()
