"""What the index costs: in time, and in bytes written, which decide on shared and on solid disks.

Ingest of --rows made-up checkpoints and a query of one row from process start; then `corpus index` after --no-index, from
a file a run; and jobs of some runs each beside what is there. Bytes are what the kernel counts for a process and its
children, without those of the same runs stored with --no-index.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import time

from common import CORPUS, PLACE, PRODUCTS, corpus

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rows", type=int, default=1_000_000, help="checkpoints that are there (200 a run)")
parser.add_argument("--single", action="store_true", help="a file a run for all of them, which takes minutes to make")
parser.add_argument("--jobs", type=int, nargs="*", default=[1, 16, 500], help="the runs of each job")
options = parser.parse_args()

RUNS = options.rows // 200
path = PLACE / "index"


def measured(*arguments):
    """The seconds that a command takes, and the bytes that it writes."""
    began = time.monotonic()
    child = subprocess.Popen(list(map(str, arguments)), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        raise SystemExit(f"{arguments} failed")
    return time.monotonic() - began, 512 * usage.ru_oublock


shutil.rmtree(path, ignore_errors=True)
if options.single:
    subprocess.run([PRODUCTS / "Benchmarks", "append", path, "--runs", str(RUNS), "--no-index"], check=True)
else:
    subprocess.run([PRODUCTS / "Benchmarks", "make-up", path, "--runs", str(RUNS)], check=True)
for name, flags in (("index", []), ("index --rebuild", ["--rebuild"])):
    seconds, written = measured(CORPUS, "index", path, *flags)
    print(f"corpus {name}: {seconds:.1f} s, {written / 1e6:.0f} MB written for {RUNS} runs")

first = RUNS
for runs in options.jobs:
    store = [PRODUCTS / "Benchmarks", "append", path, "--runs", runs, "--first"]
    without = measured(*store, first, "--no-index")
    corpus("index", path)
    beside = measured(*store, first + runs)
    first += 2 * runs
    print(
        f"a job of {runs} runs: {(beside[1] - without[1]) / runs / 1e3:.0f} KB of index a run, "
        f"{beside[0]:.2f} s beside {without[0]:.2f} s with --no-index"
    )

seconds = []
for _ in range(50):
    sql = f"SELECT * FROM checkpoints WHERE run = {random.randrange(RUNS)} AND step = {random.randrange(200)}"
    began = time.monotonic()
    corpus("query", path, sql)
    seconds.append(time.monotonic() - began)
seconds.sort()
print(f"query of one row: {1000 * statistics.median(seconds):.0f} ms (median of 50, worst {1000 * seconds[-1]:.0f} ms)")

if options.rows <= 1_000_000 and not options.single:
    subprocess.run([PRODUCTS / "Benchmarks", "ingest", path], check=True)
