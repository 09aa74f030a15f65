"""What one look of `corpus status --watch` takes, beside what Python takes to list the same files and their times.

The corpora published are 117,594 runs: as sealed shards of 256, and as files of single runs. The files are empty but for their
names, as a look opens none of them; 16 nodes hold claims that have ended by then.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time

from common import CORPUS, PLACE, corpus

RUNS, BLOCK, NODES = 117_594, 256, 16


def timed(action):
    seconds = []
    for _ in range(7):
        begin = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def peer(path):
    program = "import os, sys; print(sum(e.stat().st_mtime for d in ('shards', 'runs', 'claims')" \
        " for e in os.scandir(os.path.join(sys.argv[1], d))))"  # fmt: skip
    return lambda: subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True)


for kind in ("sealed", "single"):
    path = PLACE / f"watch-{kind}"
    shutil.rmtree(path, ignore_errors=True)
    corpus("generate", "cartpole", "--runs", "0", "--iterations", "1", "--checkpoints", "2", "--environments", "16",
           "--out", path, "--quiet")  # fmt: skip
    shutil.rmtree(path / "runs")
    for folder in ("runs", "claims"):
        (path / folder).mkdir(exist_ok=True)
    if kind == "sealed":
        for first in range(0, RUNS, BLOCK):
            (path / "shards" / f"{first:06}-{min(first + BLOCK, RUNS) - 1:06}.h5").touch()
    else:
        for seed in range(RUNS):
            (path / "runs" / f"{seed:06}.h5").touch()
    for node in range(NODES):
        (path / "claims" / f"node{node}.failed").write_text('{"reason": "made up"}')
    look = [CORPUS, "status", path, "--watch", "--runs", f"0..<{RUNS}"]
    ours, theirs = timed(lambda: subprocess.run(look, check=True, capture_output=True)), timed(peer(path))
    line = subprocess.run(look, check=True, capture_output=True, text=True).stdout.split("  ", 1)[1].strip()
    print(f"{kind}: {1000 * ours:.0f} ms, Python's listing {1000 * theirs:.0f} ms: {ours / theirs:.2f} times that\n  {line[:90]}")
