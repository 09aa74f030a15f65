"""The training of a G.pt, update by update: what an update does is the command's, but for its random numbers."""

from __future__ import annotations

import math
import warnings
from typing import Any, Iterator, Optional

import torch
import torch.distributed as distributed
from torch.optim.swa_utils import AveragedModel

from .. import Corpus, CorpusError, LeftOutWarning, PairStream
from ..permutations import Permutations
from ..rows import column_of, expression, measured, status_of
from . import evaluations
from .configuration import Configuration
from .diffusion import Diffusion
from .evaluations import Evaluation
from .files import ModelDirectory, ModelError, configured, new_model, shortest, statuses_of
from .training_prompts import TrainingPrompts

#: The arrays of a batch that are learned from.
_NAMES = ("start", "target", "start_metric", "target_metric")
#: Pairs of held-out runs.
_HELD_OUT = 256


class Trainer:
    """A model, its optimizer and its pairs, update by update."""

    def __init__(
        self, description: dict[str, Any], corpus: str, device: torch.device, *, compile: bool = False,
        bf16: bool = False, resume: Optional[ModelDirectory] = None,
    ) -> None:
        """description: as in model.json; `corpus`, `metric`, `scale` and the like are filled in."""
        configuration = Configuration.parse(description)
        self.training = training = configuration.training
        self.description, self.device, self.bf16 = description, device, bf16
        self.rank = distributed.get_rank() if distributed.is_initialized() else 0
        self.world = distributed.get_world_size() if distributed.is_initialized() else 1
        if training.batch % self.world:
            raise ModelError(f"a batch of {training.batch} pairs cannot be shared by {self.world} processes: choose "
                             "another number of them")  # fmt: skip
        stored = description.get("corpus", {})
        self.stream = self._pairs_of(corpus, batch_size=training.batch // self.world, seed=training.seed)
        #: What the corpus has and is not learned from, as a PairStream tells it.
        self.left_out = self.stream.left_out
        if stored.get("fingerprint", self.stream.fingerprint) != self.stream.fingerprint:
            raise ModelError(f"{corpus} is not what the model was trained on: name the corpus as it was, or begin "
                             "another model")  # fmt: skip
        if resume is None:
            self._describe(corpus, configuration)
        # What is automatic is decided here, so that it stays so.
        description["training"] = description["training"] | {"augmentation": self.stream.augment}
        require_memory(description, device)
        torch.manual_seed(training.seed)
        self.model = new_model(description).to(device)
        self.diffusion = Diffusion(configuration.model).to(device)
        self.optimizer = torch.optim.AdamW(
            self.model.groups(training.weight_decay), lr=0.0, betas=(training.beta1, training.beta2), fused=True
        )
        self.average = AveragedModel(
            self.model,
            multi_avg_fn=lambda averages, current, _: torch._foreach_lerp_(
                averages, current, 1 - training.decay(self.step - 1)
            ),
        )
        self.smoothing = {"sum": 0.0, "weight": 0.0}
        if resume is not None:
            average, self.smoothing = resume.resume(self.model, self.optimizer)
            with torch.no_grad():
                for name, p in self.average.module.named_parameters():
                    p.copy_(average[name])
            self.stream.seek(*divmod(self.step, len(self.stream)))
        # AveragedModel copies the first weights it sees; these are there already.
        self.average.n_averaged.fill_(1)
        run = torch.compile(self.model) if compile else self.model
        if self.world > 1:
            ids = [device.index] if device.type == "cuda" else None
            run = torch.nn.parallel.DistributedDataParallel(run, device_ids=ids)
        self._run = run
        self._held_out = self._held_out_pairs(corpus) if self.rank == 0 else None
        self._pairs = self._endless()
        self._ahead: Optional[dict[str, torch.Tensor]] = None

    @property
    def step(self) -> int:
        return self.description["step"]

    @property
    def smoothed_loss(self) -> float:
        return self.smoothing["sum"] / self.smoothing["weight"] if self.smoothing["weight"] else 0.0

    @property
    def is_complete(self) -> bool:
        """Whether all updates are made, or alignment has fallen for as long as the configuration is patient."""
        return self.step >= self.training.steps or evaluations.has_stalled(self.description)

    @property
    def is_evaluation_due(self) -> bool:
        """Whether the configuration wants prompts evaluated now, before the first update too, and they were not."""
        interval = self.training.evaluation_interval
        if interval is None or (self.step % interval and self.step < self.training.steps):
            return False
        earlier = self.description.get("evaluations")
        return not earlier or earlier[-1]["step"] != self.step

    def _pairs_of(self, path: str, **how: Any) -> PairStream:
        """Pairs as the configuration wants them."""
        training, description = self.training, self.description
        condition = description.get("corpus", {}).get("condition")
        if condition is not None:
            # By itself, before it becomes a part of another one.
            with Corpus(path) as corpus:
                expression(corpus._pointer, condition)
        metric = description["metric"]["name"] if "metric" in description else None
        # `left_out` tells it, in a training's words.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeftOutWarning)
            return PairStream(
                path, metric, augment=training.augmentation, where=training.condition(condition),
                statuses=statuses_of(description), balance=training.balance,
                starts="any" if training.initial_starts is None else training.initial_starts,
                directions=training.directions, unchanged=training.unchanged, as_torch=True, **how,
            )  # fmt: skip

    def _held_out_pairs(self, path: str) -> Optional[dict[str, torch.Tensor]]:
        """Pairs of held-out runs; None where there are none."""
        how = dict(batch_size=_HELD_OUT, items_per_epoch=1 << 16, scale=self.stream.scale, prefetch=1)
        try:
            with self._pairs_of(path, split="test", rank=0, world_size=1, **how) as stream:
                batch = next(iter(stream))
        except CorpusError as error:
            if error.code != "empty_selection":
                raise
            return None
        return {name: batch[name].to(self.device) for name in _NAMES}

    def _describe(self, path: str, configuration: Configuration) -> None:
        corpus = Corpus(path)
        manifest = corpus.manifest
        # That nothing is declared is something else than not to know, as models from before that do.
        manifest["architecture"].setdefault("permutations", Permutations().json())
        metric = next(m for m in manifest["metrics"] if m["name"] == self.stream.metric)
        column, ways = column_of(metric["name"]), "DESC" if metric["goal"] == "maximize" else "ASC"
        fit = (
            f"FROM checkpoints JOIN runs USING (run) WHERE {status_of(statuses_of(self.description))} "
            f"AND {measured(metric['name'])}"
        )
        row = corpus.sql(f"SELECT min({column}) AS low, max({column}) AS high {fit}", frame=False)[0]
        tenth = corpus.sql(
            f"SELECT {column} AS value {fit} ORDER BY {column} {ways} LIMIT 1 OFFSET (SELECT count(*) / 10 {fit})",
            frame=False,
        )
        description = self.description
        description.setdefault("step", 0)
        description.setdefault("history", [])
        description |= {
            "format": "checkpoint-corpus model", "version": 1, "task": manifest["task"], "recipe": manifest["recipe"],
            "architecture": manifest["architecture"], "metric": metric,
            "metric_range": [shortest(row[end] or 0) for end in ("low", "high")], "scale": shortest(self.stream.scale),
            "corpus": description.get("corpus", {}) | {
                "path": str(path), "fingerprint": self.stream.fingerprint, "runs": self.stream.runs,
                "pairs_per_epoch": self.stream.items_per_epoch,
            },
        } | configured(configuration)  # fmt: skip
        if tenth:
            description["best_tenth"] = shortest(tenth[0]["value"])

    def _endless(self) -> Iterator[dict[str, torch.Tensor]]:
        while True:
            for batch in self.stream:
                yield {name: batch[name].to(self.device, non_blocking=True) for name in _NAMES}

    def draws(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Diffusion steps and noise of this process's pairs: its part of what the whole batch gets."""
        generator = torch.Generator(self.device)
        generator.manual_seed((self.training.seed * 1_000_003 + self.step) % 2**63)
        count, part = self.training.batch, self.training.batch // self.world
        own = slice(self.rank * part, (self.rank + 1) * part)
        steps = torch.randint(len(self.diffusion.kept), (count,), generator=generator, device=self.device)
        size = (count, self.stream.parameter_count)
        return steps[own], torch.randn(size, generator=generator, device=self.device)[own]

    def advance(self) -> float:
        """Makes one update; returns its loss, of the whole batch."""
        loss = self._backward(self._ahead or next(self._pairs))
        # A GPU computes while its next pairs are brought.
        self._ahead = next(self._pairs)
        loss = loss.item()
        if not math.isfinite(loss):
            raise ModelError(f"the loss of update {self.step} is {loss}: training has diverged; lower learning_rate or "
                             "gradient_clip, and go on from what was stored before")  # fmt: skip
        if self.training.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.gradient_clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.rate(self.step)
        self.optimizer.step()
        self.description["step"] += 1
        self.average.update_parameters(self.model)
        for name, value in (("sum", loss), ("weight", 1.0)):
            self.smoothing[name] = 0.98 * self.smoothing[name] + 0.02 * value
        return loss

    def gradient(self, batch: dict[str, torch.Tensor]) -> float:
        """Computes the gradient, and returns the loss, both of the whole batch."""
        return self._backward(batch).item()

    def _backward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        steps, noise = self.draws()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = self.diffusion.loss(self._run, batch, steps, noise)
        loss.backward()
        loss = loss.detach()
        if self.world > 1:
            distributed.all_reduce(loss)
            loss /= self.world
        return loss

    @torch.no_grad()
    def held_out_loss(self) -> Optional[float]:
        """The loss on pairs of held-out runs, with the same noise each time, by the averaged weights; None without such
        runs."""
        if self._held_out is None:
            return None
        generator = torch.Generator().manual_seed(0)
        steps = torch.randint(len(self.diffusion.kept), (_HELD_OUT,), generator=generator)
        noise = torch.randn(self._held_out["target"].shape, generator=generator)
        parts = zip(*(values.split(64) for values in (*self._held_out.values(), steps, noise)))
        losses = [
            self.diffusion.loss(
                self.average.module, dict(zip(_NAMES, part)), part[-2].to(self.device), part[-1].to(self.device)
            ).item()
            for part in parts
        ]
        return sum(losses) / len(losses)

    def note(self) -> None:
        """Notes how training goes."""
        entry = {"step": self.step, "loss": self.smoothed_loss}
        held_out = self.held_out_loss()
        if held_out is not None and math.isfinite(held_out):
            entry["held_out_loss"] = held_out
        self.description["history"].append(entry)

    def evaluate(self, prompts: TrainingPrompts) -> Evaluation:
        """How well the averaged weights meet prompts."""
        return prompts(self.average.module, self.diffusion, self.step)

    def record(self, evaluation: Evaluation, directory: ModelDirectory) -> None:
        """Notes how well prompts are met now, and stores the weights as the model's if they never were met better."""
        description = self.description
        earlier = description.get("evaluations") or []
        description["evaluations"] = [e for e in earlier if e["step"] < evaluation["step"]] + [evaluation]
        if self.rank == 0 and evaluations.best(description) == evaluation:
            directory.save_weights(description, dict(self.average.module.named_parameters()))

    def save(self, directory: ModelDirectory) -> None:
        if self.rank == 0:
            average = dict(self.average.module.named_parameters())
            directory.save(self.description, self.model, self.optimizer, average, self.smoothing)
        if self.world > 1:
            distributed.barrier()


def require_memory(description: dict[str, Any], device: torch.device) -> None:
    """Raises ModelError where weights, gradient, moments and average alone would not fit."""
    with torch.device("meta"):
        needed = 20 * sum(p.numel() for p in new_model(description).parameters())
    if device.type == "cuda":
        free, whose = torch.cuda.mem_get_info(device)[0], f"{device} has"
    else:
        # Not what is unused alone: the corpus's own pages, which the system keeps as long as it can, make room.
        kilobytes = next(line.split()[1] for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
        free, whose = 1024 * int(kilobytes), "this machine has"
    if needed > free:
        raise ModelError(f"the model needs {needed / 1e9:.1f} GB before its first batch, and {whose} {free / 1e9:.1f} GB "
                         "free: lower width or layers")  # fmt: skip
