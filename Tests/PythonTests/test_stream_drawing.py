"""Draws by other rules than the published one, from Python."""

import multiprocessing
import pickle
import subprocess
import sys

import numpy as np
import pytest
from conftest import run_corpus
from test_stream import PLAIN, key, keys, stream_of

from checkpoint_corpus import Corpus, CorpusError, PairStream

BALANCED = dict(metric="train_return", balance="metric", starts=0.5, unchanged=0.2, items_per_epoch=960)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Other runs of the same kind of network."""
    path = tmp_path_factory.mktemp("other") / "corpus"
    recipe = ["--iterations", "30", "--checkpoints", "10", "--environments", "32"]
    run_corpus("generate", "cartpole", "--runs", "100..<104", "--out", path, "--quiet", *recipe)
    run_corpus("compact", path, "--quiet")
    return path


def joined(stream, *names):
    batches = list(stream)
    return [np.concatenate([batch[name] for batch in batches]) for name in names]


def chi_squared(counts):
    return float(((counts - counts.mean()) ** 2 / counts.mean()).sum())


def test_balances_targets(cartpole):
    def cells(**changes):
        (metrics,) = joined(stream_of(cartpole, items_per_epoch=20_000, batch_size=500, **changes), "target_metric")
        return np.histogram(metrics, 64, (low, high))[0]

    with Corpus(cartpole) as corpus:
        sql = "SELECT train_return FROM checkpoints JOIN runs USING (run) WHERE split = 'train'"
        rows = corpus.sql(sql, frame=False)
        metrics = np.float32([row["train_return"] for row in rows])
    low, high = float(metrics.min()), float(metrics.max())
    covered = np.histogram(metrics, 64, (low, high))[0] > 0
    assert chi_squared(cells(balance="metric")[covered]) < 64 + 6 * 128**0.5
    assert chi_squared(cells()[covered]) > 1000
    (some,) = joined(stream_of(cartpole, balance="log", balance_range=(low + 1, high - 1)), "target_metric")
    assert some.min() >= low + 1 and some.max() <= high - 1
    single = stream_of(cartpole, balance="quantile", item="checkpoints", items_per_epoch=20_000)
    (single,) = joined(single, "start_metric")
    ranks = np.searchsorted(np.sort(metrics), single, "right") / len(metrics)
    assert abs(np.histogram(ranks, 4, (0, 1))[0] / len(single) - 0.25).max() < 0.05


def test_draws_starts_directions_and_unchanged_pairs(cartpole):
    def steps(**changes):
        return joined(stream_of(cartpole, items_per_epoch=9_600, batch_size=96, **changes), "start_step", "target_step")

    start, target = steps(starts="initial")
    assert (start == 0).all() and (target > 0).all()
    start, target = steps(starts=0.5)
    assert 0.5 < (start == 0).mean() < 0.7 and (start < target).all()
    start, target = steps(directions="both")
    assert abs((start > target).mean() - 0.5) < 0.03 and (start != target).all()
    start, target = steps(unchanged=1)
    assert set((target - start).tolist()) == {-1, 0, 1}
    assert all(np.array_equal(a, b) for a, b in zip(steps(starts="any", unchanged=0), steps()))


def test_weighs_runs_and_changes_by_stages(cartpole):
    (run,) = joined(stream_of(cartpole, run_weights="run * (run <> 2)", split="all", batch_size=1), "run")
    counts = np.bincount(run, minlength=6)
    assert counts[[0, 2]].sum() == 0 and abs(counts - len(run) * np.array([0, 1, 0, 3, 4, 5]) / 13).max() <= 1
    stages = [(1, dict(where="run = 3", starts="initial")), (2, dict(balance="metric", balance_range=None))]
    with pytest.raises(CorpusError, match="balance_range"):
        stream_of(cartpole, stages=stages)
    stages[1] = (2, dict(balance="metric", run_weights="max(train_return)"))
    with stream_of(cartpole, stages=stages) as stream, stream_of(cartpole) as plain:
        assert keys(stream) == keys(plain) and stream.fingerprint != plain.fingerprint
        run, start = joined(stream, "run", "start_step")
        assert set(run) == {3} and not start.any() and stream.position == (2, 0)
        assert len(set(joined(stream, "run")[0])) > 1


@pytest.mark.parametrize("order", ["random", "sequential"])
def test_mixes_corpora(cartpole, other, order):
    mixture = [(cartpole, 0.75), (other, 0.25)]
    with stream_of(mixture, split="all", order=order, items_per_epoch=800) as stream:
        assert stream.runs == 10 and stream.items_per_epoch == 800 and str(other) in repr(stream)
        run, source = joined(stream, "run", "source")
        assert ((run >= 100) == (source == 1)).all() and (source == 1).sum() == 200
        assert set(np.bincount(run)[100:]) == {50}
        batch = next(iter(stream))
        assert batch["source"].dtype == np.int32
    with Corpus(other) as corpus:
        for i in np.flatnonzero(batch["source"] == 1):
            stored = corpus.parameters(int(batch["run"][i]), int(batch["target_step"][i]))
            assert np.array_equal(batch["target"][i], stored)
    with Corpus(cartpole) as corpus, PairStream([(corpus, 3), (other, 1)], **PLAIN | {"as_torch": False}) as stream:
        assert "source" in next(iter(stream))
    assert "source" not in next(iter(stream_of([(cartpole, 1)])))


@pytest.mark.parametrize("order", ["random", "sequential"])
def test_ranks_caches_and_resuming_do_not_change_it(cartpole, other, order):
    how = dict(BALANCED, order=order, stages=[(1, dict(starts="any", directions="both"))], augment="permute")
    mixture = [(cartpole, 2), (other, 1)]
    whole = stream_of(mixture, **how)
    expected = [key(batch) for _ in range(2) for batch in whole]
    ranks = [stream_of(mixture, rank=rank, world_size=2, cache="memory", workers=3 * rank + 1, **how)
             for rank in range(2)]  # fmt: skip
    assert [key(batch) for _ in range(2) for turn in zip(*ranks) for batch in turn] == expected
    state = stream_of(mixture, **how)
    batches = iter(state)
    for _ in range(7):
        next(batches)
    again = stream_of(mixture, **how)
    again.load_state_dict(pickle.loads(pickle.dumps(state.state_dict())))
    assert keys(again) == expected[7:120]
    for changes in (dict(starts=0.4), dict(balance="quantile"), dict(unchanged=0), dict(run_weights="2")):
        with pytest.raises(CorpusError, match="another stream"):
            stream_of(mixture, **how | changes).load_state_dict(state.state_dict())
    with pytest.raises(CorpusError, match="another stream"):
        stream_of(mixture[::-1], **how).load_state_dict(state.state_dict())


def test_loaders_and_children_share_it(cartpole, other):
    torch = pytest.importorskip("torch")
    mixture = [(cartpole, 2), (other, 1)]
    expected = keys(stream_of(mixture, **BALANCED))
    for context in ("fork", "spawn"):
        stream = stream_of(mixture, as_torch=True, **BALANCED)
        loader = torch.utils.data.DataLoader(
            stream, batch_size=None, num_workers=2, multiprocessing_context=multiprocessing.get_context(context)
        )
        batches = list(loader)
        assert keys(batches) == expected and batches[0]["source"].dtype == torch.int32
    stream = stream_of(mixture, **BALANCED)
    next(iter(stream))
    assert keys(pickle.loads(pickle.dumps(stream))) == expected[1:]


def test_exports_it(cartpole, other, tmp_path):
    flags = ["--balance", "metric", "--starts", "0.5", "--unchanged", "0.2", "--augment", "none", "--scale", "1"]
    out = tmp_path / "pairs.npz"
    run_corpus("export", cartpole, "--format", "npz", "--pairs", "90", "--mix", f"{other}=0.5", *flags, "--out", out)
    found = np.load(out)
    with stream_of([(cartpole, 1), (other, 0.5)], batch_size=90, balance="metric", starts=0.5, unchanged=0.2,
                   items_per_epoch=None) as stream:  # fmt: skip
        batch = next(iter(stream))
    for name, values in batch.items():
        assert np.array_equal(found[name], values), name


@pytest.mark.parametrize(
    "words, changes",
    [
        ("balance is 'even'", dict(balance="even")),
        ("no balance", dict(balance_range=(1, 2))),
        ("balance_range is", dict(balance="metric", balance_range=(2, 1))),
        ("balance_range is", dict(balance="metric", balance_range=3)),
        ("between .* and 900.0", dict(balance="metric", balance_range=(20, 900))),
        ("only one value|no values", dict(balance="metric", balance_range=(1e6, 2e6))),
        ("only one value", dict(balance="metric", where="step = 0 AND run = 1", item="checkpoints")),
        ("starts is 'first'", dict(starts="first")),
        ("starts is 2", dict(starts=2)),
        ("directions is 'back'", dict(directions="back")),
        ("unchanged is -1", dict(unchanged=-1)),
        ("weight of run", dict(run_weights="run - 3")),
        ("weights of all", dict(run_weights="0")),
        ("run_weights is 3", dict(run_weights=3)),
        ("no colour", dict(stages=[(1, dict(colour=1))])),
        ("begins at epoch 'x'", dict(stages=[("x", {})])),
        ("follows one", dict(stages=[(2, {}), (1, {})])),
        ("not pairs", dict(item="checkpoints", starts=0.5)),
    ],
)
def test_what_cannot_be_is_refused(cartpole, words, changes):
    with pytest.raises(CorpusError, match=words) as error:
        stream_of(cartpole, **changes)
    assert error.value.code == "invalid_argument" and error.value.remedy


def test_mixtures_that_cannot_be_are_refused(cartpole, digits):
    for words, mixture in (
        (f"{digits}.*{cartpole}", [(cartpole, 1), (digits, 1)]), ("share of .* is 0", [(cartpole, 0)]),
        ("no mixture", [cartpole]), ("no corpora|0 corpora", []),
    ):  # fmt: skip
        with pytest.raises(CorpusError, match=words):
            stream_of(mixture, metric="train_return")


def test_torchrun_shares_it(cartpole, other):
    script = f"""
import hashlib, numpy as np
from checkpoint_corpus import PairStream
mixture = [({str(cartpole)!r}, 2), ({str(other)!r}, 1)]
stream = PairStream(mixture, batch_size=8, as_torch=False, augment="none", scale=1, **{BALANCED!r})
print(stream.rank, stream.world_size, *(hashlib.sha256(batch["start"].tobytes()).hexdigest() for batch in stream))
"""
    pytest.importorskip("torch")
    import hashlib
    import os

    expected = [hashlib.sha256(batch["start"].tobytes()).hexdigest()
                for batch in stream_of([(cartpole, 2), (other, 1)], **BALANCED)]  # fmt: skip
    for rank in range(2):
        environment = os.environ | {"RANK": str(rank), "WORLD_SIZE": "2", "PYTHONPATH": ":".join(sys.path)}
        command = [sys.executable, "-c", script]
        text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert text.stdout.split() == [str(rank), "2", *expected[rank::2]]
