"""What the trials share: reference corpora, jobs, and the comparison of what came out with what should have."""

import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import time

from cluster import Cluster, job_number

ROOT = pathlib.Path(__file__).resolve().parents[3]
CORPUS = pathlib.Path(os.environ.get("CORPUS", ROOT / ".build" / "bin" / "corpus"))
SCRIPT = ROOT / "Scripts" / "slurm" / "generate.sbatch"
begin = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - begin:6.1f} s] {text}", flush=True)


def require(condition, what):
    if not condition:
        sys.exit(f"wrong: {what}")
    say(what)


def corpus(*words):
    result = subprocess.run([CORPUS, *map(str, words)], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"corpus {' '.join(map(str, words))} failed: {result.stderr}")
    return result.stdout


def hashes(path):
    rows = json.loads(corpus("query", path, "SELECT run, content_hash FROM runs", "--format", "json"))
    return {row["run"]: row["content_hash"] for row in rows}


# Runs that take some hundredths of a second.
TINY = ["cartpole", "--iterations", "12", "--checkpoints", "10", "--environments", "32"]


def undisturbed(place, name, arguments, runs):
    """The same runs, made by one process: their hashes, and the processor seconds that one takes."""
    path, note = place / f"{name}-undisturbed", place / f"{name}-undisturbed.json"
    if not note.exists():
        shutil.rmtree(path, ignore_errors=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        corpus("generate", *arguments, "--runs", f"0..<{runs}", "--out", path, "--quiet")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        note.write_text(json.dumps({"seconds": seconds / runs}))
        say(f"undisturbed: {runs} runs of {arguments[0]} in {seconds:.0f} s of processor time")
    return hashes(path), json.loads(note.read_text())["seconds"]


def tiny(place, runs):
    """The first of 2,000 undisturbed tiny runs, and the processor seconds that they take."""
    expected, seconds = undisturbed(place, "cartpole", TINY, 2000)
    return {run: expected[run] for run in range(runs)}, seconds * runs


class Trial:
    """A cluster, an array job on it, and what it has made."""

    def __init__(self, place, name, arguments, runs, seal, **options):
        self.place = place / name
        shutil.rmtree(self.place, ignore_errors=True)
        self.cluster = Cluster(self.place / "cluster", **options)
        self.out = self.place / "shared" / "corpus"
        self.logs = self.place / "logs"
        self.logs.mkdir()
        self.arguments = [*arguments, "--runs", f"0..<{runs}", "--out", self.out, "--seal-every", seal]
        self.seal = seal
        self.most_files = 0
        self.cluster.environment["CORPUS"] = str(CORPUS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cluster.stop()

    def submit(self, *options):
        text = self.cluster.call(
            "sbatch", "--oversubscribe", "--cpus-per-task=1", *options, SCRIPT, *self.arguments, cwd=self.logs
        )
        self.job = job_number(text)
        say(f"sent job {self.job}")

    def sealed(self):
        """The runs in sealed shards, by the shards' names."""
        names = [re.fullmatch(r"(\d+)-(\d+)\.h5", path.name) for path in self.out.glob("shards/*")]
        return sum(int(name[2]) - int(name[1]) + 1 for name in names if name)

    def look(self):
        """What there is now; counts the files of the shared directory on the way."""
        files = [path for path in self.out.rglob("*") if path.is_file()] if self.out.exists() else []
        self.most_files = max(self.most_files, sum(path.suffix == ".h5" for path in files))
        return self.cluster.jobs()

    def wait(self, until, what, seconds=1800, pause=0.5):
        end = time.monotonic() + seconds
        while not until(self.look()):
            if time.monotonic() > end:
                sys.exit(f"wrong: {what} did not come to pass in {seconds} s; squeue: {self.cluster.jobs()}")
            time.sleep(pause)
        say(what)

    def wait_for_runs(self, count):
        self.wait(lambda _: self.sealed() >= count, f"{count} runs are sealed")

    def wait_for_the_end(self):
        self.wait(lambda jobs: not jobs, "no job is left")

    def check(self, expected):
        """Every run once, with the hash of the undisturbed corpus, verified, and in few files."""
        finish = (self.logs / f"corpus-{self.job}_finish.log").read_text()
        require(finish.rstrip().endswith("done"), "the job that comes last has indexed and verified")
        require(hashes(self.out) == expected, f"{len(expected)} runs have the hashes of the undisturbed corpus")
        sealed = [path.name for path in self.out.glob("shards/*")]
        require(self.sealed() == len(expected), f"each run is in one shard: {len(sealed)} for {len(expected)} runs")
        require(not list(self.out.glob("runs/**/*.h5")), "no run has a file of its own")
        blocks = -(-len(expected) // self.seal)
        require(self.most_files <= blocks, f"there were never more than {self.most_files} files of runs, for {blocks} blocks")
        others = sorted(
            str(path.relative_to(self.out)) for path in self.out.rglob("*") if path.is_file() and path.suffix != ".h5"
        )
        say(f"beside them: {' '.join(others)}")
        corpus("verify", self.out, "--quiet")
        say("verified once more")

    def print_logs(self):
        for log in sorted(self.logs.iterdir()):
            lines = [line for line in log.read_text().splitlines() if line.startswith(("[", "slurmstepd", "corpus:", "job"))]
            print(f"--- {log.name}", *lines, sep="\n    ", flush=True)


def datasets():
    return os.environ.get("CORPUS_DATASETS") or str(ROOT / "Data")
