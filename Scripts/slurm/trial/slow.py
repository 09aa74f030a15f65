"""A node that is ten times slower than the other one.

Ideal is what the fast node takes alone, in the proportion of its speed to that of both.
"""

import time

from cluster import SlowGroup
from work import TINY, Trial, require, say, tiny

# Processors' worth of time of either node: little, so that they get it beside other work, too.
SPEEDS = {"node1": 0.1, "node2": 0.01}
RUNS, SEAL = 768, 32


def slow_node(place):
    expected, _ = tiny(place, RUNS)
    alone = took(place, "fast-alone", ["node1"], expected)
    both = took(place, "fast-and-slow", list(SPEEDS), expected)
    ideal = alone * SPEEDS["node1"] / sum(SPEEDS.values())
    say(f"the fast node took {alone:.0f} s alone, both took {both:.0f} s; ideal were {ideal:.0f} s")
    require(both < 1.3 * ideal, f"that is {both / ideal:.2f} times the ideal")


def took(place, name, nodes, expected):
    """The seconds from the beginning of the array's first task to the end of the last one."""
    groups = {node: SlowGroup(f"corpus-trial-{node}", SPEEDS[node]) for node in nodes}
    try:
        with Trial(place, name, TINY, len(expected), SEAL, names=nodes, cpus=1) as trial:
            trial.cluster.start(groups)
            trial.submit(f"--array=1-{len(nodes)}", "--time=60")
            trial.wait(lambda jobs: [job[0] for job in jobs.values()].count("RUNNING") == len(nodes), "all nodes work")
            begin = time.monotonic()
            trial.wait(lambda jobs: not any(job.startswith(f"{trial.job}_") for job in jobs), "the array is through")
            seconds = time.monotonic() - begin
            trial.wait_for_the_end()
            trial.print_logs()
            trial.check(expected)
            return seconds
    finally:
        for group in groups.values():
            group.remove()
