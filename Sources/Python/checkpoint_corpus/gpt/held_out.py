"""Held-out evaluation inside a training: prompts from runs that it never sees, judged by the native evaluators."""

from __future__ import annotations

import dataclasses
from typing import Any, Mapping, Optional

import torch
from torch import Tensor

from .. import Corpus, PairStream, evaluate
from .diffusion import Diffusion
from .files import ModelError
from .model import GPT

#: The best prompts of the published evaluation.
_BEST = {
    ("mnist", "test_loss"): 0.0, ("mnist", "train_loss"): 0.0, ("mnist", "test_error"): 5.0,
    ("mnist", "train_error"): 5.0, ("cifar10", "test_loss"): 1.2, ("cifar10", "train_loss"): 1.2,
    ("cifar10", "test_error"): 35.0, ("cifar10", "train_error"): 35.0, ("cartpole", "train_return"): 500.0,
}  # fmt: skip


def best_prompt(description: Mapping[str, Any]) -> float:
    """What a model is prompted for at most: as published, or the best value that its corpus holds."""
    metric = description["metric"]
    range_ = description["metric_range"]
    best = range_[1] if metric["goal"] == "maximize" else range_[0]
    return _BEST.get((description["task"], metric["name"]), best)


@dataclasses.dataclass
class Result:
    """How well networks reach what they are prompted for."""

    #: The mean over starts of R^2 = 1 - sum (prompted - observed)^2 / sum (prompted - mean prompted)^2.
    alignment: float
    #: The median of what the best prompt reaches in one step.
    one_step: float


class HeldOut:
    """Prompts from the first checkpoints of held-out runs, evenly spaced to the best one."""

    def __init__(
        self, corpus: Corpus, description: Mapping[str, Any], *, networks: int = 16, prompts: int = 10,
        sampling_steps: int = 20, datasets: Optional[str] = None,
    ) -> None:
        """Raises CorpusError where the task is none that is built in, ModelError where no run is held out."""
        self.corpus, self.datasets, self.sampling_steps = corpus, datasets, sampling_steps
        self.description = description
        metric = description["metric"]["name"]
        count = corpus.sql("SELECT count(*) AS n FROM runs WHERE split = 'test' AND status = 'ok'", frame=False)[0]["n"]
        if count == 0:
            raise ModelError(f"{corpus.path} holds no run out: leave out --evaluate-every")
        networks = min(networks, count)
        # The stream scales them, and puts their units into the order that the model is used to.
        augment = description["training"].get("augmentation", "permute")
        batch = next(iter(PairStream(
            corpus, metric, networks, split="test", where="step = 0", item="checkpoints", items_per_epoch=count,
            augment="canonical" if augment == "canonical" else "none", scale=description["scale"], workers=1,
            as_torch=True, rank=0, world_size=1,
        )))  # fmt: skip
        self.start, self.start_metric = batch["start"].clone(), batch["start_metric"].clone()
        ways = torch.linspace(0, 1, prompts)
        self.prompted = self.start_metric[:, None] + (best_prompt(description) - self.start_metric[:, None]) * ways

    def __call__(self, model: GPT, diffusion: Diffusion) -> Result:
        """Draws a network for every prompt, always from the same noise, and judges it on the task."""
        device = next(model.parameters()).device
        count, prompts = self.prompted.shape
        start = self.start.repeat_interleave(prompts, 0)
        noise = torch.randn(start.shape, generator=torch.Generator().manual_seed(0))
        was_training = model.training
        model.eval()
        networks = diffusion.sample(
            model, start.to(device), self.start_metric.repeat_interleave(prompts).to(device),
            self.prompted.reshape(-1).to(device), self.sampling_steps, noise=noise.to(device),
        )  # fmt: skip
        model.train(was_training)
        observed = self._judge(networks.cpu() / self.description["scale"]).reshape(count, prompts)
        rest = (self.prompted - observed).square().sum(1)
        spread = (self.prompted - self.prompted.mean(1, keepdim=True)).square().sum(1)
        return Result((1 - rest / spread).mean().item(), observed[:, -1].median().item())

    def _judge(self, networks: Tensor) -> Tensor:
        values = evaluate(self.corpus, networks.numpy(), datasets=self.datasets)
        name = self.description["metric"]["name"]
        name = name if name in values else name.replace("train_", "test_")
        if name not in values:
            raise ModelError(f"{name} of a network cannot be measured without training it: leave out --evaluate-every")
        return torch.from_numpy(values[name])
