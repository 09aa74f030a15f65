"""What errors advise in Python: Python's names and keywords, not the command's."""

import re
import shutil

import numpy as np
import pytest
from conftest import ROOT

import checkpoint_corpus
from checkpoint_corpus import Corpus, CorpusError, PairStream, Writer, evaluate
from checkpoint_corpus._remedies import in_python

#: The rooms whose errors come to Python.
ROOMS = [
    "CInterface", "Corpus", "CorpusStore", "Datasets", "HDF5Files", "MetricIndex", "NetworkSymmetry", "PairStream",
    "Platform", "ShardStore", "Tasks",
]  # fmt: skip
#: What is advised where only the command can come: on exports, replay, and files with recipes.
OF_THE_COMMAND = ("--include-bad", "--replay", "`corpus recipe DIR")
#: Commands that nothing in Python does the work of.
WITHOUT_EQUIVALENT = {"`corpus repair", "`corpus verify"}


def advice():
    """The texts in Swift that name the command or its flags, with X for what is put into them."""
    for path in sorted(file for room in ROOMS for file in (ROOT / "Sources" / room).rglob("*.swift")):
        code = re.sub(r"^ *//.*$", "", path.read_text(), flags=re.MULTILINE)
        code = re.sub(r"\\\((?:[^()]|\([^()]*\))*\)", "X", re.sub(r'"\s*\+ "', "", code))
        for text in re.findall(r'"((?:[^"\\\n]|\\.)*)"', code):
            if re.search(r"`corpus |--[a-z]", text) and not any(words in text for words in OF_THE_COMMAND):
                yield path.name, text.replace('\\"', '"')


def test_every_remedy_that_comes_to_python_is_in_its_words():
    found = list(advice())
    # Else this test has read nothing.
    assert len(found) > 25
    for name, text in found:
        left = set(re.findall(r"`corpus \w+|--[a-z-]+", in_python(text))) - WITHOUT_EQUIVALENT
        assert not left, f"{name} advises {text}: give it Python's words in _remedies.py"


def remedy_of(call, code):
    with pytest.raises(CorpusError) as error:
        call()
    assert error.value.code == code and "--" not in error.value.remedy
    return error.value.remedy


def test_a_query_that_is_advised_runs(cartpole):
    remedy = remedy_of(lambda: PairStream(cartpole, where="iteration < 0", batch_size=8), "empty_selection")
    (code,) = re.findall("`(.*)`", remedy)
    assert len(eval(code, {"checkpoint_corpus": checkpoint_corpus})) == 6


def test_an_index_is_mended_as_is_advised(tmp_path, cartpole):
    path = tmp_path / "corpus"
    shutil.copytree(cartpole, path)
    (path / "index.sqlite").unlink()
    (code,) = re.findall("`(.*)`", remedy_of(lambda: Corpus(path), "index_missing"))
    eval(code, {"checkpoint_corpus": checkpoint_corpus})
    shutil.copyfile(path / "runs" / "000" / "000004.h5", path / "saved")
    (path / "runs" / "000" / "000004.h5").unlink()
    remedy = remedy_of(lambda: Corpus(path), "index_stale")
    assert "stale=True" in remedy and f"checkpoint_corpus.index('{path}', forget=True)" in remedy
    assert len(Corpus(path, stale=True)) == 6


def test_flags_are_keywords_and_directories(tmp_path, cartpole):
    evaluation = lambda: evaluate("mnist", np.zeros(7960, np.float32), datasets=tmp_path)  # noqa: E731
    assert "datasets=" in remedy_of(evaluation, "missing_dataset")
    assert "checkpoint_corpus.Writer" in remedy_of(lambda: Corpus(tmp_path / "none"), "not_a_corpus")
    assert remedy_of(lambda: Corpus(tmp_path), "not_a_corpus") == "name the directory of a corpus"
    other = lambda: Writer(cartpole, task="other", architecture={"w": (3,)}, metrics=["train_loss"])  # noqa: E731
    assert remedy_of(other, "different_task") == "choose another directory"
    assert "`recipe` of a Corpus" in remedy_of(lambda: evaluate("cartpole", [], recipe={}), "invalid_recipe")
