"""checkpoint_corpus.gpt beside the command: one model, one set of files, and processes that share a batch."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT, module_or_skip, run_corpus

torch = module_or_skip("torch")

from checkpoint_corpus.gpt import GPT, Configuration, Diffusion, ModelConfiguration  # noqa: E402
from checkpoint_corpus.gpt.files import ModelDirectory, ModelError, read_tensors  # noqa: E402
from checkpoint_corpus.gpt.train import Trainer  # noqa: E402

TRAINING = {"batch": 8, "learning_rate": 0.001, "warmup": 2, "steps": 12, "augmentation": "canonical"}
MODEL = {"width": 16, "layers": 1, "heads": 2, "frequencies": 8, "diffusion_steps": 50}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model": MODEL, "training": TRAINING}))
    return path


def python_train(*arguments, processes=1):
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    environment = os.environ | {"PYTHONPATH": str(ROOT / "Sources" / "Python"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, "-m", "checkpoint_corpus.gpt.train", *map(str, arguments), "--device", "cpu"]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def weights(path):
    return read_tensors(path / "model.safetensors")[0]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def close(a, b, error):
    return a.keys() == b.keys() and all((a[name] - b[name]).norm() <= error * b[name].norm() for name in a)


def test_the_command_prompts_and_goes_on_with_what_python_has_trained(cartpole, config, tmp_path):
    out = tmp_path / "model"
    assert python_train(cartpole, "--config", config, "--out", out, "--steps", 5).returncode == 0
    stored = json.loads((out / "model.json").read_text())
    assert stored["step"] == 5 and stored["corpus"]["runs"] == 5
    answer = run_corpus("prompt", out, "--target", 20, "--count", 2, "--sampling-steps", 5, "--format", "csv")
    assert len(answer.splitlines()) == 3
    # A longer training, begun in Python and ended by the command.
    whole = tmp_path / "whole"
    assert python_train(cartpole, "--config", config, "--out", whole, "--save-seconds", 0, "--steps", 6).returncode == 0
    description = read_tensors(whole / "training.safetensors")[1]
    assert json.loads(description["description"])["step"] == 6


def test_python_goes_on_with_what_the_command_has_trained(cartpole, config, tmp_path):
    out = tmp_path / "model"
    run_corpus("train", cartpole, "--config", config, "--out", out, "--quiet")
    model, description = ModelDirectory(out).load()
    assert description["step"] == 12 and model.configuration.width == 16
    trainer = Trainer(ModelDirectory(out).stored_description(), str(cartpole), torch.device("cpu"),
                      resume=ModelDirectory(out))  # fmt: skip
    assert trainer.stream.position == (0, 12)
    stored, _ = read_tensors(out / "training.safetensors")
    for name, p in trainer.model.named_parameters():
        assert torch.equal(p, stored[f"weights.{name}"])
        assert torch.equal(trainer.optimizer.state[p]["exp_avg_sq"], stored[f"moments2.{name}"])
    loss = trainer.advance()
    assert 0 < loss < 1 and trainer.step == 13
    trainer.save(ModelDirectory(tmp_path / "further"))
    assert json.loads((tmp_path / "further" / "model.json").read_text())["step"] == 13


def test_resuming_gives_the_same_losses(cartpole, config, tmp_path):
    def trainer(resume=None):
        description = json.loads(config.read_text()) if resume is None else resume.stored_description()
        return Trainer(description, str(cartpole), torch.device("cpu"), resume=resume)

    whole = trainer()
    losses = [whole.advance() for _ in range(12)]
    part = trainer()
    assert [part.advance() for _ in range(5)] == losses[:5]
    part.save(ModelDirectory(tmp_path / "part"))
    assert [part.advance() for _ in range(2)] == losses[5:7]
    again = trainer(ModelDirectory(tmp_path / "part"))
    assert [again.advance() for _ in range(7)] == losses[5:]


def test_two_processes_do_what_one_does(cartpole, config, tmp_path):
    for processes in (1, 2):
        result = python_train(cartpole, "--config", config, "--out", tmp_path / str(processes), processes=processes)
        assert result.returncode == 0, result.stderr
    assert close(weights(tmp_path / "1"), weights(tmp_path / "2"), 1e-5)


def test_a_certain_model_is_believed_by_both_samplers():
    configuration = ModelConfiguration(**MODEL)
    model, diffusion = GPT(configuration, [(5, 3), (5,)]), Diffusion(configuration)
    start = torch.randn(3, 20)
    for sampler in ("ddim", "ddpm"):
        for steps in (1, 2, 50):
            sample = diffusion.sample(model, start, torch.zeros(3), torch.ones(3), steps, sampler)
            assert torch.allclose(sample, start, atol=1e-5)


def test_bad_input(cartpole, digits, config, tmp_path):
    out = tmp_path / "model"
    assert "no training" in python_train(cartpole, "--out", out, "--resume").stderr
    assert "nowhere.json" in python_train(cartpole, "--out", out, "--config", "nowhere.json").stderr
    assert python_train(cartpole, "--out", out, "--config", config, "--steps", 2).returncode == 0
    assert "holds a model already" in python_train(cartpole, "--out", out, "--config", config).stderr
    assert "no metric" in python_train(cartpole, "--out", tmp_path / "x", "--config", config, "--metric", "loss").stderr
    result = python_train(digits, "--out", out, "--resume")
    assert result.returncode != 0 and "has no metric train_return" in result.stderr
    (out / "training.safetensors").write_bytes(b"garbage")
    with pytest.raises(ModelError, match="no safetensors file"):
        ModelDirectory(out).stored_description()
    with pytest.raises(ModelError, match="no .*model.json"):
        ModelDirectory(tmp_path / "nowhere").load()


def test_schedules_are_those_of_the_command():
    training = Configuration.parse({"model": MODEL, "training": TRAINING}).training
    assert [training.rate(step) for step in (0, 1, 2, 12)] == pytest.approx([5e-4, 1e-3, 1e-3, 0])
    assert training.decay(0) == 0.1 and training.decay(10**9) == 0.9999
