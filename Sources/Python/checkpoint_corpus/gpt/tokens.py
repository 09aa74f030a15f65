"""How a parameter vector is cut into tokens, the same as in `corpus train`."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Mapping, Sequence

from ..permutations import Permutations


@dataclasses.dataclass(frozen=True)
class Link:
    """The weights from the units of one hidden layer to those of the next, along which their tokens attend to each other."""

    #: The tokens of the units that weights come from, and of those that they lead to.
    inputs: slice
    outputs: slice
    #: Where the weights lie in the vector, and what they are: (outputs, inputs, weights that two units have in common).
    location: slice
    shape: tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Tokens:
    """The tokens of a parameter vector. Those of a kind follow each other, are equally long, and share their encoders."""

    #: (P): the index in the vector of each parameter, token by token.
    order: list[int]
    #: The tokens of each kind, and the parameters of each of them.
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


@dataclasses.dataclass(frozen=True)
class Part:
    """A tensor as a matrix of rows and columns of blocks, and the hidden layers whose units these are, if any."""

    start: int
    rows: int
    columns: int
    block: int
    row: int | None = None
    column: int | None = None

    @property
    def count(self) -> int:
        return self.rows * self.columns * self.block


@dataclasses.dataclass(frozen=True)
class Layers:
    """Hidden layers: how many units each has, and the tensors that these move."""

    widths: list[int]
    parts: list[Part]


def layers(architecture: Mapping[str, Any]) -> Layers:
    """The hidden layers that an architecture declares, as model.json has it.

    There are none where a parameter would be of several units, or between two of them and not the only one. Models from
    before layers were declared have those that their shapes suggest.
    """
    shapes = [tuple(tensor["shape"]) for tensor in architecture["tensors"]]
    if "permutations" not in architecture:
        return chain(shapes)
    declared = Permutations.parse(architecture["permutations"])
    numbers = {name: number for number, name in enumerate(declared.groups)}
    parts: list[Part] = []
    for tensor, shape in zip(architecture["tensors"], shapes):
        axes = declared.tensors.get(tensor["name"], [[[length]] for length in shape])
        moved = [_moved(axis, declared.groups) for axis in axes]
        is_plain = all(not names for names in moved[2:])
        for index, names in enumerate(moved[:2]):
            # An axis of units alone, the second one of as many elements of each.
            is_plain &= not names or len(axes[index]) == 1 and len(names) == 1 and names[0][1] == 0
            is_plain &= index == 1 or not names or len(_long(axes[index][0], declared.groups)) == 1
        if not is_plain:
            return _none(shapes)
        numbered = [numbers[names[0][0]] if names else None for names in moved] + [None, None]
        row, column = numbered[:2]
        rows = shape[0] if shape else 1
        columns = 1 if len(shape) < 2 else shape[1] if column is None else declared.groups[moved[1][0][0]]
        start = parts[-1].start + parts[-1].count if parts else 0
        parts.append(Part(start, rows, columns, math.prod(shape) // rows // columns, row, column))
    links = [(part.row, part.column) for part in parts if part.row is not None and part.column is not None]
    owners = {part.column if part.row is None else part.row for part in parts}
    is_chain = all(a != b for a, b in links) and len(set(links)) == len(links)
    if not is_chain or not owners.issuperset(range(len(numbers))):
        return _none(shapes)
    return Layers(list(declared.groups.values()), parts)


def _long(segment: Sequence[int | str], groups: Mapping[str, int]) -> list[int | str]:
    """The factors that are more than 1."""
    return [part for part in segment if (groups[part] if isinstance(part, str) else part) > 1]


def _moved(axis: Sequence[Sequence[int | str]], groups: Mapping[str, int]) -> list[tuple[str, int]]:
    """The groups that move an axis, and the indices of their factors."""
    return [
        (part, index) for segment in axis for index, part in enumerate(_long(segment, groups)) if isinstance(part, str)
    ]


def _none(shapes: Sequence[Sequence[int]]) -> Layers:
    parts: list[Part] = []
    for shape in shapes:
        start = parts[-1].start + parts[-1].count if parts else 0
        parts.append(Part(start, 1, math.prod(shape), 1))
    return Layers([], parts)


def chain(shapes: Sequence[Sequence[int]]) -> Layers:
    """The hidden layers of what would be a chain of linear layers and convolutions."""
    weights = [i for i, shape in enumerate(shapes) if len(shape) >= 2]
    hidden = [w for w, following in zip(weights, weights[1:]) if shapes[following][1] % shapes[w][0] == 0]
    parts: list[Part] = []
    for i, shape in enumerate(shapes):
        start = parts[-1].start + parts[-1].count if parts else 0
        if i in weights:
            before = weights[weights.index(i) - 1] if i != weights[0] else None
            column = hidden.index(before) if before in hidden else None
            columns = shape[1] if column is None else shapes[hidden[column]][0]
            row = hidden.index(i) if i in hidden else None
            parts.append(Part(start, shape[0], columns, math.prod(shape) // shape[0] // columns, row, column))
        else:
            is_bias = i - 1 in hidden and list(shape) == [shapes[i - 1][0]]
            parts.append(Part(start, math.prod(shape), 1, 1, hidden.index(i - 1) if is_bias else None))
    return Layers([shapes[w][0] for w in hidden], parts)


def units(hidden: Layers, chunk: int | None) -> Tokens:
    """A token for each hidden unit: its incoming weights, its bias, and in the last hidden layer its outgoing weights.

    The units of a layer are a kind. What belongs to no hidden unit is cut into chunks.
    """
    order: list[int] = []
    kinds: list[tuple[int, int]] = []
    tokens: list[slice] = []
    for layer, count in enumerate(hidden.widths):
        first, token = len(order), sum(tokens for tokens, _ in kinds)
        for unit in range(count):
            for part in hidden.parts:
                if part.row == layer:
                    size = part.columns * part.block
                    order += range(part.start + unit * size, part.start + (unit + 1) * size)
                elif part.row is None and part.column == layer:
                    for row in range(part.rows):
                        start = part.start + (row * part.columns + unit) * part.block
                        order += range(start, start + part.block)
        kinds.append((count, (len(order) - first) // count))
        tokens.append(slice(token, token + count))
    links = [
        Link(tokens[part.column], tokens[part.row], slice(part.start, part.start + part.count),
             (part.rows, part.columns, part.block))
        for part in hidden.parts if part.row is not None and part.column is not None
    ]  # fmt: skip
    for part in hidden.parts:
        if part.row is None and part.column is None:
            rest = chunks([(part.count,)], chunk)
            order += [part.start + index for index in rest.order]
            kinds += rest.kinds
    return Tokens(order, kinds, links)
