"""One full run, trained, compressed and indexed by us, beside the same recipe in PyTorch, one thread each.

Not pinned to a core: PyTorch's backward pass runs on a thread of its own, which would then have to wait.
"""

import argparse
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

from common import PLACE, corpus

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--pairs", type=int, default=3)
arguments = parser.parse_args()

script = pathlib.Path(__file__).with_name("cartpole_pytorch.py")


def timed(body):
    began = time.monotonic()
    body()
    return time.monotonic() - began


ours, theirs = [], []
for seed in range(arguments.pairs):
    path = PLACE / "speed"
    shutil.rmtree(path, ignore_errors=True)
    ours.append(timed(lambda: corpus("generate", "cartpole", "--runs", seed, "--out", path, "--workers", 1)))
    theirs.append(
        timed(lambda: subprocess.run([sys.executable, script, "--seed", str(seed)], check=True))
    )
    print(f"seed {seed}: {ours[-1]:.2f} s, PyTorch {theirs[-1]:.2f} s, ratio {theirs[-1] / ours[-1]:.1f}")
    sys.stdout.flush()
print(
    f"cartpole: {statistics.median(ours):.2f} s a run, PyTorch {statistics.median(theirs):.2f} s: "
    f"{statistics.median(t / o for o, t in zip(ours, theirs)):.1f} times as fast (median of pairs)"
)
