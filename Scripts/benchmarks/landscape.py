"""Networks of a plane of MNIST classifiers on the 10,000 test images, beside PyTorch evaluating the same number of networks of
its own on them, turn by turn with as many threads: one after the other, and 64 at once in one product.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import time

from common import PRODUCTS
from mnist_pytorch import load


def ours(options):
    command = [PRODUCTS / "Benchmarks", "plane-speed", "--datasets", options.datasets, "--cells", options.cells]
    command += ["--workers", options.workers] + (["--errors"] if options.errors else [])
    line = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout
    return float(line.split()[-1])


def theirs(options, images, labels, together):
    import torch
    from torch.nn import functional

    generator = torch.Generator().manual_seed(0)
    shapes = [(10, 784), (10,), (10, 10), (10,)]
    groups = [
        [0.1 * torch.randn((together, *shape), generator=generator) for shape in shapes]
        for _ in range(options.networks // together)
    ]

    def outcome(weight1, bias1, weight2, bias2):
        hidden = images @ weight1.reshape(-1, 784).T + bias1.reshape(-1)
        hidden = hidden.relu_().reshape(len(images), together, 10)
        outputs = torch.einsum("nki,koi->nko", hidden, weight2) + bias2
        flat = labels.repeat_interleave(together)
        loss = functional.cross_entropy(outputs.reshape(-1, 10), flat, reduction="none")
        wrong = outputs.argmax(2) != labels[:, None]
        return loss.reshape(-1, together).mean(0), 100 * wrong.float().mean(0)

    with torch.inference_mode():
        outcome(*groups[0])
        start = time.perf_counter()
        for group in groups:
            outcome(*group)
        return options.networks / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", default="Data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cells", type=int, default=256, help="ours measures as many networks squared")
    parser.add_argument("--networks", type=int, default=256, help="those that PyTorch measures, a multiple of 64")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--errors", action="store_true", help="ours measures errors alone; PyTorch always both")
    options = parser.parse_args()

    import torch

    torch.set_num_threads(options.workers)
    folder = pathlib.Path(options.datasets)
    folder = folder / "mnist" if (folder / "mnist").exists() else folder
    images, labels = load(folder)[1]
    mine, single, many = [], [], []
    for _ in range(options.rounds):
        mine.append(ours(options))
        single.append(theirs(options, images, labels, 1))
        many.append(theirs(options, images, labels, 64))
    a, b, c = (statistics.median(x) for x in (mine, single, many))
    print(
        f"networks/s on {len(images)} images, {options.workers} threads: ours {a:.0f} "
        f"({options.cells} x {options.cells} in {options.cells**2 / a:.1f} s), PyTorch one by one {b:.0f}, 64 at once {c:.0f}: "
        f"{a / max(b, c):.0f} times the faster (medians of {options.rounds})"
    )


if __name__ == "__main__":
    sys.exit(main())
