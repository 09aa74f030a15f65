"""The pair stream from Python: what comes, in which order, and where it goes on."""

import gc
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import CORPUS, ROOT, module_or_skip

from checkpoint_corpus import Corpus, CorpusError, PairStream

SMALL = dict(batch_size=8, items_per_epoch=96, workers=2)
PLAIN = dict(SMALL, augment="none", scale=1.0)
RUNS = 5  # of the split train, each visited 19 times: 95 items, 11 batches of 8


def stream_of(path, **changes):
    return PairStream(path, **(PLAIN | {"as_torch": False} | changes))


def key(batch):
    """Which pairs a batch has, as something to compare."""
    names = ("run", "start_step", "target_step", "start", "target")
    return tuple(np.asarray(batch[name]).tobytes() for name in names if name in batch)


def keys(batches):
    return [key(batch) for batch in batches]


@pytest.fixture(scope="module")
def epochs(cartpole):
    """The batches of epochs 0 to 3."""
    with stream_of(cartpole) as stream:
        return [keys(stream) for _ in range(4)]


def failure(code, words, path, **changes):
    with pytest.raises(CorpusError, match=words) as error:
        stream_of(path, **changes)
    assert error.value.code == code and error.value.remedy


# What comes


def test_gives_what_the_corpus_holds(cartpole):
    with Corpus(cartpole) as corpus, stream_of(corpus) as stream:
        assert (stream.metric, stream.parameter_count, stream.scale, stream.runs) == ("train_return", 1250, 1, RUNS)
        assert stream.items_per_epoch == 95 and len(stream) == 11 and len(stream.fingerprint) == 64
        whole = {run: corpus.run(run) for run in corpus}
        batches = list(stream)
    assert len(batches) == 11
    for batch in batches:
        types = {name: (array.dtype.str, array.shape) for name, array in batch.items()}
        assert types == {
            "start": ("<f4", (8, 1250)), "target": ("<f4", (8, 1250)), "start_metric": ("<f4", (8,)),
            "target_metric": ("<f4", (8,)), "run": ("<i8", (8,)), "start_step": ("<i4", (8,)),
            "target_step": ("<i4", (8,)),
        }  # fmt: skip
        assert (batch["start_step"] < batch["target_step"]).all()
        for side in ("start", "target"):
            for i, (run, step) in enumerate(zip(batch["run"], batch[f"{side}_step"])):
                assert batch[side][i].tobytes() == whole[run].parameters[step].tobytes()
                assert batch[f"{side}_metric"][i] == whole[run].metrics["train_return"][step]


def test_scales_and_permutes_as_said(cartpole):
    with Corpus(cartpole) as corpus, PairStream(cartpole, as_torch=False, **SMALL) as stream:
        train = [row["run"] for row in corpus.sql("SELECT run FROM runs WHERE split = 'train'", frame=False)]
        parameters = np.concatenate([corpus.parameters(run) for run in train]).astype(np.float64)
        assert stream.scale == pytest.approx(0.538 / parameters.std(), rel=1e-5)
        batch = next(iter(stream))
        for i in range(8):
            for side in ("start", "target"):
                stored = corpus.parameters(batch["run"][i], batch[f"{side}_step"][i]) * np.float32(stream.scale)
                moved = corpus.tensors(batch[side][i])["actor.0.weight"]
                rows = corpus.tensors(stored)["actor.0.weight"]
                # The same rows in another order; for both members the same one.
                order = [int(np.flatnonzero((rows == row).all(1))[0]) for row in moved]
                assert sorted(order) == list(range(32)) and order != list(range(32))
                assert side == "start" or order == before
                before = order


def test_comes_in_the_order_of_the_command(cartpole):
    shown = subprocess.run(
        [CORPUS, "stream", cartpole, "--count", "30", "--seed", "7"], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split() for line in shown.splitlines()]
    expected = [tuple(map(int, row[2:5])) for row in rows if len(row) == 7 and row[0].isdigit()]
    with PairStream(cartpole, batch_size=10, seed=7, as_torch=False) as stream:
        found, batches = [], iter(stream)
        for _ in range(3):
            batch = next(batches)
            found += zip(*(batch[name].tolist() for name in ("run", "start_step", "target_step")))
    assert found == expected and len(expected) == 30


def test_goes_epoch_by_epoch(cartpole, epochs):
    assert [len(epoch) for epoch in epochs] == [11] * 4 and len({batch for epoch in epochs for batch in epoch}) == 44
    with stream_of(cartpole) as stream:
        for number, batch in enumerate(stream):
            assert key(batch) == epochs[0][number] and stream.position == ((0, number + 1) if number < 10 else (1, 0))
            if number == 3:
                break
        assert keys(stream) == epochs[0][4:] and keys(stream) == epochs[1]
        stream.seek(3, 9)
        assert keys(stream) == epochs[3][9:] and stream.position == (4, 0)
        stream.seek(1, 11)
        assert keys(stream) == epochs[2]
        for position in ((0, 12), (-1, 0), (0, -1), (2**28, 0)):
            with pytest.raises(CorpusError, match="no batch"):
                stream.seek(*position)
        assert stream.position == (3, 0) and stream.statistics["items"] >= 8 * 20


def test_selects(cartpole):
    with Corpus(cartpole) as corpus:
        test = {row["run"] for row in corpus.sql("SELECT run FROM runs WHERE split = 'test'", frame=False)}

    def runs(**changes):
        return {int(run) for batch in stream_of(cartpole, **changes) for run in batch["run"]}

    assert runs(split="test") == test and runs(split="all") == set(range(6)) and runs() == set(range(6)) - test
    assert runs(where="run IN (1, 2)") == {1, 2}
    for batch in stream_of(cartpole, where="step >= 12"):
        assert batch["start_step"].min() >= 12
    single = next(iter(stream_of(cartpole, item="checkpoints")))
    assert set(single) == {"start", "start_metric", "run", "start_step"}


@pytest.mark.parametrize("order", ["random", "sequential"])
@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_ranks_share_one_sequence(cartpole, order, world_size):
    with stream_of(cartpole, order=order) as stream:
        # Of global batches, only whole ones.
        expected = [key(batch) for _ in range(2) for batch in list(stream)[: 11 // world_size * world_size]]
    ranks = [stream_of(cartpole, order=order, world_size=world_size, rank=rank, workers=rank + 1)
             for rank in range(world_size)]  # fmt: skip
    found = [key(batch) for _ in range(2) for turn in zip(*ranks) for batch in turn]
    # zip stops at the end of the first; the others stand at theirs.
    assert found == expected and all(len(rank) == 11 // world_size for rank in ranks)


def test_ranks_are_those_of_torchrun(cartpole, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    stream = stream_of(cartpole)
    assert (stream.rank, stream.world_size) == (1, 2)
    assert key(next(iter(stream))) == key(next(iter(stream_of(cartpole, rank=1, world_size=2))))
    assert stream_of(cartpole, rank=0, world_size=1).world_size == 1
    monkeypatch.setenv("RANK", "x")
    failure("invalid_argument", "RANK", cartpole)


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_caches_give_the_same(cartpole, epochs, tmp_path, cache):
    where = "memory" if cache == "memory" else tmp_path / "cache"
    with stream_of(cartpole, cache=where) as stream:
        assert [keys(stream) for _ in range(2)] == epochs[:2]
        assert stream.statistics["cached"] > 0
    if cache == "disk":
        with stream_of(cartpole, cache=where, cache_bytes=10**9) as stream:
            assert keys(stream) == epochs[0] and stream.statistics["cached"] == stream.statistics["items"]
    with stream_of(cartpole, cache_bytes=0) as stream:
        assert keys(stream) == epochs[0] and stream.statistics["cached"] == 0


# Memory


def test_arrays_stay_when_the_stream_goes_on(cartpole, epochs):
    stream = stream_of(cartpole, prefetch=1)
    kept = [next(iter(stream))["start"]]
    first = kept[0].copy()
    batches = [batch for batch in stream]
    for _ in range(3):
        for batch in stream:
            pass
    stream.close()
    del stream, batch
    gc.collect()
    assert (kept[0] == first).all() and keys(batches) == epochs[0][1:]
    kept[0][:] = 7  # it is the holder's alone
    assert keys(batches) == epochs[0][1:] and kept[0].flags.writeable and not kept[0].flags.owndata


def test_memory_is_used_again(cartpole):
    with stream_of(cartpole, prefetch=2) as stream:
        addresses = {batch["start"].ctypes.data for _ in range(6) for batch in stream}
        view = next(iter(stream))["target"][3:5, ::2]
        copy = view.copy()
        list(stream)
        assert (view == copy).all()
    assert len(addresses) <= 6


# Going on


def test_resumes_exactly_anywhere(cartpole, epochs):
    everything = [batch for epoch in epochs for batch in epoch]
    chance = random.Random(5)
    for _ in range(10):
        index = chance.randrange(33)
        with stream_of(cartpole) as stream:
            stream.seek(*divmod(chance.randrange(33), 11))
            stream.load_state_dict(dict(epoch=index // 11, item=index % 11 * 8, seed=0, fingerprint=stream.fingerprint))
            found = [key(next(iter(stream))) for _ in range(4)]
            state = pickle.loads(pickle.dumps(stream.state_dict()))
        with stream_of(cartpole, workers=1, prefetch=7) as other:
            other.load_state_dict(state)
            found += [key(next(iter(other))) for _ in range(4)]
        assert found == everything[index : index + 8]


def test_resumes_in_another_world(cartpole, epochs):
    with stream_of(cartpole) as stream:
        for _ in range(4):
            next(iter(stream))
        state = stream.state_dict()
        assert state == dict(epoch=0, batch=4, item=32, seed=0, fingerprint=stream.fingerprint)
    ranks = [stream_of(cartpole, world_size=2, rank=rank) for rank in range(2)]
    for rank in ranks:
        rank.load_state_dict(state)
    assert [key(batch) for turn in zip(*ranks) for batch in turn] == epochs[0][4:10]
    with stream_of(cartpole, batch_size=16) as wide:
        wide.load_state_dict(state)
        assert wide.position == (0, 2)
    with stream_of(cartpole, batch_size=24) as wide, pytest.raises(CorpusError, match="item 32") as error:
        wide.load_state_dict(state)
    assert error.value.code == "invalid_argument" and "divides 32" in error.value.remedy


def test_refuses_the_state_of_another(cartpole, digits):
    with stream_of(cartpole) as stream:
        for other, words in (
            (stream_of(cartpole, seed=1), "seed"), (stream_of(digits), str(cartpole)),
            (stream_of(cartpole, where="run < 3"), "where"), (stream_of(cartpole, order="sequential"), "order"),
        ):  # fmt: skip
            with pytest.raises(CorpusError, match=words) as error:
                stream.load_state_dict(other.state_dict())
            assert error.value.code == "different_corpus"
        for rubbish in ({}, [], None, {"epoch": 1}):
            with pytest.raises(CorpusError, match="no state"):
                stream.load_state_dict(rubbish)
        # Neither size nor speed concerns what comes.
        assert stream_of(cartpole, batch_size=4, workers=1, scale=2.0).fingerprint == stream.fingerprint


def test_is_pickled_where_it_stands(cartpole, epochs):
    stream = stream_of(os.path.relpath(cartpole))
    next(iter(stream))
    other = pickle.loads(pickle.dumps(stream))
    assert keys(other) == epochs[0][1:] == keys(stream) and repr(other) and other.scale == 1


def test_children_open_it_again(cartpole, epochs):
    stream = stream_of(cartpole)
    batch = next(iter(stream))
    stop = threading.Event()
    other = stream_of(cartpole)

    def keep_streaming():
        while not stop.is_set():
            next(iter(other))

    thread = threading.Thread(target=keep_streaming)
    thread.start()
    try:
        for _ in range(10):
            fresh = stream_of(cartpole)  # whose threads are opening files
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                good = key(batch) == epochs[0][0] and keys(stream) == epochs[0][1:] and keys(fresh) == epochs[0]
                del batch, fresh
                os._exit(0 if good else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()
    assert keys(stream) == epochs[0][1:]


def test_threads_share_an_epoch(cartpole, epochs):
    stream, found = stream_of(cartpole), []
    threads = [threading.Thread(target=lambda: found.extend(keys([next(iter(stream))]))) for _ in range(11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(epochs[0]) and stream.position == (1, 0)


# What goes wrong


@pytest.fixture
def damaged(cartpole, tmp_path):
    """A copy of the corpus with a run of the split train damaged, and that run."""
    copy = tmp_path / "damaged"
    shutil.copytree(cartpole, copy)
    with Corpus(copy) as corpus:
        row = corpus.sql(
            "SELECT run, path FROM runs JOIN shards USING (shard) WHERE split = 'train' AND path LIKE 'runs/%'",
            frame=False,
        )[0]
    shard = copy / row["path"]
    data = bytearray(shard.read_bytes())
    for offset in range(len(data) // 3, len(data), 512):
        data[offset] ^= 0x55
    shard.write_bytes(data)
    return copy, row["run"], row["path"]


def test_damage_stops_it_and_is_named(damaged):
    path, _, shard = damaged
    with stream_of(path) as stream:
        for _ in range(2):
            with pytest.raises(CorpusError, match=shard) as error:
                list(stream)
            assert error.value.code == "damaged_shard"
        stream.seek(0, 0)


def test_damage_is_skipped_and_counted(damaged, epochs):
    path, run, _ = damaged
    with stream_of(path, on_damage="skip") as stream:
        batches = list(stream)
        assert len(batches) == 11 and stream.statistics["replaced"] > 0
    assert sum((batch["run"] == run).sum() for batch in batches) < 19
    with stream_of(path, on_damage="skip", workers=1) as stream:
        assert keys(stream) == keys(batches)


@pytest.mark.parametrize(
    "code, words, changes",
    [
        ("invalid_argument", "no metric colour", dict(metric="colour")),
        ("invalid_argument", "metric is 3", dict(metric=3)),
        ("invalid_argument", "split is 'validation'", dict(split="validation")),
        ("invalid_argument", "status", dict(statuses=())),
        ("invalid_argument", "statuses|status is 'good'", dict(statuses=("good",))),
        ("invalid_sql", "colour", dict(where="colour = 1")),
        ("invalid_sql", "SQL", dict(where="1) OR (1")),
        ("invalid_sql", "SQL", dict(run_weights="1) OR (1")),
        ("invalid_sql", "SQL", dict(stages=[(1, dict(where="1) OR (1"))])),
        ("invalid_sql", "SQL", dict(stages=[(1, dict(run_weights="1) OR (1"))])),
        ("invalid_sql", "no such column", dict(where='split = "train"')),
        # What is an expression only in parentheses of ours would let held-out runs in.
        ("invalid_sql", "SQL", dict(where="1) OR (1")),
        ("invalid_sql", "SQL", dict(where="1 LIMIT 5")),
        ("invalid_sql", "SQL", dict(run_weights="1) + (1")),
        ("empty_selection", "run > 100", dict(where="run > 100")),
        ("empty_selection", "fewer than the 1000", dict(batch_size=1000)),
        ("empty_selection", "of all 20 ranks", dict(world_size=20, rank=3)),
        ("invalid_argument", "batch size is 0", dict(batch_size=0)),
        ("invalid_argument", "batch_size is 2.5", dict(batch_size=2.5)),
        ("invalid_argument", "world size is 0", dict(world_size=0)),
        ("invalid_argument", "rank is 2", dict(world_size=2, rank=2)),
        ("invalid_argument", "seed", dict(seed=-1)),
        ("invalid_argument", "augment is 'flip'", dict(augment="flip")),
        ("invalid_argument", "order is None", dict(order=None)),
        ("invalid_argument", "scale", dict(scale=0)),
        ("invalid_argument", "scale", dict(scale=float("nan"))),
        ("invalid_argument", "workers is 0", dict(workers=0)),
        ("invalid_argument", "prefetch", dict(prefetch=0)),
        ("invalid_argument", "items_per_epoch", dict(items_per_epoch=0)),
        ("invalid_argument", "on_damage", dict(on_damage="ignore")),
        ("invalid_argument", "cache_bytes", dict(cache_bytes=-1)),
        ("invalid_argument", "item is 'triples'", dict(item="triples")),
    ],
)
def test_what_cannot_be_is_refused(cartpole, code, words, changes):
    failure(code, words, cartpole, **changes)


def test_relative_paths_are_those_of_the_opening(cartpole, epochs, tmp_path, monkeypatch):
    monkeypatch.chdir(cartpole.parent)
    corpus, stream = Corpus(cartpole.name), stream_of(cartpole.name, cache="cache")
    cached = stream_of(corpus)
    monkeypatch.chdir(tmp_path)
    copies = pickle.loads(pickle.dumps((corpus, stream)))
    for opened in (stream, cached, copies[1], stream_of(corpus)):
        assert keys(opened) == epochs[0]
    for opened in (corpus, copies[0]):
        assert opened.parameters(1, 0).shape == (1250,) and list(opened) == list(range(6))
    shutil.rmtree(cartpole.parent / "cache")
    assert not list(tmp_path.iterdir())


def test_errors_name_the_path(cartpole, tmp_path):
    failure("not_a_corpus", str(tmp_path), tmp_path / "nowhere")
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(CorpusError, match=str(blocked)):
        stream_of(cartpole, cache=blocked)
    stream = stream_of(cartpole)
    batches = iter(stream)
    batch = next(batches)
    copy = batch["start"].copy()
    stream.close()
    stream.close()
    assert (batch["start"] == copy).all() and "closed" in repr(stream)
    for use in (lambda: list(stream), lambda: next(batches), lambda: stream.seek(0), lambda: stream.statistics,
                lambda: pickle.dumps(stream), lambda: stream.load_state_dict({})):  # fmt: skip
        with pytest.raises(CorpusError, match="closed|no state"):
            use()


def test_ctrl_c_ends_waiting_and_the_stream_goes_on(cartpole):
    code = f"""
import time
from checkpoint_corpus import PairStream
stream = PairStream({str(cartpole)!r}, batch_size=100_000, items_per_epoch=10_000_000, workers=1)
print('ready', flush=True)
try:
    for batch in stream: pass
except KeyboardInterrupt:
    position = stream.position
    batch = next(iter(stream))
    print('interrupted', stream.position == (0, position[1] + 1))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "Sources" / "Python")}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    output, error = process.communicate(timeout=60)
    assert output == "interrupted True\n", error


def test_importing_it_leaves_torch_alone(cartpole):
    code = f"""
import sys
from checkpoint_corpus import PairStream
batch = next(iter(PairStream({str(cartpole)!r}, batch_size=8)))
print('torch' in sys.modules, type(batch['start']).__name__)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "Sources" / "Python")}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.stdout.split() == ["False", "ndarray"], result.stderr


@pytest.mark.parametrize("order", ["random", "sequential"])
def test_chunks_that_lie_in_another_order_end_no_process(cartpole, tmp_path, order):
    path = tmp_path / "corpus"
    shutil.copytree(cartpole, path)
    (shard,) = path.glob("shards/*.h5")
    with module_or_skip("h5py").File(shard, "r+") as file:
        for name in ["chunks/offset", "chunks/bytes"]:
            file[name][...] = file[name][...][::-1]
    read = """
import sys
from checkpoint_corpus import CorpusError, PairStream
try:
    list(PairStream(sys.argv[1], batch_size=8, items_per_epoch=96, order=sys.argv[2]))
except CorpusError as error:
    print(error.code)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "Sources" / "Python")}
    result = subprocess.run([sys.executable, "-c", read, path, order], capture_output=True, text=True, env=environment)
    assert (result.returncode, result.stdout) == (0, "damaged_shard\n"), result.stderr
