"""The scripts for clusters: their syntax, the options that they give the command, and what the job does without Slurm.

Scripts/slurm/try runs them on a real cluster.
"""

import os
import re
import subprocess

import pytest
from conftest import CORPUS, ROOT

SCRIPTS = ROOT / "Scripts"
JOB = SCRIPTS / "slurm" / "generate.sbatch"
TINY = ["cartpole", "--runs", "0..<6", "--iterations", "3", "--checkpoints", "4", "--environments", "16"]


def shell_scripts():
    for path in sorted(SCRIPTS.rglob("*")):
        if path.is_file() and path.read_bytes().startswith((b"#!/bin/bash", b"#!/usr/bin/env bash")):
            yield pytest.param(path, id=str(path.relative_to(ROOT)))


@pytest.mark.parametrize("path", shell_scripts())
def test_shells_understand_the_script(path):
    assert subprocess.run(["bash", "-n", path], capture_output=True, text=True).stderr == ""


GIVEN = {
    JOB: {"--runs", "--out", "--seal-every", "--alone"},
    SCRIPTS / "ssh" / "generate": {"--runs", "--out", "--seal-every", "--quiet"},
    SCRIPTS / "kubernetes" / "generate.yaml": {"--runs", "--out", "--datasets", "--seal-every", "--scratch"},
}


@pytest.mark.parametrize("path", GIVEN, ids=lambda path: path.name)
def test_the_command_has_the_options_that_the_script_gives_it(path):
    words = set(re.findall(r"--[a-z][a-z-]*", path.read_text()))
    known = subprocess.run([CORPUS, "generate", "mnist", "--help"], capture_output=True, text=True, check=True).stdout
    assert GIVEN[path] <= words & set(re.findall(r"--[a-z][a-z-]*", known))


def run_job(place, *arguments, **variables):
    """The job's script, as Slurm would start it, where there is no Slurm to talk to."""
    # Where Slurm is installed, its own commands would look for a controller for minutes.
    commands = place / "commands"
    commands.mkdir(exist_ok=True)
    for name in ("sbatch", "squeue", "scontrol"):
        (commands / name).write_text("#!/bin/sh\nexit 1\n")
        (commands / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "CORPUS": str(CORPUS), "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1", "SLURM_JOB_NAME": "corpus",
        "SLURM_JOB_PARTITION": "all", "SLURM_CPUS_ON_NODE": "1", "SLURMD_NODENAME": "here", "SLURM_SUBMIT_DIR": str(place),
        "SLURM_CONF": "/nowhere", "TMPDIR": str(place),
    }  # fmt: skip
    return subprocess.run(
        ["bash", JOB, *arguments], cwd=place, env=environment | variables, capture_output=True, text=True, timeout=300
    )


def test_a_task_makes_the_runs_and_the_last_job_indexes_and_verifies(tmp_path):
    out = tmp_path / "shared" / "corpus"
    arguments = [*TINY, f"--out={out}", "--seal-every", "4"]
    task = run_job(tmp_path, *arguments)
    assert task.returncode == 0, task.stderr
    assert "no further job can be sent from here" in task.stdout
    assert sorted(path.name for path in out.glob("shards/*")) == ["000000-000003.h5", "000004-000005.h5"]
    assert not (out / "index.sqlite").exists()
    last = run_job(tmp_path, *arguments, CORPUS_FINISHES="7")
    assert last.returncode == 0, last.stderr
    query = [CORPUS, "query", out, "SELECT count(*) AS runs FROM runs", "--format", "csv"]
    assert subprocess.run(query, capture_output=True, text=True, check=True).stdout == "runs\n6\n"


def test_an_error_of_the_command_is_the_tasks(tmp_path):
    task = run_job(tmp_path, "cartpole", "--runs", "0..<6", "--out", "corpus", "--iterations", "0")
    assert task.returncode not in (0, 70, 75)
    assert "corpus generate ended with" in task.stdout


def test_a_task_without_a_place_is_refused(tmp_path):
    task = run_job(tmp_path, "cartpole", "--runs", "0..<6")
    assert task.returncode == 64
    assert task.stderr.startswith("usage: sbatch generate.sbatch")
