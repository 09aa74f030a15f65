"""Trials of generate.sbatch on a cluster of this machine: see Scripts/slurm/try."""

import os
import pathlib
import sys
import tempfile

import disturbed
import faulty
import slow

TRIALS = {
    "cartpole": disturbed.cartpole,
    "mnist": disturbed.mnist,
    "slow": slow.slow_node,
    "wrong": faulty.wrong_from_the_start,
    "wrong-later": faulty.wrong_later,
    "locks": faulty.locks,
}


def main():
    names = sys.argv[1:] or list(TRIALS)
    if not set(names) <= TRIALS.keys():
        sys.exit(f"usage: Scripts/slurm/try [{'|'.join(TRIALS)}] …")
    place = pathlib.Path(os.environ.get("TRIAL") or tempfile.mkdtemp(prefix="slurm-trial-")).resolve()
    print(f"clusters, corpora and logs are in {place}", flush=True)
    for name in names:
        TRIALS[name](place)
    print("all as it should be")


main()
