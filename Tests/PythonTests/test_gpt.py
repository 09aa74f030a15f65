"""checkpoint_corpus.gpt beside the command: one model, one set of files, and processes that share a batch."""

import csv
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
from conftest import CORPUS, ROOT, module_or_skip, run_corpus

torch = module_or_skip("torch")

from gpt_training import MODEL, TRAINING, python_train, same, start_training, stored_step, weights  # noqa: E402

from checkpoint_corpus import PairStream  # noqa: E402
from checkpoint_corpus.gpt import GPT, Configuration, Diffusion, ModelConfiguration  # noqa: E402
from checkpoint_corpus.gpt.configuration import PRESETS, published  # noqa: E402
from checkpoint_corpus.gpt.files import ModelDirectory, ModelError, read_tensors  # noqa: E402
from checkpoint_corpus.gpt.trainer import Trainer  # noqa: E402


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model": MODEL, "training": TRAINING}))
    return path


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


@pytest.mark.parametrize("device", ["cpu", *["cuda"] * torch.cuda.is_available()])
def test_resuming_gives_the_same_losses(cartpole, config, tmp_path, device):
    def trainer(resume=None):
        description = json.loads(config.read_text()) if resume is None else resume.stored_description()
        return Trainer(description, str(cartpole), torch.device(device), resume=resume)

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


def test_another_number_of_processes_goes_on_with_the_same_pairs(cartpole, config, tmp_path):
    def losses(path):
        return {int(row["step"]): float(row["loss"]) for row in csv.DictReader((path / "log.csv").open())}

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert python_train(cartpole, "--config", config, "--out", whole, "--log-every", 1).returncode == 0
    first = Trainer(json.loads(config.read_text()), str(cartpole), torch.device("cpu"))
    for _ in range(6):
        first.advance()
    first.save(ModelDirectory(parts))
    result = python_train(cartpole, "--resume", "--out", parts, "--log-every", 1, processes=2)
    assert result.returncode == 0, result.stderr
    assert list(losses(parts)) == list(range(7, 13))
    for step, loss in losses(parts).items():
        assert loss == pytest.approx(losses(whole)[step], rel=1e-5)
    assert close(weights(parts), weights(whole), 1e-5)


@pytest.mark.parametrize("tokens", ["chunks", "units"])
def test_bfloat16_stays_near(cartpole, tokens):
    description = {"model": MODEL | {"tokens": tokens}, "training": TRAINING}
    losses = [
        [trainer.advance() for _ in range(12)]
        for trainer in (Trainer(description | {}, str(cartpole), torch.device("cpu"), bf16=b) for b in (False, True))
    ]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


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
    for model, says in [
        ("{", "it is no JSON"), ("{}", "`model` is missing"), (MODEL | {"tokens": "words"}, "tokens is words"),
        (MODEL | {"width": "wide"}, "`model.width` is 'wide', and should be a whole number"),
        (MODEL | {"wide": 3}, "`model.wide` is unknown"), ({"layers": 2}, "`model.width` is missing"),
    ]:  # fmt: skip
        bad = model if isinstance(model, str) else json.dumps({"model": model, "training": TRAINING})
        (tmp_path / "bad.json").write_text(bad)
        error = python_train(cartpole, "--out", out, "--config", tmp_path / "bad.json").stderr
        assert "is no configuration" in error and says in error, error
        assert not any(word in error for word in ("Traceback", "__init__", "KeyError", "Decode"))
    # With a configuration, --resume begins where there is nothing, as a job that is sent again and again does.
    assert python_train(cartpole, "--out", out, "--config", config, "--steps", 2, "--resume").returncode == 0
    assert python_train(cartpole, "--out", out, "--config", config, "--steps", 2, "--resume").returncode == 0
    assert "holds a model already" in python_train(cartpole, "--out", out, "--config", config).stderr
    assert "no metric" in python_train(cartpole, "--out", tmp_path / "x", "--config", config, "--metric", "loss").stderr
    result = python_train(digits, "--out", out, "--resume")
    assert result.returncode != 0 and "has no metric train_return" in result.stderr
    (out / "training.safetensors").write_bytes(b"garbage")
    with pytest.raises(ModelError, match="no safetensors file"):
        ModelDirectory(out).stored_description()
    with pytest.raises(ModelError, match="no .*model.json"):
        ModelDirectory(tmp_path / "nowhere").load()


@pytest.mark.parametrize("file", ["model.json", "model.safetensors"])
def test_no_flipped_bit_is_taken(cartpole, config, tmp_path, file):
    out = tmp_path / "model"
    assert python_train(cartpole, "--config", config, "--out", out, "--steps", 2).returncode == 0
    original = (out / file).read_bytes()
    model, description = ModelDirectory(out).load()
    expected = model.state_dict()
    chance = random.Random(5)
    refused = 0
    for _ in range(200):
        changed = bytearray(original)
        bit = chance.randrange(8 * len(original))
        changed[bit // 8] ^= 1 << bit % 8
        (out / file).write_bytes(changed)
        try:
            found, said = ModelDirectory(out).load()
        except ModelError:
            refused += 1
        else:
            assert said == description
            assert all(torch.equal(value, expected[name]) for name, value in found.state_dict().items())
    assert refused > 190
    (out / file).write_bytes(original)
    run_corpus("prompt", out, "--target", 20, "--sampling-steps", 2)


@pytest.mark.parametrize("condition", ["1) OR (1", "run = 0) OR (run >= 0"])
def test_no_condition_switches_off_the_split(cartpole, config, tmp_path, condition):
    config.write_text(json.dumps({"model": MODEL, "training": TRAINING | {"checkpoints_per_run": 5}}))
    out = tmp_path / "model"
    result = python_train(cartpole, "--config", config, "--out", out, "--where", condition)
    assert result.returncode != 0 and "SQL" in result.stderr and not out.exists(), result.stderr
    result = subprocess.run(
        [CORPUS, "train", cartpole, "--config", config, "--out", out, "--where", condition], capture_output=True, text=True
    )
    assert result.returncode != 0 and "SQL" in result.stderr and not out.exists()


@pytest.mark.parametrize("first", ["python", "command"])
def test_a_model_has_one_training_at_a_time(cartpole, config, tmp_path, first):
    out = tmp_path / "model"
    begin = [cartpole, "--config", config, "--out", out, "--steps", 100_000]
    resume = [cartpole, "--out", out, "--resume"]

    def command(*arguments):
        return subprocess.Popen([CORPUS, "train", *map(str, arguments), "--quiet"], stderr=subprocess.PIPE, text=True)

    process = start_training(*begin, "--save-seconds", 0) if first == "python" else command(*begin)
    try:
        deadline = time.monotonic() + 120
        while not (out / "training.safetensors").exists():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        for other in (start_training(*resume), command(*resume)):
            error = other.communicate()[1]
            assert other.returncode != 0 and "another process is training" in error, error
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()
    stored = stored_step(out)
    process = command(*resume)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert "another process" not in process.communicate()[1]
    assert stored_step(out) >= stored


@pytest.mark.parametrize("units", [[], ["--units"]], ids=["chunks", "units"])
@pytest.mark.parametrize("task", ["cartpole", "mnist", "cifar10", "deep"])
def test_the_forward_pass_is_the_commands(task, units, tmp_path):
    benchmarks = pathlib.Path(CORPUS).resolve().parent / "Benchmarks"
    size = ["--width", "48", "--layers", "2", "--heads", "4", "--batch", "6", "--steps", "1"]
    subprocess.run([benchmarks, "gpt-parity", tmp_path / "parity", "--task", task, *units, *size], check=True)
    tensors, texts = read_tensors(tmp_path / "parity")
    configuration = Configuration.parse(json.loads(texts["configuration"])).model
    model, diffusion = GPT(configuration, json.loads(texts["shapes"])), Diffusion(configuration)
    model.load_state_dict({k[8:]: v for k, v in tensors.items() if k.startswith("initial.")})
    step = tensors["step"][0].long()
    noised = diffusion.noised(tensors["target"][0], step, tensors["noise"][0])
    with torch.no_grad():
        prediction = model(noised, step, *(tensors[k][0] for k in ("start", "start_metric", "target_metric")))
    assert prediction.shape == tensors["prediction"].shape
    assert (prediction - tensors["start"][0]).abs().max() > 0.01
    assert (prediction - tensors["prediction"]).abs().max() < 1e-4


def test_published_configurations_are_the_commands(cartpole, digits):
    for corpus, preset, name in ((cartpole, "cartpole-return", "cartpole"), (digits, "mnist-error", "mnist")):
        configuration, metric = published(preset, PairStream(corpus, PRESETS[preset][1], 1).items_per_epoch)
        printed = run_corpus("train", corpus, "--preset", name, "--metric", metric, "--print-config")
        assert configuration == Configuration.parse(json.loads(printed))
    assert len(PRESETS) == 5 and published("cifar10-loss", 5500)[0].training.steps == 150_000


def test_killed_trainings_go_on_as_if_nothing_had_happened(cartpole, config, tmp_path):
    shared = [cartpole, "--config", config, "--steps", 150, "--save-seconds", 0]
    assert python_train(*shared, "--out", tmp_path / "whole").returncode == 0
    out = tmp_path / "killed"
    for signal_ in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        way = ["--resume"] if (out / "training.safetensors").exists() else shared[1:5]
        process = start_training(cartpole, *way, "--save-seconds", 0, "--out", out)
        before = stored_step(out)
        deadline = time.monotonic() + 60
        while stored_step(out) <= before + random.randrange(5) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal_)
        _, error = process.communicate(timeout=60)
        if signal_ == signal.SIGINT and process.returncode != 0:
            assert "which is stored: go on with --resume" in error
    result = python_train(cartpole, "--resume", "--out", out)
    assert result.returncode == 0, result.stderr
    assert same(weights(tmp_path / "whole"), weights(out))


def test_a_process_that_dies_ends_the_others(cartpole, config, tmp_path):
    out = tmp_path / "model"
    process = start_training(
        cartpole, "--config", config, "--steps", 100_000, "--save-seconds", 0, "--out", out, processes=2)  # fmt: skip
    deadline = time.monotonic() + 120
    while stored_step(out) < 10:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    children = [int(pid) for pid in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    os.kill(children[1], signal.SIGKILL)
    _, error = process.communicate(timeout=120)
    assert process.returncode != 0 and "SIGKILL" in error
    # What was stored is whole, and can be gone on with by any number of processes.
    step = stored_step(out)
    trainer = Trainer(ModelDirectory(out).stored_description(), str(cartpole), torch.device("cpu"),
                      resume=ModelDirectory(out))  # fmt: skip
    assert trainer.step == step >= 10 and trainer.advance() > 0


def test_models_that_do_not_fit_are_refused_before_they_are_made(cartpole, config, tmp_path):
    config.write_text(json.dumps({"model": MODEL | {"width": 40_000, "layers": 12}, "training": TRAINING}))
    result = python_train(cartpole, "--config", config, "--out", tmp_path / "model")
    assert result.returncode != 0 and "GB before its first batch" in result.stderr
    assert not (tmp_path / "model").exists()


def test_schedules_are_those_of_the_command():
    training = Configuration.parse({"model": MODEL, "training": TRAINING}).training
    assert [training.rate(step) for step in (0, 1, 2, 12)] == pytest.approx([5e-4, 1e-3, 1e-3, 0])
    assert training.decay(0) == 0.1 and training.decay(10**9) == 0.9999


def released_state(configuration, lengths):
    """A state dictionary as the public release has it, of random numbers."""
    width, tokens = configuration.width, 2 * len(lengths) + 4
    state = {"decoder.pos_emb": torch.randn(1, tokens, width)}
    state["scalar_embedder.frequencies"] = 2 ** torch.linspace(0, 14, steps=configuration.frequencies)
    for i, length in enumerate(2 * lengths + 4 * [2 * configuration.frequencies + 1]):
        state[f"decoder.input_parameter_projections.{i}.0.weight"] = torch.randn(width, length)
    for i, length in enumerate(lengths):
        state[f"decoder.output_parameter_projections.{i}.0.weight"] = torch.randn(length, width)
    layers = {"ln1": None, "ln2": None, "attn.key": (width, width), "attn.query": (width, width),
              "attn.value": (width, width), "attn.proj": (width, width), "mlp.0": (4 * width, width),
              "mlp.2": (width, 4 * width)}  # fmt: skip
    for block in range(configuration.layers):
        for name, shape in layers.items():
            state[f"decoder.blocks.{block}.{name}.weight"] = torch.randn(shape or (width,))
            state[f"decoder.blocks.{block}.{name}.bias"] = torch.randn((shape or (width,))[:1])
    for name in ("ln_in", "ln_f"):
        for kind in ("weight", "bias"):
            state[f"decoder.{name}.{kind}"] = torch.randn(width)
    return state


def test_released_models_convert(cartpole, tmp_path):
    from checkpoint_corpus.gpt.released import configuration_of, convert

    configuration = ModelConfiguration(width=24, layers=2, heads=3)
    lengths = [1, 128, 32, 1024, 32, 32, 1]
    state = released_state(configuration, lengths)
    torch.save({"G_ema": state}, tmp_path / "released.pt")
    command = [sys.executable, "-m", "checkpoint_corpus.gpt.released", tmp_path / "released.pt", "--corpus", cartpole,
               "--out", tmp_path / "model", "--heads", "3"]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT / "Sources" / "Python")}
    subprocess.run(list(map(str, command)), check=True, env=environment)
    model, description = ModelDirectory(tmp_path / "model").load()
    assert description["model"]["layers"] == 2 and description["model"]["heads"] == 3
    assert torch.equal(model.blocks[1].qkv.weight[24:48], state["decoder.blocks.1.attn.key.weight"])
    assert torch.equal(model.blocks[0].contraction.bias, state["decoder.blocks.0.mlp.2.bias"])
    answer = run_corpus("prompt", tmp_path / "model", "--target", 20, "--count", 1, "--sampling-steps", 2, "--quiet")
    assert "20" in answer

    foreign = state | {"decoder.blocks.0.attn.bias": torch.zeros(1)}
    with pytest.raises(ModelError, match=r"decoder\.blocks\.0\.attn\.bias is no weight"):
        convert(foreign)
    with pytest.raises(ModelError, match="lacks the key"):
        convert({name: t for name, t in state.items() if name != "decoder.blocks.1.attn.key.weight"})
    with pytest.raises(ModelError, match="not complete"):
        configuration_of(convert({k: v for k, v in state.items() if k != "decoder.pos_emb"}), 3)
    with pytest.raises(ModelError, match="other frequencies"):
        convert(state | {"scalar_embedder.frequencies": torch.ones(128)})
