"""The configuration of a model and its training: the same JSON as `corpus train --config` takes."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib


@dataclasses.dataclass
class ModelConfiguration:
    """The shape of a G.pt and of its diffusion."""

    width: int
    layers: int
    heads: int
    #: The most parameters of a token; None for one token a tensor.
    chunk: int | None = None
    frequencies: int = 128
    #: What the diffusion step and the metrics are multiplied by before they are embedded.
    step_scale: float = 1.0
    metric_scale: float = 1.0
    diffusion_steps: int = 1000
    first_beta: float = 1e-4
    last_beta: float = 0.02


@dataclasses.dataclass
class TrainingConfiguration:
    """How a G.pt is trained."""

    batch: int
    learning_rate: float
    warmup: int
    steps: int
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.1
    gradient_clip: float | None = None
    average_decay: float = 0.9999
    augmentation: str = "permute"
    seed: int = 0

    def rate(self, step: int) -> float:
        """The learning rate of an update, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    def decay(self, step: int) -> float:
        """The decay of the moving average at an update, counted from 0."""
        return min(self.average_decay, (1 + step) / (10 + step))


@dataclasses.dataclass
class Configuration:
    model: ModelConfiguration
    training: TrainingConfiguration

    @classmethod
    def parse(cls, value: dict) -> Configuration:
        return cls(ModelConfiguration(**value["model"]), TrainingConfiguration(**value["training"]))

    @classmethod
    def load(cls, path: str | pathlib.Path) -> Configuration:
        return cls.parse(json.loads(pathlib.Path(path).read_text()))


def chunks(shapes: list[tuple[int, ...]], chunk: int | None) -> list[range]:
    """Where each token's parameters lie: chunks that never cross a tensor's end."""
    result, start = [], 0
    for shape in shapes:
        end = start + math.prod(shape)
        step = chunk or end - start
        result += [range(first, min(end, first + step)) for first in range(start, end, step)]
        start = end
    return result
