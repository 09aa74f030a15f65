"""A node that computes wrong bits, and file locks that fail and lie."""

import subprocess

from work import CORPUS, ROOT, TINY, Trial, require, tiny


def preloaded(trial, source, variables, on=None):
    """Makes the trial's command one that has a library preloaded, on one node or on all."""
    library = trial.place / "preloaded.so"
    subprocess.run(["cc", "-O2", "-fno-builtin", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    condition = f'[ "$(hostname)" != {on} ] ||' if on else ""
    wrapper = trial.place / "corpus.sh"
    wrapper.write_text(f'#!/bin/sh\n{condition} export LD_PRELOAD={library} {variables}\nexec {CORPUS} "$@"\n')
    wrapper.chmod(0o755)
    trial.cluster.environment["CORPUS"] = str(wrapper)


def wrong(place, name, variables):
    expected, _ = tiny(place, 600)
    with Trial(place, name, TINY, 600, seal=100) as trial:
        preloaded(trial, ROOT / "Scripts/slurm/trial/wrong_bits.c", variables, on="node1")
        trial.cluster.start()
        trial.submit("--array=1-4", "--time=60")
        trial.wait_for_the_end()
        trial.print_logs()
        notes = [path.name for path in trial.out.glob("claims/*.failed")]
        require(notes == ["node1.failed"], "node1 was found, and left to others")
        trial.check(expected)


def wrong_from_the_start(place):
    wrong(place, "wrong", "")


def wrong_later(place):
    wrong(place, "wrong-later", "WRONG_AFTER=15")


def locks(place):
    expected, _ = tiny(place, 600)
    for mode in ("ENOLCK", "granted"):
        with Trial(place, f"locks-{mode}", [*TINY, "--alone"], 600, seal=100) as trial:
            preloaded(trial, ROOT / "Tests/CLITests/locks.c", f"LOCKS={mode} LOCKS_UNDER={trial.out}")
            trial.cluster.start()
            trial.submit("--array=1-4", "--time=60")
            trial.wait_for_the_end()
            trial.print_logs()
            trial.check(expected)
