"""MNIST runs of this package and of mnist_pytorch.py, turn by turn on one core: seconds, and what they end at.

Each turn makes one run in a process of its own on either side. Ours is `corpus generate mnist` less the time of the
same command when the run is stored already, so that, as for PyTorch, reading the images does not count, and
compressing and storing the checkpoints does.
"""

import argparse
import csv
import io
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time


def ours(options, corpus, seed):
    command = [
        options.corpus, "generate", "mnist", "--runs", str(seed), "--datasets", options.datasets,
        "--out", corpus, "--workers", "1", "--quiet",
    ]
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        subprocess.run(command, check=True)
        seconds.append(time.perf_counter() - start)
    query = f"SELECT test_loss, test_error FROM checkpoints WHERE run = {seed} ORDER BY step DESC LIMIT 1"
    answer = subprocess.run(
        [options.corpus, "query", corpus, query, "--format", "csv"], check=True, capture_output=True, text=True
    ).stdout
    loss, error = list(csv.reader(io.StringIO(answer)))[1]
    return seconds[0] - seconds[1], float(loss), float(error)


def theirs(options, seed):
    script = pathlib.Path(__file__).with_name("mnist_pytorch.py")
    folder = pathlib.Path(options.datasets)
    folder = folder / "mnist" if (folder / "mnist").exists() else folder
    line = subprocess.run(
        [sys.executable, script, "--seed", str(seed), "--datasets", folder],
        check=True, capture_output=True, text=True,
    ).stdout.split()
    return float(line[1]), float(line[3]), float(line[5])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--datasets", default="Data")
    parser.add_argument("--corpus", default=".build/release/corpus", help="the command")
    options = parser.parse_args()
    mine, peers = [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            mine.append(ours(options, f"{folder}/mnist", seed))
            peers.append(theirs(options, seed))
            print(f"seed {seed}: ours {mine[-1]}  PyTorch {peers[-1]}", flush=True)
    ratios = [b[0] / a[0] for a, b in zip(mine, peers)]
    print(
        f"seconds: ours {statistics.median(a[0] for a in mine):.2f}, "
        f"PyTorch {statistics.median(b[0] for b in peers):.2f}, ratio {statistics.median(ratios):.1f} "
        f"(medians; ratios from {min(ratios):.1f} to {max(ratios):.1f})"
    )
    for name, place in [("test_loss", 1), ("test_error", 2)]:
        a, b = [x[place] for x in mine], [x[place] for x in peers]
        spread = math.sqrt((statistics.variance(a) + statistics.variance(b)) / options.seeds)
        difference = statistics.mean(a) - statistics.mean(b)
        print(
            f"{name}: ours {statistics.mean(a):.4f}, PyTorch {statistics.mean(b):.4f}: "
            f"{difference / spread:+.2f} standard errors apart"
        )


if __name__ == "__main__":
    main()
