"""What the benchmarks share: the command, places for corpora, and SQL answers."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
CORPUS = ROOT / ".build" / "bin" / "corpus"
PRODUCTS = CORPUS.resolve().parent
PLACE = pathlib.Path(os.environ.get("BENCHMARKS", ROOT / ".build" / "benchmarks"))

# 100 real runs of the full recipe, made by `learning` and measured by others; a corpus of generator version 1 goes on as one,
# and so has another name.
REAL = PLACE / "cartpole-100-v2"


def corpus(*arguments, **options):
    """Runs the command and returns what it prints; ends the benchmark where it fails."""
    options = {"capture_output": True, "text": True} | options
    result = subprocess.run([CORPUS, *map(str, arguments)], **options)
    if result.returncode != 0:
        sys.exit(f"corpus {' '.join(map(str, arguments))} failed: {result.stderr or result.returncode}")
    return result.stdout


def query(path, sql):
    return json.loads(corpus("query", path, sql, "--format", "json"))


def hashes(path):
    return {row["run"]: row["content_hash"] for row in query(path, "SELECT run, content_hash FROM runs")}


def real_runs(count=100):
    """The corpus of real runs; makes what is missing of it."""
    corpus("generate", "cartpole", "--runs", f"0..<{count}", "--out", REAL, capture_output=False)
    return REAL
