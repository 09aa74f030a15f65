"""Whether a corpus of --runs made-up runs of 200 checkpoints answers in time, and what making it ready takes.

117,594 runs, the default, are as many as the published corpora have together. Each is first a file of its own; then come
`corpus compact`, `corpus index --rebuild`, questions, `corpus verify`, and to_parquet where pyarrow is installed. Beside the
index stands SQLite's own command, to which the same rows are given in order as a CSV file, and which makes the same table
and index of them: what nobody who uses SQLite can do without. Seconds are of the clock, and of processors in parentheses,
which say more on a busy machine; memory is the largest that the process had.

Making the files takes longest. They stay: only what is missing of them is made the next time.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time

from common import CORPUS, PLACE, PRODUCTS, ROOT

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--runs", type=int, default=117_594)
parser.add_argument("--no-peer", action="store_true")
options = parser.parse_args()

single = PLACE / f"scale-{options.runs}"
path = PLACE / "scale"


def measured(name, *arguments, limit=None, stdin=None, environment=None):
    """Runs a command and prints what it takes; returns the seconds of processors."""
    began = time.monotonic()
    environment = os.environ | (environment or {})
    child = subprocess.Popen(
        list(map(str, arguments)), stdout=subprocess.DEVNULL, stdin=stdin, env=environment
    )
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - began
    if status != 0:
        raise SystemExit(f"{arguments} failed")
    processor = usage.ru_utime + usage.ru_stime
    bound = "" if limit is None else f", wanted < {limit} s"
    print(
        f"{name}: {seconds:.2f} s ({processor:.2f} s){bound}; {usage.ru_maxrss / 1e3:.0f} MB of memory, "
        f"{512 * usage.ru_oublock / 1e6:.0f} MB written",
        flush=True,
    )
    return processor


subprocess.run(
    [PRODUCTS / "Benchmarks", "append", single, "--runs", str(options.runs), "--no-index"], check=True
)
shutil.rmtree(path, ignore_errors=True)
# Links, as compaction removes files and changes none.
shutil.copytree(single, path, copy_function=os.link)
os.unlink(path / "corpus.json")
shutil.copy(single / "corpus.json", path)
measured(f"corpus compact of {options.runs} files", CORPUS, "compact", path, "--quiet", limit=600)
ours = measured("corpus index --rebuild", CORPUS, "index", "--rebuild", path, "--quiet", limit=90)
index = path / "index.sqlite"
print(f"the index has {index.stat().st_size / 1e6:.0f} MB")

questions = [
    ("best checkpoint of each run", "SELECT run, step, train_return FROM best_train_return", 1),
    (
        "first checkpoint of each run that meets a condition",
        "SELECT run, min(step), iteration FROM improvements_train_return WHERE train_return >= 150 GROUP BY run",
        1,
    ),
    ("ten best", "SELECT run, step, train_return FROM checkpoints ORDER BY train_return DESC LIMIT 10", 1),
    ("range", "SELECT count(*) FROM checkpoints WHERE train_return BETWEEN 100 AND 110", 1),
    ("group by run", "SELECT run, max(train_return) FROM checkpoints GROUP BY run", 4),
]
measured("corpus status", CORPUS, "status", path, limit=0.2)
for name, sql, limit in questions:
    measured(name, CORPUS, "query", path, sql, "--format", "csv", limit=limit)
condition = ["--metric", "train_return", "--where", "train_return > 200"]
measured(
    "opening a stream with a condition", CORPUS, "stream", path, *condition, "--count", "1", limit=1.5
)
measured("corpus verify", CORPUS, "verify", path, "--quiet")
try:
    import pyarrow  # noqa: F401

    program = "import sys, checkpoint_corpus; checkpoint_corpus.Corpus(sys.argv[1]).to_parquet(sys.argv[2], overwrite=True)"
    measured(
        "to_parquet", sys.executable, "-c", program, path, PLACE / "scale.parquet",
        environment={"PYTHONPATH": str(ROOT / "Sources" / "Python")},
    )  # fmt: skip
except ImportError:
    print("to_parquet: not measured, as pyarrow is not installed")

if not options.no_peer:
    csv = PLACE / "scale.csv"
    with open(csv, "w") as file:
        subprocess.run(
            [CORPUS, "query", path, "SELECT run, step, iteration, train_return FROM checkpoints", "--format", "csv"],
            stdout=file, check=True,
        )  # fmt: skip
    script = f"""
        PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;
        CREATE TABLE checkpoints (run INTEGER NOT NULL, step INTEGER NOT NULL, iteration INTEGER NOT NULL, train_return REAL,
          PRIMARY KEY (run, step)) WITHOUT ROWID;
        .import --csv --skip 1 {csv} checkpoints
        CREATE INDEX checkpoints_train_return ON checkpoints (train_return);
        """
    peer = PLACE / "scale-peer.sqlite"
    peer.unlink(missing_ok=True)
    statements = PLACE / "scale-peer.sql"
    statements.write_text("\n".join(line.strip() for line in script.splitlines()))
    with open(statements) as file:
        theirs = measured("SQLite's own command, the same table and index", "sqlite3", peer, stdin=file)
    print(f"corpus index takes {ours / theirs:.2f} of the processor time of SQLite's own command")
    for file in (csv, peer, statements):
        file.unlink()
