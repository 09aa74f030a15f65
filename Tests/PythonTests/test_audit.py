"""`corpus audit` beside Schemas/audit.md, followed word for word with SciPy's assignment."""

import json

import numpy as np
import pytest
from conftest import module_or_skip, run_corpus
from test_baselines import data, inputs, network  # noqa: F401

from checkpoint_corpus import Corpus

torch = module_or_skip("torch")
optimize = module_or_skip("scipy.optimize")


@pytest.fixture(scope="module")
def audit(data, tmp_path_factory):  # noqa: F811
    """A corpus of small classifiers, and what the command says of a model that was trained on it for a moment."""
    folder, parts = data
    root = tmp_path_factory.mktemp("audit")
    common = ["--datasets", folder, "--quiet"]
    run_corpus("generate", "mnist", "--epochs", 2, "--checkpoints", 5, "--runs", "0..<40", "--out", root / "corpus", *common)
    config = {
        "model": {"width": 16, "layers": 1, "heads": 2, "frequencies": 8, "diffusion_steps": 50},
        "training": {"batch": 8, "learning_rate": 0.001, "warmup": 2, "steps": 20, "evaluate_every": 0},
    }
    (root / "config.json").write_text(json.dumps(config))
    run_corpus("train", root / "corpus", "--metric", "test_loss", "--config", root / "config.json", "--out", root / "model", *common)
    run_corpus("audit", root / "model", "--samples", 12, "--sampling-steps", 5, "--out", root / "audit.json", *common)
    return Corpus(root / "corpus"), json.loads((root / "audit.json").read_text()), parts


def balanced(vector):
    """fc1.weight (10, 784), fc1.bias (10), fc2.weight (10, 10), fc2.bias (10), each hidden unit in and out alike."""
    vector = vector.astype(np.float64)
    fc1, bias, fc2, rest = vector[:7840].reshape(10, 784), vector[7840:7850], vector[7850:7950].reshape(10, 10), vector[7950:]
    inner, outer = np.sqrt((fc1**2).sum(1) + bias**2), np.sqrt((fc2**2).sum(0))
    factor = np.sqrt(outer / inner)
    units = np.concatenate([fc1 * factor[:, None], (bias * factor)[:, None], (fc2 / factor).T], axis=1)
    return units, rest


def distance(one, other):
    (units, rest), (others, other_rest) = one, other
    costs = ((units[:, None] - others[None]) ** 2).sum(-1)
    return np.sqrt(costs[optimize.linear_sum_assignment(costs)].sum() + ((rest - other_rest) ** 2).sum())


def shared(one, other):
    return (one & other).sum() / (one | other).sum() if (one | other).any() else 1.0


def mistakes(vector, part):
    pictures, labels = inputs(part)
    with torch.no_grad():
        return (network(vector)(pictures).argmax(1) != labels).numpy()


def test_distances_and_overlaps_are_those_of_the_definitions(audit):
    corpus, report, parts = audit
    training = [run for run in corpus if corpus[run].split == "train"]
    everything = {run: corpus.parameters(run) for run in training}
    forms = {(run, step): balanced(vector) for run in training for step, vector in enumerate(everything[run])}
    assert report["checkpoints"] == len(forms) and report["recall"] == 1
    stored = [sample for sample in report["samples"] if sample["group"] in ("held-out", "training")]
    assert len(stored) >= 32
    wrong = {run: mistakes(everything[run][-1], parts["t10k"]) for run in training}
    for sample in stored[::3]:
        run, step = sample["source"]["run"], sample["source"]["step"]
        vector = corpus.parameters(run, step)
        own = balanced(vector)
        found = {name: distance(own, form) for name, form in forms.items() if name[0] != run}
        least = min(found.values())
        assert sample["distance"] == pytest.approx(least, rel=1e-3)
        assert found[sample["nearest"]["run"], sample["nearest"]["step"]] == pytest.approx(least, rel=1e-3)
        # The last checkpoints of all runs are among what behaviour is compared with.
        mine = mistakes(vector, parts["t10k"])
        overlaps = [shared(mine, other) for name, other in wrong.items() if name != run]
        assert sample["overlap"] >= max(overlaps) - 1e-3
        near = corpus.parameters(sample["overlap_nearest"]["run"], sample["overlap_nearest"]["step"])
        other = mistakes(near, parts["t10k"])
        assert sample["overlap"] == pytest.approx(shared(mine, other), abs=1e-2)


def test_scores_follow_from_the_distances(audit):
    _, report, _ = audit
    stats = module_or_skip("scipy.stats")
    generated = [sample["distance"] for sample in report["samples"] if sample["group"] == "generated"]
    held_out = [sample["distance"] for sample in report["samples"] if sample["group"] == "held-out"]
    assert len(generated) == 12
    assert report["spread"] == pytest.approx(sorted(held_out)[len(held_out) // 2])
    m, n = len(generated), len(held_out)
    u = stats.mannwhitneyu(generated, held_out).statistic
    assert report["copying_score"]["z"] == pytest.approx((u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12), abs=1e-3)
    for sample in report["samples"]:
        assert sample["distance_relative"] == pytest.approx(sample["distance"] / report["spread"])
    assert report["verdict"]["all"]
