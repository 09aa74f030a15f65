"""A corpus made by the real command, read without it: h5py, hdf5plugin and sqlite3."""

import importlib
import json
import os
import pathlib
import re
import shutil
import subprocess

import h5py
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
CORPUS = os.environ.get("CORPUS", str(ROOT / ".build" / "bin" / "corpus"))
RUNS = 5
CHECKPOINTS = 21


def corpus(*arguments):
    return subprocess.run([CORPUS, *map(str, arguments)], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module", params=["delta", "zstd", "raw"])
def made(request, tmp_path_factory):
    """A corpus with a sealed shard and two single runs, in each codec."""
    path = tmp_path_factory.mktemp(request.param) / "corpus"
    recipe = ["--iterations", 40, "--checkpoints", CHECKPOINTS, "--environments", 32, "--codec", request.param]
    corpus("generate", "cartpole", "--runs", f"0..<{RUNS - 2}", "--out", path, "--quiet", *recipe)
    corpus("compact", path, "--quiet")
    corpus("generate", "cartpole", "--runs", f"0..<{RUNS}", "--out", path, "--quiet", *recipe)
    if request.param == "zstd":
        importlib.import_module("hdf5plugin")
    elif request.param == "delta" and not h5py.h5z.filter_avail(52225):
        reason = "HDF5_PLUGIN_PATH names no directory with the plugin"
        pytest.fail(reason) if os.environ.get("CORPUS_REQUIRE_ALL") else pytest.skip(reason)
    return path


@pytest.fixture
def content_hashes():
    """The function in Schemas/shard.md, as it stands there."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "Schemas" / "shard.md").read_text(), re.DOTALL)
    scope = {}
    exec(code, scope)
    return scope["content_hashes"]


def shards(path):
    return sorted(path.rglob("*.h5"))


def test_h5py_reads_the_bits_that_the_corpus_recorded(made, content_hashes):
    index = json.loads(corpus("query", made, "SELECT run, content_hash FROM runs", "--format", "json"))
    expected = {row["run"]: row["content_hash"] for row in index}
    assert len(expected) == RUNS and len(shards(made)) == 3
    found = {}
    for shard in shards(made):
        for run, (computed, recorded) in content_hashes(shard).items():
            assert computed == recorded
            found[run] = computed
    assert found == expected


def test_h5py_reads_the_metrics_that_sql_tells(made):
    rows = json.loads(
        corpus("query", made, "SELECT run, step, iteration, train_return FROM checkpoints", "--format", "json")
    )
    assert len(rows) == RUNS * CHECKPOINTS
    table = {(row["run"], row["step"]): row for row in rows}
    for path in shards(made):
        with h5py.File(path) as shard:
            for i, run in enumerate(shard["runs/seed"][:]):
                first = shard["runs/first_row"][i]
                for step in range(shard["runs/count"][i]):
                    row = table[run, step]
                    assert row["iteration"] == shard["iteration"][first + step]
                    assert np.float32(row["train_return"]) == shard["metrics/train_return"][first + step]


def test_rows_past_the_end_of_a_run_are_filled(made):
    for path in shards(made):
        with h5py.File(path) as shard:
            belongs = np.zeros(len(shard["iteration"]), bool)
            for first, count in zip(shard["runs/first_row"][:], shard["runs/count"][:]):
                belongs[first : first + count] = True
            assert (shard["iteration"][:][~belongs] == -1).all()
            assert np.isnan(shard["metrics/train_return"][:][~belongs]).all()
            assert (shard["parameters"][:][~belongs] == 0).all()
            assert belongs.sum() == CHECKPOINTS * len(shard["runs/seed"])


def test_the_chunk_table_is_what_hdf5_says(made):
    for path in shards(made):
        with h5py.File(path) as shard:
            dataset = shard["parameters"].id
            for chunk in range(dataset.get_num_chunks()):
                info = dataset.get_chunk_info(chunk)
                number = info.chunk_offset[0] // shard["parameters"].chunks[0]
                assert info.byte_offset == shard["chunks/offset"][number]
                assert info.size == shard["chunks/bytes"][number]


def test_the_sqlite3_tool_reads_the_index(made):
    answer = subprocess.run(
        ["sqlite3", "-readonly", made / "index.sqlite",
         "SELECT count(*), count(DISTINCT run), min(iteration), max(iteration) FROM checkpoints"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert answer.stdout.strip() == f"{RUNS * CHECKPOINTS}|{RUNS}|0|40"


@pytest.mark.parametrize("where", ["external storage", "an external link", "a pipe"])
def test_a_shard_has_no_bytes_of_other_files(made, tmp_path, where):
    path = tmp_path / "corpus"
    shutil.copytree(made, path)
    secret = tmp_path / "secret"
    if where == "a pipe":
        # Whoever opened it would wait for ever.
        os.mkfifo(secret)
    elif where == "external storage":
        secret.write_bytes(b"bytes of another file" * 100)
    else:
        with h5py.File(secret, "w") as other:
            other["values"] = np.full(64, 7, np.float32)
    with h5py.File(path / "runs" / "000" / "000004.h5", "r+") as shard:
        shape, kind = shard["metrics/train_return"].shape, shard["metrics/train_return"].dtype
        del shard["metrics/train_return"]
        if where == "external storage":
            storage = [(str(secret), 0, h5py.h5f.UNLIMITED)]
            shard.create_dataset("metrics/train_return", shape, kind, external=storage)
        else:
            shard["metrics/train_return"] = h5py.ExternalLink(str(secret), "/values")
    for command in (["index", "--rebuild"], ["verify"], ["compact"]):
        result = subprocess.run([CORPUS, *command, path, "--quiet"], capture_output=True, text=True, timeout=60)
        assert result.returncode == 1 and "000004.h5" in result.stderr, result.stderr
    assert (path / "runs" / "000" / "000004.h5").exists()


def test_a_foreign_hdf5_file_is_named_and_left_alone(made):
    foreign = made / "runs" / "000" / "000099.h5"
    with h5py.File(foreign, "w") as file:
        file["parameters"] = np.zeros((3, 4))
    try:
        result = subprocess.run([CORPUS, "verify", made], capture_output=True, text=True)
        assert result.returncode == 1
        assert "runs/000/000099.h5 is an HDF5 file, but no shard of a checkpoint corpus" in result.stderr
        assert foreign.exists()
    finally:
        foreign.unlink()
    corpus("verify", made)
