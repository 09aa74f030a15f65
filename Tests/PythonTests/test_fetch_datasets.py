"""Scripts/fetch-datasets against copies on this disk."""

import gzip
import hashlib
import io
import json
import os
import pathlib
import pickle
import subprocess
import tarfile

import numpy as np
import pytest
from conftest import run_corpus

SCRIPT = pathlib.Path(__file__).parents[2] / "Scripts" / "fetch-datasets"
MNIST = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


class Site:
    """A made-up site with both data sets, and a place to fetch them to."""

    def __init__(self, folder):
        self.source, self.into = folder / "site", folder / "data"
        self.source.mkdir()
        sums = []
        for name in MNIST:
            content = name.encode() * 5000
            (self.source / f"{name}.gz").write_bytes(gzip.compress(content))
            sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
        archive = self.source / "cifar-10-binary.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            member = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
            member.size = 9
            tar.addfile(member, io.BytesIO(b"not quite"))
        sums.append(f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}\n")
        (folder / "sums").write_text("".join(sums))
        self.environment = os.environ | {
            "MNIST_URL": f"file://{self.source}",
            "CIFAR10_URL": f"file://{archive}",
            "SHA256SUMS": str(folder / "sums"),
        }

    def fetch(self, *sets):
        return subprocess.run(
            [SCRIPT, "--into", self.into, *sets], env=self.environment, capture_output=True, text=True
        )

    def files(self):
        return sorted(str(p.relative_to(self.into)) for p in self.into.rglob("*") if p.is_file())


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_fetches_both_and_only_once(site):
    result = site.fetch()
    assert result.returncode == 0, result.stderr
    expected = ["cifar-10-batches-bin/test_batch.bin"] + sorted(f"mnist/{name}.gz" for name in MNIST)
    assert site.files() == expected
    again = site.fetch()
    assert again.returncode == 0 and "Fetching" not in again.stdout
    assert site.files() == expected


def test_goes_on_where_it_was_stopped(site):
    whole = (site.source / f"{MNIST[0]}.gz").read_bytes()
    (site.into / "mnist").mkdir(parents=True)
    part = site.into / "mnist" / f"{MNIST[0]}.gz.part"
    part.write_bytes(whole[:40])
    assert site.fetch("mnist").returncode == 0
    assert (site.into / "mnist" / f"{MNIST[0]}.gz").read_bytes() == whole
    # What lies there is no beginning of the file: fetched anew.
    (site.into / "mnist" / f"{MNIST[0]}.gz").unlink()
    part.write_bytes(b"\0" * 40)
    assert site.fetch("mnist").returncode == 0
    assert (site.into / "mnist" / f"{MNIST[0]}.gz").read_bytes() == whole


def test_replaces_what_is_damaged(site):
    assert site.fetch("mnist").returncode == 0
    path = site.into / "mnist" / f"{MNIST[1]}.gz"
    path.write_bytes(path.read_bytes()[:-9])
    assert site.fetch("mnist").returncode == 0
    assert path.read_bytes() == (site.source / path.name).read_bytes()


@pytest.mark.parametrize("name", [f"{MNIST[2]}.gz", "cifar-10-binary.tar.gz"])
def test_refuses_other_contents(site, name):
    (site.source / name).write_bytes(gzip.compress(b"something else"))
    result = site.fetch()
    assert result.returncode == 1
    assert "SHA-256 differs" in result.stderr and name in result.stderr
    assert not any(name in file or file.endswith(".part") for file in site.files())


def test_says_what_cannot_be_fetched(site):
    site.environment["MNIST_URL"] = f"file://{site.source}/nowhere"
    result = site.fetch("mnist")
    assert result.returncode == 1 and "nowhere" in result.stderr and "again" in result.stderr
    result = site.fetch("imagenet")
    assert result.returncode == 1 and "imagenet" in result.stderr


def test_knows_the_published_mnist(tmp_path):
    """Needs the real files, in the folder that CORPUS_DATASETS names."""
    source = pathlib.Path(os.environ.get("CORPUS_DATASETS", "")) / "mnist"
    if not (source / f"{MNIST[0]}.gz").exists():
        pytest.skip("CORPUS_DATASETS names no folder with mnist/*.gz")
    environment = os.environ | {"MNIST_URL": f"file://{source.resolve()}"}
    result = subprocess.run([SCRIPT, "--into", tmp_path, "mnist"], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("protocol", [3, 4])
def test_pickles_of_cifar10_are_the_same_data_set(tmp_path, protocol):
    random = np.random.default_rng(0)
    for batch in range(6):
        labels, data = random.integers(0, 10, 128), random.integers(0, 256, (128, 3072), np.uint8)
        records = np.concatenate([labels[:, None].astype(np.uint8), data], 1)
        name = f"data_batch_{batch + 1}" if batch < 5 else "test_batch"
        for folder in ("cifar-10-batches-bin", "cifar-10-batches-py"):
            (tmp_path / folder[-3:] / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "bin" / "cifar-10-batches-bin" / f"{name}.bin").write_bytes(records.tobytes())
        members = {"batch_label": "of the tests", "labels": labels.tolist(), "data": data, "filenames": ["a.png"] * 128}
        with open(tmp_path / "-py" / "cifar-10-batches-py" / name, "wb") as file:
            pickle.dump(members, file, protocol)
    recipes = []
    for data in ("bin", "-py"):
        run_corpus(
            "generate", "cifar10", "--runs", "0", "--epochs", 1, "--checkpoints", 2, "--datasets", tmp_path / data,
            "--out", tmp_path / f"corpus{data}", "--quiet",
        )  # fmt: skip
        recipes.append(json.loads(run_corpus("recipe", tmp_path / f"corpus{data}")))
    assert recipes[0]["recipe"]["dataset"] == recipes[1]["recipe"]["dataset"]
