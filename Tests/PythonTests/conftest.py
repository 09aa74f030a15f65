"""What several tests need: the real command, and a rule for what is missing."""

import importlib
import os
import pathlib
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CORPUS = os.environ.get("CORPUS", str(ROOT / ".build" / "bin" / "corpus"))

# The package as it lies in the repository, with the library that Scripts/build has made.
sys.path.insert(0, str(ROOT / "Sources" / "Python"))

# A script's background jobs ignore Ctrl-C, and so would the programs that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def run_corpus(*arguments):
    return subprocess.run([CORPUS, *map(str, arguments)], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="session")
def cartpole(tmp_path_factory):
    """A corpus of six short Cartpole runs, four of them sealed."""
    path = tmp_path_factory.mktemp("cartpole") / "corpus"
    recipe = ["--iterations", 40, "--checkpoints", 21, "--environments", 256, "--quiet"]
    run_corpus("generate", "cartpole", "--runs", "0..<4", "--out", path, *recipe)
    run_corpus("compact", path, "--quiet")
    run_corpus("generate", "cartpole", "--runs", "0..<6", "--out", path, *recipe)
    return path


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A corpus of two short MNIST runs on pictures that are drawn."""
    path = tmp_path_factory.mktemp("digits") / "corpus"
    run_corpus(
        "generate", "mnist", "--dataset", "synthetic", "--epochs", 1, "--checkpoints", 5, "--runs", "0..<2", "--out",
        path, "--quiet",
    )  # fmt: skip
    return path


def module_or_skip(name):
    """A module; skips where it is missing, but fails where everything has to be there."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if os.environ.get("CORPUS_REQUIRE_ALL") and name != "torch":
            pytest.fail(f"needs the Python package {name}")
        pytest.skip(f"needs the Python package {name}", allow_module_level=True)
