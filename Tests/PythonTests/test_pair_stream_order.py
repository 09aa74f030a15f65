"""Schemas/pair-stream.md, followed word for word: the same pairs as `corpus stream` shows."""

import os
import pathlib
import subprocess

import pytest

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
    def __init__(self, seed, purpose, epoch, place):
        self.key, self.at = (seed & LOW, seed >> 32), 0
        self.stream = purpose << 60 | epoch << 32 | place

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

    def at(place):
        while True:
            left, right = place >> half, place & (1 << half) - 1
            for key in keys:
                mixed = (right ^ key) * 0xD2511F539E3779B9 & 2**64 - 1
                left, right = right, left ^ ((mixed ^ mixed >> 32) >> 7 & (1 << half) - 1)
            place = left << half | right
            if place < count:
                return place

    return at


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("order") / "corpus"
    recipe = ["--iterations", 20, "--checkpoints", CHECKPOINTS, "--environments", 32]
    corpus("generate", "cartpole", "--runs", f"0..<{RUNS}", "--out", path, "--quiet", *recipe)
    corpus("compact", path, "--quiet")
    return path


def draw(run, seed, place):
    random = Random(seed, 0, 0, place)
    spacing = 1 + random.integer(CHECKPOINTS - 1)
    start = random.integer(CHECKPOINTS - spacing)
    return [run, start, start + spacing]


@pytest.mark.parametrize("seed", [0, 5, 2**40 + 3])
@pytest.mark.parametrize("order", ["random", "sequential"])
def test_the_document_draws_the_same_pairs(made, seed, order):
    visits = 806_400 // RUNS
    # All runs lie in one stretch of one window here.
    window = permutation(visits * RUNS, Random(seed, 2 if order == "random" else 3, 0, 0))
    expected = [draw(window(place) % RUNS, seed, place) for place in range(300)]
    text = corpus("stream", made, "--count", 300, "--seed", seed, "--split", "all", "--order", order)
    rows = [line.split() for line in text.splitlines()[2:]]
    assert [[int(row[2]), int(row[3]), int(row[4])] for row in rows] == expected
