"""Resident memory of a process that generates full runs with two workers, once a second."""

import pathlib
import shutil
import subprocess
import time

from common import CORPUS, PLACE

path = PLACE / "memory"
shutil.rmtree(path, ignore_errors=True)
process = subprocess.Popen(
    [CORPUS, "generate", "cartpole", "--runs", "0..<20", "--out", path, "--workers", "2", "--quiet"]
)
samples = []
while process.poll() is None:
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            samples.append(int(line.split()[1]) / 1024)
    time.sleep(1)
third = len(samples) // 3
print(
    f"memory: {max(samples):.0f} MB resident at most with 2 workers over 20 runs; "
    f"middle third {max(samples[third : 2 * third]):.0f} MB, last third {max(samples[2 * third :]):.0f} MB"
)
