"""The Python package: reading, asking, evaluating."""

import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import ROOT, module_or_skip, run_corpus

from checkpoint_corpus import Corpus, CorpusError, PairStream, Writer, evaluate, index, initial_networks


@pytest.fixture
def corpus(cartpole):
    with Corpus(cartpole) as corpus:
        yield corpus


def test_describes_itself(corpus, cartpole):
    assert corpus.task == "cartpole" and corpus.path == str(cartpole)
    assert list(corpus.architecture.items())[:2] == [("log_std", (1,)), ("actor.0.weight", (32, 4))]
    assert corpus.metrics == {"train_return": "maximize"}
    assert corpus.recipe["environments"] == 256 and corpus.parameter_count == 1250
    assert len(corpus) == 6 and list(corpus) == list(range(6)) and 5 in corpus and 6 not in corpus and "x" not in corpus
    assert repr(corpus) == f"<Corpus {str(cartpole)!r}: cartpole, 6 runs, 126 checkpoints of 1250 parameters>"


def test_reads_what_h5py_reads(corpus, cartpole):
    h5py = module_or_skip("h5py")
    shards = sorted(cartpole.rglob("*.h5"))
    assert len(shards) == 3
    for path in shards:
        with h5py.File(path) as shard:
            for number, first, count in zip(*(shard[f"runs/{name}"][:] for name in ("seed", "first_row", "count"))):
                run, rows = corpus.run(number), slice(first, first + count)
                assert run.parameters.tobytes() == shard["parameters"][rows].tobytes()
                assert run.iterations.tolist() == shard["iteration"][rows].tolist()
                assert run.metrics["train_return"].tobytes() == shard["metrics/train_return"][rows].tobytes()


def test_reads_steps_as_python_counts(corpus):
    whole = corpus.run(2)
    assert len(whole) == 21 and whole.split == "train" and whole.status == "ok" and "21 checkpoints" in repr(whole)
    every = whole.parameters
    assert (corpus.parameters(2) == every).all() and (corpus[2].parameters == every).all()
    for step in (0, 1, 20, -1, -21, np.int64(7)):
        assert (corpus.parameters(2, step) == every[step]).all()
    for steps in (slice(3, 9), slice(None, None, -1), slice(-4, None), slice(2, 18, 5), slice(9, 3), slice(18, 2, -3)):
        found = corpus.parameters(2, steps)
        assert found.shape == every[steps].shape and (found == every[steps]).all()
    for step in (21, -22):
        with pytest.raises(CorpusError, match=f"no step {step}") as error:
            corpus.parameters(2, step)
        assert error.value.code == "invalid_argument"


def test_tensors_are_views_in_order(corpus):
    vector = corpus.parameters(0, -1)
    tensors = corpus.tensors(vector)
    assert {name: tensor.shape for name, tensor in tensors.items()} == corpus.architecture
    assert np.concatenate([tensor.ravel() for tensor in tensors.values()]).tobytes() == vector.tobytes()
    tensors["log_std"][0] = 5
    assert vector[0] == 5
    assert corpus.tensors(corpus.parameters(0))["actor.2.weight"].shape == (21, 32, 32)
    with pytest.raises(CorpusError, match="no parameter vector"):
        corpus.tensors(vector[:-1])


def test_sql_gives_rows(corpus, cartpole):
    rows = corpus.sql("SELECT run, step, train_return FROM checkpoints ORDER BY run, step", frame=False)
    with sqlite3.connect(f"file:{cartpole}/index.sqlite?mode=ro", uri=True) as other:
        expected = other.execute("SELECT run, step, train_return FROM checkpoints ORDER BY run, step").fetchall()
    assert [tuple(row.values()) for row in rows] == expected and len(rows) == 126
    values = [None, 2**62, 0.5, "Übung\0x", b"\0\xff"]
    kinds = corpus.sql("SELECT ? AS a, ? AS b, ? AS c, ? AS d, ? AS blob", *values, frame=False)
    assert list(kinds[0].values()) == values and "blob" in kinds[0]
    assert corpus.sql("SELECT 1 WHERE 0", frame=False) == []
    mixed = "SELECT 1 AS x UNION ALL SELECT 2.5 UNION ALL SELECT 'a' UNION ALL SELECT NULL"
    assert [row["x"] for row in corpus.sql(mixed, frame=False)] == [1, 2.5, "a", None]


def test_sql_gives_many_rows(corpus):
    count = 150_000
    numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT ?) "
    rows = corpus.sql(numbers + "SELECT i, CASE WHEN i > 100000 THEN i * 0.5 END AS half FROM n", count, frame=False)
    assert [row["i"] for row in rows] == list(range(count))
    assert rows[-1]["half"] == (count - 1) / 2 and np.isnan(rows[0]["half"])


def test_sql_gives_frames_where_pandas_is(corpus):
    pandas = module_or_skip("pandas")
    query = "SELECT run, status, max(train_return) AS best FROM checkpoints JOIN runs USING (run) GROUP BY run"
    frame = corpus.sql(query)
    assert isinstance(frame, pandas.DataFrame) and list(frame.columns) == ["run", "status", "best"] and len(frame) == 6
    assert frame["run"].dtype == np.int64 and frame["best"].dtype == np.float64 and set(frame["status"]) == {"ok"}
    assert list(corpus.sql("SELECT 1 AS a, 2 AS a").columns) == ["a", "a"]
    assert len(corpus.sql("SELECT run FROM runs WHERE run > 100")) == 0


@pytest.mark.parametrize(
    "query, words",
    [
        ("SELEC 1", "syntax error"), ("DELETE FROM runs", "only read"), ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT ?", "question marks"), ('SELECT "text"', "no such column"), ("SELECT colour FROM runs", "no such column"), ("SELECT '\0'", "zero"),
    ],
)  # fmt: skip
def test_sql_says_what_it_does_not_understand(corpus, query, words):
    with pytest.raises(CorpusError, match=words) as error:
        corpus.sql(query)
    assert error.value.code == "invalid_sql" and error.value.remedy
    with pytest.raises(CorpusError, match="no value of SQL"):
        corpus.sql("SELECT ?", object())


def test_errors_name_the_path_and_what_to_do(tmp_path, cartpole):
    with pytest.raises(CorpusError, match="there is no directory") as error:
        Corpus(tmp_path / "nowhere")
    assert error.value.code == "not_a_corpus" and str(tmp_path) in error.value.message
    copy = tmp_path / "copy"
    shutil.copytree(cartpole, copy)
    (copy / "index.sqlite").unlink()
    with pytest.raises(CorpusError, match="checkpoint_corpus.index") as error:
        Corpus(copy)
    assert error.value.code == "index_missing"
    index(copy)
    assert len(Corpus(copy)) == 6
    (copy / "index.sqlite").write_bytes(b"rubbish" * 1000)
    with pytest.raises(CorpusError, match="rebuild=True") as error:
        Corpus(copy)
    assert error.value.code == "index_corrupt"
    index(copy, rebuild=True)
    shard = copy / "runs" / "000" / "000005.h5"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CorpusError, match="run 5|000005") as error:
        Corpus(copy).run(5)
    assert error.value.code == "damaged_shard"
    (copy / "runs" / "000" / "000005.h5").unlink()
    with pytest.raises(CorpusError, match="stale=True") as error:
        Corpus(copy)
    assert error.value.code == "index_stale"
    with Corpus(copy, stale=True) as corpus:
        assert len(corpus) == 6
    with pytest.raises(CorpusError, match="closed"):
        corpus.sql("SELECT 1")
    assert "closed" in repr(corpus)


def changed(cartpole, path, sql):
    """A copy of the corpus with another index."""
    shutil.copytree(cartpole, path)
    with sqlite3.connect(path / "index.sqlite") as database:
        database.execute(sql)
    database.close()
    return path


@pytest.mark.parametrize("known", [5, 25, 2**31 - 1])
def test_an_index_that_counts_other_checkpoints_than_the_shard_hands_out_nothing(cartpole, tmp_path, known):
    path = changed(cartpole, tmp_path / "corpus", f"UPDATE runs SET checkpoints = {known} WHERE run = 1")
    with Corpus(path) as corpus:
        for read in [lambda: corpus.parameters(1), lambda: corpus.parameters(1, -1), lambda: corpus.run(1)]:
            with pytest.raises(CorpusError) as caught:
                read()
            assert caught.value.code == "index_stale"
            assert f"21 checkpoints, and the index says {known}" in caught.value.message
            assert f"index('{path}', rebuild=True)" in caught.value.remedy
        assert corpus.parameters(2).shape == (21, 1250)
    index(path, rebuild=True)
    assert Corpus(path).parameters(1).shape == (21, 1250)


@pytest.mark.parametrize("column", ["corpus.value", "shards.path", "runs.status", "runs.split", "runs.checkpoints"])
def test_values_in_the_index_that_cannot_be_end_no_process(cartpole, tmp_path, column):
    table, name = column.split(".")
    key = {"corpus": "name = 'recipe'", "shards": "shard = 1", "runs": "run = 1"}[table]
    paths = [
        changed(cartpole, tmp_path / str(number), f"UPDATE {table} SET {name} = {value} WHERE {key}")
        for number, value in enumerate(["x'ff00'", "'x'", "-9e300", "9223372036854775807"])
    ]
    read = """
import sys
import checkpoint_corpus

def read(path):
    with checkpoint_corpus.Corpus(path, stale=True) as corpus:
        for run in corpus:
            corpus.run(run)

def stream(path):
    for _ in checkpoint_corpus.PairStream(path, batch_size=64, items_per_epoch=640):
        pass

for path in sys.argv[1:]:
    for work in read, stream:
        try:
            work(path)
        except checkpoint_corpus.CorpusError as error:
            assert error.message and error.remedy
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "Sources" / "Python")}
    result = subprocess.run([sys.executable, "-c", read, *paths], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr


def test_a_stream_says_how_to_mend_an_index_that_differs(cartpole, tmp_path):
    path = changed(cartpole, tmp_path / "corpus", "UPDATE runs SET sum = 1 WHERE run = 1")
    with pytest.raises(CorpusError) as caught, PairStream(path, batch_size=64, items_per_epoch=640) as stream:
        list(stream)
    assert caught.value.code == "index_stale" and f"index('{path}', rebuild=True)" in caught.value.remedy


@pytest.mark.parametrize("number", [2**63, 2**64, 2**64 + 1, 2**70, -(2**63) - 1])
def test_numbers_of_more_than_64_bits_are_no_runs(corpus, number, tmp_path):
    assert number not in corpus
    for read in (corpus.run, corpus.parameters):
        with pytest.raises(CorpusError, match="out of range"):
            read(number)
    architecture = {"weight": (2,)}
    with Writer(tmp_path / "corpus", task="toy", architecture=architecture, metrics=["test_loss"]) as writer:
        for use in (writer.run, writer.__contains__, lambda seed: list(writer.missing([seed]))):
            with pytest.raises(CorpusError, match="out of range"):
                use(number)
        with writer.run(np.int64(1)) as run:
            run.log(0, np.zeros(2, np.float32))
        assert 1 in writer


def test_many_threads_read_one_corpus(corpus):
    expected = {run: corpus.parameters(run).tobytes() for run in corpus}
    problems = []

    def read():
        for number in range(60):
            run = number % 6
            if corpus.parameters(run).tobytes() != expected[run]:
                problems.append(run)
            if corpus.sql("SELECT count(*) AS n FROM runs WHERE run <= ?", run, frame=False)[0]["n"] != run + 1:
                problems.append(-run)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems


def test_children_open_it_again(corpus):
    expected = corpus.parameters(3).tobytes()
    stop = threading.Event()

    def keep_reading():
        while not stop.is_set():
            corpus.run(1)

    thread = threading.Thread(target=keep_reading)
    thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                good = corpus.parameters(3).tobytes() == expected and len(corpus) == 6
                os._exit(0 if good else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()
    assert pickle.loads(pickle.dumps(corpus)).parameters(3).tobytes() == expected


def test_h5py_and_the_package_share_a_process(corpus, cartpole):
    """Each has an HDF5 of its own; both read the same shard in turns and at once."""
    h5py = module_or_skip("h5py")
    path = sorted(cartpole.glob("runs/*/*.h5"))[0]
    run = int(path.stem)
    with h5py.File(path) as shard:
        for _ in range(20):
            assert shard["parameters"][:21].tobytes() == corpus.parameters(run).tobytes()


@pytest.mark.parametrize("order", ["import checkpoint_corpus, h5py", "import h5py, checkpoint_corpus"])
def test_importing_lets_h5py_read_delta(cartpole, order):
    module_or_skip("h5py")
    code = f"{order}\nimport sys\nprint(h5py.File(sys.argv[1])['parameters'][0, :3].tolist())"
    environment = {name: value for name, value in os.environ.items() if name != "HDF5_PLUGIN_PATH"}
    environment["PYTHONPATH"] = str(ROOT / "Sources" / "Python")
    shard = cartpole / "runs" / "000" / "000005.h5"
    result = subprocess.run([sys.executable, "-c", code, shard], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(Corpus(cartpole).parameters(5, 0)[:3].tolist())


def test_a_missing_library_is_an_import_error_that_helps():
    environment = os.environ | {"CHECKPOINT_CORPUS_LIBRARY": "/nowhere", "PYTHONPATH": str(ROOT / "Sources" / "Python")}
    result = subprocess.run(
        [sys.executable, "-c", "import checkpoint_corpus"], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 1 and "ImportError" in result.stderr and "pip install" in result.stderr


# Evaluation


def test_evaluates_as_checkpoints_record(digits):
    with Corpus(digits) as corpus:
        run = corpus.run(1)
        values = evaluate(corpus, run.parameters)
        for name in ("test_loss", "test_error"):
            assert values[name].dtype == np.float32 and values[name].tobytes() == run.metrics[name].tobytes()
        assert evaluate(corpus, run.parameters[-1])["test_error"] == run.metrics["test_error"][-1]


def test_evaluates_policies(corpus):
    run = corpus.run(4)
    values = evaluate(corpus, run.parameters, seed=4)
    assert values["train_return"][0] == run.metrics["train_return"][0]
    alone = evaluate(corpus, run.parameters, seed=4, workers=1)
    assert alone["train_return"].tobytes() == values["train_return"].tobytes()
    assert evaluate("cartpole", run.parameters[:2].astype(np.float64))["train_return"].shape == (2,)
    assert evaluate("cartpole", run.parameters[:0])["train_return"].shape == (0,)


def test_evaluation_says_what_is_wrong(corpus, tmp_path):
    for arguments, code in (
        (("chess", np.zeros((1, 3))), "cannot_replay"), (("cartpole", np.zeros((1, 3))), "invalid_argument"),
        (("cartpole", np.zeros((1, 1, 1250))), "invalid_argument"),
    ):  # fmt: skip
        with pytest.raises(CorpusError) as error:
            evaluate(*arguments)
        assert error.value.code == code
    with pytest.raises(CorpusError, match="datasets=") as error:
        evaluate("mnist", np.zeros(7960), datasets=tmp_path)
    assert error.value.code == "missing_dataset" and str(tmp_path) in str(error.value)
    with pytest.raises(CorpusError) as error:
        evaluate("cartpole", np.zeros(1250), recipe={"environments": 3})
    assert error.value.code == "invalid_recipe"


@pytest.mark.parametrize("name", ["cartpole", "digits"])
def test_initial_networks_are_those_that_runs_begin_with(name, request):
    with Corpus(request.getfixturevalue(name)) as corpus:
        networks = initial_networks(corpus, (0, 1))
        assert networks.dtype == np.float32 and networks.shape == (2, corpus.parameter_count)
        for run in (0, 1):
            assert networks[run].tobytes() == corpus.parameters(run, 0).tobytes()
        foreign = initial_networks(corpus, range(2**62, 2**62 + 3))
        assert len({network.tobytes() for network in (*networks, *foreign)}) == 5
        assert initial_networks(corpus, []).shape == (0, corpus.parameter_count)
    for seeds in ([-1], [2**64], [0.5]):
        with pytest.raises(CorpusError, match="is no seed"):
            initial_networks("cartpole", seeds)
    with pytest.raises(CorpusError, match="chess"):
        initial_networks("chess", [0])


@pytest.mark.parametrize("name", ["cartpole", "digits"])
def test_canonical_networks_are_those_of_the_stream_in_whatever_order_they_come(name, request):
    with Corpus(request.getfixturevalue(name)) as corpus:
        how = dict(batch_size=8, items_per_epoch=64, item="checkpoints", scale=1.0, as_torch=False, seed=3)
        permuted, canonical = (next(iter(PairStream(corpus, augment=way, **how))) for way in ("permute", "canonical"))
        ordered = corpus.canonical(permuted["start"])
        assert ordered.tobytes() == canonical["start"].tobytes() != permuted["start"].tobytes()
        assert corpus.canonical(ordered[0]).tobytes() == ordered[0].tobytes()
        assert corpus.canonical(ordered[:0]).shape == (0, corpus.parameter_count)
        before, after = (evaluate(corpus, vectors) for vectors in (permuted["start"], ordered))
        for metric in before:
            assert np.allclose(before[metric], after[metric], rtol=0.02)
        with pytest.raises(CorpusError, match="no parameter vectors"):
            corpus.canonical(np.zeros(3))


@pytest.mark.parametrize(
    "work",
    [
        "corpus.sql('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n')",
        "evaluate('cartpole', numpy.zeros((100_000, 1250), 'f4'))",
    ],
)
def test_ctrl_c_ends_long_work(cartpole, work):
    code = f"""
import sys, numpy
from checkpoint_corpus import Corpus, evaluate
corpus = Corpus({str(cartpole)!r})
evaluate('cartpole', numpy.zeros((1, 1250)))
print('ready', flush=True)
try:
    {work}
except KeyboardInterrupt:
    print('interrupted', len(corpus))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "Sources" / "Python")}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    output, error = process.communicate(timeout=20)
    assert output == "interrupted 6\n", error


# Parquet


def test_parquet_holds_every_checkpoint(corpus, tmp_path):
    parquet = module_or_skip("pyarrow.parquet")
    path = tmp_path / "metrics.parquet"
    assert corpus.to_parquet(path) == 126
    table = parquet.read_table(path)
    assert table.column_names == ["run", "step", "iteration", "split", "status", "train_return"]
    rows = corpus.sql(
        "SELECT run, step, iteration, split, status, train_return FROM checkpoints JOIN runs USING (run) "
        "ORDER BY run, step", frame=False,
    )  # fmt: skip
    assert table.to_pylist() == rows
    assert corpus.to_parquet(path, where="run = 0 OR run = 1 -- two", overwrite=True) == 42
    for where in ["1) OR (1", "1 LIMIT 5", "1 /*", "colour = 1", ""]:
        with pytest.raises(CorpusError) as error:
            corpus.to_parquet(tmp_path / "no.parquet", where=where)
        assert error.value.code == "invalid_sql"
    assert not (tmp_path / "no.parquet").exists()
    with pytest.raises(CorpusError) as error:
        corpus.to_parquet(path)
    assert error.value.code == "already_exists"
    assert corpus.to_parquet(path, where="split = 'test' AND step < 3", overwrite=True) == 3
    assert parquet.read_table(path).num_rows == 3
    with pytest.raises(CorpusError) as error:
        corpus.to_parquet(tmp_path / "b.parquet", where="nonsense")
    assert error.value.code == "invalid_sql"
    for beyond in ("1) OR (1", "1 LIMIT 3 --", "1 UNION SELECT 1", "", "1) ORDER BY (1"):
        with pytest.raises(CorpusError) as error:
            corpus.to_parquet(tmp_path / "b.parquet", where=beyond)
        assert error.value.code == "invalid_sql"
    # A comment hides nothing of what comes after it.
    assert corpus.to_parquet(path, where="step > 0 OR 1 -- all", overwrite=True) == 126
    steps = parquet.read_table(path).column("step").to_pylist()
    assert steps == sorted(steps[:21]) * 6
    with pytest.raises(CorpusError) as error:
        corpus.to_parquet(tmp_path / "nowhere" / "b.parquet")
    assert error.value.code == "input_output"
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.parquet"]


def test_the_command_agrees(corpus, cartpole):
    query = "SELECT max(train_return) AS best FROM checkpoints"
    answer = run_corpus("query", cartpole, query, "--format", "csv")
    assert float(answer.split()[1]) == pytest.approx(corpus.sql(query, frame=False)[0]["best"])
