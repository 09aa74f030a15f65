"""Trains a G.pt, on one device or on many:

    python -m checkpoint_corpus.gpt.train corpora/cartpole --config small.json --out models/cartpole
    torchrun --nproc-per-node 8 -m checkpoint_corpus.gpt.train corpora/mnist --preset mnist-loss --out models/mnist --bf16

Presets are the five published trainings; --config names a JSON file instead. What an update does depends on the
configuration, the corpus and the updates before; pairs, noise and diffusion steps do not depend on the number of
processes. Prompts are evaluated on the real task twenty times on the way, from held-out runs and from random networks:
the model keeps the weights that met them best. `corpus prompt` and `corpus evaluate` take what comes out.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import os
import signal
import sys
import time
import warnings
from typing import Any, Iterator, Optional, Union

import torch
import torch.distributed as distributed

from .. import Corpus, CorpusError, LeftOutWarning, PairStream
from .. import _omissions
from . import evaluations
from .configuration import PRESETS, Configuration, published
from .evaluations import Evaluation
from .files import ModelDirectory, ModelError, configured
from .log import Log
from .trainer import Trainer
from .training_prompts import TrainingPrompts

__all__ = ["Trainer", "train"]

#: Members of the configuration's training that options of the command take the place of.
_SETTINGS = ("steps", "balance", "evaluate_every", "patience")
#: The statuses of runs that are learned from where bad ones are wanted. Nothing can be learned from what is not finite.
_STATUSES = ("ok", "out_of_range")


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
    directory = ModelDirectory(options.out)
    with processes(device), contextlib.ExitStack() as stack:
        resumes = options.resume and directory.holds_training
        if options.resume and not resumes and not (options.preset or options.config):
            raise ModelError(f"{options.out} holds no training to go on with: leave out --resume")
        if not resumes and directory.holds_model:
            raise ModelError(f"{options.out} holds a model already: go on with it by --resume, or choose another --out")
        claim = directory.claimed() if _is_first() else contextlib.nullcontext()
        if resumes:
            # Before it is read: whoever has it may still change it.
            stack.enter_context(claim)
        description = directory.stored_description() if resumes else _begun(options)
        trainer = Trainer(
            description, options.corpus, device, compile=options.compile, bf16=options.bf16,
            resume=directory if resumes else None,
        )
        if not resumes:
            stack.enter_context(claim)
        if trainer.left_out and _is_first():
            text = _omissions.text(trainer.left_out, trainer.stream.metric, {"out_of_range": "--include-bad"})
            print(f"left out: {text}", file=sys.stderr)
        try:
            _Run(trainer, directory, options)()
        except torch.OutOfMemoryError as error:
            raise ModelError(f"{device} has too little memory for {trainer.training.batch // trainer.world} pairs at once "
                             f"({error}): start more processes, or lower batch in the configuration") from None  # fmt: skip


def _is_first() -> bool:
    return not distributed.is_initialized() or distributed.get_rank() == 0


def _begun(options: argparse.Namespace) -> dict[str, Any]:
    """The description that a new training begins with."""
    metric = options.metric
    if options.preset:
        metric = metric or PRESETS[options.preset][1]
        statuses = _STATUSES if options.include_bad else ("ok",)
        # What is left out is told of the training's own.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeftOutWarning)
            stream = PairStream(
                options.corpus, metric, 1, where=options.where, statuses=statuses, rank=0, world_size=1
            )
        configuration, _ = published(options.preset, stream.items_per_epoch)
    else:
        try:
            configuration = Configuration.load(options.config)
        except ValueError as error:
            raise ModelError(f"{options.config} is no configuration of a model, as {error}: compare it with what "
                             "`corpus train --print-config` prints") from None  # fmt: skip
    wanted = {name: getattr(options, name) for name in _SETTINGS if getattr(options, name) is not None}
    try:
        configuration.training = dataclasses.replace(configuration.training, **wanted)
    except ValueError as error:
        raise ModelError(str(error)) from None
    description = configured(configuration)
    if metric:
        description["metric"] = {"name": metric}
    if options.where:
        description["corpus"] = {"condition": options.where}
    if options.include_bad:
        description.setdefault("corpus", {})["statuses"] = list(_STATUSES)
    return description


class _Stop:
    """Whether somebody has asked for an end, by Ctrl-C or SIGTERM."""

    def __init__(self) -> None:
        self.is_asked = False
        self._is_raising = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, *_: Any) -> None:
        self.is_asked = True
        if self._is_raising:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Where it raises KeyboardInterrupt: nothing is lost there that is not made again."""
        self._is_raising = True
        try:
            if self.is_asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._is_raising = False


class _Run:
    """A training from where it stands to its end, stored and evaluated now and then."""

    def __init__(self, trainer: Trainer, directory: ModelDirectory, options: argparse.Namespace) -> None:
        self.trainer, self.directory, self.options = trainer, directory, options
        self.stop = _Stop()
        self.log = Log(directory.path, options.tensorboard, options.wandb) if trainer.rank == 0 else None
        self.prompts = self._prompts() if self.log and trainer.training.evaluation_interval else None
        # All processes do what the first one does.
        (self.is_evaluated,) = _agreed([self.prompts is not None], trainer.device)

    def _prompts(self) -> Optional[TrainingPrompts]:
        """The prompts that it is tried with on the way; None where nobody can measure them here."""
        description, options = self.trainer.description, self.options
        # Those that are to be compared with each other.
        earlier = description.get("evaluations")
        best = earlier[-1]["best_prompt"] if earlier else options.best
        try:
            return TrainingPrompts(Corpus(options.corpus), description, best=best, datasets=options.datasets)
        except CorpusError as error:
            if error.code not in ("cannot_replay", "missing_dataset"):
                raise
            print(f"prompts are not evaluated on the way, and the last weights are kept: {error}", file=sys.stderr)
            return None

    def __call__(self) -> None:
        trainer, training = self.trainer, self.trainer.training
        saved = marked = time.perf_counter()
        first = trainer.step
        while True:
            # First of all, as an evaluation that was interrupted is made before training goes on.
            if self.is_evaluated and trainer.is_evaluation_due:
                paused = time.perf_counter()
                self._evaluate()
                marked += time.perf_counter() - paused
            if trainer.is_complete:
                break
            trainer.advance()
            now = time.perf_counter()
            if trainer.step % self.options.log_every == 0 or trainer.step == training.steps:
                trainer.note()
                if self.log:
                    rate = (trainer.step - first) * training.batch / (now - marked)
                    noted = trainer.description["history"][-1]
                    self.log.add(trainer.step, training.steps, noted["loss"], noted.get("held_out_loss"), rate)
                marked, first = time.perf_counter(), trainer.step
            # All follow the first process; hearing it costs a message.
            if trainer.world > 1 and trainer.step % 10:
                continue
            is_due = now - saved > self.options.save_seconds
            is_asked, is_due = _agreed([self.stop.is_asked, is_due], trainer.device)
            if is_asked:
                self._end()
            if is_due:
                trainer.save(self.directory)
                saved = time.perf_counter()
        trainer.save(self.directory)
        if self.log:
            self._conclude()

    def _evaluate(self) -> None:
        """Has the first process measure how well prompts are met, and tells all of them."""
        trainer = self.trainer
        found: list[Optional[Evaluation]] = [None]
        if self.prompts:
            with contextlib.suppress(KeyboardInterrupt), self.stop.raising():
                found[0] = trainer.evaluate(self.prompts)
        if trainer.world > 1:
            distributed.broadcast_object_list(found, 0, device=trainer.device)
        if found[0] is None:
            self._end()
        trainer.record(found[0], self.directory)
        if self.log:
            self.log.evaluated(found[0], trainer.training.steps, trainer.smoothed_loss)

    def _end(self) -> None:
        self.trainer.save(self.directory)
        raise ModelError(f"interrupted at update {self.trainer.step}, which is stored: go on with --resume")

    def _conclude(self) -> None:
        best = evaluations.best(self.trainer.description)
        if best is None:
            return
        stalled = evaluations.has_stalled(self.trainer.description)
        end = "; alignment had not risen since, so training ended" if stalled else ""
        print(f"the model's weights are those of update {best['step']}: {evaluations.line(best)}{end}", file=sys.stderr)


def _agreed(wishes: list[bool], device: torch.device) -> list[bool]:
    """What the first process wishes."""
    if not distributed.is_initialized():
        return wishes
    flags = torch.tensor(wishes, dtype=torch.float32, device=device)
    distributed.broadcast(flags, 0)
    return [bool(flag) for flag in flags.tolist()]


def _best(text: str) -> Union[float, str]:
    if text in ("tenth", "published"):
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is no number: make it one, or published, or tenth")
    return value


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
    parser.add_argument("--include-bad", action="store_true", help="learn from runs that are out of range, too")
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
        "--balance", choices=["none", "metric", "quantile", "log"],
        help="how targets are drawn, instead of the configuration's",
    )  # fmt: skip
    parser.add_argument(
        "--evaluate-every", type=int, metavar="UPDATES",
        help="updates between evaluations of prompts, 0 for none, instead of the configuration's (a twentieth of all)",
    )  # fmt: skip
    parser.add_argument(
        "--patience", type=int, metavar="EVALUATIONS",
        help="evaluations without a better alignment after which it ends, instead of the configuration's",
    )  # fmt: skip
    parser.add_argument(
        "--best", type=_best, default="tenth", metavar="PROMPT",
        help="the best prompt of evaluations: a number, published, or tenth, which is what the best tenth of the corpus "
        "reaches (default); what is gone on with keeps that of its evaluations",
    )  # fmt: skip
    parser.add_argument("--datasets", help="the data sets' directory, for tasks whose evaluation needs some")
    parser.add_argument("--tensorboard", action="store_true")
    parser.add_argument("--wandb", action="store_true")
    options = parser.parse_args()
    if options.preset and options.config:
        parser.error("name the training by --preset or by --config, not by both")
    if not (options.preset or options.config or options.resume):
        parser.error("name the training by --preset, by --config, or go on with one by --resume")
    sets = [name for name in ("metric", "where", *_SETTINGS) if getattr(options, name) is not None]
    sets += ["include_bad"] if options.include_bad else []
    if sets and not (options.preset or options.config):
        parser.error("--resume goes on as the training began: leave out --" + sets[0].replace("_", "-"))
    try:
        train(options)
    except (ModelError, CorpusError, FileNotFoundError) as error:
        sys.exit(f"checkpoint_corpus.gpt.train: {error}")


if __name__ == "__main__":
    main()
