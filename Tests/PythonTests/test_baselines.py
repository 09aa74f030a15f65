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
# Rates at which training does not magnify rounding: at ten and five times those of CIFAR-10, torch in floats is itself
# more than 1e-4 from torch in doubles after 50 updates, and nothing could be told from a difference.
RATES = {"mnist": {"adam": 0.003, "nesterov": 0.03}, "cifar10": {"adam": 0.001, "nesterov": 0.02}}


def bars(random, count, side):
    """Noisy bars, whose place is the class: (count, side, side), and (count)."""
    labels = random.integers(0, 10, count)
    images = (random.random((count, side, side)) < 0.1) * random.integers(1, 256, (count, side, side))
    for image, label in zip(images, labels):
        image[2 * label + 2 : 2 * label + 6, 4:24] = random.integers(100, 256, (4, 20))
    return images.astype(np.uint8), labels.astype(np.uint8)


def tinted(random, count):
    """Bars in colours, which are told apart by the colour too: (count, 3, 32, 32), and (count)."""
    images, labels = bars(random, count, 32)
    tints = np.stack([labels * 25, 255 - labels * 25, (labels % 2) * 200], 1)[:, :, None, None]
    return ((images[:, None].astype(int) + tints) // 2).astype(np.uint8), labels


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A directory of data sets with small pictures in the published files, and the pictures."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(3)
    parts = {
        "mnist": [bars(random, TRAIN, 28), bars(random, TEST, 28)],
        "cifar10": [tinted(random, TRAIN), tinted(random, TEST)],
    }
    (folder / "mnist").mkdir()
    for name, (images, labels) in zip(("train", "t10k"), parts["mnist"]):
        head = struct.pack(">4i", 2051, len(images), 28, 28)
        (folder / "mnist" / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
        head = struct.pack(">2i", 2049, len(labels))
        (folder / "mnist" / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + labels.tobytes()))
    (folder / "cifar10").mkdir()
    train, test = (np.c_[labels, images.reshape(len(images), -1)] for images, labels in parts["cifar10"])
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for name, records in zip(names, np.split(train, 5) + [test]):
        (folder / "cifar10" / f"{name}.bin").write_bytes(records.tobytes())
    return folder, parts


def words(seed, stream):
    for block in range(2**32):
        yield from philox((block & LOW, block >> 32, stream & LOW, stream >> 32), (seed & LOW, seed >> 32))


def order(seed, stream):
    """The order of an epoch's images: Fisher and Yates's shuffle, the last position first."""
    images, random = list(range(TRAIN)), words(seed, stream)
    for last in range(TRAIN - 1, 0, -1):
        product = (last + 1) * next(random)
        while product & LOW < 2**32 % (last + 1):
            product = (last + 1) * next(random)
        other = product >> 32
        images[last], images[other] = images[other], images[last]
    return images


def batches(task, seed):
    """The images of each update, and the word of each, which says how CIFAR-10's are augmented."""
    streams = {"mnist": 1, "cifar10": 2}[task]
    for epoch in range(UPDATES):
        stream = 2 + streams * epoch
        images, random = order(seed, stream), words(seed, stream + 1)
        drawn = [next(random) for _ in images]
        for start in range(0, TRAIN - BATCH + 1, BATCH):
            yield images[start : start + BATCH], drawn[start : start + BATCH]


def network(task, vector):
    nn = torch.nn
    if task == "mnist":
        model = nn.Sequential(nn.Linear(784, 10), nn.ReLU(), nn.Linear(10, 10))
    else:
        model = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
        )  # fmt: skip
    model.double()  # In place of rounding of its own, beside which ours would not be seen.
    nn.utils.vector_to_parameters(torch.from_numpy(vector.astype(float)), model.parameters())
    return model


def inputs(task, part):
    images, labels = part
    x = torch.from_numpy(images).double()
    if task == "mnist":
        x = (x.reshape(len(x), 784) / 255 - 0.1307) / 0.3081
    else:
        means, deviations = torch.tensor([[125.3, 123.0, 113.9], [63.0, 62.1, 66.7]]).double()
        x = (x - means[:, None, None]) / deviations[:, None, None]
    return x, torch.from_numpy(labels).long()


def augmented(images, drawn):
    """Mirrored with probability 1/2, then padded by 4 zeros, then cut from a row and a column of 0 to 7."""
    pictures = []
    for image, word in zip(images, drawn):
        image = image.flip(-1) if (word >> 8) / 2**24 < 0.5 else image
        row, column = word & 7, word >> 3 & 7
        pictures.append(torch.nn.functional.pad(image, (4, 4, 4, 4))[:, row : row + 32, column : column + 32])
    return torch.stack(pictures)


@pytest.fixture(scope="module", params=["mnist", "cifar10"])
def baselines(request, data, tmp_path_factory):
    """Two random starts, trained by both optimizers on small batches."""
    task, (folder, parts), out = request.param, data, tmp_path_factory.mktemp(request.param)
    common = ["--datasets", folder, "--quiet"]
    # Another batch size than the published one is what a recipe file says.
    run_corpus("generate", task, "--epochs", 1, "--checkpoints", 2, "--runs", "0", "--out", out / "one", *common)
    recipe = run_corpus("recipe", out / "one").replace('"batch_size" : 128', f'"batch_size" : {BATCH}')
    (out / "recipe.json").write_text(recipe.replace('"batch_size": 128', f'"batch_size": {BATCH}'))
    run_corpus("generate", "--recipe", out / "recipe.json", "--runs", "0", "--out", out / "corpus", *common)
    for optimizer, rate in RATES[task].items():
        run_corpus(
            "baseline", out / "corpus", "--out", out / optimizer, "--starts", 2, "--updates", UPDATES,
            "--learning-rates", rate, *common,
        )  # fmt: skip
    return task, parts[task], out


@pytest.mark.parametrize("optimizer", ["adam", "nesterov"])
def test_the_curves_are_those_of_torch(optimizer, baselines):
    task, parts, out = baselines
    (train, labels), (test, test_labels) = (inputs(task, part) for part in parts)
    stored, rate = Corpus(out / optimizer / optimizer), RATES[task][optimizer]
    assert stored.recipe["base"]["batch_size"] == BATCH and stored.recipe["optimizer"]["learning_rate"] == rate
    for run in (0, 1):
        vectors = stored.parameters(run)
        model = network(task, vectors[0])
        twin = (
            torch.optim.Adam(model.parameters(), rate) if optimizer == "adam"
            else torch.optim.SGD(model.parameters(), rate, momentum=0.9, nesterov=True)
        )  # fmt: skip
        batch = batches(task, 1 << 62 | run)
        losses, apart = [], []
        for update in range(UPDATES + 1):
            with torch.no_grad():
                losses.append(torch.nn.functional.cross_entropy(model(test), test_labels).item())
                vector = torch.nn.utils.parameters_to_vector(model.parameters()).numpy()
                apart.append(np.abs(vector - vectors[update]).max())
            if update == UPDATES:
                break
            chosen, drawn = next(batch)
            pictures = train[chosen] if task == "mnist" else augmented(train[chosen], drawn)
            twin.zero_grad()
            torch.nn.functional.cross_entropy(model(pictures), labels[chosen]).backward()
            twin.step()
        assert np.abs(np.array(losses) - stored[run].metrics["test_loss"]).max() < 1e-4
        assert max(apart) < 1e-4
        assert losses[-1] < 0.9 * losses[0]
