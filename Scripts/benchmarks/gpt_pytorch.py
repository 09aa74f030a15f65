"""G.pt's training in PyTorch: the peer that `corpus train` is compared with and timed against.

--check FILE trains as `Benchmarks gpt-parity FILE` has written down, with the same weights, pairs and noise, and tells
how far apart gradients, losses and weights are; --golden OUT keeps PyTorch's gradient and losses, in float64, for the
tests. --speed times updates on made-up pairs.
"""

import argparse
import json
import pathlib
import sys
import time

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "Sources" / "Python" / "checkpoint_corpus"))
from gpt import GPT, Configuration, Diffusion, ModelConfiguration  # noqa: E402  (needs no native library)
from gpt.files import read_tensors, write_tensors  # noqa: E402

SHAPES = {
    "cartpole": [[1], [32, 4], [32], [32, 32], [32], [1, 32], [1]],
    "mnist": [[10, 784], [10], [10, 10], [10]],
    "cifar10": [[16, 3, 3, 3], [32, 16, 3, 3], [10, 32], [10]],
}
CHUNKS = {"cartpole": None, "mnist": 1000, "cifar10": 576}


def check(path, dtype, golden):
    tensors, texts = read_tensors(path)
    configuration = Configuration.parse(json.loads(texts["configuration"]))
    training = configuration.training
    model = GPT(configuration.model, json.loads(texts["shapes"]))
    model.load_state_dict({k[8:]: v for k, v in tensors.items() if k.startswith("initial.")})
    model.to(dtype)
    diffusion = Diffusion(configuration.model)
    optimizer = torch.optim.AdamW(
        model.groups(training.weight_decay), lr=0, betas=(training.beta1, training.beta2)
    )
    average = {k: v.clone() for k, v in model.state_dict().items()}
    losses = []
    for step in range(training.steps):
        batch = {k: tensors[k][step].to(dtype) for k in ("start", "target")}
        batch |= {k: tensors[k][step] for k in ("start_metric", "target_metric")}
        loss = diffusion.loss(model, batch, tensors["step"][step].long(), tensors["noise"][step].to(dtype))
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            worst = {}
            first = {"gradient." + name: p.grad.clone() for name, p in model.named_parameters()}
            for name, p in model.named_parameters():
                ours = tensors["gradient." + name].to(dtype)
                worst[name] = ((ours - p.grad).norm() / p.grad.norm()).item()
        if training.gradient_clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), training.gradient_clip)
        for group in optimizer.param_groups:
            group["lr"] = training.rate(step)
        optimizer.step()
        with torch.no_grad():
            for name, value in model.state_dict().items():
                average[name].lerp_(value, 1 - training.decay(step))
        losses.append(loss.item())
    if golden:
        write_tensors(golden, first | {"losses": torch.tensor(losses)}, {})
    name = max(worst, key=worst.get)
    print(f"gradient: worst of {len(worst)} tensors {name}: {worst[name]:.1e} of its norm")
    ours = tensors["losses"].numpy().astype(np.float64)
    print(
        f"losses of {len(losses)} updates: within {np.abs(ours / losses - 1).max():.1e};"
        f" from {ours[0]:.5f} to {ours[-1]:.5f}"
    )
    for kind, values in (("final", model.state_dict()), ("average", average)):
        apart = [((tensors[f"{kind}.{k}"] - v).norm() / v.norm()).item() for k, v in values.items()]
        print(f"{kind} weights: within {max(apart):.1e} of their norms")


def speed(options):
    torch.set_num_threads(options.workers)
    tokens = "units" if options.units else "chunks"
    configuration = ModelConfiguration(options.width, options.layers, options.heads, tokens, CHUNKS[options.task])
    model = GPT(configuration, SHAPES[options.task])
    diffusion = Diffusion(model.configuration)
    size = len(model.order)
    start, target = torch.randn(options.batch, size), torch.randn(options.batch, size)
    metrics = torch.rand(2, options.batch)
    batch = {"start": start, "target": target, "start_metric": metrics[0], "target_metric": metrics[1]}
    optimizer = torch.optim.AdamW(model.groups(0.1), lr=1e-3, fused=True)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999)
    )
    run = torch.compile(model) if options.compile else model

    def update():
        step, noise = torch.randint(1000, (options.batch,)), torch.randn(options.batch, size)
        loss = diffusion.loss(run, batch, step, noise)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(model)

    def draw():
        diffusion.sample(run, start, metrics[0], metrics[1], steps=options.sampling_steps)

    work = draw if options.samples else update
    work()
    count = 1 if options.samples else options.steps
    began = time.perf_counter()
    for _ in range(count):
        work()
    seconds = time.perf_counter() - began
    unit = "samples" if options.samples else "pairs"
    print(f"{unit}_per_second {options.batch * count / seconds:.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", metavar="FILE")
    parser.add_argument("--double", action="store_true", help="compare with float64")
    parser.add_argument("--golden", metavar="OUT")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("--samples", action="store_true", help="time sampling instead of updates")
    parser.add_argument("--sampling-steps", type=int, default=20)
    parser.add_argument("--task", choices=SHAPES, default="cartpole")
    parser.add_argument("--units", action="store_true", help="a token is a hidden unit")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    if options.check:
        double = options.double or options.golden
        check(options.check, torch.float64 if double else torch.float32, options.golden)
    if options.speed:
        speed(options)


if __name__ == "__main__":
    main()
