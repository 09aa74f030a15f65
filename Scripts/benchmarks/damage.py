"""1,000 single-bit flips at random places of a real shard: what `corpus verify` says of each.

A flip that it does not report must have changed nothing that is stored: the shard then still reads as before,
by the whole contents that `corpus` proves against the recorded hash.
"""

import argparse
import os
import random
import shutil
import subprocess

from common import CORPUS, PLACE, corpus, real_runs

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--flips", type=int, default=1000)
parser.add_argument("--codec", default="delta")
arguments = parser.parse_args()

path = PLACE / "damage"
shutil.rmtree(path, ignore_errors=True)
source = real_runs()
path.mkdir()
(path / "runs" / "000").mkdir(parents=True)
shutil.copy(source / "corpus.json", path)
for run in range(3):
    shutil.copy(source / "runs" / "000" / f"{run:06d}.h5", path / "runs" / "000")
corpus("index", path, "--quiet")
corpus("compact", path, "--quiet")
corpus("repack", "--codec", arguments.codec, path, "--quiet")
(shard,) = path.glob("shards/*.h5")
original = shard.read_bytes()
before = shard.stat()

found = unfound = crashes = 0
chance = random.Random(1)
for _ in range(arguments.flips):
    bytes_ = bytearray(original)
    bit = chance.randrange(8 * len(original))
    bytes_[bit // 8] ^= 1 << bit % 8
    shard.write_bytes(bytes_)
    # The time of last change would give the damage away to the index.
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    result = subprocess.run([CORPUS, "verify", path, "--quiet"], capture_output=True, text=True)
    if result.returncode == 0:
        unfound += 1
        print(f"bit {bit % 8} of byte {bit // 8}: nothing stored is touched")
    elif result.returncode == 1 and "corpus: " in result.stderr:
        found += 1
    else:
        crashes += 1
        print(f"bit {bit}: status {result.returncode}: {result.stderr}")
shard.write_bytes(original)
os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
corpus("verify", path, "--quiet")
print(
    f"damage: {arguments.flips} flips in {len(original)} bytes: {found} found, {unfound} in bytes that hold nothing, "
    f"{crashes} crashes"
)
