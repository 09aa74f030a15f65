"""Storing checkpoints from Python, and reading them back by others."""

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import ROOT, module_or_skip, run_corpus

from checkpoint_corpus import Corpus, CorpusError, LeftOutWarning, PairStream, Writer, index

SHAPES = {"weight": (3, 4), "scale": (), "bias": (3,)}
METRICS = {"test_loss": "minimize", "accuracy": "maximize"}


def opened(path, **changes):
    settings = dict(task="mine", architecture=SHAPES, metrics=METRICS, recipe={"rate": 0.1, "layers": [4, 3]})
    return Writer(path, **(settings | changes))


def walk(seed, count=30):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, 16)).cumsum(axis=0).astype(np.float32) / 100


def store(writer, seed, count=30):
    vectors = walk(seed, count)
    with writer.run(seed) as run:
        for iteration, vector in enumerate(vectors):
            run.log(10 * iteration, vector, test_loss=1 / (iteration + 1), accuracy=iteration)


def test_a_change_of_the_working_directory_loses_nothing(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with opened("corpus") as writer:
        store(writer, 0)
        monkeypatch.chdir(tmp_path / "elsewhere")
        store(writer, 1)
    monkeypatch.chdir(tmp_path)
    with Corpus("corpus") as corpus, PairStream("corpus", batch_size=2, augment="none", items_per_epoch=8) as stream:
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert list(corpus) == [0, 1]
        assert corpus.parameters(1).tobytes() == walk(1).tobytes()
        assert len(list(stream)) == 4
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_cursor_that_is_left_open_keeps_no_writer_from_storing(tmp_path):
    path = tmp_path / "corpus"
    with opened(path) as writer:
        store(writer, 0)
    # In a process of its own: locks on files keep processes apart, and Python's SQLite may be another than ours.
    program = """
import sqlite3, sys
cursor = sqlite3.connect(sys.argv[1]).execute("SELECT * FROM checkpoints")
print(len(cursor.fetchone()), flush=True)
sys.stdin.read()
print(len(cursor.fetchall()))
"""
    reader = subprocess.Popen(
        [sys.executable, "-c", program, path / "index.sqlite"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert reader.stdout.readline()
    with opened(path) as writer:
        for seed in range(1, 4):
            store(writer, seed)
            assert seed in writer
    with opened(path) as writer:
        assert list(writer.missing(range(6))) == [4, 5]
    with pytest.raises(CorpusError) as error:
        Corpus(path)
    assert error.value.code == "index_stale"
    assert reader.communicate()[0] == "29\n"
    index(path)
    with Corpus(path) as corpus:
        assert list(corpus) == [0, 1, 2, 3]


@pytest.mark.parametrize("number", [2**53 + 1, -(2**60), 10**30])
def test_numbers_that_would_be_rounded_are_refused(tmp_path, number):
    with pytest.raises(CorpusError) as error:
        opened(tmp_path / "corpus", recipe={"optimizer": {"seeds": [1, number]}})
    assert error.value.code == "invalid_recipe"
    assert "recipe.optimizer.seeds[1]" in str(error.value) and str(number) in str(error.value)
    assert not (tmp_path / "corpus").exists()
    with opened(tmp_path / "corpus", recipe={"seed": 2**53, "name": str(number), "rate": 1e18}) as writer:
        store(writer, 0)


def test_large_parameters_are_as_good_as_others(tmp_path):
    # Running means and variances of a normalisation are often above 10.
    vectors = walk(0) * 1e6
    with opened(tmp_path / "corpus") as writer, writer.run(0) as run:
        for iteration, vector in enumerate(vectors):
            run.log(iteration, vector, test_loss=0.5, accuracy=1)
    for command in (["verify"], ["compact", "--quiet"], ["repack", "--codec", "raw"], ["verify"]):
        run_corpus(command[0], tmp_path / "corpus", *command[1:])
    with Corpus(tmp_path / "corpus") as corpus:
        assert corpus.run(0).status == "ok" and corpus.run(0).parameters.tobytes() == vectors.tobytes()
    with pytest.warns(LeftOutWarning, match="run 0 of .* status nonfinite"), opened(tmp_path / "broken") as writer:
        with writer.run(0) as run:
            run.log(0, np.full(16, np.inf, np.float32), test_loss=0.5, accuracy=1)
    with Corpus(tmp_path / "broken") as corpus:
        assert corpus.run(0).status == "nonfinite"


def test_checkpoints_without_the_metric_are_left_out(tmp_path):
    with opened(tmp_path / "corpus") as writer:
        for seed in range(4):
            with writer.run(seed) as run:
                for iteration, vector in enumerate(walk(seed)):
                    # As training loops do that evaluate now and then.
                    values = {} if iteration % 5 else {"test_loss": 1 / (iteration + 1)}
                    run.log(iteration, vector, accuracy=np.inf if (seed, iteration) == (1, 3) else iteration, **values)
    how = dict(metric="test_loss", batch_size=8, augment="none", items_per_epoch=400, split="all", as_torch=False)
    with pytest.warns(LeftOutWarning, match=r"96 checkpoints without a finite test_loss \(include_unmeasured=True"):
        stream = PairStream(tmp_path / "corpus", **how)
    assert stream.left_out == {"unmeasured": 96}
    for batch in stream:
        assert np.isfinite(batch["start_metric"]).all() and np.isfinite(batch["target_metric"]).all()
        assert not (batch["start_step"] % 5).any() and not (batch["target_step"] % 5).any()
    with PairStream(tmp_path / "corpus", include_unmeasured=True, **how) as whole:
        assert whole.left_out == {} and whole.fingerprint != stream.fingerprint
        assert np.isnan(np.concatenate([batch["start_metric"] for batch in whole])).any()
    with pytest.warns(LeftOutWarning, match="1 checkpoint without a finite accuracy"):
        assert PairStream(tmp_path / "corpus", **(how | {"metric": "accuracy"})).left_out == {"unmeasured": 1}


def test_long_recipes_and_many_tensors_can_be_read_back(tmp_path):
    shapes = {f"block.{i}.weight_of_a_layer_with_a_long_name": (2,) for i in range(2000)}
    recipe = {"text": "x" * 100_000}
    with opened(tmp_path / "corpus", architecture=shapes, recipe=recipe) as writer:
        with writer.run(0) as run:
            for iteration in range(2):
                run.log(iteration, np.full(4000, iteration, np.float32), test_loss=0.5, accuracy=1)
    run_corpus("verify", tmp_path / "corpus")
    run_corpus("compact", tmp_path / "corpus", "--quiet")
    with Corpus(tmp_path / "corpus") as corpus:
        assert corpus.architecture == shapes and corpus.recipe == recipe
        assert corpus.parameters(0, 1).tolist() == [1.0] * 4000


def test_a_corpus_of_ones_own(tmp_path):
    path = tmp_path / "corpus"
    with opened(path) as writer:
        for seed in (0, 1, 5):
            store(writer, seed, count=30 + seed)
        assert 5 in writer and 2 not in writer and "closed" not in repr(writer)
    with Corpus(path) as corpus:
        assert list(corpus) == [0, 1, 5] and corpus.task == "mine" and corpus.architecture == SHAPES
        assert corpus.metrics == METRICS and corpus.recipe == {"rate": 0.1, "layers": [4, 3]}
        for seed in corpus:
            run = corpus.run(seed)
            assert run.parameters.tobytes() == walk(seed, 30 + seed).tobytes()
            assert run.iterations.tolist() == list(range(0, 300 + 10 * seed, 10))
            assert run.metrics["accuracy"].tolist() == list(range(30 + seed))
        assert corpus.tensors(corpus.parameters(0, 0))["scale"].shape == ()
    assert "3 runs" in run_corpus("status", path) or "3" in run_corpus("status", path)
    run_corpus("verify", path)
    run_corpus("compact", path, "--quiet")
    run_corpus("repack", "--codec", "zstd", path)
    with Corpus(path) as corpus:
        assert corpus.parameters(5).tobytes() == walk(5, 35).tobytes()
    refused = subprocess.run(
        [os.environ.get("CORPUS", str(ROOT / ".build/bin/corpus")), "verify", path, "--replay", "1"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert refused.returncode != 0 and "cannot be made again" in refused.stderr


@pytest.mark.parametrize("codec", ["delta", "zstd"])
def test_h5py_reads_what_was_written(tmp_path, codec):
    h5py = module_or_skip("h5py")
    module_or_skip("hdf5plugin")
    with opened(tmp_path / "corpus", codec=codec) as writer:
        store(writer, 7)
    with h5py.File(tmp_path / "corpus" / "runs" / "000" / "000007.h5") as shard:
        assert shard.attrs["codec"] == codec.encode()
        assert shard["parameters"][:30].tobytes() == walk(7).tobytes()


def test_state_dictionaries_and_values_left_out(tmp_path):
    state = {"weight": np.ones((3, 4), "f2"), "scale": np.float32(2), "bias": np.zeros(3, "f4"), "batches": np.int64(9)}
    with opened(tmp_path / "corpus", architecture=state) as writer:
        assert writer.architecture == SHAPES
        with writer.run(0) as run:
            run.log(0, state)
            run.log(1, state, accuracy=np.float64(3))
            assert len(run) == 2
    with Corpus(tmp_path / "corpus") as corpus:
        assert corpus.parameters(0, 0).tolist() == [1] * 12 + [2] + [0] * 3
        assert np.isnan(corpus.run(0).metrics["test_loss"]).all()
        assert [row["accuracy"] for row in corpus.sql("SELECT accuracy FROM checkpoints", frame=False)][1] == 3


def test_modules_of_pytorch(tmp_path):
    torch = module_or_skip("torch")
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    states = []
    with Writer(tmp_path / "corpus", task="toy", architecture=model, metrics=["train_loss"]) as writer:
        with writer.run(3) as run:
            for iteration in range(12):
                loss = model(torch.randn(8, 4)).square().mean()
                run.log(iteration, model if iteration % 2 else model.state_dict(), train_loss=loss)
                states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with Corpus(tmp_path / "corpus") as corpus:
        assert "1.num_batches_tracked" not in corpus.architecture and "1.running_mean" in corpus.architecture
        assert (corpus.run(3).metrics["train_loss"] > 0).all()
        for step, state in enumerate(states):
            for name, tensor in corpus.state_dict(corpus.parameters(3, step)).items():
                assert torch.equal(tensor, state[name])
        model.load_state_dict(corpus.state_dict(corpus.parameters(3, 0)), strict=False)
        assert torch.equal(model.state_dict()["0.weight"], states[0]["0.weight"])


def test_wrappers_of_pytorch_leave_no_trace(tmp_path):
    torch = module_or_skip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    names = list(model.state_dict())
    vector = np.concatenate([tensor.numpy().ravel() for tensor in model.state_dict().values()])
    parallel = torch.nn.DataParallel(model)
    part = torch.nn.Sequential(torch.compile(model[0]), model[1], model[2])
    wrapped = [parallel, torch.compile(model), torch.compile(parallel), torch.nn.DataParallel(parallel), part]
    settings = dict(task="toy", metrics=["train_loss"])
    for number, module in enumerate(wrapped):
        assert list(module.state_dict()) != names
        for source in (module, module.state_dict()):
            path = tmp_path / f"{number}-{type(source).__name__}"
            with Writer(path, architecture=source, **settings) as writer:
                assert list(writer.architecture) == names
                with writer.run(0) as run:
                    for step, logged in enumerate([model, module, module.state_dict(), model.state_dict(), vector]):
                        run.log(step, logged)
            corpus = Corpus(path)
            assert (corpus.parameters(0) == vector).all()
            permutations = corpus.manifest["architecture"].get("permutations", {})
            if source is module:
                assert [group["units"] for group in permutations["groups"]] == [3]


def test_processes_of_pytorch_log_what_they_train(tmp_path):
    torch = module_or_skip("torch")
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        model = torch.nn.Linear(4, 3)
        parallel = torch.nn.parallel.DistributedDataParallel(model)
        with Writer(tmp_path / "corpus", task="toy", architecture=model, metrics=["train_loss"]) as writer:
            with writer.run(0) as run:
                run.log(0, parallel)
                run.log(1, parallel.state_dict())
    finally:
        torch.distributed.destroy_process_group()
    assert (Corpus(tmp_path / "corpus").parameters(0, 0)[:12] == model.weight.detach().numpy().ravel()).all()


def test_corpora_that_were_begun_with_a_wrapper_go_on(tmp_path):
    torch = module_or_skip("torch")
    model = torch.nn.Linear(4, 3)
    shapes = {f"module.{name}": tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for architecture in (shapes, torch.nn.DataParallel(model), model):
        with Writer(tmp_path / "corpus", task="toy", architecture=architecture, metrics=["train_loss"]) as writer:
            assert list(writer.architecture) == ["module.weight", "module.bias"]
            seed = next(writer.missing(range(9)))
            with writer.run(seed) as run:
                run.log(0, model)
    assert len(Corpus(tmp_path / "corpus")) == 3
    # What is no wrapper's prefix stays, and what differs is named.
    part = torch.nn.ModuleDict({"module": model})
    with Writer(tmp_path / "other", task="toy", architecture=part, metrics=["train_loss"]) as writer:
        assert list(writer.architecture) == ["module.weight", "module.bias"]
        with writer.run(0) as run:
            run.log(0, torch.nn.DataParallel(part))
            with pytest.raises(CorpusError, match="module.bias is missing"):
                run.log(1, {"module.weight": model.weight, "layer.bias": model.bias})


def test_metrics_may_be_called_by_words_of_sql(tmp_path):
    path = tmp_path / "corpus"
    with opened(path, metrics={"order": "minimize", "select": "maximize"}) as writer:
        for seed in range(4):
            with writer.run(seed) as run:
                for iteration, vector in enumerate(walk(seed)):
                    run.log(iteration, vector, order=iteration, select=-iteration)
    for command in (["status", path], ["show", path, "1"], ["verify", path], ["show", path, "1", "--metric", "order"]):
        run_corpus(*command)
    pairs = ["--count", "3", "--metric", "order", "--balance", "metric", "--run-weights", 'max("order")']
    assert "target_order" in run_corpus("stream", path, *pairs)
    run_corpus("export", path, "--format", "npz", "--where", '"order" > 3', "--out", tmp_path / "some.npz")
    training = {"batch": 2, "learning_rate": 0.001, "warmup": 0, "steps": 1, "evaluate_every": 0, "augmentation": "none"}
    config = {"model": {"width": 16, "layers": 1, "heads": 2, "chunk": 8, "diffusion_steps": 20}, "training": training}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = tmp_path / "model"
    run_corpus("train", path, "--metric", "order", "--config", tmp_path / "config.json", "--out", model, "--quiet")
    with Corpus(path) as corpus:
        assert corpus.run(2).metrics["order"].tolist() == list(range(30))
        module_or_skip("pyarrow")
        parquet = module_or_skip("pyarrow.parquet")
        assert corpus.to_parquet(tmp_path / "all.parquet", where='"select" < -3') == 4 * 26
        assert parquet.read_table(tmp_path / "all.parquet").column("order").to_pylist()[0] == 4


def test_runs_that_raise_are_not_stored(tmp_path):
    with opened(tmp_path / "corpus") as writer:
        with pytest.raises(ZeroDivisionError):
            with writer.run(0) as run:
                run.log(0, walk(0)[0])
                1 / 0
        assert 0 not in writer
        store(writer, 0)
        with pytest.raises(CorpusError) as error:
            writer.run(0)
        assert error.value.code == "already_exists"
    assert "closed" in repr(writer)
    with pytest.raises(CorpusError, match="closed"):
        writer.run(1)


def test_a_writer_stays_where_it_was_opened(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with opened("corpus") as writer:
        store(writer, 0)
        with writer.run(1) as run:
            monkeypatch.chdir(tmp_path / "elsewhere")
            run.log(0, walk(1)[0])
        store(writer, 2)
        monkeypatch.chdir(tmp_path)
    assert list(Corpus("corpus")) == [0, 1, 2] and not list((tmp_path / "elsewhere").iterdir())


def test_missing_runs_are_kept_until_they_are_forgotten(tmp_path):
    path = tmp_path / "corpus"
    with opened(path) as writer:
        for seed in range(4):
            store(writer, seed)
    os.rename(path / "runs", tmp_path / "away")
    (path / "runs").mkdir()
    for use in (lambda: index(path), lambda: index(path, rebuild=True), lambda: Corpus(path), lambda: opened(path)):
        with pytest.raises(CorpusError, match="4 shards of .* are gone") as error:
            use()
        assert error.value.code == "index_stale" and "index('" + str(path) + "', forget=True)" in error.value.remedy
    assert len(Corpus(path, stale=True)) == 4 and not list((path / "runs").iterdir())
    (path / "runs").rmdir()
    os.rename(tmp_path / "away", path / "runs")
    os.unlink(path / "runs" / "000" / "000002.h5")
    index(path, forget=True)
    assert list(Corpus(path)) == [0, 1, 3]


def test_missing_runs_go_on_where_a_job_was(tmp_path):
    path = tmp_path / "corpus"
    with opened(path) as first:
        store(first, 2)
        with opened(path) as second, second.run(3) as run:
            made = []
            for seed in first.missing(range(6)):
                made.append(seed)
                store(first, seed)
            assert made == [0, 1, 4, 5]
            run.log(0, walk(3)[0])
        assert list(first.missing(range(6))) == []
        # What was offered and not begun is free again.
        for seed in first.missing([8]):
            break
        with opened(path) as second:
            assert list(second.missing([8])) == [8]
    assert len(Corpus(path)) == 6


def test_threads_and_processes_share_a_corpus(tmp_path):
    path = tmp_path / "corpus"
    code = """
import sys
sys.path[:0] = sys.argv[2:]
from test_writer import opened, store
with opened(sys.argv[1]) as writer:
    for seed in writer.missing(range(40)):
        store(writer, seed)
"""
    paths = [str(ROOT / "Sources" / "Python"), str(ROOT / "Tests" / "PythonTests")]
    processes = [subprocess.Popen([sys.executable, "-c", code, str(path), *paths]) for _ in range(3)]
    with opened(path) as writer:

        def work():
            for seed in writer.missing(range(40)):
                store(writer, seed)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [process.wait() for process in processes] == [0, 0, 0]
    with Corpus(path) as corpus:
        assert list(corpus) == list(range(40))
        for seed in corpus:
            assert corpus.parameters(seed).tobytes() == walk(seed).tobytes()


@pytest.mark.parametrize(
    "changes, code, words",
    [
        ({"task": "other"}, "different_task", "task mine"),
        ({"recipe": {"rate": 0.2}}, "different_recipe", "rate 0.1, not 0.2"),
        ({"metrics": ["test_loss"]}, "different_recipe", "metrics"),
        ({"architecture": {"weight": (3, 5)}}, "different_recipe", "architecture"),
        ({"metrics": ["speed"]}, "invalid_argument", "speed"),
        ({"metrics": {"Speed": "maximize"}}, "invalid_argument", "Speed"),
        ({"metrics": {"speed": "faster"}}, "invalid_argument", "speed"),
        ({"architecture": {"weight": (0, 3)}}, "invalid_argument", "manifest"),
        ({"architecture": {}}, "invalid_argument", "manifest"),
        ({"architecture": 5}, "invalid_argument", "int"),
        ({"recipe": {"rate": float("nan")}}, "invalid_recipe", "JSON"),
        ({"recipe": {"seeds": [1, 2**53 + 1]}}, "invalid_recipe", "seeds.1. is 9007199254740993"),
        ({"recipe": {"seed": 10**30 + 1}}, "invalid_recipe", "53 bits"),
        ({"codec": "gzip"}, "invalid_argument", "manifest"),
    ],
)
def test_refuses_another_corpus_or_none_that_can_be(tmp_path, changes, code, words):
    with opened(tmp_path / "corpus") as writer:
        store(writer, 0, 2)
    with pytest.raises(CorpusError, match=words) as error:
        opened(tmp_path / "corpus", **changes)
    assert error.value.code == code


@pytest.mark.parametrize("metric", ["split", "status", "checkpoints", "seed", "parameters", "run", "Order", "a-b"])
def test_refuses_metrics_that_are_other_columns_before_there_is_a_corpus(tmp_path, metric):
    with pytest.raises(CorpusError, match=metric) as error:
        opened(tmp_path / "corpus", metrics={metric: "minimize"})
    assert error.value.code == "invalid_argument" and not (tmp_path / "corpus").exists()


def test_refuses_checkpoints_that_cannot_be(tmp_path):
    vector = np.zeros(16, "f4")
    state = {name: np.zeros(shape, "f4") for name, shape in SHAPES.items()}
    with opened(tmp_path / "corpus") as writer:
        run = writer.run(0)
        run.log(5, vector)
        for arguments, words in (
            ((5, vector), "too late"), ((-1, vector), "too late"), ((2**31, vector), "31 bits"),
            ((6, vector[:-1]), "shape"), ((6, vector.astype("f8")), "float64"), ((6, vector.astype(int)), "int64"),
            ((6, {"weight": state["weight"]}), "missing"), ((6, state | {"more": vector}), "more"),
            ((6, state | {"bias": vector}), "bias"),
        ):  # fmt: skip
            with pytest.raises(CorpusError, match=words):
                run.log(*arguments)
        with pytest.raises(CorpusError, match="no metric speed"):
            run.log(6, vector, speed=3)
        with pytest.raises(CorpusError, match="cannot be called -1"):
            writer.run(-1)
        with pytest.raises(CorpusError, match="no checkpoints"):
            with writer.run(1):
                pass
        store(writer, 1, 1)


def test_refuses_places_where_no_corpus_can_be(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CorpusError) as error:
        opened(tmp_path)
    assert error.value.code == "already_exists" and "notes.txt" in error.value.message
    if os.getuid() != 0:
        os.chmod(tmp_path, 0o500)
        with pytest.raises(CorpusError) as error:
            opened(tmp_path / "corpus")
        assert error.value.code == "read_only"


def test_adds_nothing_to_runs_that_can_be_made_again(cartpole):
    with Corpus(cartpole) as made:
        with pytest.raises(CorpusError, match="corpus of their own") as error:
            Writer(
                cartpole, task=made.task, architecture=made.architecture, metrics=made.metrics, recipe=made.recipe
            )
    assert error.value.code == "different_recipe"


def test_children_cannot_write(tmp_path):
    with opened(tmp_path / "corpus") as writer:
        child = os.fork()
        if child == 0:
            try:
                store(writer, 0)
                os._exit(1)
            except CorpusError as error:
                os._exit(0 if error.code == "forked" else 2)
        assert os.waitpid(child, 0)[1] == 0
        store(writer, 0)
