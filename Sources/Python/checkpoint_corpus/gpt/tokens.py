"""How a parameter vector is cut into tokens, the same as in `corpus train`."""

from __future__ import annotations

import dataclasses
import math
from typing import Sequence


@dataclasses.dataclass(frozen=True)
class Link:
    """The weights from the units of one hidden layer to those of the next, along which their tokens attend to each other."""

    #: The tokens of these units.
    inputs: slice
    outputs: slice
    #: Where the weights lie in the vector, and what they are: (outputs, inputs, weights that two units have in common).
    place: slice
    shape: tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Tokens:
    """The tokens of a parameter vector. Those of a kind follow each other, are equally long, and share their encoders."""

    #: (P): the place in the vector of each parameter, token by token.
    order: list[int]
    #: Of each kind: its tokens, and the parameters of each.
    kinds: list[tuple[int, int]]
    links: list[Link] = dataclasses.field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(tokens for tokens, _ in self.kinds)


def chunks(shapes: Sequence[Sequence[int]], chunk: int | None) -> Tokens:
    """Chunks that never cross a tensor's end, each of its own kind."""
    kinds = []
    for shape in shapes:
        left = math.prod(shape)
        step = chunk or left
        kinds += [(1, min(step, left - first)) for first in range(0, left, step)]
    return Tokens(list(range(sum(length for _, length in kinds))), kinds)


def units(shapes: Sequence[Sequence[int]], chunk: int | None) -> Tokens:
    """A token for each hidden unit: its incoming weights, its bias, and in the last hidden layer its outgoing weights.

    The units of a layer are a kind. What belongs to no hidden unit is cut into chunks.
    """
    starts = [sum(math.prod(shape) for shape in shapes[:i]) for i in range(len(shapes))]
    weights = [i for i, shape in enumerate(shapes) if len(shape) >= 2]
    hidden = [w for w, following in zip(weights, weights[1:]) if shapes[following][1] % shapes[w][0] == 0]
    order: list[int] = []
    kinds: list[tuple[int, int]] = []
    links: list[Link] = []
    tokens: dict[int, slice] = {}
    taken: set[int | None] = set()
    for weight in hidden:
        count, inputs = shapes[weight][0], math.prod(shapes[weight][1:])
        bias = weight + 1 if weight + 1 < len(shapes) and list(shapes[weight + 1]) == [count] else None
        following = weights[weights.index(weight) + 1]
        taken |= {weight, bias}
        if following not in hidden:
            taken.add(following)
        first = len(order)
        for unit in range(count):
            order += range(starts[weight] + unit * inputs, starts[weight] + (unit + 1) * inputs)
            if bias is not None:
                order.append(starts[bias] + unit)
            if following not in hidden:
                row = math.prod(shapes[following][1:])
                block = row // count
                for output in range(shapes[following][0]):
                    start = starts[following] + output * row + unit * block
                    order += range(start, start + block)
        end = sum(tokens for tokens, _ in kinds) + count
        kinds.append((count, (len(order) - first) // count))
        tokens[weight] = slice(end - count, end)
    for inputs, outputs in zip(weights, weights[1:]):
        if inputs in hidden and outputs in hidden:
            rows, columns, size = shapes[outputs][0], shapes[inputs][0], math.prod(shapes[outputs])
            place = slice(starts[outputs], starts[outputs] + size)
            links.append(Link(tokens[inputs], tokens[outputs], place, (rows, columns, size // rows // columns)))
    for i, shape in enumerate(shapes):
        if i not in taken:
            rest = chunks([shape], chunk)
            order += [starts[i] + place for place in rest.order]
            kinds += rest.kinds
    return Tokens(order, kinds, links)
