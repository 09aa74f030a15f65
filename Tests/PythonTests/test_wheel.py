"""The wheel: built from the repository, installed elsewhere, used without Swift."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile

import numpy as np
from conftest import ROOT

from checkpoint_corpus import Corpus, __version__

PROGRAM = """
import sys
import numpy, checkpoint_corpus
from checkpoint_corpus import Corpus, Writer, evaluate
with Corpus(sys.argv[1]) as corpus:
    run = corpus.run(2)
    assert evaluate(corpus, run.parameters[:1], seed=2)["train_return"][0] == run.metrics["train_return"][0]
    with Writer(sys.argv[2], task="copy", architecture=corpus.architecture, metrics=corpus.metrics) as writer:
        with writer.run(0) as copy:
            for iteration, vector in enumerate(run.parameters):
                copy.log(iteration, vector)
print(checkpoint_corpus.__file__)
try:
    import h5py
except ImportError:
    sys.exit()
assert h5py.File(sys.argv[2] + "/runs/000/000000.h5")["parameters"][:].tobytes() == run.parameters.tobytes()
"""


def test_the_wheel_runs_without_swift(tmp_path, cartpole):
    # Built already by Scripts/build, which the tests come after.
    products = str((ROOT / ".build" / "release").resolve())
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path,
         ROOT / "Sources" / "Python"],
        env=os.environ | {"CHECKPOINT_CORPUS_PRODUCTS": products}, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob(f"checkpoint_corpus-{__version__}-py3-none-linux_*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "checkpoint_corpus/libcheckpoint_corpus.so" in names and "checkpoint_corpus/py.typed" in names
    assert {"checkpoint_corpus/_stream/native.py", "checkpoint_corpus/_symmetry/probe.py"} <= set(names)
    assert "checkpoint_corpus/hdf5-plugins/libH5ZCheckpointDelta.so" in names

    # numpy and h5py come from the Python that runs the tests; they are no part of what is tried.
    target = tmp_path / "venv"
    venv.create(target, with_pip=False)
    site = next(target.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "numpy.pth").write_text(os.path.dirname(os.path.dirname(np.__file__)))
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    assert shutil.which("swift", path=environment["PATH"]) is None
    result = subprocess.run(
        [target / "bin" / "python", "-c", PROGRAM, cartpole, tmp_path / "copy"], env=environment, cwd=tmp_path,
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().startswith(str(site))
    with Corpus(tmp_path / "copy") as copy:
        assert copy.parameters(0).tobytes() == Corpus(cartpole).parameters(2).tobytes()


def test_pip_says_that_swift_is_missing(tmp_path):
    environment = {"PATH": os.path.dirname(sys.executable) + ":/usr/bin:/bin", "HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT / "Sources" / "Python"],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode != 0 and "Swift 6.2 or newer is missing" in result.stdout + result.stderr
