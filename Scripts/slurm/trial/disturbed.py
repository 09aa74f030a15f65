"""Runs, with tasks cancelled, requeued, killed and out of time on the way."""

import time

from work import Trial, datasets, say, undisturbed


def disturb(trial):
    """All that happens on a bad night, one after the other, while the job runs."""
    slurm = trial.cluster

    def states(jobs):
        return {name: jobs[name][0] for name in jobs}

    slurm.start()
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
    say("SIGKILL of all that runs on node2")
    time.sleep(20)
    slurm.start_node("node2")
    trial.wait_for_the_end()


def cartpole(place):
    arguments = ["cartpole", "--runs", "0..<2000", "--iterations", "40", "--checkpoints", "10", "--environments", "64"]
    scenario(place, "cartpole", arguments, seal=256)


def mnist(place):
    scenario(place, "mnist", ["mnist", "--runs", "0..<200", "--datasets", datasets()], seal=50)


def scenario(place, name, arguments, seal):
    expected, _ = undisturbed(place, name, arguments)
    with Trial(place, name, arguments, seal) as trial:
        trial.arguments += ["--lease", "30"]
        disturb(trial)
        trial.print_logs()
        trial.check(expected, seal)
