"""What training comes to, beside independent PyTorch runs of the same recipe: the final metrics, the curve, the function.

    outcome cartpole   iterations until returns of 100, 200, 400; action at rest, gains and deviation, by return
    outcome mnist      iterations until test errors of 20, 12, 8 %; errors by class; norms by tensor; --datasets DIR
    outcome cifar10    likewise, 70, 60, 50 %; --epochs to make it short

Runs of both kinds are kept in $BENCHMARKS/outcome and used again, so that it goes on where it was stopped. PyTorch's take
a minute and more each: `nice -n 10` it, and say --peers. Everything is printed with standard errors over runs.
"""

import argparse
import pathlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from common import PLACE, ROOT, corpus
from comparison import Comparison

sys.path.insert(0, str(ROOT / "Sources" / "Python"))
from checkpoint_corpus import Corpus  # noqa: E402

SCRIPTS = pathlib.Path(__file__).parent


def our_runs(options, size, *recipe):
    """Every run: its iterations, metrics by name, and parameters."""
    path = PLACE / "outcome" / f"{options.task}-{size}"
    corpus(
        "generate", options.task, "--runs", f"0..<{options.runs}", "--out", path, "--workers", options.jobs, *recipe,
        capture_output=False,
    )
    with Corpus(path) as runs:
        for seed in range(options.runs):
            run = runs.run(seed)
            yield run.iterations, run.metrics, run.parameters


def peer_runs(options, size, *arguments):
    """Likewise; makes those that are missing, one thread each."""

    def path(seed):
        return PLACE / "outcome" / f"{options.task}-{size}-{seed}.npz"

    def make(seed):
        if not path(seed).exists():
            unfinished = path(seed).with_suffix(".unfinished.npz")
            script = SCRIPTS / f"{options.task}_pytorch.py"
            command = [sys.executable, script, "--seed", str(seed), "--out", unfinished, *arguments]
            line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            unfinished.rename(path(seed))
            print(f"PyTorch, seed {seed}: {line}", file=sys.stderr, flush=True)

    path(0).parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(make, range(options.peers)))
    for seed in range(options.peers):
        with np.load(path(seed)) as run:
            yield dict(run)


def first(condition):
    """The first place where it holds, or None."""
    places = np.flatnonzero(condition)
    return int(places[0]) if len(places) else None


def column(rows, name):
    return [row.get(name, np.nan) for row in rows]


def compare(ours, theirs):
    """Two lists of dictionaries, one a run."""
    comparison = Comparison()
    for name in dict.fromkeys(name for row in ours + theirs for name in row):
        comparison.add(name, column(ours, name), column(theirs, name))
    comparison.conclude()


# Cartpole


def selu(x):
    return np.where(x > 0, 1.0507009873554805 * x, 1.7580993408473766 * np.expm1(np.minimum(x, 0)))


def selu_slope(x):
    return np.where(x > 0, 1.0507009873554805, 1.7580993408473766 * np.exp(np.minimum(x, 0)))


def behaviour(vector):
    """A policy about the upright rest: its action there, the action's slopes in the observations, its deviation."""
    vector = vector.astype(float)
    first, second, last = vector[1:129].reshape(32, 4), vector[161:1185].reshape(32, 32), vector[1217:1249]
    h = vector[129:161]
    g = second @ selu(h) + vector[1185:1217]
    slopes = ((last * selu_slope(g)) @ second * selu_slope(h)) @ first
    names = ["gain in position", "gain in velocity", "gain in angle", "gain in angular velocity"]
    return {
        "action at rest": last @ selu(g) + vector[1249],
        **dict(zip(names, slopes)),
        "deviation": np.exp(2 * vector[0]),
    }


def cartpole_facts(iterations, returns, parameters):
    facts = {"final train_return": returns[-1]}
    for level in (100, 200, 400):
        place = first(returns >= level)
        if place is not None:
            facts[f"iterations to {level}"] = iterations[place]
    for level in (0, 50, 100, 200, 300, 400, 450, None):
        place = len(returns) - 1 if level is None else 0 if level == 0 else first(returns >= level)
        if place is not None:
            title = "at the end" if level is None else "at first" if level == 0 else f"at {level}"
            facts |= {f"{title}: {name}": value for name, value in behaviour(parameters[place]).items()}
    return facts


def cartpole(options):
    kept = ["--iterations", "500", "--checkpoints", "501"]
    ours = [
        cartpole_facts(iterations, metrics["train_return"], parameters)
        for iterations, metrics, parameters in our_runs(options, "500", *kept)
    ]
    theirs = [
        cartpole_facts(run["iterations"], run["train_return"], run["parameters"])
        for run in peer_runs(options, "500", *kept)
    ]
    compare(ours, theirs)
    for name, rows in (("ours", ours), ("PyTorch", theirs)):
        final = np.array(column(rows, "final train_return"))
        print(f"{name}: {len(final)} runs, final train_return worst {final.min():.1f}, mean {final.mean():.1f}, "
              f"best {final.max():.1f}; {(final >= 440).sum()} reach 440")


# MNIST and CIFAR-10


def class_errors(net, vector, images, labels):
    import torch

    torch.nn.utils.vector_to_parameters(torch.from_numpy(np.array(vector)), net.parameters())
    with torch.no_grad():
        wrong = torch.cat([net(part).argmax(1) for part in images.split(1000)]) != labels
    return [100 * wrong[labels == label].float().mean().item() for label in range(10)]


def vision_facts(net, tests, levels, iterations, losses, errors, parameters):
    facts = {"final test_loss": losses[-1], "final test_error": errors[-1]}
    places = {"at first": 0}
    for level in levels:
        place = first(errors <= level)
        if place is not None:
            facts[f"iterations to {level} %"] = iterations[place]
            places[f"at {level} %"] = place
    places["at the end"] = len(errors) - 1
    for label, error in enumerate(class_errors(net, parameters[-1], *tests)):
        facts[f"error of class {label}"] = error
    for title, place in places.items():
        start = 0
        for name, tensor in net.named_parameters():
            part = parameters[place][start : start + tensor.numel()]
            facts[f"{title}: norm of {name}"] = np.linalg.norm(part.astype(float))
            start += tensor.numel()
    return facts


def vision(options, peer, epochs, levels):
    """The checkpoints are evenly spread over the logarithm of the iteration on both sides, so that curves have a beginning."""
    folder = pathlib.Path(options.datasets)
    folder = folder / options.task if (folder / options.task).exists() else folder
    epochs = str(options.epochs or epochs)
    net, tests = peer.Net(), peer.load(folder)[1]
    ours = [
        vision_facts(net, tests, levels, iterations, metrics["test_loss"], metrics["test_error"], parameters)
        for iterations, metrics, parameters in our_runs(
            options, epochs, "--epochs", epochs, "--schedule", "log", "--datasets", options.datasets)
    ]
    theirs = [
        vision_facts(net, tests, levels, run["iterations"], *run["metrics"].T, run["parameters"])
        for run in peer_runs(options, epochs, "--epochs", epochs, "--schedule", "log", "--datasets", str(folder))
    ]
    compare(ours, theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["cartpole", "mnist", "cifar10"])
    parser.add_argument("--runs", type=int, help="of ours (default: 100 for cartpole, else 20)")
    parser.add_argument("--peers", type=int, default=20, help="of PyTorch (default: 20)")
    parser.add_argument("--jobs", type=int, default=1, help="how many to train at a time")
    parser.add_argument("--epochs", type=int, help="of mnist and cifar10, in place of the recipe's")
    parser.add_argument("--datasets", default="Data")
    options = parser.parse_args()
    options.runs = options.runs or (100 if options.task == "cartpole" else 20)
    if options.task == "cartpole":
        cartpole(options)
    elif options.task == "mnist":
        import mnist_pytorch

        vision(options, mnist_pytorch, 25, (20, 12, 8))
    else:
        import cifar10_pytorch

        vision(options, cifar10_pytorch, 50, (70, 60, 50))


if __name__ == "__main__":
    main()
