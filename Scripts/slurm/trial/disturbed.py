"""Runs, with tasks cancelled, requeued, killed and out of time on the way."""

import os
import time

from cluster import SlowGroup
from work import TINY, Trial, datasets, hashes, say, tiny, undisturbed


def disturb(trial, groups):
    """All that happens on a bad night, one after the other, while the job runs."""
    slurm = trial.cluster

    def states(jobs):
        return {name: jobs[name][0] for name in jobs}

    slurm.start(groups)
    # Slurm warns up to a minute before it is asked to.
    trial.submit("--array=1-4", "--time=4", "--signal=B:USR1@110")
    trial.wait(lambda jobs: list(states(jobs).values()).count("RUNNING") == 4, "four tasks run")
    time.sleep(6)
    slurm.call("scancel", f"{trial.job}_2")
    say("scancel of task 2, which is gone for good")
    time.sleep(4)
    slurm.call("scontrol", "requeue", f"{trial.job}_3")
    say("scontrol requeue of task 3")
    time.sleep(4)
    slurm.kill_slurmd("node1")
    say("SIGKILL of the slurmd of node1, whose task goes on")
    trial.wait(lambda _: slurm.states().get("node1", "").startswith("down"), "Slurm believes node1 dead", 120)
    trial.wait(lambda _: slurm.states().get("node1") in ("idle", "mixed", "allocated"), "node1 is back", 120)
    trial.wait(lambda jobs: "RUNNING" in states(jobs).values(), "somebody works")
    time.sleep(5)
    slurm.cut_power("node2")
    say(f"SIGKILL of all that runs on node2, with {trial.sealed()} runs sealed")
    time.sleep(20)
    slurm.start_node("node2", groups["node2"])
    trial.wait_for_the_end()


def cartpole(place):
    scenario(place, "cartpole", TINY, tiny(place, 2000)[0], seal=256, speed=0.1)


def mnist(place):
    """Real runs; $MNIST_CORPUS names a corpus that has runs 0 to 199 of the published recipe already."""
    arguments = ["mnist", "--datasets", datasets()]
    given = os.environ.get("MNIST_CORPUS")
    expected = hashes(given) if given else undisturbed(place, "mnist", arguments, 200)[0]
    scenario(place, "mnist", arguments, {run: expected[run] for run in range(200)}, seal=50, speed=0.5)


def scenario(place, name, arguments, expected, seal, speed):
    """`speed`: what a node is given of a processor, so that the job lasts long enough for all that is to happen to it."""
    groups = {node: SlowGroup(f"corpus-trial-{node}", speed) for node in ("node1", "node2")}
    try:
        with Trial(place, name, arguments, len(expected), seal) as trial:
            trial.arguments += ["--lease", "30"]
            disturb(trial, groups)
            trial.print_logs()
            trial.check(expected)
    finally:
        for group in groups.values():
            group.remove()
