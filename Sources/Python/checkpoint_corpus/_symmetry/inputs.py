"""Inputs that a module may accept, by its layers."""

from __future__ import annotations

import inspect
import itertools
import math
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

import torch

nn = torch.nn

#: Tuples of inputs that are tried at most.
_LIMIT = 400
#: Layers that are asked, and elements of inputs that are tried.
_LAYERS = 40
_ELEMENTS = 1 << 21
#: By the number of their axes, lengths of signals and of the sides of pictures and of volumes.
_SIDES = {1: (32, 64, 28, 16, 100, 128, 8), 2: (32, 28, 64, 16, 8, 96, 224), 3: (8, 16, 32, 4)}


def inputs_of(module: torch.nn.Module, random: torch.Generator) -> Iterator[Tuple[Any, ...]]:
    """Tuples of random inputs, the likelier ones first. Whoever asks has to try them."""
    layers = [list(_of_layer(layer)) for layer in module.modules()]
    layers = [shapes for shapes in layers if shapes][:_LAYERS]
    tried = 0
    for count in _input_counts(module):
        for shapes in _combined(layers, count):
            if sum(shape.numel() for shape in shapes) > _ELEMENTS:
                continue
            yield tuple(shape.draw(random) for shape in shapes)
            tried += 1
            if tried >= _LIMIT:
                return


class _Shape(NamedTuple):
    """An input that is drawn when its turn comes."""

    lengths: Tuple[int, ...]
    #: Whole numbers below it; None for real ones.
    limit: Optional[int] = None

    def numel(self) -> int:
        return math.prod(self.lengths)

    def draw(self, random: torch.Generator) -> torch.Tensor:
        if self.limit is None:
            return torch.randn(self.lengths, generator=random, dtype=torch.float64)
        return torch.randint(0, max(1, self.limit), self.lengths, generator=random)


def real(*lengths: int) -> _Shape:
    return _Shape(lengths)


def whole(limit: int, *lengths: int) -> _Shape:
    return _Shape(lengths, limit)


def _combined(layers: List[List[_Shape]], count: int) -> Iterator[Tuple[_Shape, ...]]:
    """So many inputs: all alike, or of one layer each."""
    for shapes in layers:
        for shape in shapes:
            yield (shape,) * count
    if count > 1:
        for chosen in itertools.product(layers[:6], repeat=count):
            for shapes in zip(*chosen):
                yield shapes


def _input_counts(module: torch.nn.Module) -> List[int]:
    """How many inputs its forward takes: those that it needs, then those that it may have."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return [1]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    given = [parameter for parameter in parameters if parameter.kind in kinds]
    needed = sum(parameter.default is inspect.Parameter.empty for parameter in given)
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return [max(1, needed), 2, 3]
    return [max(1, needed)]


def _of_layer(layer: torch.nn.Module) -> Iterator[_Shape]:
    """What a single layer accepts."""

    def vectors(size: int) -> Iterator[_Shape]:
        for shape in ((2, size), (2, 5, size), (2, 3, 4, size), (2, 8, size), (2, 16, size), (2, 10, size)):
            yield real(*shape)

    if isinstance(layer, nn.Linear):
        yield from vectors(layer.in_features)
        # Inputs that are taken in halves.
        yield real(2, 2 * layer.in_features)
        side = round(layer.in_features**0.5)
        if side**2 == layer.in_features:
            yield real(2, 1, side, side)
    elif isinstance(layer, nn.Bilinear):
        yield from vectors(layer.in1_features)
        if layer.in2_features != layer.in1_features:
            yield from vectors(layer.in2_features)
    elif isinstance(layer, nn.modules.conv._ConvNd):
        axes = len(layer.kernel_size)
        for side in _SIDES[axes]:
            yield real(2, layer.in_channels, *[side] * axes)
    elif isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
        for shape in ((2, 7), (2, 5), (2, 16), (2, 8), (2, 10), (2, 32), (2,)):
            yield whole(layer.num_embeddings, *shape)
    elif isinstance(layer, nn.RNNBase):
        for length in (5, 8, 16):
            yield real(2, length, layer.input_size)
    elif isinstance(layer, nn.RNNCellBase):
        yield real(2, layer.input_size)
    elif isinstance(layer, nn.MultiheadAttention):
        yield from list(vectors(layer.embed_dim))[1:]
    elif isinstance(layer, (nn.BatchNorm1d, nn.InstanceNorm1d)):
        yield real(2, layer.num_features)
        yield real(2, layer.num_features, 16)
    elif isinstance(layer, (nn.BatchNorm2d, nn.InstanceNorm2d)):
        yield real(2, layer.num_features, 16, 16)
    elif isinstance(layer, (nn.BatchNorm3d, nn.InstanceNorm3d)):
        yield real(2, layer.num_features, 8, 8, 8)
    elif isinstance(layer, nn.GroupNorm):
        yield real(2, layer.num_channels, 16, 16)
        yield real(2, layer.num_channels)
    elif isinstance(layer, nn.LayerNorm):
        shape = tuple(layer.normalized_shape)
        yield real(2, *shape)
        yield real(2, 5, *shape)
    else:
        # Tensors of somebody's own: matrices that are multiplied from one side or the other.
        for parameter in layer.parameters(recurse=False):
            if parameter.dim() == 2:
                for size in dict.fromkeys(reversed(parameter.shape)):
                    yield from itertools.islice(vectors(size), 2)
            elif parameter.dim() >= 3:
                shape = [8] * (parameter.dim() - 2)
                yield real(2, parameter.shape[1], *(4 * size for size in shape))
                yield real(2, 5, parameter.shape[1])
