"""The configuration of a model and its training: the same JSON as `corpus train --config` takes."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from typing import Any


@dataclasses.dataclass
class ModelConfiguration:
    """The shape of a G.pt and of its diffusion."""

    width: int
    layers: int
    heads: int
    #: What a token is: a chunk of a tensor ("chunks"), or a hidden unit with all its weights ("units").
    tokens: str = "chunks"
    #: The most parameters of a chunk; None for one a tensor.
    chunk: int | None = None
    frequencies: int = 128
    #: A scalar is embedded by frequencies from 1 to 2^octaves.
    octaves: float = 14
    #: What the diffusion step and the metrics are multiplied by before they are embedded.
    step_scale: float = 1.0
    metric_scale: float = 1.0
    diffusion_steps: int = 1000
    first_beta: float = 1e-4
    last_beta: float = 0.02

    def __post_init__(self) -> None:
        if self.tokens not in ("chunks", "units"):
            raise ValueError(f"tokens is {self.tokens}: make it chunks or units")


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
    #: How targets are drawn: "none" as published, "metric", "quantile" or "log".
    balance: str = "none"
    #: The share of pairs that start at a run's first checkpoint; None for starts as the spacing has them.
    initial_starts: float | None = None
    #: Whether targets come after their starts alone ("forward"), or before them, too ("both").
    directions: str = "forward"
    #: The share of pairs whose target is the start itself or next to it.
    unchanged: float = 0.0
    #: "automatic" for "permute" where the corpus declares permutation groups, else "none".
    augmentation: str = "automatic"
    #: Updates from one evaluation of prompts to the next; None for a twentieth of all, 0 for none.
    evaluate_every: int | None = None
    #: Evaluations without a better alignment after which training ends; None to go on to the last update.
    patience: int | None = None
    #: About so many checkpoints of each run are learned from, evenly spaced; None for all.
    checkpoints_per_run: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least, what in (("evaluate_every", 0, "update"), ("patience", 1, "evaluation")):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and value >= least):
                raise ValueError(f"{name} is {value}: make it at least {least} {what}s, or leave it out")
        choices = {
            "balance": ("none", "metric", "quantile", "log"), "directions": ("forward", "both"),
            "augmentation": ("none", "permute", "canonical", "automatic"),
        }  # fmt: skip
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)}: make it one of {', '.join(known)}")
        for name in ("initial_starts", "unchanged"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name} is {share}: make it from 0 to 1")

    @property
    def evaluation_interval(self) -> int | None:
        """Updates from one evaluation of prompts to the next; None where there are none."""
        every = max(1, self.steps // 20) if self.evaluate_every is None else self.evaluate_every
        return every or None

    def rate(self, step: int) -> float:
        """The learning rate of an update, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    def condition(self, own: str | None) -> str | None:
        """What the pairs' runs and checkpoints must be, in SQL; own: a further condition on them."""
        if self.checkpoints_per_run is None:
            return own
        spaced = f"step % max(1, runs.checkpoints / {self.checkpoints_per_run}) = 0"
        return f"(\n{own}\n) AND {spaced}" if own else spaced

    def decay(self, step: int) -> float:
        """The decay of the moving average at an update, counted from 0."""
        return min(self.average_decay, (1 + step) / (10 + step))


@dataclasses.dataclass
class Configuration:
    model: ModelConfiguration
    training: TrainingConfiguration

    @classmethod
    def parse(cls, value: Any) -> Configuration:
        """The members `model` and `training` of a configuration, or of a description.

        Raises:
            ValueError: naming what is missing, unknown or of another type.
        """
        parts = {"model": ModelConfiguration, "training": TrainingConfiguration}
        if not isinstance(value, dict):
            raise ValueError("it is no object with model and training")
        return cls(**{name: kind(**_members(value, name, kind)) for name, kind in parts.items()})

    @classmethod
    def load(cls, path: str | pathlib.Path) -> Configuration:
        text = pathlib.Path(path).read_bytes()
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"it is no JSON from line {error.lineno}, column {error.colno} on") from None
        except ValueError:
            raise ValueError("it is no text") from None
        return cls.parse(value)


#: What the annotations of members allow, and what it is called.
_KINDS = {"int": ((int,), "a whole number"), "float": ((int, float), "a number"), "str": ((str,), "a text")}


def _members(value: dict, part: str, kind: type) -> dict[str, Any]:
    """The members of a part, as arguments of its class."""
    members = value.get(part)
    if not isinstance(members, dict):
        raise ValueError(f"`{part}` is {'no object' if part in value else 'missing'}")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in members:
        if name not in fields:
            raise ValueError(f"`{part}.{name}` is unknown")
    for name, field in fields.items():
        if name not in members:
            if field.default is dataclasses.MISSING:
                raise ValueError(f"`{part}.{name}` is missing")
            continue
        types, what = _KINDS[str(field.type).split(" ")[0]]
        member = members[name]
        is_none = member is None and "None" in str(field.type)
        if not is_none and (not isinstance(member, types) or isinstance(member, bool)):
            raise ValueError(f"`{part}.{name}` is {member!r}, and should be {what}")
    return members


#: The published models: width, heads, chunk, pairs of an update, rate, epochs of warm-up, epochs, clipping.
_PUBLISHED = {
    "mnist": (1536, 16, 1000, 1024, 4e-4, 5, 2000, 0.75),
    "cifar10": (2048, 16, 576, 550, 4e-4, 5, 15000, 0.1),
    "cartpole": (1536, 12, None, 8192, 2e-4, 10, 2000, None),
}

#: The five published trainings: of which model, for which metric.
PRESETS = {
    "mnist-loss": ("mnist", "test_loss"),
    "mnist-error": ("mnist", "test_error"),
    "cifar10-loss": ("cifar10", "test_loss"),
    "cifar10-error": ("cifar10", "test_error"),
    "cartpole-return": ("cartpole", "train_return"),
}


def published(name: str, pairs_per_epoch: int) -> tuple[Configuration, str]:
    """A published configuration by its name in PRESETS, as `corpus train --preset` has it; and its metric.

    pairs_per_epoch: `items_per_epoch` of a PairStream; the published schedules count in epochs.
    """
    task, metric = PRESETS[name]
    width, heads, chunk, batch, rate, warmup, epochs, clip = _PUBLISHED[task]
    updates = max(1, pairs_per_epoch // batch)
    training = TrainingConfiguration(batch, rate, warmup * updates, epochs * updates, gradient_clip=clip)
    return Configuration(ModelConfiguration(width, 12, heads, chunk=chunk), training), metric
