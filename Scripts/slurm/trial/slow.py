"""A node that is ten times slower than the other one."""

import time

from cluster import SlowGroup
from work import Trial, require, say, undisturbed

# Processors' worth of time of either node: little, so that they get it beside other work, too.
FAST, SLOW = 0.1, 0.01


def slow_node(place):
    arguments = ["cartpole", "--runs", "0..<1024", "--iterations", "12", "--checkpoints", "10", "--environments", "32"]
    expected, seconds = undisturbed(place, "slow", arguments)
    groups = {"node1": SlowGroup("corpus-trial-fast", FAST), "node2": SlowGroup("corpus-trial-slow", SLOW)}
    try:
        with Trial(place, "slow", arguments, seal=32, cpus=1) as trial:
            trial.cluster.start(groups)
            trial.submit("--array=1-2", "--time=60")
            trial.wait(lambda jobs: [job[0] for job in jobs.values()].count("RUNNING") == 2, "both nodes work")
            begin = time.monotonic()
            trial.wait(lambda jobs: not any(name.startswith(trial.job + "_") for name in jobs), "the array is through")
            took = time.monotonic() - begin
            trial.wait_for_the_end()
            trial.print_logs()
            trial.check(expected, seal=32)
    finally:
        for group in groups.values():
            group.remove()
    ideal = seconds / (FAST + SLOW)
    say(f"the array took {took:.0f} s; ideal are {ideal:.0f} s: {seconds:.0f} s of work for {FAST + SLOW} processors")
    require(took < 1.3 * ideal, f"that is {took / ideal:.2f} times the ideal")
