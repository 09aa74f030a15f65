"""Whether training waits for pairs: the step alone on one batch, the stream alone, and both together, turn by turn.

On a GPU the step is an update of a published model. On the CPU it is a pause as long as a GPU would take that does
8,000 pairs a second: as there, the processor has nothing else to do than to bring the next batch.
"""

import argparse
import itertools
import json
import pathlib
import statistics
import sys
import time

import torch

from common import ROOT, real_runs

sys.path.insert(0, str(ROOT / "Sources" / "Python"))
from checkpoint_corpus import PairStream  # noqa: E402
from checkpoint_corpus.gpt.configuration import published  # noqa: E402
from checkpoint_corpus.gpt.files import configured  # noqa: E402
from checkpoint_corpus.gpt.train import Trainer  # noqa: E402

PRESETS = {"mnist": "mnist-loss", "cifar10": "cifar10-loss", "cartpole": "cartpole-return"}


class Pause:
    """A step at a fixed rate."""

    def __init__(self, rate):
        self.rate = rate

    def alone(self, batch):
        time.sleep(len(batch["start"]) / self.rate)

    def together(self, batches):
        self.alone(next(batches))


class Update:
    """A step on the GPU, with pairs as the trainer takes them."""

    def __init__(self, path, preset, compile):
        stream = PairStream(path, batch_size=1)
        configuration, metric = published(preset, stream.items_per_epoch)
        self.trainer = Trainer(
            configured(configuration) | {"metric": {"name": metric}}, path, torch.device("cuda"),
            compile=compile, bf16=True,
        )
        self.configuration = configuration
        self.pairs, self.kept = self.trainer._pairs, None

    def alone(self, batch):
        if self.kept is None:
            # On the device already: the step alone waits for no copy.
            self.kept = {name: tensor.to("cuda") for name, tensor in batch.items()}
        self.trainer._pairs = itertools.repeat(self.kept)
        self.trainer.advance()

    def together(self, batches):
        self.trainer._pairs = self.pairs
        self.trainer.advance()

    def operations(self):
        """Of an update, for one pair: three times those of the forward pass's products."""
        model = self.trainer.model
        tokens, width, layers = len(model.position_of), model.configuration.width, model.configuration.layers
        blocks = layers * (2 * tokens * 12 * width**2 + 4 * tokens**2 * width)
        ends = 2 * width * (3 * len(model.order) + 4 * model.encoders[-1].in_features)
        return 3 * (blocks + ends)


def rate(seconds, action):
    """Pairs a second of what `action` takes at each call."""
    action()
    began, pairs = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        pairs += action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return pairs / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", nargs="?", help="default: 100 Cartpole runs, made where they are missing")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=8000, help="pairs a second of the step on the CPU")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--cache", help="as a PairStream takes it: memory, or a directory; not on a GPU")
    parser.add_argument("--workers", type=int, help="threads that decode; not on a GPU")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    path = options.corpus or real_runs()
    task = json.loads((pathlib.Path(path) / "corpus.json").read_text())["task"]
    if torch.cuda.is_available():
        step = Update(path, PRESETS[task], options.compile)
        options.batch = step.configuration.training.batch
        title = f"{PRESETS[task]} on {torch.cuda.get_device_name()}, batches of {options.batch}"
    else:
        step = Pause(options.rate)
        title = f"a step of {options.rate:,.0f} pairs/s, batches of {options.batch} of {task}"
    stream = PairStream(
        path, batch_size=options.batch, cache=options.cache, workers=options.workers, as_torch=True
    )

    def endless():
        while True:
            yield from stream

    batches = endless()
    kept = {k: v.clone() for k, v in next(batches).items()}

    def alone():
        step.alone(kept)
        return options.batch

    def streamed():
        return len(next(batches)["start"])

    def together():
        step.together(batches)
        return options.batch

    rates = {"step alone": [], "stream alone": [], "together": []}
    for _ in range(options.rounds):
        for name, action in zip(rates, (alone, streamed, together)):
            rates[name].append(rate(options.seconds, action))
    share = statistics.median(b / a for a, b in zip(rates["step alone"], rates["together"]))
    medians = "; ".join(f"{name} {statistics.median(values):,.0f} pairs/s" for name, values in rates.items())
    print(f"training, {title}: {medians}; together at {100 * share:.1f} % of the step (medians of {options.rounds})")
    if torch.cuda.is_available():
        operations = step.operations() * statistics.median(rates["step alone"])
        print(f"the step does {operations / 1e12:.0f} Tflop/s in its matrix products")


if __name__ == "__main__":
    main()
