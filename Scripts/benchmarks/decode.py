"""The speed of decoding real runs on one core, as whole runs are read."""

import os
import shutil
import subprocess

from common import PLACE, PRODUCTS, corpus, real_runs

path = PLACE / "decode"
shutil.rmtree(path, ignore_errors=True)
shutil.copytree(real_runs(), path)
corpus("compact", path, "--quiet")
os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
for codec in ["delta", "zstd"]:
    corpus("repack", "--codec", codec, path, "--quiet")
    subprocess.run([PRODUCTS / "Benchmarks", "decode", path], check=True)
