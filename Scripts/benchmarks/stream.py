"""Training pairs per second on one core: ours in codec delta, in codec raw and from the cache, beside a plain loader.

The loader is written as one usually writes it, and works as the published one does: an LMDB directory a run, two reads
a pair, a random permutation of the hidden units in numpy, PyTorch's DataLoader and its default collation. Both sides
read the same runs, warm, pinned to one core, turn by turn. So do our own draws, evenly over checkpoints and over the
metric, which is what --no-peer measures alone.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time

from common import CORPUS, PLACE, corpus

TASKS = {
    "mnist": dict(metric="test_loss", batch=1024, key="avg_test_loss"),
    "cifar10": dict(metric="test_loss", batch=550, key="avg_test_loss"),
    "cartpole": dict(metric="train_return", batch=8192, key="train_ret"),
}


def our_rate(path, task, seconds, *options):
    text = corpus(
        "stream", path, "--measure", "--workers", 1, "--metric", TASKS[task]["metric"], "--split", "all",
        "--batch-size", TASKS[task]["batch"], "--seconds", seconds, *options)
    return float(text.split()[1].split("/")[0].replace(",", ""))


def prepare(task, arguments):
    """The corpora in codecs delta and raw, and the released layout."""
    path = PLACE / f"stream-{task}"
    runs = {"mnist": 60, "cifar10": 8, "cartpole": 60}[task]
    # Short runs: what a pair costs depends on the size of a network and a little on how well it compresses.
    recipe = {
        "mnist": ["--epochs", 5], "cifar10": ["--epochs", 1, "--checkpoints", 40], "cartpole": ["--iterations", 250],
    }[task]
    if task != "cartpole":
        recipe += ["--datasets", arguments.datasets] if arguments.datasets else ["--dataset", "synthetic"]
    corpus("generate", task, "--runs", f"0..<{runs}", "--out", path, *recipe, capture_output=False)
    corpus("compact", path, "--quiet")
    raw, released = PLACE / f"stream-{task}-raw", PLACE / f"stream-{task}-lmdb"
    if not raw.exists():
        shutil.copytree(path, raw)
        corpus("repack", "--codec", "raw", raw, "--quiet")
    if not released.exists():
        corpus("export", path, "--format", "lmdb", "--out", released, "--quiet")
    return path, raw, released


def touch(folder):
    subprocess.run(f"find '{folder}' -type f -exec cat {{}} + > /dev/null", shell=True, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--no-peer", action="store_true", help="only ours, with and without balance")
    parser.add_argument("--datasets", help="real data instead of synthetic")
    arguments = parser.parse_args()
    prepared = {task: prepare(task, arguments) for task in arguments.tasks or TASKS}
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
    for task, (path, raw, released) in prepared.items():
        rates = {"peer": []}
        for turn in range(arguments.rounds):
            for folder in (path, raw, released):
                touch(folder)
            if not arguments.no_peer:
                from stream_peer import peer_rate

                facts = TASKS[task]
                rates["peer"].append(peer_rate(released, path, facts["key"], facts["batch"], arguments.seconds))
            sources = ("delta", path, []), ("raw", raw, []), ("cached", path, ["--cache", "memory"])
            for name, folder, options in sources:
                # Who begins takes turns, too.
                for balance in sorted(("none", "metric"), reverse=turn % 2 == 0):
                    rate = our_rate(folder, task, arguments.seconds, "--balance", balance, *options)
                    rates.setdefault((name, balance), []).append(rate)
        report(task, rates, arguments.rounds)


def report(task, rates, rounds):
    """Prints medians of rates, and of ratios of what was measured one after the other."""

    def ratio(ours, others):
        return statistics.median(a / b for a, b in zip(rates[ours], rates[others]))

    peer = f"peer {statistics.median(rates['peer']):,.0f} pairs/s; " if rates["peer"] else ""
    parts = []
    for name in ("delta", "raw", "cached"):
        times = f"{ratio((name, 'none'), 'peer'):.1f} times, " if peer else ""
        parts.append(
            f"{name} {statistics.median(rates[name, 'none']):,.0f} ({times}balanced "
            f"{100 * ratio((name, 'metric'), (name, 'none')):.0f} % of that)")
    print(f"stream {task}: {peer}{'; '.join(parts)} (pairs/s of one core, medians of {rounds})", flush=True)


if __name__ == "__main__":
    main()
