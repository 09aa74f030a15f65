"""A training in Python that watches what it is for: prompts on the way, the best weights kept, an end in time."""

import argparse
import csv
import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import CORPUS, module_or_skip, run_corpus

torch = module_or_skip("torch")

from gpt_training import MODEL, TRAINING, python_train, same, start_training, stored_step, weights  # noqa: E402

from checkpoint_corpus import Corpus, CorpusError, Writer, evaluate, initial_networks  # noqa: E402
from checkpoint_corpus.gpt import Configuration, train  # noqa: E402
from checkpoint_corpus.gpt.evaluations import best, has_stalled  # noqa: E402
from checkpoint_corpus.gpt.files import ModelDirectory, ModelError, read_tensors  # noqa: E402
from checkpoint_corpus.gpt.trainer import Trainer  # noqa: E402
from checkpoint_corpus.gpt.training_prompts import TrainingPrompts, alignment, best_prompt, median  # noqa: E402

# Threads bring nothing to models this small.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def handlers():
    """What a training does with signals ends with the test."""
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    for number, handler in before:
        signal.signal(number, handler)


def configured(path, **training):
    path.write_text(json.dumps({"model": MODEL, "training": TRAINING | training}))
    return path


def description(path):
    return json.loads((path / "model.json").read_text())


def new_trainer(corpus, resume=None, **training):
    directory = resume and ModelDirectory(resume)
    begun = directory.stored_description() if resume else {"model": MODEL, "training": TRAINING | training}
    return Trainer(begun, str(corpus), torch.device("cpu"), resume=directory)


def run(trainer, corpus, path, scripted, monkeypatch, stop_at=None):
    """A training whose evaluations find these alignments, by the update; one of them may be interrupted."""

    def prompts(*_, **__):
        def find(model, diffusion, step):
            if step == stop_at:
                raise KeyboardInterrupt
            groups = [{"starts": "random", "alignment": scripted(step), "one_step": 1.0}]
            return {"step": step, "best_prompt": 2.0, "groups": groups}

        return find

    monkeypatch.setattr(train, "TrainingPrompts", prompts)
    options = argparse.Namespace(
        corpus=corpus, datasets=None, best="tenth", tensorboard=False, wandb=False, log_every=4, save_seconds=1e9,
    )  # fmt: skip
    train._Run(trainer, ModelDirectory(path), options)()


def test_the_model_keeps_the_weights_of_the_best_alignment_and_training_the_last_ones(cartpole, tmp_path, monkeypatch):
    # Of two that are equal, the first; a number that is none is the worst; the untrained model's is no rival.
    found = {0: 0.9, 2: -1.0, 4: None, 6: 0.5, 8: 0.5, 10: 0.1, 12: None}
    run(new_trainer(cartpole, evaluate_every=2), cartpole, tmp_path / "model", found.get, monkeypatch)
    stored = description(tmp_path / "model")
    assert [evaluation["step"] for evaluation in stored["evaluations"]] == [0, 2, 4, 6, 8, 10, 12]
    assert best(stored)["step"] == 6 and stored["step"] == 12
    plain = new_trainer(cartpole)
    for step in range(1, 13):
        plain.advance()
        if step == 6:
            plain.save(ModelDirectory(tmp_path / "six"))
    plain.save(ModelDirectory(tmp_path / "twelve"))
    assert same(weights(tmp_path / "model"), weights(tmp_path / "six"))
    assert not same(weights(tmp_path / "six"), weights(tmp_path / "twelve"))
    last, _ = read_tensors(tmp_path / "model" / "training.safetensors")
    assert same(last, read_tensors(tmp_path / "twelve" / "training.safetensors")[0])


def test_it_ends_when_alignment_has_not_risen_for_as_long_as_it_is_patient(cartpole, tmp_path, monkeypatch, capfd):
    def falling(step):
        return -abs(step - 4.0)

    out = tmp_path / "model"
    run(new_trainer(cartpole, evaluate_every=2, patience=2), cartpole, out, falling, monkeypatch)
    assert description(out)["step"] == 8 and has_stalled(description(out))
    assert "weights are those of update 4" in (error := capfd.readouterr().err) and "so training ended" in error
    # It is over for good.
    run(new_trainer(cartpole, resume=out), cartpole, out, lambda step: 1.0, monkeypatch)
    assert description(out)["step"] == 8
    run(new_trainer(cartpole, evaluate_every=2, patience=5), cartpole, tmp_path / "patient", falling, monkeypatch)
    assert description(tmp_path / "patient")["step"] == 12


@pytest.mark.parametrize("stop_at", [0, 4])
def test_an_interrupted_evaluation_is_made_when_training_goes_on_which_ends_at_the_same_bits(
    cartpole, tmp_path, monkeypatch, stop_at
):
    def found(step):
        return float(step == 8)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(new_trainer(cartpole, evaluate_every=2), cartpole, whole, found, monkeypatch)
    with pytest.raises(ModelError, match=f"interrupted at update {stop_at}"):
        run(new_trainer(cartpole, evaluate_every=2), cartpole, parts, found, monkeypatch, stop_at=stop_at)
    assert [evaluation["step"] for evaluation in description(parts).get("evaluations", [])] == [0, 2][: stop_at // 2]
    again = new_trainer(cartpole, resume=parts)
    assert again.is_evaluation_due
    run(again, cartpole, parts, found, monkeypatch)
    for file in ("model.safetensors", "training.safetensors"):
        assert same(read_tensors(whole / file)[0], read_tensors(parts / file)[0])
    assert description(whole) == description(parts)


def test_without_evaluations_the_last_weights_are_the_models(cartpole, tmp_path, monkeypatch):
    trainer = new_trainer(cartpole)
    run(trainer, cartpole, tmp_path / "model", lambda step: 1.0, monkeypatch)
    assert "evaluations" not in description(tmp_path / "model")
    average = dict(trainer.average.module.named_parameters())
    assert same(weights(tmp_path / "model"), {name: p.detach() for name, p in average.items()})


def test_a_model_that_changes_nothing_is_judged_as_the_command_judges_it(cartpole, tmp_path):
    # Before its first real update, a model gives starts back as they are, whatever the noise.
    config = configured(tmp_path / "config.json", learning_rate=1e-12, steps=3, evaluate_every=2)
    python, command = tmp_path / "python", tmp_path / "command"
    result = python_train(cartpole, "--config", config, "--out", python, "--log-every", 1)
    assert result.returncode == 0, result.stderr
    run_corpus("train", cartpole, "--config", config, "--out", command, "--quiet")
    own, other = description(python), description(command)
    for name in ("best_tenth", "metric_range", "scale", "training", "model", "architecture", "metric", "task"):
        assert own[name] == other[name], name
    assert {**own["corpus"], "path": ""} == {**other["corpus"], "path": ""}
    assert own["history"][-1].keys() == {"step", "loss", "held_out_loss"} == other["history"][-1].keys()
    assert [evaluation["step"] for evaluation in own["evaluations"]] == [0, 2, 3]
    for evaluation, expected in zip(own["evaluations"], other["evaluations"]):
        assert evaluation["step"] == expected["step"]
        assert evaluation["best_prompt"] == expected["best_prompt"] == own["best_tenth"]
        assert [group["starts"] for group in evaluation["groups"]] == ["held-out runs", "random"]
        for group, twin in zip(evaluation["groups"], expected["groups"]):
            assert group["starts"] == twin["starts"]
            assert group["one_step"] == pytest.approx(twin["one_step"], rel=0.01)
            assert group["alignment"] == pytest.approx(twin["alignment"], abs=0.02)
            assert group.keys() == twin.keys()
            assert group["start_metrics"] == twin["start_metrics"]
            for name, precision in (("prompted", 1e-6), ("observed", 0.02)):
                assert np.array(group[name]) == pytest.approx(np.array(twin[name]), rel=precision)
    # And so it is told.
    rows = list(csv.DictReader((python / "log.csv").open()))
    assert [row["step"] for row in rows] == ["0", "1", "2", "2", "3", "3"]
    groups = own["evaluations"][-1]["groups"]
    assert float(rows[-1]["held_out_alignment"]) == groups[0]["alignment"]
    assert float(rows[-1]["random_one_step"]) == groups[1]["one_step"] and float(rows[-1]["loss"]) > 0
    assert float(rows[-1]["alignment"]) == pytest.approx((groups[0]["alignment"] + groups[1]["alignment"]) / 2)
    assert "held-out runs: alignment" in result.stderr and "random: alignment" in result.stderr


def test_prompts_start_from_held_out_runs_and_from_networks_that_no_corpus_has(cartpole):
    corpus = Corpus(cartpole)
    stored = new_trainer(cartpole).description
    held_out, random_ = TrainingPrompts(corpus, stored, networks=3, prompts=4).groups
    runs = [run for run in corpus if corpus[run].split == "test"]
    assert len(held_out.starts) == len(runs) == 1
    assert (held_out.starts[0] == corpus.canonical(corpus.parameters(runs[0], 0))).all()
    assert held_out.metrics[0] == corpus[runs[0]].metrics["train_return"][0]
    fresh = initial_networks(corpus, [1 << 62 | 1 << 61 | number for number in range(3)])
    assert (random_.starts == corpus.canonical(fresh)).all() and not (random_.starts == fresh).all()
    assert (random_.metrics == evaluate(corpus, fresh)["train_return"]).all()
    assert random_.prompted.shape == (3, 4) and (random_.prompted[:, 0] == random_.metrics).all()
    assert (random_.prompted[:, -1] == np.float32(stored["best_tenth"])).all()
    one = TrainingPrompts(corpus, stored, networks=1, prompts=1).groups[1]
    assert one.prompted == [[np.float32(stored["best_tenth"])]]
    # As they are, where models are trained on networks as they are.
    stored["training"]["augmentation"] = "permute"
    assert (TrainingPrompts(corpus, stored, networks=3).groups[1].starts == fresh).all()
    returns = sorted(value for run in corpus for value in corpus[run].metrics["train_return"])
    assert stored["best_tenth"] == pytest.approx(returns[-1 - len(returns) // 10])
    assert best_prompt(stored, "published") == 500 and best_prompt(stored, 77.0) == 77
    # The list is the library's; of a task of one's own it is the best value.
    mine = {**stored, "task": "mine"}
    assert best_prompt(mine, "published") == stored["metric_range"][1]
    loss = {**stored, "task": "cifar10", "metric": {"name": "test_loss", "goal": "minimize"}}
    assert best_prompt(loss, "published") == 1.2
    del stored["best_tenth"]
    assert best_prompt(stored) == stored["metric_range"][1]


def test_alignment_and_medians_are_the_commands():
    prompted = np.array([[0, 1, 2], [0, 2, 4]], np.float32)
    assert alignment(prompted, prompted) == 1
    assert alignment(prompted, prompted[:, ::-1]) == -3
    assert alignment(prompted, np.array([[0, 1, 2], [2, 2, 2]], np.float32)) == 0.5
    assert np.isnan(alignment(prompted, np.full((2, 3), np.nan, np.float32)))
    # Nothing varies that could be followed.
    assert np.isnan(alignment(prompted[:, :1], prompted[:, :1]))
    assert np.isnan(alignment(prompted[:, [1, 1]], prompted[:, :2]))
    four = np.array([4, 1, 3, 2], np.float32)
    assert median(four, "maximize") == 3 and median(four, "minimize") == 2
    assert median(np.array([1, np.nan, np.nan], np.float32), "maximize") != 1


def test_the_command_judges_the_weights_that_python_has_kept(cartpole, tmp_path):
    out = tmp_path / "model"
    config = configured(tmp_path / "config.json", learning_rate=0.01, evaluate_every=3)
    result = python_train(cartpole, "--config", config, "--out", out, "--balance", "metric", "--tensorboard"
                          if _has_tensorboard() else "--device=cpu")  # fmt: skip
    assert result.returncode == 0, result.stderr
    stored = description(out)
    assert stored["training"]["balance"] == "metric" and len(stored["evaluations"]) == 5
    run_corpus("evaluate", out, "--corpus", cartpole, "--networks", 2, "--prompts", 3, "--recursions", 1,
               "--sampling-steps", 5, "--quiet")  # fmt: skip
    evaluation = json.loads((out / "evaluation.json").read_text())
    assert evaluation["step"] == best(stored)["step"]
    assert evaluation["best_prompt"] == pytest.approx(stored["best_tenth"])
    # What the command goes on with is the same to it as its own.
    run_corpus("train", cartpole, "--out", out, "--resume", "--quiet")
    assert description(out)["evaluations"] == stored["evaluations"]
    if _has_tensorboard():
        assert list((out / "tensorboard").iterdir())


def _has_tensorboard():
    return subprocess.run([sys.executable, "-c", "import torch.utils.tensorboard"], capture_output=True).returncode == 0


def test_python_goes_on_with_what_the_command_has_begun_and_evaluated(cartpole, tmp_path):
    out = tmp_path / "model"
    config = configured(
        tmp_path / "config.json", steps=4000, evaluate_every=50, balance="metric", initial_starts=0.5, unchanged=0.1,
        directions="both",
    )  # fmt: skip
    process = subprocess.Popen(
        [CORPUS, "train", cartpole, "--config", config, "--out", out, "--quiet", "--save-seconds", "0.05"],
        stderr=subprocess.PIPE,
    )
    wait_until(process, lambda: stored_step(out) >= 110)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    begun = description(out)
    assert 110 <= begun["step"] < 4000 and [e["step"] for e in begun["evaluations"]][:3] == [0, 50, 100]
    process = start_training(cartpole, "--resume", "--out", out, "--save-seconds", 0)
    wait_until(process, lambda: stored_step(out) >= begun["step"] + 100)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert "which is stored: go on with --resume" in error
    stored = description(out)
    assert stored["evaluations"][: len(begun["evaluations"])] == begun["evaluations"]
    steps = [evaluation["step"] for evaluation in stored["evaluations"]]
    assert steps == list(range(0, stored["step"] + 1, 50))[: len(steps)] and len(steps) > len(begun["evaluations"])
    assert stored["training"] == begun["training"] and stored["corpus"] == begun["corpus"]


def wait_until(process, is_so):
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)


def test_killed_trainings_end_with_the_same_evaluations_and_weights(cartpole, tmp_path):
    config = configured(tmp_path / "config.json", steps=40, evaluate_every=5, learning_rate=0.01)
    whole, out = tmp_path / "whole", tmp_path / "killed"
    assert python_train(cartpole, "--config", config, "--out", whole).returncode == 0
    for signal_ in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        process = start_training(cartpole, "--config", config, "--resume", "--save-seconds", 0, "--out", out)
        before = stored_step(out)
        while stored_step(out) <= before + random.randrange(4) and process.poll() is None:
            time.sleep(0.01)
        time.sleep(random.random() / 5)
        process.send_signal(signal_)
        process.communicate(timeout=60)
    result = python_train(cartpole, "--resume", "--out", out)
    assert result.returncode == 0, result.stderr
    assert same(weights(whole), weights(out))
    assert description(whole)["evaluations"] == description(out)["evaluations"]


def test_processes_evaluate_once_and_end_together(cartpole, tmp_path):
    # Nothing changes, so nothing becomes better.
    config = configured(tmp_path / "config.json", learning_rate=1e-12, steps=100, evaluate_every=2, patience=2)
    result = python_train(cartpole, "--config", config, "--out", tmp_path / "model", processes=2)
    assert result.returncode == 0, result.stderr
    stored = description(tmp_path / "model")
    assert stored["step"] == 6 and [evaluation["step"] for evaluation in stored["evaluations"]] == [0, 2, 4, 6]
    assert "weights are those of update 2" in result.stderr


def test_tasks_that_nobody_can_measure_are_trained_on_without(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    path, out = tmp_path / "corpus", tmp_path / "model"
    with Writer(path, task="mine", architecture=module, metrics={"test_loss": "minimize"}, recipe={}) as writer:
        for seed in range(4):
            with writer.run(seed) as logged:
                for iteration in range(5):
                    logged.log(iteration, module, test_loss=5.0 - iteration)
                    torch.nn.init.normal_(module[0].weight)
    config = configured(tmp_path / "config.json", augmentation="none", evaluate_every=3)
    result = python_train(path, "--config", config, "--out", out)
    assert result.returncode == 0, result.stderr
    assert "prompts are not evaluated on the way, and the last weights are kept" in result.stderr
    assert "mine" in result.stderr and "evaluations" not in description(out) and description(out)["best_tenth"] == 1
    assert read_tensors(out / "model.safetensors")[1]["step"] == "12"
    with pytest.raises(CorpusError) as error:
        TrainingPrompts(Corpus(path), new_description(path, "cartpole"))
    assert error.value.code == "cannot_replay" and "parameters" in error.value.message


def new_description(path, task):
    return new_trainer(path, augmentation="none").description | {"task": task, "recipe": None}


def test_what_cannot_be_is_refused(cartpole, tmp_path):
    out = tmp_path / "model"
    config = configured(tmp_path / "config.json")
    for arguments, said in (
        (["--config", config, "--patience", "0"], "patience is 0: make it at least 1 evaluation"),
        (["--config", config, "--evaluate-every", "-1"], "evaluate_every is -1"),
        (["--config", config, "--balance", "evenly"], "invalid choice: 'evenly'"),
        (["--config", config, "--best", "much"], "much is no number"),
        (["--resume", "--patience", "3"], "leave out --patience"),
    ):
        result = python_train(cartpole, "--out", out, *arguments)
        assert result.returncode != 0 and said in result.stderr, result.stderr
        assert not out.exists()
    for name, value in (("unchanged", 1.5), ("initial_starts", -0.1), ("directions", "back"), ("balance", "evenly")):
        with pytest.raises(ValueError, match=f"{name} is"):
            Configuration.parse({"model": MODEL, "training": TRAINING | {name: value}})


def test_a_log_from_before_keeps_its_columns(tmp_path):
    (tmp_path / "log.csv").write_text("step,loss,pairs_per_second,alignment,one_step\r\n1,0.5,10,,\r\n")
    log = train.Log(tmp_path, False, False)
    groups = [{"starts": "random", "alignment": 0.5, "one_step": 1.0}]
    log.evaluated({"step": 2, "best_prompt": 3.0, "groups": groups}, 9, 0.4)
    assert (tmp_path / "log.csv").read_text().splitlines()[-1] == "2,0.4,,0.5,"


def test_it_learns_from_what_is_measured_and_finite(tmp_path):
    path, out = tmp_path / "corpus", tmp_path / "model"
    config = configured(tmp_path / "config.json", augmentation="none")
    losses = [np.nan, *(1 / step for step in range(1, 12))]
    infinite = {1: np.inf, 2: -np.inf}
    mine = dict(task="mine", architecture={"w": (6, 3)}, metrics={"loss": "minimize"}, permutations="none")
    with Writer(path, **mine) as writer:
        for seed in range(8):
            with writer.run(seed) as run:
                for step, loss in enumerate(losses):
                    vector = np.random.default_rng([seed, step]).normal(size=18).astype(np.float32)
                    run.log(step, vector, loss=infinite.get(seed, loss) if step == 5 else loss)
    result = python_train(path, "--out", out, "--config", config)
    assert result.returncode == 0, result.stderr
    assert "left out: 9 checkpoints without a finite loss" in result.stderr and "Warning" not in result.stderr
    # JSON knows no infinities.
    described = json.loads((out / "model.json").read_text(), parse_constant=pytest.fail)
    assert described["metric_range"] == [pytest.approx(1 / 11), 1]
    run_corpus("train", path, "--out", out, "--resume", "--quiet")
    # Held-out starts are the first checkpoints that have the metric.
    with Corpus(path) as corpus:
        prompts = TrainingPrompts.__new__(TrainingPrompts)
        prompts.description = described
        vectors, metrics = prompts._held_out(corpus, 4)
        held = corpus.sql("SELECT run FROM runs WHERE split = 'test' ORDER BY run", frame=False)
        assert metrics.tolist() == [1.0] * len(held)
        assert vectors[0].tobytes() == corpus.parameters(held[0]["run"], 1).tobytes()
