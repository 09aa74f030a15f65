"""What a model is prompted for while it is trained, judged by the native evaluators: as `corpus train` does it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Mapping, Optional, Union

import numpy as np
import torch

from .. import Corpus, CorpusError, evaluate, initial_networks
from .. import _library as library
from ..rows import column_of, measured, status_of
from .configuration import Configuration
from .diffusion import Diffusion
from .evaluations import Evaluation
from .files import shortest, statuses_of
from .model import GPT

#: The seed of the random starts; `corpus evaluate` takes small ones.
_SEED = 1 << 29
#: Networks that are drawn at once.
_GROUP = 64


def best_prompt(description: Mapping[str, Any], best: Union[float, str] = "tenth") -> float:
    """What a model is prompted for at most.

    best: "tenth" for what the best tenth of its corpus reaches, "published" for the published one, or a number.
    """
    if not isinstance(best, str):
        return best
    metric = description["metric"]
    end = description["metric_range"][1 if metric["goal"] == "maximize" else 0]
    if best == "published":
        published = library.function("published_prompt")(description["task"].encode(), metric["name"].encode())
        return end if math.isnan(published) else shortest(published)
    tenth = description.get("best_tenth")
    return end if tenth is None else tenth


@dataclasses.dataclass
class Group:
    """Starts of a kind."""

    name: str
    #: (N, P), as stored, their hidden units in the order that the model is used to.
    starts: np.ndarray
    #: (N).
    metrics: np.ndarray
    #: (N, prompts), evenly spaced from a start's own metric to the best prompt.
    prompted: np.ndarray


class TrainingPrompts:
    """Prompts from the first checkpoints of held-out runs, and from random networks that no corpus has.

    Few starts, and always the same noise: it tells better weights from worse in seconds. `corpus evaluate` takes more,
    and other random networks, on which no weights have been chosen.
    """

    def __init__(
        self, corpus: Corpus, description: Mapping[str, Any], *, networks: int = 16, prompts: int = 10,
        sampling_steps: int = 10, best: Union[float, str] = "tenth", datasets: Optional[str] = None,
    ) -> None:
        """best: the best prompt, as `best_prompt` takes it.

        Raises:
            CorpusError: "cannot_replay" for a task, or a metric, that cannot be measured; "missing_dataset", and
                what else `evaluate` raises.
        """
        self.description, self._datasets = description, datasets
        self._sampling_steps = min(sampling_steps, Configuration.parse(description).model.diffusion_steps)
        self.best_prompt = best_prompt(description, best)
        seeds = [1 << 62 | _SEED << 32 | number for number in range(networks)]
        random = initial_networks(description["task"], seeds, datasets=datasets, recipe=description["recipe"])
        if random.shape[1] != corpus.parameter_count:
            raise CorpusError(
                "cannot_replay", f"networks of {corpus.parameter_count} parameters are none of the task "
                f"{description['task']}, whose have {random.shape[1]}", "store them under a task's name of their own",
            )  # fmt: skip
        starts = {"held-out runs": self._held_out(corpus, networks), "random": (random, self._measure(random))}
        is_canonical = description["training"]["augmentation"] == "canonical"
        # One prompt alone is for the best.
        ways = np.arange(prompts, dtype=np.float32) / np.float32(prompts - 1) if prompts > 1 else np.ones(1, np.float32)
        #: What is prompted for, by kinds of starts; there need not be any held-out runs.
        self.groups = [
            Group(
                name, corpus.canonical(vectors) if is_canonical else vectors, metrics,
                metrics[:, None] + (np.float32(self.best_prompt) - metrics[:, None]) * ways,
            )
            for name, (vectors, metrics) in starts.items() if len(vectors)
        ]  # fmt: skip

    def _held_out(self, corpus: Corpus, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The first checkpoints with a finite metric of held-out runs, spread evenly over them, and their metrics."""
        name = self.description["metric"]["name"]
        rows = corpus.sql(
            "SELECT run, min(step) AS step FROM checkpoints JOIN runs USING (run) WHERE split = 'test' "
            f"AND {status_of(statuses_of(self.description))} AND {measured(name)} GROUP BY run ORDER BY run",
            frame=False,
        )
        count = min(count, len(rows))
        chosen = [rows[number * len(rows) // count] for number in range(count)]
        query = f"SELECT {column_of(name)} AS value FROM checkpoints WHERE run = ? AND step = ?"
        metrics = [corpus.sql(query, row["run"], row["step"], frame=False)[0]["value"] for row in chosen]
        vectors = [corpus.parameters(row["run"], row["step"]) for row in chosen]
        return np.array(vectors, np.float32).reshape(count, -1), np.array(metrics, np.float32)

    def __call__(self, model: GPT, diffusion: Diffusion, step: int) -> Evaluation:
        """Draws a network for every prompt, and measures it on the task; step: the updates before.

        Raises:
            KeyboardInterrupt: where a signal's handler does.
        """
        was_training = model.training
        model.eval()
        try:
            groups = [self._examine(group, model, diffusion) for group in self.groups]
        finally:
            model.train(was_training)
        return {"step": step, "best_prompt": shortest(self.best_prompt), "groups": groups}

    def _examine(self, group: Group, model: GPT, diffusion: Diffusion) -> dict[str, Any]:
        observed = self._measure(self._draw(group, model, diffusion)).reshape(group.prompted.shape)
        one_step = median(observed[:, -1], self.description["metric"]["goal"])
        return {
            "starts": group.name, "alignment": _finite(alignment(group.prompted, observed)),
            "one_step": _finite(shortest(one_step)),
            "start_metrics": _numbers(group.metrics), "prompted": _numbers(group.prompted),
            "observed": _numbers(observed),
        }  # fmt: skip

    def _draw(self, group: Group, model: GPT, diffusion: Diffusion) -> np.ndarray:
        """A network for each prompt, start by start."""
        device = next(model.parameters()).device
        scale, prompts = self.description["scale"], group.prompted.shape[1]
        starts = torch.from_numpy(group.starts * np.float32(scale)).repeat_interleave(prompts, 0)
        metrics = torch.from_numpy(group.metrics).repeat_interleave(prompts)
        prompted = torch.from_numpy(group.prompted).reshape(-1)
        noise = torch.randn(starts.shape, generator=torch.Generator().manual_seed(0))
        parts = [
            diffusion.sample(model, *(part.to(device) for part in some[:3]), self._sampling_steps,
                             noise=some[3].to(device)).cpu()
            for some in zip(*(values.split(_GROUP) for values in (starts, metrics, prompted, noise)))
        ]  # fmt: skip
        return torch.cat(parts).numpy() / np.float32(scale)

    def _measure(self, networks: np.ndarray) -> np.ndarray:
        """The model's metric of each network, or its namesake on test data."""
        description = self.description
        values = evaluate(description["task"], networks, datasets=self._datasets, recipe=description["recipe"])
        name = description["metric"]["name"]
        for candidate in (name, name.replace("train_", "test_")):
            if candidate in values:
                return values[candidate]
        raise CorpusError(
            "cannot_replay", f"{name} of a network cannot be measured without training it",
            f"train a model for one of {', '.join(values)}",
        )  # fmt: skip


def alignment(prompted: np.ndarray, observed: np.ndarray) -> float:
    """The mean over starts of R^2 = 1 - sum (prompted - observed)^2 / sum (prompted - mean prompted)^2.

    NaN where all that a start was prompted for is the same.

    prompted, observed: (N, prompts).
    """
    prompted, observed = prompted.astype(np.float64), observed.astype(np.float64)
    apart = np.square(prompted - observed).sum(1)
    spread = np.square(prompted - prompted.mean(1, keepdims=True)).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(spread > 0, 1 - apart / spread, np.nan).mean())


def median(values: np.ndarray, goal: str) -> float:
    """The better one of the two in the middle, where there are two; what is no number is the worst."""
    numbers = np.sort(values[~np.isnan(values)])
    numbers = numbers if goal == "maximize" else numbers[::-1]
    ordered = np.concatenate([np.full(len(values) - len(numbers), np.nan), numbers])
    return float(ordered[len(values) // 2])


def _finite(value: float) -> Optional[float]:
    return value if math.isfinite(value) else None


def _numbers(values: np.ndarray) -> list[Any]:
    """Numbers, or rows of them, as JSON has them."""
    return [_finite(shortest(value)) if np.ndim(value) == 0 else _numbers(value) for value in values]
