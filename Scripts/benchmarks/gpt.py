"""G.pt beside the same model in PyTorch, turn by turn: gradients and losses on the same numbers, then pairs a second and
samples a second, eager and compiled, with as many threads on either side.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile

from common import PRODUCTS

PEER = pathlib.Path(__file__).with_name("gpt_pytorch.py")
BENCHMARKS = PRODUCTS / "Benchmarks"


def number(*command):
    output = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout
    return float(output.split()[-1])


def parity(folder):
    size = ["--width", "64", "--layers", "2", "--heads", "4", "--batch", "40", "--steps", "100"]
    for units in ([], ["--units"]):
        for task in ("tiny", "cartpole", "mnist", "cifar10"):
            path = f"{folder}/{task}"
            subprocess.run([BENCHMARKS, "gpt-parity", path, "--task", task, *units, *size], check=True)
            print(f"{task}, tokens are {'hidden units' if units else 'chunks'}:", flush=True)
            subprocess.run([sys.executable, PEER, "--check", path], check=True)


def speed(options):
    small = ["--units", "--width", 96, "--layers", 3, "--heads", 4, "--batch", 64]
    sizes = {
        "small, Cartpole": ["--task", "cartpole", *small],
        "small, MNIST": ["--task", "mnist", *small],
        "d 128 x 4, Cartpole": ["--task", "cartpole", "--width", 128, "--layers", 4, "--heads", 4, "--batch", 128],
        "d 512 x 8, Cartpole": ["--task", "cartpole", "--width", 512, "--layers", 8, "--heads", 8, "--batch", 64],
    }
    for title, size in sizes.items():
        steps = 3 if "512" in title else 20
        for kind in ([], ["--samples"]):
            shared = [*size, "--workers", options.workers, "--steps", steps, *kind]
            ours, eager, compiled = [], [], []
            for _ in range(options.rounds):
                ours.append(number(BENCHMARKS, "gpt-speed", *shared))
                eager.append(number(sys.executable, PEER, "--speed", *shared))
                compiled.append(number(sys.executable, PEER, "--speed", "--compile", *shared))
            a, b, c = (statistics.median(x) for x in (ours, eager, compiled))
            print(
                f"{title}: {'samples' if kind else 'pairs'}/s ours {a:.0f}, PyTorch eager {b:.0f}, compiled {c:.0f}:"
                f" {a / max(b, c):.2f} times the faster (medians of {options.rounds})",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parity(folder)
    speed(options)


if __name__ == "__main__":
    main()
