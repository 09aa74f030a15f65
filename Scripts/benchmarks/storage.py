"""Bytes on disk for real runs in both codecs, HDF5 overhead included, and repacking there and back."""

import shutil

from common import PLACE, corpus, hashes, query, real_runs

path = PLACE / "storage"
shutil.rmtree(path, ignore_errors=True)
shutil.copytree(real_runs(), path)


def report(what):
    corpus("verify", path, "--quiet")
    raw = 4 * 1250 * query(path, "SELECT count(*) AS n FROM checkpoints")[0]["n"]
    files = [file.stat().st_size for file in path.glob("*/*.h5")]
    print(f"{what}: {raw / sum(files):.3f} of raw ({len(files)} files, {sum(files) / 1e6:.1f} MB)")


before = hashes(path)
report("delta, a file a run")
corpus("compact", path, "--quiet")
report("delta, sealed")
corpus("repack", "--codec", "zstd", path, "--quiet")
report("zstd, sealed")
there = hashes(path)
corpus("repack", "--codec", "delta", path, "--quiet")
report("delta, after repacking there and back")
print(f"content hashes of {len(before)} runs the same throughout: {before == there == hashes(path)}")
