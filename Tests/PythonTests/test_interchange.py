"""`corpus export` and `corpus import`, each format read and written by its own library."""

import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import time

import h5py
import lmdb
import numpy as np
import pytest
import safetensors
import safetensors.numpy

import released_layout as layout

ROOT = pathlib.Path(__file__).parents[2]
CORPUS = os.environ.get("CORPUS", str(ROOT / ".build" / "bin" / "corpus"))
CHECKPOINTS = 23


def run(*arguments):
    return subprocess.run([CORPUS, *map(str, arguments)], capture_output=True, text=True)


def corpus(*arguments):
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def fails(*arguments, says=()):
    """Runs the command, which must fail with so many sentences, each with these words."""
    result = run(*arguments)
    assert result.returncode == 1, result
    lines = [line for line in result.stderr.splitlines() if line.startswith("corpus: ")]
    assert len(lines) == 1, result.stderr
    for words in says:
        assert words in lines[0]
    return lines[0]


def query(path, sql):
    return json.loads(corpus("query", path, sql, "--format", "json"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A Cartpole corpus, partly sealed."""
    path = tmp_path_factory.mktemp("made") / "corpus"
    recipe = ["--iterations", 40, "--checkpoints", CHECKPOINTS, "--environments", 32, "--quiet"]
    corpus("generate", "cartpole", "--runs", "0..<3", "--out", path, *recipe)
    corpus("compact", path, "--quiet")
    corpus("generate", "cartpole", "--runs", "0..<5", "--out", path, *recipe)
    return path


@pytest.fixture(scope="module")
def parameters(made):
    """{run: its parameter vectors}, as h5py reads them from the shards."""
    found = {}
    for path in made.rglob("*.h5"):
        with h5py.File(path) as shard:
            for i, seed in enumerate(shard["runs/seed"][:]):
                first, count = shard["runs/first_row"][i], shard["runs/count"][i]
                found[int(seed)] = shard["parameters"][first : first + count]
    return found


def load(path, format):
    """The arrays of an exported file, and the texts beside them."""
    if format == "safetensors":
        with safetensors.safe_open(path, "np") as file:
            return safetensors.numpy.load_file(path), file.metadata()
    if format == "npz":
        with np.load(path) as file:
            arrays = dict(file)
        return arrays, json.loads(str(arrays.pop("metadata")))
    with h5py.File(path) as file:
        return {name: file[name][...] for name in file}, {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in file.attrs.items()}


FORMATS = ["safetensors", "npz", "hdf5"]
SELECTIONS = [
    ([], "1"),
    (["--where", "step % 3 = 1"], "step % 3 = 1"),
    (["--where", "run < 4 AND step = 22 -- the last"], "run < 4 AND step = 22"),
    (["--where", "train_return > (SELECT avg(train_return) FROM checkpoints)"],
     "train_return > (SELECT avg(train_return) FROM checkpoints)"),
    (["--runs", "2..<4", "--where", "split = 'train' OR step > 20"], "(split = 'train' OR step > 20) AND run IN (2, 3)"),
    (["--limit", "30"], "(run, step) < (1, 7)"),
]  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("options, condition", SELECTIONS)
def test_exports_what_the_condition_selects(made, parameters, tmp_path, format, options, condition):
    out = tmp_path / f"out.{format}"
    corpus("export", made, "--format", format, "--out", out, *options)
    rows = query(
        made,
        "SELECT run, step, iteration, train_return FROM checkpoints JOIN runs USING (run) "
        f"WHERE {condition} ORDER BY run, step",
    )
    assert rows
    arrays, metadata = load(out, format)
    assert set(arrays) == {"parameters", "run", "step", "iteration", "train_return"}
    for name in ["run", "step", "iteration"]:
        assert arrays[name].dtype == np.int64
        assert arrays[name].tolist() == [row[name] for row in rows]
    assert arrays["train_return"].dtype == np.float32
    assert arrays["train_return"].tolist() == [np.float32(row["train_return"]) for row in rows]
    expected = np.stack([parameters[row["run"]][row["step"]] for row in rows])
    assert arrays["parameters"].dtype == np.float32 and arrays["parameters"].shape == expected.shape
    assert arrays["parameters"].tobytes() == expected.tobytes()

    manifest = json.loads((made / "corpus.json").read_text())
    assert metadata["format"] == "checkpoint-corpus checkpoints" and metadata["version"] == "1"
    assert metadata["task"] == "cartpole"
    for name in ["architecture", "metrics", "recipe"]:
        assert json.loads(metadata[name]) == manifest[name]
    assert os.listdir(tmp_path) == [out.name]


def test_safetensors_arrays_are_aligned(made, tmp_path):
    out = tmp_path / "out.safetensors"
    corpus("export", made, "--format", "safetensors", "--out", out)
    data = out.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__")
    assert (8 + length) % 64 == 0
    for tensor in header.values():
        assert tensor["data_offsets"][0] % (8 if tensor["dtype"] == "I64" else 4) == 0


def test_npz_passes_unzips_own_test(made, tmp_path):
    import zipfile

    out = tmp_path / "out.npz"
    corpus("export", made, "--format", "npz", "--out", out)
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        assert all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())


@pytest.mark.parametrize("format", FORMATS)
def test_export_refuses_what_it_cannot_do(made, tmp_path, format):
    out = tmp_path / "out"
    out.write_text("precious")
    fails("export", made, "--format", format, "--out", out, says=[str(out), "there already", "--out"])
    assert out.read_text() == "precious"
    new = tmp_path / "new"
    export = ["export", made, "--format", format, "--out"]
    fails(*export, new, "--where", "train_return > 1e9", says=["nothing", "selected"])
    fails(*export, new, "--where", "nonsense > 1", says=["no such column: nonsense"])
    fails(*export, new, "--where", "1); DELETE FROM runs; SELECT (1", says=["SQLite does not accept"])
    fails(*export, new, "--where", "", says=["SQL"])
    fails(*export, tmp_path / "nowhere" / "x", says=["there is no directory", "nowhere"])
    fails(*export, "/proc/x", says=["/proc/x"])
    fails("export", tmp_path, "--format", format, "--out", new, says=["no corpus.json"])
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize(
    "change, says",
    [
        ("DELETE FROM checkpoints WHERE run = 2 AND step > 7", "8 checkpoints of run 2, and says that it has 23"),
        ("UPDATE checkpoints SET step = 30 WHERE run = 2 AND step = 22", "checkpoints of run 2 one after the other"),
    ],
)
def test_export_of_everything_refuses_an_index_that_lacks_checkpoints(made, tmp_path, change, says):
    path = tmp_path / "corpus"
    shutil.copytree(made, path)
    with sqlite3.connect(path / "index.sqlite") as database:
        database.execute(change)
    database.close()
    out = tmp_path / "out.npz"
    fails("export", path, "--format", "npz", "--out", out, says=[says, "corpus index --rebuild"])
    assert not out.exists()
    # Those that are wanted may well be there.
    corpus("export", path, "--format", "npz", "--where", "step < 3", "--out", out)


def test_export_names_a_damaged_shard_and_leaves_nothing(made, tmp_path):
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", made, copy], check=True)
    shard = copy / "runs" / "000" / "000004.h5"
    content = bytearray(shard.read_bytes())
    content[len(content) * 2 // 3] ^= 1
    shard.write_bytes(content)
    fails("export", copy, "--format", "npz", "--out", tmp_path / "x.npz", says=["000004.h5"])
    assert os.listdir(tmp_path) == ["copy"]


# The released layout


@pytest.fixture(params=list(layout.SIZES))
def release(request, tmp_path):
    """Three directories, the last one with two runs; {name: run}."""
    runs = [layout.Run(request.param, f"{seed:06d}") for seed in (3, 11, 12, 1_000_007)]
    root = tmp_path / "released"
    layout.write(root, runs[0])
    layout.write(root, runs[1])
    layout.write(root, runs[2], runs[3])
    return root, {run.name: run for run in runs}


def same(text, record):
    """Whether runs.json says this, in the words of Python's own writer."""
    assert text == json.dumps(record, indent=2, sort_keys=True)


def test_a_release_goes_in_and_comes_out(release, tmp_path):
    root, runs = release
    corpus("import", "lmdb", root, "--out", tmp_path / "corpus", "--quiet")
    corpus("verify", tmp_path / "corpus", "--quiet")
    corpus("compact", tmp_path / "corpus", "--quiet")
    corpus("export", tmp_path / "corpus", "--format", "lmdb", "--out", tmp_path / "again", "--quiet")
    assert sorted(os.listdir(tmp_path / "again")) == sorted(runs)
    for name, run in runs.items():
        folder = tmp_path / "again" / name
        assert set(os.listdir(folder)) == {"data.mdb", "runs.json", "DONE.txt"}
        assert layout.read(folder) == dict(run.entries())
        same((folder / "runs.json").read_text(), run.record())
        assert (folder / "DONE.txt").read_bytes() == b""


def test_an_imported_run_is_what_the_release_holds(release, tmp_path):
    root, runs = release
    path = tmp_path / "corpus"
    corpus("import", "lmdb", root, "--out", path, "--workers", 2, "--quiet")
    corpus("export", path, "--format", "npz", "--out", tmp_path / "all.npz", "--quiet")
    arrays, metadata = load(tmp_path / "all.npz", "npz")
    names = {"avg_train_loss": "train_loss", "avg_train_err": "train_error", "avg_test_loss": "test_loss",
             "avg_test_err": "test_error", "train_ret": "train_return"}  # fmt: skip
    for run in runs.values():
        rows = arrays["run"] == int(run.name)
        assert arrays["iteration"][rows].tolist() == run.steps
        assert arrays["step"][rows].tolist() == list(range(len(run.steps)))
        assert arrays["parameters"][rows].tobytes() == run.parameters.tobytes()
        for name, values in run.metrics.items():
            assert arrays[names[name]][rows].tolist() == [np.float32(value) for value in values]
    recipe = json.loads(metadata["recipe"])
    assert recipe["imported_from"] == "lmdb"
    assert recipe.get("steps_per_epoch") == (None if metadata["task"] == "cartpole" else 7)
    fails("verify", path, "--replay", 1, says=["imported", "without --replay"])


def test_an_import_goes_on_where_it_was(release, tmp_path):
    root, runs = release
    path = tmp_path / "corpus"
    (root / "000011").rename(tmp_path / "000011")
    corpus("import", "lmdb", root, "--out", path, "--quiet")
    (tmp_path / "000011").rename(root / "000011")
    # What is stored is not read again.
    for file in (root / "000003").glob("*"):
        file.write_bytes(b"")
    assert "1 run imported" in corpus("import", "lmdb", root, "--out", path)
    assert "0 runs imported" in corpus("import", "lmdb", root, "--out", path)
    assert len(query(path, "SELECT run FROM runs")) == len(runs)


def test_a_generated_corpus_comes_out_as_a_release_and_goes_in_again(made, parameters, tmp_path):
    corpus("export", made, "--format", "lmdb", "--out", tmp_path / "released", "--runs", "1..<5", "--where",
           "run <> 2", "--quiet")  # fmt: skip
    assert sorted(os.listdir(tmp_path / "released")) == ["000001", "000003", "000004"]
    corpus("import", "lmdb", tmp_path / "released", "--out", tmp_path / "corpus", "--quiet")
    # Hashes are of seed, iterations, metrics and parameters.
    sql = "SELECT run, content_hash FROM runs WHERE run IN (1, 3, 4) ORDER BY run"
    assert query(tmp_path / "corpus", sql) == query(made, sql)
    export = ["export", made, "--format", "lmdb", "--out", tmp_path / "released", "--runs", "0..<2"]
    fails(*export, says=["000001 is there already"])
    assert not (tmp_path / "released" / "000000").exists()
    fails(*export, "--where", "train_return > 3", says=["no such column: train_return"])
    (tmp_path / "file").write_text("precious")
    fails("export", made, "--format", "lmdb", "--out", tmp_path / "file", says=["there already"])
    fails("import", "lmdb", tmp_path / "released", "--out", made, says=["were generated", "another --out"])
    fails("generate", "cartpole", "--runs", "9", "--out", tmp_path / "corpus", says=["were imported", "another --out"])


# Bad input


@pytest.fixture
def root(tmp_path):
    """Two good Cartpole runs, 1 and 9; tests put something bad between them."""
    root = tmp_path / "released"
    layout.write(root, layout.Run("cartpole", "000001"))
    layout.write(root, layout.Run("cartpole", "000009"))
    return root


def imports(root, *options, problem=(), runs=(1, 9)):
    """Imports, and expects one sentence with these words, and these runs all the same."""
    path = root.parent / "corpus"
    fails("import", "lmdb", root, "--out", path, "--quiet", *options, says=problem)
    assert [row["run"] for row in query(path, "SELECT run FROM runs ORDER BY run")] == list(runs)
    corpus("verify", path, "--quiet")


def test_missing_entries(root):
    run = layout.Run("cartpole", "000005")
    folder = layout.write(root, run)
    for suffix in ["", "_arch", "_train_ret"]:
        key = run.keys[2] + suffix
        value = dict(run.entries())[key]
        layout.change(folder, {key: None})
        imports(root, problem=["000005", f"{key} is missing"])
        layout.change(folder, {key: value})
    corpus("import", "lmdb", root, "--out", root.parent / "corpus", "--quiet")


def test_truncated_entries(root):
    run = layout.Run("cartpole", "000005")
    folder = layout.write(root, run)
    key = run.keys[1]
    layout.change(folder, {key: run.parameters[1].tobytes()[:-4]})
    imports(root, problem=[f"{key} has 4996 bytes, not 5000"])
    layout.change(folder, {key: b""})
    imports(root, problem=[f"{key} has 0 bytes"])
    layout.change(folder, {key: run.parameters[1].tobytes(), key + "_train_ret": b"12"})
    imports(root, problem=[f"{key}_train_ret has 2 bytes, not 4"])
    layout.change(folder, {key + "_train_ret": np.float32(1e6).tobytes()})
    imports(root, problem=[f"{key}_train_ret is 1000000", "runs.json says"])
    layout.change(folder, {key + "_arch": np.array([1250], "<f4").tobytes()})
    imports(root, problem=[f"{key}_arch does not hold the task's tensor sizes"])


def test_a_truncated_file_is_an_error_and_no_crash(root):
    folder = layout.write(root, layout.Run("cartpole", "000005"))
    data = (folder / "data.mdb").read_bytes()
    (folder / "data.mdb").write_bytes(b"")
    imports(root, problem=["000005/data.mdb is empty: fetch it again"])
    for length in [10, 4096, 9000, len(data) // 2, len(data) - 4096]:
        (folder / "data.mdb").write_bytes(data[:length])
        imports(root, problem=["000005/data.mdb"])
    (folder / "data.mdb").write_bytes(b"garbage " * 10_000)
    imports(root, problem=["000005/data.mdb", "no LMDB file"])
    (folder / "data.mdb").write_bytes(data[:8192] + bytes(len(data) - 8192))
    imports(root, problem=["000005"])


# Bytes of the metadata, and of the page that the search begins at: liblmdb ends the process that reads them by SIGSEGV,
# SIGBUS or SIGABRT, or goes round for ever.
@pytest.mark.parametrize("offset, value", [(8204, 7), (4134, 32768), (4222, 0), (8200, 2**32 - 1)])
def test_what_liblmdb_does_not_survive_is_an_error(root, offset, value):
    folder = layout.write(root, layout.Run("cartpole", "000005"))
    data = bytearray((folder / "data.mdb").read_bytes())
    data[offset : offset + 8] = value.to_bytes(8, "little")
    if offset < 8192:
        data[:4096] = data[4096:8192]
    (folder / "data.mdb").write_bytes(data)
    imports(root, problem=["000005/data.mdb"])


def test_entries_that_are_not_numbers(root):
    for task, name in [("cartpole", "000005")]:
        run = layout.Run(task, name)
        run.parameters[2, 7] = np.nan
        run.parameters[3, 8] = np.inf
        run.metrics["train_ret"][1] = float("nan")
        run.metrics["train_ret"][2] = float("-inf")
        folder = layout.write(root, run)
    assert "NaN" in (folder / "runs.json").read_text() and "-Infinity" in (folder / "runs.json").read_text()
    path, again = root.parent / "corpus", root.parent / "again"
    corpus("import", "lmdb", root, "--out", path, "--quiet")
    assert query(path, "SELECT run FROM runs WHERE status = 'nonfinite'") == [{"run": 5}]
    assert "1 run with another status" in corpus("export", path, "--format", "lmdb", "--out", root.parent / "good")
    corpus("export", path, "--format", "lmdb", "--out", again, "--include-bad")
    assert layout.read(again / "000005") == dict(run.entries())
    same((again / "000005" / "runs.json").read_text(), run.record())
    fails("export", path, "--format", "npz", "--where", "run = 5", "--out", root.parent / "x", says=["--include-bad"])


def test_unfinished_runs(root):
    layout.write(root, layout.Run("cartpole", "000005"), done=False)
    imports(root, problem=["000005", "no DONE.txt", "--unfinished"])
    corpus("import", "lmdb", root, "--out", root.parent / "corpus", "--quiet", "--unfinished")
    assert len(query(root.parent / "corpus", "SELECT run FROM runs")) == 3


def test_runs_json_that_is_not_as_it_should_be(root):
    run = layout.Run("cartpole", "000005")
    folder = layout.write(root, run)
    file = folder / "runs.json"
    good = file.read_text()

    def expect(content, *words):
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        imports(root, problem=["000005", *words])

    expect(good[: len(good) // 2], "runs.json")
    expect("", "runs.json")
    expect("[]", "runs.json")
    expect({"checkpoints": {}, "metadata": {}}, "no checkpoints")
    record = json.loads(good)
    expect({"000006": record}, "runs.json does not have it")
    expect({"checkpoints": {run.keys[0]: {}}}, run.keys[0], "no train_ret")
    expect({"checkpoints": {run.keys[0]: {"train_ret": None}}}, "a number is expected")
    expect({"checkpoints": {"000005/it.pt": {"train_ret": 1}}}, "000005/it.pt")
    expect({"checkpoints": {"000004/it00000.pt": {"train_ret": 1}}}, "000004/it00000.pt")
    expect({"checkpoints": {"000005/ep000_it00000.pt": {"train_ret": 1}}}, "ep000_it00000.pt")
    expect({"checkpoints": record["checkpoints"] | {"000005/it77777.pt": {"train_ret": 1}}}, "it77777.pt_arch is missing")
    file.unlink()
    imports(root, problem=["000005", "no runs.json"])


def test_several_runs_in_one_directory_fail_one_by_one(root):
    runs = [layout.Run("cartpole", f"00000{n}") for n in (5, 6, 7)]
    folder = layout.write(root, *runs)
    layout.change(folder, {runs[1].keys[0]: None})
    imports(root, problem=[runs[1].keys[0], "missing"], runs=(1, 5, 7, 9))


def test_foreign_directories(root):
    (root / "notes").mkdir()
    imports(root, problem=["notes", "name is not that of a run"])
    (root / "notes").rmdir()
    (root / "README.md").write_text("a file is no directory")
    (root / "000005").mkdir()
    imports(root, problem=["000005", "no data.mdb"])
    (root / "000005").rmdir()
    layout.write(root, layout.Run("cartpole", "9"))
    imports(root, problem=["run 9 is in", "000009", "left out"])


def test_another_task(root, tmp_path):
    path = tmp_path / "corpus"
    fails("import", "lmdb", root, "--out", path, "--task", "mnist", says=["not hold networks of task mnist", "--task cartpole"])
    assert not path.exists()
    layout.write(root, layout.Run("cifar10", "000005"))
    imports(root, problem=["000005", "none of it"])
    vision = tmp_path / "vision"
    layout.write(vision, layout.Run("cifar10", "000005"))
    fails("import", "lmdb", vision, "--out", path, says=["corpus of task cartpole, not cifar10", "--out"])
    layout.change(vision / "000005", {layout.Run("cifar10", "000005").keys[0] + "_arch": b"1234"})
    fails("import", "lmdb", vision, "--out", tmp_path / "x", says=["sizes of their tensors"])


def test_places_that_are_no_release(root, tmp_path):
    out = tmp_path / "corpus"
    (tmp_path / "empty").mkdir()
    fails("import", "lmdb", tmp_path / "nowhere", "--out", out, says=["there is no directory"])
    fails("import", "lmdb", tmp_path / "empty", "--out", out, says=["holds no LMDB directories"])
    fails("import", "lmdb", root / "000001", "--out", out, says=["directory above"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    fails("import", "lmdb", root, "--out", tmp_path / "full", says=["not empty"])
    fails("import", "lmdb", root, "--out", "/proc/x", says=["/proc/x"])
    assert not out.exists()


def test_steps_of_an_epoch(tmp_path):
    root, path = tmp_path / "released", tmp_path / "corpus"
    layout.write(root, layout.Run("mnist", "000001", steps_per_epoch=7))
    layout.write(root, layout.Run("mnist", "000002", steps_per_epoch=9))
    fails("import", "lmdb", root, "--out", path, "--quiet", says=["000002", "an epoch has 7 steps", "--steps-per-epoch"])
    fails("import", "lmdb", root, "--out", path, "--steps-per-epoch", 9, says=["steps_per_epoch 7, not 9"])
    corpus("import", "lmdb", root, "--out", tmp_path / "other", "--steps-per-epoch", 9, "--quiet")
    last = query(tmp_path / "other", "SELECT run, max(iteration) AS last FROM checkpoints GROUP BY run ORDER BY run")
    assert [row["last"] for row in last] == [25, 27]
    unfinished = tmp_path / "unfinished"
    layout.write(unfinished, layout.Run("mnist", "000001"), done=False)
    new = tmp_path / "new"
    fails("import", "lmdb", unfinished, "--out", new, says=["no DONE.txt"])
    fails("import", "lmdb", unfinished, "--out", new, "--unfinished", says=["--steps-per-epoch"])
    corpus("import", "lmdb", unfinished, "--out", new, "--unfinished", "--steps-per-epoch", 7, "--quiet")


def test_ctrl_c_leaves_whole_runs(tmp_path):
    root, path = tmp_path / "released", tmp_path / "corpus"
    for seed in range(12):
        layout.write(root, layout.Run("mnist", f"{seed:06d}", checkpoints=100, steps_per_epoch=400))
    process = subprocess.Popen([CORPUS, "import", "lmdb", root, "--out", path, "--workers", "1"], stderr=subprocess.PIPE)
    while not list(path.glob("runs/*/*.h5")):
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    corpus("verify", path, "--quiet")
    assert 1 <= len(query(path, "SELECT run FROM runs")) < 12
    corpus("import", "lmdb", root, "--out", path, "--quiet")
    assert len(query(path, "SELECT run FROM runs")) == 12
