"""Ingest of 1,000,000 made-up checkpoints, and a query of one row from process start."""

import random
import shutil
import statistics
import subprocess
import time

from common import PLACE, PRODUCTS, corpus

path = PLACE / "index"
shutil.rmtree(path, ignore_errors=True)
subprocess.run([PRODUCTS / "Benchmarks", "make-up", path], check=True)
subprocess.run([PRODUCTS / "Benchmarks", "ingest", path], check=True)

seconds = []
for _ in range(50):
    sql = f"SELECT * FROM checkpoints WHERE run = {random.randrange(5000)} AND step = {random.randrange(200)}"
    began = time.monotonic()
    corpus("query", path, sql)
    seconds.append(time.monotonic() - began)
seconds.sort()
print(f"query of one row: {1000 * statistics.median(seconds):.0f} ms (median of 50, worst {1000 * seconds[-1]:.0f} ms)")
