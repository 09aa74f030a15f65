"""Trainings of small models, for several tests; needs PyTorch."""

import os
import subprocess
import sys

import torch
from conftest import ROOT

from checkpoint_corpus.gpt.files import ModelDirectory, read_tensors

TRAINING = {
    "batch": 8, "learning_rate": 0.001, "warmup": 2, "steps": 12, "augmentation": "canonical", "evaluate_every": 0,
}  # fmt: skip
MODEL = {"width": 16, "layers": 1, "heads": 2, "frequencies": 8, "diffusion_steps": 50}


def start_training(*arguments, processes=1):
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    environment = os.environ | {"PYTHONPATH": str(ROOT / "Sources" / "Python"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, "-m", "checkpoint_corpus.gpt.train", *map(str, arguments), "--device", "cpu"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def python_train(*arguments, processes=1):
    process = start_training(*arguments, processes=processes)
    output, error = process.communicate()
    return subprocess.CompletedProcess(arguments, process.returncode, output, error)


def stored_step(path):
    """The updates of a training that is under way; 0 before it is stored first."""
    return ModelDirectory(path).stored_description()["step"] if ModelDirectory(path).holds_training else 0


def weights(path):
    return read_tensors(path / "model.safetensors")[0]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
