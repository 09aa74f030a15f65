"""Bytes on disk for real runs in both codecs, HDF5 overhead included, and repacking there and back.

Sealed shards are read back and proven before the files that they replace go; what that costs is told beside what
reading all of them takes, which `corpus verify` does.
"""

import shutil
import time

from common import PLACE, corpus, hashes, query, real_runs

path = PLACE / "storage"
shutil.rmtree(path, ignore_errors=True)
shutil.copytree(real_runs(), path)


def report(what):
    corpus("verify", path, "--quiet")
    raw = 4 * 1250 * query(path, "SELECT count(*) AS n FROM checkpoints")[0]["n"]
    files = [file.stat().st_size for file in path.rglob("*.h5")]
    print(f"{what}: {raw / sum(files):.3f} of raw ({len(files)} files, {sum(files) / 1e6:.1f} MB)")


def timed(*arguments):
    begin = time.perf_counter()
    corpus(*arguments, path, "--quiet")
    return time.perf_counter() - begin


before = hashes(path)
report("delta, a file a run")
compacting, reading = timed("compact"), timed("verify")
report("delta, sealed")
print(f"compacting took {compacting:.2f} s, of which proving the sealed shards about {reading:.2f} s, a verification")
corpus("repack", "--codec", "zstd", path, "--quiet")
report("zstd, sealed")
there = hashes(path)
corpus("repack", "--codec", "delta", path, "--quiet")
report("delta, after repacking there and back")
print(f"content hashes of {len(before)} runs the same throughout: {before == there == hashes(path)}")
