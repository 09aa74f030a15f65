"""Models of the public G.pt release, in our format:

    python -m checkpoint_corpus.gpt.released G.pt-cartpole.pt --corpus corpora/cartpole --out models/released

The release keeps state dictionaries; what says which task, metric and scale they are for is taken from a corpus of it.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import sys
from typing import Any, Mapping

import torch
from torch import Tensor

from .configuration import Configuration, ModelConfiguration, TrainingConfiguration
from .files import ModelDirectory, ModelError, configured, put_weights
from .train import Trainer

#: A name of the release, and ours; {} is a number.
_NAMES = [
    (r"decoder\.ln_in\.(weight|bias)", "encoder_norm.{}"),
    (r"decoder\.ln_f\.(weight|bias)", "final_norm.{}"),
    (r"decoder\.input_parameter_projections\.(\d+)\.0\.weight", "encoders.{}.weight"),
    (r"decoder\.output_parameter_projections\.(\d+)\.0\.weight", "decoders.{}.weight"),
    (r"decoder\.blocks\.(\d+)\.ln([12])\.(weight|bias)", "blocks.{}.norm{}.{}"),
    (r"decoder\.blocks\.(\d+)\.attn\.proj\.(weight|bias)", "blocks.{}.projection.{}"),
    (r"decoder\.blocks\.(\d+)\.mlp\.0\.(weight|bias)", "blocks.{}.expansion.{}"),
    (r"decoder\.blocks\.(\d+)\.mlp\.2\.(weight|bias)", "blocks.{}.contraction.{}"),
]


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a state dictionary of the public release under our names.

    Raises:
        ModelError: for names that are missing, and for names that are none of the release's.
    """
    state = {name.removeprefix("module."): tensor.float() for name, tensor in state.items()}
    frequencies = state.pop("scalar_embedder.frequencies", None)
    if frequencies is not None:
        expected = 2.0 ** torch.linspace(0, 14, len(frequencies))
        if not torch.allclose(frequencies, expected, rtol=1e-4):
            raise ModelError("the model embeds scalars by other frequencies than 2^0 to 2^14: it cannot be converted")
    converted: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if name == "decoder.pos_emb":
            converted["positions"] = tensor.reshape(tensor.shape[-2:])
            continue
        match = re.fullmatch(r"decoder\.blocks\.(\d+)\.attn\.(query|key|value)\.(weight|bias)", name)
        if match:
            parts.setdefault(f"blocks.{match[1]}.qkv.{match[3]}", {})[match[2]] = tensor
            continue
        for pattern, ours in _NAMES:
            match = re.fullmatch(pattern, name)
            if match:
                converted[ours.format(*match.groups())] = tensor
                break
        else:
            raise ModelError(f"{name} is no weight of the released models: pass the state dictionary of a G.pt")
    for name, part in parts.items():
        missing = {"query", "key", "value"} - part.keys()
        if missing:
            raise ModelError(f"the state dictionary lacks the {missing.pop()} of {name}: it is not complete")
        converted[name] = torch.cat([part["query"], part["key"], part["value"]])
    return converted


def configuration_of(weights: Mapping[str, Tensor], heads: int) -> ModelConfiguration:
    """The configuration of converted weights; the number of heads is not in them."""
    for name in ("positions", "encoders.0.weight", "blocks.0.qkv.weight", "decoders.0.weight"):
        if name not in weights:
            raise ModelError(f"the state dictionary has no {name}: it is not complete")
    count = sum(name.startswith("decoders.") for name in weights)
    if weights["positions"].shape[0] != 2 * count + 4:
        raise ModelError("the model has another number of scalars than step, difference, target and start: it cannot "
                         "be converted")  # fmt: skip
    scalars = weights[f"encoders.{2 * count}.weight"].shape[1]
    return ModelConfiguration(
        width=weights["positions"].shape[1],
        layers=1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks.")),
        heads=heads, chunk=max(weights[f"decoders.{i}.weight"].shape[0] for i in range(count)),
        frequencies=(scalars - 1) // 2,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="checkpoint_corpus.gpt.released", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("state", help="a .pt file of the release")
    parser.add_argument("--corpus", required=True, help="a corpus of the model's task")
    parser.add_argument("--out", required=True, help="the new model's directory")
    parser.add_argument("--metric", help="the metric of its prompts (default: the corpus's last one)")
    parser.add_argument("--heads", type=int, default=16, help="12 for Cartpole")
    parser.add_argument("--member", default="G_ema", help="which state dictionary of the file; else the whole")
    options = parser.parse_args()
    try:
        convert_file(options)
    except (ModelError, OSError) as error:
        sys.exit(f"checkpoint_corpus.gpt.released: {error}")


def convert_file(options: argparse.Namespace) -> None:
    content: Any = torch.load(options.state, map_location="cpu", weights_only=True)
    weights = convert(content.get(options.member, content))
    configuration = Configuration(
        configuration_of(weights, options.heads),
        TrainingConfiguration(batch=1, learning_rate=1e-4, warmup=0, steps=0),
    )
    description = configured(configuration)
    if options.metric:
        description["metric"] = {"name": options.metric}
    trainer = Trainer(description, options.corpus, torch.device("cpu"))
    put_weights(trainer.model, weights, pathlib.Path(options.state))
    trainer.average.module.load_state_dict(trainer.model.state_dict())
    trainer.save(ModelDirectory(options.out))


if __name__ == "__main__":
    main()
