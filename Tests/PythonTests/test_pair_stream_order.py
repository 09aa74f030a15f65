"""Schemas/pair-stream.md, followed word for word: the same pairs as `corpus stream` shows."""

import math
import os
import pathlib
import sqlite3
import subprocess

import numpy as np
import pytest

from checkpoint_corpus import PairStream

ROOT = pathlib.Path(__file__).parents[2]
CORPUS = os.environ.get("CORPUS", ROOT / ".build" / "bin" / "corpus")
RUNS, CHECKPOINTS, LOW = 9, 12, 2**32 - 1


def corpus(*arguments):
    command = [CORPUS, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def philox(counter, key):
    c, k = list(counter), list(key)
    for turn in range(10):
        if turn:
            k = [k[0] + 0x9E3779B9 & LOW, k[1] + 0xBB67AE85 & LOW]
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & LOW, a >> 32 ^ c[3] ^ k[1], a & LOW]
    return c


class Random:
    def __init__(self, seed, purpose, epoch, index):
        self.key, self.at = (seed & LOW, seed >> 32), 0
        self.stream = purpose << 60 | epoch << 32 | index

    def word(self):
        block, lane = divmod(self.at, 4)
        self.at += 1
        counter = (block & LOW, block >> 32, self.stream & LOW, self.stream >> 32)
        return philox(counter, self.key)[lane]

    def integer(self, bound):
        while True:
            product = bound * self.word()
            if product & LOW >= 2**32 % bound:
                return product >> 32


def permutation(count, random):
    keys = [random.word() | random.word() << 32 for _ in range(8)]
    half = (max(2, (count - 1).bit_length()) + 1) // 2

    def at(index):
        while True:
            left, right = index >> half, index & (1 << half) - 1
            for key in keys:
                mixed = (right ^ key) * 0xD2511F539E3779B9 & 2**64 - 1
                left, right = right, left ^ ((mixed ^ mixed >> 32) >> 7 & (1 << half) - 1)
            index = left << half | right
            if index < count:
                return index

    return at


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("order") / "corpus"
    recipe = ["--iterations", 20, "--checkpoints", CHECKPOINTS, "--environments", 32]
    corpus("generate", "cartpole", "--runs", f"0..<{RUNS}", "--out", path, "--quiet", *recipe)
    corpus("compact", path, "--quiet")
    return path


def draw(run, seed, index):
    random = Random(seed, 0, 0, index)
    spacing = 1 + random.integer(CHECKPOINTS - 1)
    start = random.integer(CHECKPOINTS - spacing)
    return [run, start, start + spacing]


@pytest.mark.parametrize("seed", [0, 5, 2**40 + 3])
@pytest.mark.parametrize("order", ["random", "sequential"])
def test_the_document_draws_the_same_pairs(made, seed, order):
    visits = 806_400 // RUNS
    # All runs lie in one read block of one shuffle window here.
    window = permutation(visits * RUNS, Random(seed, 2 if order == "random" else 3, 0, 0))
    expected = [draw(window(index) % RUNS, seed, index) for index in range(300)]
    text = corpus("stream", made, "--count", 300, "--seed", seed, "--split", "all", "--order", order)
    rows = [line.split() for line in text.splitlines()[2:]]
    assert [[int(row[2]), int(row[3]), int(row[4])] for row in rows] == expected


# Draws by other rules


def hits(random, share):
    return share > 0 and random.word() < round(2**32 * share)


def knots_of(balance, sample, low, high):
    f32 = np.float32
    if balance == "quantile":
        ordered = sorted(sample)
        return [f32(low)] + [f32(ordered[j * len(ordered) // 64]) for j in range(1, 64)] + [f32(high)]
    if balance == "log":
        knots = {0: float(low), 64: float(high)}
        for step in (32, 16, 8, 4, 2, 1):
            for j in range(step, 64, 2 * step):
                knots[j] = math.sqrt(knots[j - step] * knots[j + step])
        return [f32(knots[j]) for j in range(65)]
    return [f32(low + (high - low) * j / 64) for j in range(64)] + [f32(high)]


def is_in(cell, value, knots):
    if knots[cell] == knots[cell + 1]:
        return value == knots[cell]
    return knots[cell] <= value < knots[cell + 1] or cell == 63 and value == knots[64]


class Draws:
    """Less than 65 runs, so one group; all of one read block of one shuffle window."""

    def __init__(self, metrics, balance="none", starts=0, both=False, unchanged=0, low=None, high=None):
        self.metrics, self.starts, self.both, self.unchanged = metrics, starts, both, unchanged
        self.cells = None
        if balance != "none":
            low = min(map(min, metrics)) if low is None else np.float32(low)
            high = max(map(max, metrics)) if high is None else np.float32(high)
            sample = [value for values in metrics for value in values if low <= value <= high]
            knots = knots_of(balance, sample, float(low), float(high))
            inside = [[[s for s in range(CHECKPOINTS) if is_in(cell, values[s], knots)] for values in metrics]
                      for cell in range(64)]  # fmt: skip
            self.cells = [runs for runs in inside if any(runs)]

    def target(self, run, random):
        if self.cells is None:
            return run, random.integer(CHECKPOINTS)
        cell = self.cells[random.integer(len(self.cells))]
        if not cell[run]:
            having = [other for other in range(len(cell)) if cell[other]]
            run = having[random.integer(len(having))]
        return run, cell[run][random.integer(len(cell[run]))]

    def pair(self, run, random):
        unchanged, initial = hits(random, self.unchanged), hits(random, self.starts)
        if unchanged:
            run, start = (run, 0) if initial else self.target(run, random)
            near = [step for step in (start - 1, start, start + 1) if 0 <= step < CHECKPOINTS]
            return [run, start, near[random.integer(len(near))]]
        if self.cells is not None:
            run, target = self.target(run, random)
            if initial:
                return [run, 0, target]
            if not self.both:
                return [run, random.integer(target) if target else 0, target]
            start = random.integer(CHECKPOINTS - 1)
            return [run, start + (start >= target), target]
        if initial:
            return [run, 0, 1 + random.integer(CHECKPOINTS - 1)]
        spacing = 1 + random.integer(CHECKPOINTS - 1)
        start = random.integer(CHECKPOINTS - spacing)
        pair = [start, start + spacing]
        return [run] + (pair[::-1] if self.both and random.integer(2) else pair)


@pytest.fixture(scope="module")
def metrics(made):
    rows = sqlite3.connect(made / "index.sqlite").execute("SELECT train_return FROM checkpoints ORDER BY run, step")
    values = [np.float32(value) for (value,) in rows]
    return [values[run * CHECKPOINTS : (run + 1) * CHECKPOINTS] for run in range(RUNS)]


def shown(made, count, seed, order, *flags):
    text = corpus("stream", made, "--count", count, "--seed", seed, "--split", "all", "--order", order, *flags)
    return [[int(row[2]), int(row[3]), int(row[4])] for row in map(str.split, text.splitlines()[2:])]


@pytest.mark.parametrize("order", ["random", "sequential"])
@pytest.mark.parametrize(
    "how, flags",
    [
        (dict(balance="metric"), ["--balance", "metric"]),
        (dict(balance="log", starts=0.3), ["--balance", "log", "--starts", 0.3]),
        (dict(balance="quantile", both=True), ["--balance", "quantile", "--directions", "both"]),
        (dict(balance="metric", middle=True), ["--balance", "metric"]),
        (
            dict(balance="metric", starts=1, unchanged=0.5),
            ["--balance", "metric", "--starts", "initial", "--unchanged", 0.5],
        ),
        (dict(starts=0.25, both=True, unchanged=0.1), ["--starts", 0.25, "--directions", "both", "--unchanged", 0.1]),
    ],
)
def test_the_document_draws_by_other_rules(made, metrics, order, how, flags):
    how, flags = dict(how), list(flags)
    if how.pop("middle", False):
        how["low"], how["high"] = np.quantile(metrics, [0.2, 0.8]).round(1)
        flags += ["--balance-range", f"{how['low']}:{how['high']}"]
    visits, seed, draws = 806_400 // RUNS, 11, Draws(metrics, **how)
    window = permutation(visits * RUNS, Random(seed, 2 if order == "random" else 3, 0, 0))
    expected = [draws.pair(window(index) % RUNS, Random(seed, 0, 0, index)) for index in range(300)]
    assert shown(made, 300, seed, order, *flags) == expected


@pytest.mark.parametrize("order", ["random", "sequential"])
def test_the_document_weighs_runs(made, order):
    seed, weights = 3, [0, 1, 2, 3, 4, 5, 6, 7, 8]
    slots = 806_400 // (RUNS - 1) * (RUNS - 1)
    offset = Random(seed, 2, 0, 2**16).word() / 2**32
    window = permutation(slots, Random(seed, 2 if order == "random" else 3, 0, 0))

    def run(slot):
        at, so_far = (slot + offset) * sum(weights) / slots, 0
        for number, weight in enumerate(weights):
            so_far += weight
            if so_far > at:
                return number

    expected = [draw(run(window(index)), seed, index) for index in range(300)]
    assert shown(made, 300, seed, order, "--run-weights", "run") == expected


def test_the_document_changes_by_stages(made, metrics):
    seed, items = 2, 806_400 // RUNS * RUNS
    runs, draws = [0, 3, 6], Draws(metrics, starts=1)
    with PairStream(made, split="all", seed=seed, batch_size=100, as_torch=False, augment="none",
                    stages=[(1, dict(starts="initial", where="run % 3 = 0"))]) as stream:  # fmt: skip
        first = next(iter(stream))
        stream.seek(1, 5)
        batch = next(iter(stream))
    assert [draw(run, seed, index) for index, run in enumerate(first["run"].tolist())] == triples(first)
    order = permutation(-(-items // len(runs)) * len(runs), Random(seed, 2, 1, 0))
    expected = [draws.pair(runs[order(index) % 3], Random(seed, 0, 1, index)) for index in range(500, 600)]
    assert triples(batch) == expected


def triples(batch):
    return [list(row) for row in zip(*(batch[name].tolist() for name in ("run", "start_step", "target_step")))]


def test_the_document_mixes(made):
    seed, items, block, parts = 4, 10_000, 4_096, (round(4_096 / 3), 4_096)
    with PairStream([(made, 1), (made, 2)], split="all", seed=seed, batch_size=500, items_per_epoch=items,
                    as_torch=False, augment="none") as stream:  # fmt: skip
        batches = list(stream)
    bounds = [0, *parts]
    orders = []
    for source in range(2):
        slots = -(-items // block) * (bounds[source + 1] - bounds[source])
        orders.append(permutation(-(-slots // RUNS) * RUNS, Random(seed, 2, 0, source)))
    for index in list(range(0, 500, 7)) + list(range(9_500, 10_000, 7)):
        number, at = divmod(index, block)
        slot = permutation(block, Random(seed, 2, 0, 2**31 + number))(at)
        source = int(slot >= parts[0])
        own = number * (bounds[source + 1] - bounds[source]) + slot - bounds[source]
        batch, i = batches[index // 500], index % 500
        assert batch["source"][i] == source
        assert triples(batch)[i] == draw(orders[source](own) % RUNS, seed, index)


def test_the_command_takes_stages_and_refuses_what_it_does_not_know(made):
    flags = ["--stage", "0; starts=initial; where=run % 3 = 0; balance=metric", "--stage", "5;unchanged=1"]
    rows = shown(made, 200, 1, "random", *flags)
    assert {row[0] for row in rows} == {0, 3, 6} and all(row[1] == 0 for row in rows)
    for wrong in (["--stage", "x"], ["--stage", "1; colour=2"], ["--stage", "1; starts=first"], ["--mix", "nowhere"],
                  ["--balance-range", "3"], ["--balance-range", "2:1"], ["--starts", "first"], ["--balance", "even"],
                  ["--unchanged", "2"], ["--run-weights", "run - 3"]):  # fmt: skip
        result = subprocess.run([CORPUS, "stream", made, *wrong], capture_output=True, text=True)
        assert result.returncode != 0 and "Fatal" not in result.stderr and result.stderr, wrong
    result = subprocess.run([CORPUS, "export", made, "--format", "npz", "--balance", "metric", "--out", "x.npz"],
                            capture_output=True, text=True)  # fmt: skip
    assert result.returncode != 0 and "--pairs" in result.stderr
