"""Permutation groups: which axes of which tensors move together, and no network's function with them."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Mapping, Sequence, Union

import numpy as np

from .errors import CorpusError, invalid_argument

#: Part of the length of an axis: a number, or the name of the group that moves it.
Factor = Union[int, str]
#: Segments of an axis, one behind the other; the length of each is the product of its factors.
Axis = List[List[Factor]]


class PermutationWarning(UserWarning):
    """Permutation groups are left out, as something cannot be told of a module."""


@dataclasses.dataclass
class Permutations:
    """Permutation groups of an architecture, as corpus.json has them.

    Attributes:
        groups: how many units each group has, by its name, in the order in which they are drawn.
        tensors: of each tensor in which something moves, its axes.
    """

    groups: Dict[str, int] = dataclasses.field(default_factory=dict)
    tensors: Dict[str, List[Axis]] = dataclasses.field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.groups)

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Permutations:
        """The groups that the member `permutations` of an architecture in corpus.json declares."""
        groups = {group["name"]: int(group["units"]) for group in value["groups"]}
        return cls(groups, {name: [_axis(axis, name) for axis in axes] for name, axes in value["tensors"].items()})

    def json(self) -> Dict[str, Any]:
        """The member `permutations` of an architecture in corpus.json that declares these groups."""
        return {
            "groups": [{"name": name, "units": units} for name, units in self.groups.items()],
            "tensors": {
                name: [axis[0] if len(axis) == 1 else axis for axis in axes] for name, axes in self.tensors.items()
            },
        }

    @classmethod
    def declared(cls, value: Any, architecture: Mapping[str, Sequence[int]]) -> Permutations:
        """Groups as somebody writes them down: for each tensor in which something moves, what moves in each axis.

            {"fc1.weight": ["hidden", None], "fc1.bias": ["hidden"], "fc2.weight": [None, ["hidden", 16]]}

        An axis is None where nothing moves, the name of a group, a list of factors whose product is its length (above,
        16 pixels of each channel), or a list of such lists, one behind the other. How many units a group has follows.

        Raises:
            CorpusError: "invalid_argument" for what is no such thing.
        """
        if isinstance(value, Permutations):
            return value
        if not isinstance(value, Mapping):
            raise _refusal(f"permutations is {value!r}")
        if set(value) == {"groups", "tensors"} and isinstance(value["groups"], (list, tuple)):
            return cls.parse(value)
        tensors: Dict[str, List[Axis]] = {}
        for name, axes in value.items():
            shape = architecture.get(name)
            if shape is None:
                raise _refusal(f"permutations name the tensor {name}, which the architecture has not")
            if isinstance(axes, str) or len(axes) != len(shape):
                raise _refusal(f"permutations of {name} are {axes!r}, and its shape is {tuple(shape)}")
            tensors[name] = [
                [[int(length)]] if axis is None else _axis(axis, name) for axis, length in zip(axes, shape)
            ]
        names: Dict[str, None] = {}
        for name in architecture:
            for axis in tensors.get(name, []):
                names.update(dict.fromkeys(part for segment in axis for part in segment if isinstance(part, str)))
        known = _sizes(tensors, architecture)
        for name in names:
            if name not in known:
                raise _refusal(f"it does not follow how many units the permutation group {name} has")
        return cls({name: known[name] for name in names}, tensors)

    def without(self, dropped: Sequence[str]) -> Permutations:
        """These groups but for the dropped ones, whose units stay where they are."""
        gone = set(dropped)
        groups = {name: units for name, units in self.groups.items() if name not in gone}
        tensors = {
            name: [
                [[self.groups[part] if part in gone else part for part in segment] for segment in axis]
                for axis in axes
            ]
            for name, axes in self.tensors.items()
        }
        moved = {
            name: axes for name, axes in tensors.items()
            if any(isinstance(part, str) for axis in axes for segment in axis for part in segment)
        }  # fmt: skip
        return Permutations(groups, moved)

    def moves(self, name: str) -> List[str]:
        """The names of the tensors that a group moves."""
        return [
            tensor for tensor, axes in self.tensors.items()
            if any(name in segment for axis in axes for segment in axis)
        ]  # fmt: skip

    def permuted(self, name: str, tensor: Any, orders: Mapping[str, np.ndarray]) -> Any:
        """A tensor, numpy's or torch's, with unit i of each group being the old unit order[i].

        Args:
            name: the tensor's name.
            orders: for some groups an order of their units, integers (units,); the others stay.
        """
        for dim, axis in enumerate(self.tensors.get(name, [])):
            if any(factor in orders for segment in axis for factor in segment):
                tensor = tensor[(slice(None),) * dim + (self._index(axis, orders),)]
        return tensor

    def _index(self, axis: Axis, orders: Mapping[str, np.ndarray]) -> np.ndarray:
        parts, start = [], 0
        for segment in axis:
            index, size = np.zeros(1, np.int64), 1
            for factor in segment:
                count = self.groups[factor] if isinstance(factor, str) else factor
                order = orders.get(factor) if isinstance(factor, str) else None
                order = np.arange(count) if order is None else np.asarray(order)
                index = (index[:, None] * count + order).reshape(-1)
                size *= count
            parts.append(index + start)
            start += size
        return np.concatenate(parts)


def _axis(value: Any, tensor: str) -> Axis:
    """An axis as a list of segments."""
    value = [value] if isinstance(value, (str, int)) else list(value)
    nested = [isinstance(part, (list, tuple)) for part in value]
    segments = [list(part) for part in value] if value and all(nested) else [value]
    for part in (part for segment in segments for part in segment):
        if isinstance(part, bool) or not isinstance(part, (str, int)) or (isinstance(part, int) and part < 1):
            raise _refusal(f"{part!r} moves nothing in {tensor}")
    return segments


def _sizes(tensors: Mapping[str, List[Axis]], architecture: Mapping[str, Sequence[int]]) -> Dict[str, int]:
    """How many units each group has, as far as it follows from the lengths of axes."""
    known: Dict[str, int] = {}
    while True:
        found = len(known)
        for name, axes in tensors.items():
            for axis, length in zip(axes, architecture[name]):
                _solve(axis, int(length), known)
        if len(known) == found:
            return known


def _solve(axis: Axis, length: int, known: Dict[str, int]) -> None:
    rest, times, unknown = length, 0, set()
    for segment in axis:
        names = [part for part in segment if isinstance(part, str) and part not in known]
        size = 1
        for part in segment:
            size *= known.get(part, 1) if isinstance(part, str) else part
        if len(names) > 1:
            return
        unknown.update(names)
        times += size if names else 0
        rest -= 0 if names else size
    if len(unknown) == 1 and rest > 0 and rest % times == 0:
        known[unknown.pop()] = rest // times


def _refusal(message: str) -> CorpusError:
    return invalid_argument(
        message,
        'pass what moves in each axis, such as permutations={"fc1.weight": ["hidden", None], "fc1.bias": ["hidden"], '
        '"fc2.weight": [None, "hidden"]}',
    )
