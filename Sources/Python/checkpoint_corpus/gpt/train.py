"""Trains a G.pt, on one device or on many:

    python -m checkpoint_corpus.gpt.train corpora/cartpole --config small.json --out models/cartpole
    torchrun --nproc-per-node 8 -m checkpoint_corpus.gpt.train corpora/mnist --preset mnist-loss --out models/mnist --bf16

Presets are the five published trainings; --config names a JSON file instead. What an update does depends on the configuration, the corpus and the updates before; pairs, noise and diffusion steps do
not depend on the number of processes. `corpus prompt` and `corpus evaluate` take what comes out.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import math
import os
import pathlib
import signal
import sys
import time
from typing import Any, Iterator, Optional

import torch
import torch.distributed as distributed
from torch.optim.swa_utils import AveragedModel

from .. import Corpus, CorpusError, PairStream
from ..permutations import Permutations
from .configuration import PRESETS, Configuration, published
from .diffusion import Diffusion
from .files import ModelDirectory, ModelError, configured, new_model
from .held_out import HeldOut, Result


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
        self.stream = PairStream(
            corpus, description["metric"]["name"] if "metric" in description else None,
            training.batch // self.world, seed=training.seed, augment=training.augmentation,
            where=training.condition(stored.get("condition")), as_torch=True,
        )  # fmt: skip
        if stored.get("fingerprint", self.stream.fingerprint) != self.stream.fingerprint:
            raise ModelError(f"{corpus} is not what the model was trained on: name the corpus as it was, or begin "
                             "another model")  # fmt: skip
        # What is automatic is decided here, so that it stays so.
        description["training"] = description["training"] | {"augmentation": self.stream.augment}
        self._describe(corpus)
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
        self._pairs = self._endless()
        self._ahead: Optional[dict[str, torch.Tensor]] = None

    @property
    def step(self) -> int:
        return self.description["step"]

    @property
    def smoothed_loss(self) -> float:
        return self.smoothing["sum"] / self.smoothing["weight"] if self.smoothing["weight"] else 0.0

    def _describe(self, path: str) -> None:
        corpus = Corpus(path)
        manifest = corpus.manifest
        # That nothing is declared is something else than not to know, as models from before that do.
        manifest["architecture"].setdefault("permutations", Permutations().json())
        metric = next(m for m in manifest["metrics"] if m["name"] == self.stream.metric)
        row = corpus.sql(
            f"SELECT min({metric['name']}) AS low, max({metric['name']}) AS high FROM checkpoints "
            "JOIN runs USING (run) WHERE status = 'ok'", frame=False,
        )[0]  # fmt: skip
        description = self.description
        description.setdefault("step", 0)
        description.setdefault("history", [])
        description |= {
            "format": "checkpoint-corpus model", "version": 1, "task": manifest["task"], "recipe": manifest["recipe"],
            "architecture": manifest["architecture"], "metric": metric, "metric_range": [row["low"], row["high"]],
            "scale": self.stream.scale,
            "corpus": description.get("corpus", {}) | {
                "path": str(path), "fingerprint": self.stream.fingerprint, "runs": self.stream.runs,
                "pairs_per_epoch": self.stream.items_per_epoch,
            },
        }  # fmt: skip

    def _endless(self) -> Iterator[dict[str, torch.Tensor]]:
        names = ("start", "target", "start_metric", "target_metric")
        while True:
            for batch in self.stream:
                yield {name: batch[name].to(self.device, non_blocking=True) for name in names}

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

    def evaluate(self, held_out: HeldOut) -> Result:
        """What the averaged weights reach on held-out runs."""
        return held_out(self.average.module, self.diffusion)

    def save(self, directory: ModelDirectory) -> None:
        if self.rank == 0:
            average = dict(self.average.module.named_parameters())
            directory.save(self.description, self.model, self.optimizer, average, self.smoothing)
        if self.world > 1:
            distributed.barrier()


class Log:
    """The course of a training: on the terminal, in log.csv, and in TensorBoard or Weights & Biases where asked for."""

    def __init__(self, directory: pathlib.Path, tensorboard: bool, wandb: bool) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "log.csv"
        is_new = not path.exists()
        self._file = open(path, "a", newline="")
        self._csv = csv.writer(self._file)
        if is_new:
            self._csv.writerow(["step", "loss", "pairs_per_second", "alignment", "one_step"])
        self._board, self._wandb = None, None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(directory / "tensorboard")
        if wandb:
            import wandb as module

            module.init(project="checkpoint-corpus", dir=str(directory))
            self._wandb = module

    def add(self, step: int, total: int, loss: float, rate: float, held_out: Optional[Result]) -> None:
        values = {"loss": loss, "pairs_per_second": rate}
        text = f"{step}/{total} updates  loss {loss:.6g}  {rate:,.0f} pairs/s"
        if held_out:
            values |= {"alignment": held_out.alignment, "one_step": held_out.one_step}
            text += f"  held-out runs: alignment {held_out.alignment:.3f}, best prompt reaches {held_out.one_step:.4g}"
        print(text, file=sys.stderr, flush=True)
        self._csv.writerow([step, loss, rate, values.get("alignment"), values.get("one_step")])
        self._file.flush()
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
        if self._wandb:
            self._wandb.log(values, step=step)


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


def device_of(name: Optional[str]) -> torch.device:
    """The device of this process."""
    rank, count = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if name == "cpu" or (name is None and count == 0):
        return torch.device("cpu")
    if count == 0:
        raise ModelError("there is no CUDA device: use --device cpu, or install PyTorch with CUDA and its driver")
    if rank >= count:
        raise ModelError(f"process {rank + 1} of this machine has no GPU, there are {count}: start at most so many by "
                         "--nproc-per-node")  # fmt: skip
    torch.cuda.set_device(rank)
    return torch.device("cuda", rank)


@contextlib.contextmanager
def processes(device: torch.device) -> Iterator[None]:
    """The processes that torchrun has started, if it has."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def train(options: argparse.Namespace) -> None:
    device = device_of(options.device)
    with processes(device):
        directory = ModelDirectory(options.out)
        resumes = options.resume and directory.holds_training
        if resumes:
            description = directory.stored_description()
        else:
            if options.resume and not (options.preset or options.config):
                raise ModelError(f"{options.out} holds no training to go on with: leave out --resume")
            if directory.holds_model:
                raise ModelError(f"{options.out} holds a model already: go on with it by --resume, or choose another --out")
            description = _begun(options)
        trainer = Trainer(
            description, options.corpus, device, compile=options.compile, bf16=options.bf16,
            resume=directory if resumes else None,
        )
        try:
            _run(trainer, directory, options)
        except torch.OutOfMemoryError as error:
            raise ModelError(f"{device} has too little memory for {trainer.training.batch // trainer.world} pairs at once "
                             f"({error}): start more processes, or lower batch in the configuration") from None  # fmt: skip


def _begun(options: argparse.Namespace) -> dict[str, Any]:
    """The description that a new training begins with."""
    metric = options.metric
    if options.preset:
        metric = metric or PRESETS[options.preset][1]
        stream = PairStream(options.corpus, metric, 1, where=options.where, rank=0, world_size=1)
        configuration, _ = published(options.preset, stream.items_per_epoch)
    else:
        try:
            configuration = Configuration.load(options.config)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{options.config} is no configuration of a model ({error}): compare it with what "
                             "`corpus train --print-config` prints") from None  # fmt: skip
    if options.steps:
        configuration.training.steps = options.steps
    description = configured(configuration)
    if metric:
        description["metric"] = {"name": metric}
    if options.where:
        description["corpus"] = {"condition": options.where}
    return description


def _run(trainer: Trainer, directory: ModelDirectory, options: argparse.Namespace) -> None:
    log = Log(directory.path, options.tensorboard, options.wandb) if trainer.rank == 0 else None
    held_out = None
    if log and options.evaluate_every:
        held_out = HeldOut(Corpus(options.corpus), trainer.description, datasets=options.datasets)
    total, batch = trainer.training.steps, trainer.training.batch
    saved = marked = time.perf_counter()
    first = trainer.step
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked.append(number))
    while trainer.step < total:
        trainer.advance()
        now = time.perf_counter()
        is_last = trainer.step == total
        if trainer.step % options.log_every == 0 or is_last:
            rate = (trainer.step - first) * batch / (now - marked)
            trainer.description["history"].append({"step": trainer.step, "loss": trainer.smoothed_loss})
            if log:
                wanted = held_out and (trainer.step % options.evaluate_every == 0 or is_last)
                result = trainer.evaluate(held_out) if wanted else None
                log.add(trainer.step, total, trainer.smoothed_loss, rate, result)
            marked, first = time.perf_counter(), trainer.step
        # All follow the first process; hearing it costs a message.
        if trainer.world > 1 and trainer.step % 10:
            continue
        is_asked, is_due = _agreed([bool(asked), now - saved > options.save_seconds], trainer.device)
        if is_asked or is_due:
            trainer.save(directory)
            saved = time.perf_counter()
        if is_asked:
            raise ModelError(f"interrupted at update {trainer.step}, which is stored: go on with --resume")
    trainer.save(directory)


def _agreed(wishes: list[bool], device: torch.device) -> list[bool]:
    """What the first process wishes."""
    if not distributed.is_initialized():
        return wishes
    flags = torch.tensor(wishes, dtype=torch.float32, device=device)
    distributed.broadcast(flags, 0)
    return [bool(flag) for flag in flags.tolist()]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="checkpoint_corpus.gpt.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", help="the corpus's directory")
    parser.add_argument("--out", required=True, help="the model's directory")
    parser.add_argument("--preset", choices=sorted(PRESETS), help="a published training")
    parser.add_argument("--config", help="a JSON file, such as `corpus train CORPUS --print-config` prints")
    parser.add_argument("--metric", help="the metric of prompts (default: the preset's, else the corpus's last one)")
    parser.add_argument("--where", help="a SQL condition on the columns of runs and checkpoints")
    parser.add_argument("--steps", type=int, help="so many updates, instead of the configuration's")
    parser.add_argument(
        "--resume", action="store_true",
        help="go on with the training that --out holds; with --preset or --config, begin one where there is none",
    )  # fmt: skip
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda where there is some")
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("--bf16", action="store_true", help="products in bfloat16")
    parser.add_argument("--save-seconds", type=float, default=300)
    parser.add_argument("--log-every", type=int, default=100, help="updates")
    parser.add_argument(
        "--evaluate-every", type=int, default=0, metavar="UPDATES",
        help="prompt from held-out runs, and judge what comes out, every so many updates (multiples of --log-every)",
    )  # fmt: skip
    parser.add_argument("--datasets", help="the data sets' directory, for --evaluate-every")
    parser.add_argument("--tensorboard", action="store_true")
    parser.add_argument("--wandb", action="store_true")
    options = parser.parse_args()
    if options.preset and options.config:
        parser.error("name the training by --preset or by --config, not by both")
    if not (options.preset or options.config or options.resume):
        parser.error("name the training by --preset, by --config, or go on with one by --resume")
    try:
        train(options)
    except (ModelError, CorpusError, FileNotFoundError) as error:
        sys.exit(f"checkpoint_corpus.gpt.train: {error}")


if __name__ == "__main__":
    main()
