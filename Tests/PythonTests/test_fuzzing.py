"""`Scripts/fuzz`: a short run of it, and whether it would see what it looks for."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import h5py
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "Scripts" / "fuzzing"))

import corpora
import reading
import shard_edits
import streams
import trial
from mutators import OF_BYTES, Damage, change_json
from originals import SHAPES, Originals
from trial import BROKEN, EDITED, EQUAL, HANG, REFUSED, SIGNAL, WRONG, attempt


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """Where it was made, and what it said."""
    path = tmp_path_factory.mktemp("fuzz")
    command = [sys.executable, ROOT / "Scripts" / "fuzzing", "--seed", "15", "--count", "3", "--place", path]
    return path, subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def originals(short_run):
    return Originals(short_run[0])


def test_three_inputs_of_each_kind_are_refused_or_right(short_run):
    _, result = short_run
    assert result.returncode == 0, result.stdout + result.stderr
    assert "fuzz: 0 finds in 24 inputs, seed 15" in result.stdout


def test_an_input_that_ends_the_process_is_seen():
    assert attempt(lambda _: os.kill(os.getpid(), signal.SIGSEGV)).outcome() == SIGNAL


def test_an_input_that_keeps_the_process_for_ever_is_seen():
    assert attempt(lambda _: time.sleep(600), patience=0.5).outcome() == HANG


def test_an_error_of_another_kind_is_seen():
    assert attempt(lambda _: {}["missing"]).outcome() == BROKEN


@pytest.mark.parametrize(
    "script, outcome",
    [
        ("kill -SEGV $$", SIGNAL),
        ("exit 3", BROKEN),
        ("exit 1", BROKEN),
        ("echo corpus: no >&2; exit 1", REFUSED),
        ("", EQUAL),
    ],
)
def test_how_the_command_ends_is_seen(monkeypatch, script, outcome):
    monkeypatch.setattr(trial, "CORPUS", "/bin/sh")
    assert attempt(lambda record: record.run("-c", script)).outcome() == outcome


@pytest.mark.parametrize("name", ["parameters", "metrics/test_error", "iteration"])
def test_a_wrong_value_is_seen_unless_the_input_says_it(originals, tmp_path, name):
    copied = tmp_path / "corpus"
    shutil.copytree(originals.corpus("raw"), copied)
    (shard,) = copied.glob("shards/*.h5")
    with h5py.File(shard, "r+") as file:
        values = file[name][...]
        values.reshape(-1)[5] = 3
        file[name][...] = values
        # As in the first shards.
        del file["chunks/checksum"]

    def read(record):
        reading.rebuild(record, copied)
        reading.read(record, copied, SHAPES["raw"], random.Random(1), "here")
        reading.read_index(record, copied, SHAPES["raw"], "here")

    assert attempt(read).outcome() == WRONG
    assert EDITED in attempt(read, is_edit=True).seen and WRONG not in attempt(read, is_edit=True).seen


def test_a_seed_and_a_number_make_the_same_input_again(originals, tmp_path):
    for kind in [corpora.Shards, corpora.Indexes, corpora.Caches, corpora.Manifests, streams.Streams]:
        seen = []
        for turn in ["first", "second"]:
            target = tmp_path / f"{kind.__name__}-{turn}"
            target.mkdir()
            what, is_edit, _ = kind(originals).make(random.Random(5), target)
            files = sorted(file for file in target.rglob("*") if file.is_file())
            seen.append((what, is_edit, [(file.relative_to(target), file.read_bytes()) for file in files]))
        assert seen[0] == seen[1]


def test_every_edit_of_a_shard_can_be_made(originals, tmp_path):
    (shard,) = originals.corpus("long").glob("shards/*.h5")
    before = shard.read_bytes()
    for number, name in enumerate(shard_edits.EDITS):
        target = tmp_path / f"{name}.h5"
        target.write_bytes(before)
        with h5py.File(target, "r+") as file:
            shard_edits.EDITS[name](random.Random(number), file, "metrics/test_error", "recipe")
        assert target.read_bytes() != before


def test_mutators_change_what_they_are_given():
    drawn = random.Random(4)
    for name, (mutate, _) in OF_BYTES.items():
        before = drawn.randbytes(10_000)
        damage = Damage(drawn, before, [(20, 30)])
        mutate(damage)
        assert bytes(damage.data) != before, name
    value = {"a": [1, {"b": "c"}], "d": None}
    texts = {change_json(drawn, value)[0] for _ in range(200)}
    assert len(texts) > 50
