"""File systems without locks: reading needs none, and storing says what is missing."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from checkpoint_corpus import Corpus, Writer

from conftest import ROOT

SOURCE = pathlib.Path(__file__).parents[1] / "CLITests" / "locks.c"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "Sources" / "Python")}

READ = """
import sys
from checkpoint_corpus import Corpus
corpus = Corpus(sys.argv[1])
assert corpus.parameters(0).shape == (40, 3)
assert len(corpus.sql("SELECT run, step FROM checkpoints", frame=False)) == 120
"""

READ_BESIDE_A_CHANGE = """
import os, sys
from checkpoint_corpus import Corpus, CorpusError, rows
corpus = Corpus(sys.argv[1])
rows._BATCH = 10
with rows.Rows(corpus._handle.pointer, "SELECT run, step FROM checkpoints", ()) as found:
    batches = found.batches()
    next(batches)
    os.utime(sys.argv[1] + "/index.sqlite", (1, 1))
    try:
        list(batches)
    except CorpusError as error:
        print(error)
"""

WRITE = """
import sys
import numpy as np
from checkpoint_corpus import Writer
with Writer(sys.argv[1], task="mine", architecture={"w": (3,)}, metrics=["test_loss"], recipe={}) as writer:
    with writer.run(7) as run:
        run.log(0, np.float32([1, 2, 3]), test_loss=1.0)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("locks") / "locks.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", str(SOURCE), "-o", str(path), "-ldl"], check=True)
    return path


@pytest.fixture
def corpus(tmp_path):
    with Writer(tmp_path / "corpus", task="mine", architecture={"w": (3,)}, metrics=["test_loss"], recipe={}) as writer:
        for seed in range(3):
            with writer.run(seed) as run:
                for step in range(40):
                    run.log(step, np.float32([seed, step, 0]), test_loss=1.0)
    return tmp_path / "corpus"


def run(code, corpus, library, **variables):
    """Runs Python code where locks are as LOCKS says, with the corpus as its argument."""
    environment = ENVIRONMENT | {"LD_PRELOAD": str(library)} | variables
    return subprocess.run([sys.executable, "-c", code, str(corpus)], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("locks", ["ENOLCK", "ENOSYS", "granted"])
def test_reading_needs_no_locks(corpus, library, locks):
    done = run(READ, corpus, library, LOCKS=locks)
    assert done.returncode == 0, done.stderr


def test_rows_of_an_index_that_changes_meanwhile_are_refused(corpus, library):
    done = run(READ_BESIDE_A_CHANGE, corpus, library, LOCKS="ENOLCK")
    assert done.returncode == 0 and "is being changed" in done.stdout, done
    # Where locks keep it as it is, SQLite says so.
    command = [sys.executable, "-c", READ_BESIDE_A_CHANGE, str(corpus)]
    assert subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.parametrize("locks", ["ENOLCK", "ENOSYS", "granted"])
def test_storing_says_what_is_missing_unless_alone(corpus, library, locks):
    done = run(WRITE, corpus, library, LOCKS=locks)
    assert done.returncode != 0 and "the file system of" in done.stderr and "CORPUS_ALONE=1" in done.stderr, done.stderr
    done = run(WRITE, corpus, library, LOCKS=locks, CORPUS_ALONE="1")
    assert done.returncode == 0, done.stderr
    assert Corpus(corpus).parameters(7).tolist() == [[1.0, 2.0, 3.0]]
