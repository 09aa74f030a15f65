"""50 kills (SIGKILL) at random moments of a generating process, each followed by the same command."""

import argparse
import random
import shutil
import signal
import subprocess
import time

from common import CORPUS, PLACE, corpus, hashes, query

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--kills", type=int, default=50)
arguments = parser.parse_args()

# Runs of about half a second, so that kills fall into every stage of many of them.
recipe = ["--iterations", 300, "--checkpoints", 40, "--environments", 64]


def command(path, runs):
    return ["generate", "cartpole", "--runs", f"0..<{runs}", "--out", path, *recipe]


killed, undisturbed = PLACE / "killed", PLACE / "undisturbed"
for path in [killed, undisturbed]:
    shutil.rmtree(path, ignore_errors=True)
runs = 60
kills = 0
leftovers = 0
while kills < arguments.kills:
    process = subprocess.Popen(
        [CORPUS, *map(str, command(killed, runs))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(random.uniform(0.01, 1.0))
    if process.poll() is not None:
        # All runs are there: ask for more, so that there is something to kill.
        runs += 60
        continue
    process.send_signal(signal.SIGKILL)
    process.wait()
    kills += 1
    leftovers += len(list(killed.glob("*/.*.tmp")))
corpus(*command(killed, runs))
corpus(*command(undisturbed, runs))
corpus("verify", killed, "--quiet")
counts = query(killed, "SELECT count(*) AS runs, count(DISTINCT run) AS different FROM runs")[0]
files = len(list(killed.glob("runs/*/*.h5")))
print(
    f"crash: {kills} kills, {leftovers} unfinished files seen on the way; then {counts['runs']} runs of {runs}, "
    f"{files} files, each once: {counts['runs'] == counts['different'] == files == runs}; "
    f"content hashes of an undisturbed corpus: {hashes(killed) == hashes(undisturbed)}"
)
