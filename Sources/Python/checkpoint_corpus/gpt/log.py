"""The course of a training, for those who watch it."""

from __future__ import annotations

import csv
import pathlib
import sys
from typing import Optional

from . import evaluations
from .evaluations import Evaluation

_COLUMNS = (
    "step", "loss", "held_out_loss", "pairs_per_second", "alignment", "held_out_alignment", "held_out_one_step",
    "random_alignment", "random_one_step",
)  # fmt: skip
_SHORT = {"held-out runs": "held_out", "random": "random"}


class Log:
    """On the terminal, in log.csv, and in TensorBoard or Weights & Biases where asked for."""

    def __init__(self, directory: pathlib.Path, tensorboard: bool, wandb: bool) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "log.csv"
        is_new = not path.exists() or path.stat().st_size == 0
        # One from before there were all of these columns keeps its own.
        columns = _COLUMNS if is_new else tuple(next(csv.reader(path.open(newline=""))))
        self._file = open(path, "a", newline="")
        self._csv = csv.DictWriter(self._file, columns, extrasaction="ignore")
        if is_new:
            self._csv.writeheader()
        self._board, self._wandb = None, None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(directory / "tensorboard")
        if wandb:
            import wandb as module

            module.init(project="checkpoint-corpus", dir=str(directory))
            self._wandb = module

    def add(self, step: int, total: int, loss: float, held_out_loss: Optional[float], rate: Optional[float]) -> None:
        """rate: pairs in a second."""
        values = {"loss": loss, "held_out_loss": held_out_loss, "pairs_per_second": rate}
        text = f"{step}/{total} updates  loss {loss:.6g}"
        if held_out_loss is not None:
            text += f"  held out {held_out_loss:.6g}"
        self._write(step, values, text + (f"  {rate:,.0f} pairs/s" if rate is not None else ""))

    def evaluated(self, evaluation: Evaluation, total: int, loss: float) -> None:
        """How prompts are met, beside the loss."""
        step = evaluation["step"]
        values = {"loss": loss, "alignment": evaluations.alignment(evaluation)}
        for group in evaluation["groups"]:
            name = _SHORT[group["starts"]]
            values |= {f"{name}_alignment": group["alignment"], f"{name}_one_step": group["one_step"]}
        self._write(step, values, f"{step}/{total} updates  loss {loss:.6g}  {evaluations.line(evaluation)}")

    def _write(self, step: int, values: dict[str, Optional[float]], text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        self._csv.writerow({"step": step} | values)
        self._file.flush()
        known = {name: value for name, value in values.items() if value is not None}
        if self._board:
            for name, value in known.items():
                self._board.add_scalar(name, value, step)
        if self._wandb:
            self._wandb.log(known, step=step)
