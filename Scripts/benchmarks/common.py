"""What the benchmarks share: the command, places for corpora, and SQL answers."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).parents[2]
CORPUS = ROOT / ".build" / "bin" / "corpus"
PRODUCTS = CORPUS.resolve().parent
PLACE = pathlib.Path(os.environ.get("BENCHMARKS", ROOT / ".build" / "benchmarks"))

# 100 real runs of the full recipe, made by `learning` and measured by others.
REAL = PLACE / "cartpole-100"


def corpus(*arguments, **options):
    """Runs the command and returns what it prints; raises where it fails."""
    options = {"check": True, "capture_output": True, "text": True} | options
    return subprocess.run([CORPUS, *map(str, arguments)], **options).stdout


def query(path, sql):
    return json.loads(corpus("query", path, sql, "--format", "json"))


def hashes(path):
    return {row["run"]: row["content_hash"] for row in query(path, "SELECT run, content_hash FROM runs")}


def real_runs(count=100):
    """The corpus of real runs; makes what is missing of it."""
    corpus("generate", "cartpole", "--runs", f"0..<{count}", "--out", REAL, capture_output=False)
    return REAL
