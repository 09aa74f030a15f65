"""`corpus baseline` beside torch.optim, from the same starts and on the same batches."""

import gzip
import struct

import numpy as np
import pytest
from conftest import module_or_skip, run_corpus
from test_pair_stream_order import LOW, philox

from checkpoint_corpus import Corpus

torch = module_or_skip("torch")

TRAIN, TEST, BATCH, UPDATES = 320, 200, 32, 50


def pictures(random, count):
    """Noisy bars, whose place is the class: (count, 28, 28), and (count)."""
    labels = random.integers(0, 10, count)
    images = (random.random((count, 28, 28)) < 0.1) * random.integers(1, 256, (count, 28, 28))
    for image, label in zip(images, labels):
        image[2 * label + 2 : 2 * label + 6, 4:24] = random.integers(100, 256, (4, 20))
    return images.astype(np.uint8), labels.astype(np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A directory of data sets with small pictures in MNIST's files, and the pictures."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "mnist").mkdir()
    random = np.random.default_rng(3)
    parts = {"train": pictures(random, TRAIN), "t10k": pictures(random, TEST)}
    for name, (images, labels) in parts.items():
        head = struct.pack(">4i", 2051, len(images), 28, 28)
        (folder / "mnist" / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
        head = struct.pack(">2i", 2049, len(labels))
        (folder / "mnist" / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + labels.tobytes()))
    return folder, parts


def order(seed, epoch):
    """The order of an epoch's images: Fisher and Yates's shuffle, by the words of the epoch's stream (2 + epoch)."""
    images, at = list(range(TRAIN)), 0
    for last in range(TRAIN - 1, 0, -1):
        while True:
            block, lane = divmod(at, 4)
            at += 1
            word = philox((block & LOW, block >> 32, 2 + epoch, 0), (seed & LOW, seed >> 32))[lane]
            product = (last + 1) * word
            if product & LOW >= 2**32 % (last + 1):
                break
        other = product >> 32
        images[last], images[other] = images[other], images[last]
    return images


def batches(seed):
    for epoch in range(UPDATES):
        images = order(seed, epoch)
        for start in range(0, TRAIN - BATCH + 1, BATCH):
            yield images[start : start + BATCH]


def network(vector):
    model = torch.nn.Sequential(torch.nn.Linear(784, 10), torch.nn.ReLU(), torch.nn.Linear(10, 10))
    torch.nn.utils.vector_to_parameters(torch.from_numpy(vector.copy()), model.parameters())
    return model


def inputs(part):
    images, labels = part
    x = (torch.from_numpy(images.reshape(len(images), 784)).float() / 255 - 0.1307) / 0.3081
    return x, torch.from_numpy(labels).long()


@pytest.mark.parametrize("optimizer", ["adam", "nesterov"])
def test_the_curves_are_those_of_torch(optimizer, data, tmp_path):
    folder, parts = data
    corpus, out = tmp_path / "corpus", tmp_path / "baselines"
    common = ["--datasets", folder, "--quiet"]
    # A recipe with small batches, as the corpus records it.
    run_corpus("generate", "mnist", "--epochs", 1, "--checkpoints", 2, "--runs", "0", "--out", tmp_path / "one", *common)
    recipe = run_corpus("recipe", tmp_path / "one").replace('"batch_size" : 128', f'"batch_size" : {BATCH}')
    recipe = recipe.replace('"batch_size": 128', f'"batch_size": {BATCH}')
    (tmp_path / "recipe.json").write_text(recipe)
    run_corpus("generate", "--recipe", tmp_path / "recipe.json", "--runs", "0", "--out", corpus, *common)
    rate = {"adam": 0.003, "nesterov": 0.03}[optimizer]
    run_corpus("baseline", corpus, "--out", out, "--starts", 2, "--updates", UPDATES, "--learning-rates", rate, *common)

    (train, labels), test = inputs(parts["train"]), inputs(parts["t10k"])
    stored = Corpus(out / optimizer)
    assert stored.recipe["base"]["batch_size"] == BATCH and stored.recipe["optimizer"]["learning_rate"] == rate
    for run in (0, 1):
        vectors = stored.parameters(run)
        model = network(vectors[0])
        twin = (
            torch.optim.Adam(model.parameters(), rate) if optimizer == "adam"
            else torch.optim.SGD(model.parameters(), rate, momentum=0.9, nesterov=True)
        )  # fmt: skip
        batch = batches(1 << 62 | run)
        losses, apart = [], []
        for update in range(UPDATES + 1):
            with torch.no_grad():
                losses.append(torch.nn.functional.cross_entropy(model(test[0]), test[1]).item())
                vector = torch.nn.utils.parameters_to_vector(model.parameters()).numpy()
                apart.append(np.abs(vector - vectors[update]).max())
            if update == UPDATES:
                break
            chosen = next(batch)
            twin.zero_grad()
            torch.nn.functional.cross_entropy(model(train[chosen]), labels[chosen]).backward()
            twin.step()
        assert np.abs(np.array(losses) - stored[run].metrics["test_loss"]).max() < 1e-4
        assert losses[-1] < 0.7 * losses[0]
        # Adam divides by the gradient's size: where that is next to nothing, rounding decides.
        assert np.quantile(apart, 0.5) < 1e-4
