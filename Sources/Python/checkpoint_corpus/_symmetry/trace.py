"""Which axes of a module's tensors may move together: a proposal, from one pass through it.

Every operation that a forward pass comes to is watched, and tells which axes are the same (`rules`). What is left are
axes whose elements nothing tells apart. The proposal is no proof; `probe` is.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from . import layer_rules  # noqa: F401  (its rules go into RULES)
from .dims import Dim, written
from .rules import RULES, Axes, Operation, fix_all, pointwise, unify_all


#: Operations that have an in-place form by which a tensor gets other axes.
_TURNING = {"transpose", "t", "squeeze", "unsqueeze"}


class Trace(TorchDispatchMode):
    """Watches a forward pass.

    Args:
        state: the tensors of the parameter vector, by name.
        inputs: what goes into the module; its elements are not alike.
    """

    def __init__(self, state: Mapping[str, torch.Tensor], inputs: Any) -> None:
        super().__init__()
        self._known: Dict[int, Axes] = {}
        #: Tensors that are known, which keeps their identities from being used again.
        self._kept: List[torch.Tensor] = []
        self._storages: Dict[int, List[torch.Tensor]] = {}
        self.axes: Dict[str, Axes] = {}
        self._locations: Dict[Tuple[Any, ...], Axes] = {}
        self._names: Dict[int, List[str]] = {}
        #: The tensors that the pass came to, in the order of their first use.
        self.used: Dict[str, None] = {}
        for name, tensor in state.items():
            # Tensors that are shared are one.
            location = _location(tensor)
            axes = self._locations.setdefault(location, [Dim(size) for size in tensor.shape])
            self.axes[name] = axes
            self._names.setdefault(id(axes), []).append(name)
            self._storages.setdefault(location[0], []).append(tensor)
        for tensor in _tensors(inputs):
            self._set(tensor, [Dim(size, True) for size in tensor.shape])

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        self._note(func, args, kwargs, result)
        return result

    def finish(self, outputs: Any) -> None:
        """Says that the elements of a module's outputs are not alike, nor those of tensors that it has not used."""
        for tensor in _tensors(outputs):
            fix_all(self._of(tensor))
        for name, axes in self.axes.items():
            if name not in self.used:
                fix_all(axes)
        # What cannot be written down as the format has it is fixed by the attempt.
        for axes in self.axes.values():
            for axis in axes:
                written(axis)

    def _note(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        name = func._schema.name.split("::")[-1]
        name = name.rstrip("_") or name
        results = _tensors([result])
        arguments = {argument.name: argument.default_value for argument in func._schema.arguments}
        arguments |= dict(zip(arguments, args)) | dict(kwargs)
        op = Operation(name, arguments, self._of, [tuple(tensor.shape) for tensor in results])
        axes = None
        rule = RULES.get(name)
        if rule is None and torch.Tag.pointwise in func.tags and torch.Tag.nondeterministic_seeded not in func.tags:
            rule = pointwise
        try:
            axes = rule(op) if rule else None
        except (IndexError, KeyError, TypeError, ValueError, StopIteration, ZeroDivisionError):
            axes = None
        fits = axes is not None and [tuple(axis.size for axis in one) for one in axes] == op.shapes
        if not fits:
            for tensor in _tensors([args, kwargs]):
                fix_all(self._of(tensor))
            axes = [op.fresh(i) for i in range(len(results))]
        for tensor, one in zip(results, axes or []):
            if fits and name in _TURNING and id(tensor) in self._known:
                # The tensor itself has other axes from now on.
                self._known[id(tensor)] = list(one)
            else:
                self._set(tensor, one)

    def _set(self, tensor: torch.Tensor, axes: Axes) -> None:
        known = self._known.get(id(tensor))
        if known is None and _location(tensor) in self._locations:
            known = self._of(tensor)
        if known is not None:
            return unify_all(known, axes)
        self._known[id(tensor)] = list(axes)
        self._kept.append(tensor)
        self._storages.setdefault(_location(tensor)[0], []).append(tensor)

    def _of(self, tensor: torch.Tensor) -> Axes:
        if id(tensor) in self._known:
            return self._known[id(tensor)]
        location = _location(tensor)
        axes = self._locations.get(location)
        if axes is not None:
            for name in self._names[id(axes)]:
                self.used[name] = None
        else:
            axes = [Dim(size, not _is_uniform(tensor, axis)) for axis, size in enumerate(tensor.shape)]
            for other in self._storages.get(location[0], []) if tensor.numel() else []:
                # Memory of a known tensor by a way that nobody has watched.
                if _location(other) == location and id(other) in self._known:
                    axes = self._known[id(other)]
                    break
                fix_all(self._known.get(id(other)) or self._of(other))
        self._known[id(tensor)] = axes
        self._kept.append(tensor)
        return axes


def _location(tensor: torch.Tensor) -> Tuple[Any, ...]:
    """The storage of a tensor, its offset, shape and strides: tensors that agree in all of them are one."""
    storage = tensor.untyped_storage().data_ptr()
    if storage == 0:
        return (-id(tensor),)
    return storage, tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride())


def _is_uniform(tensor: torch.Tensor, axis: int) -> bool:
    """Whether all that an axis goes through is the same."""
    return tensor.numel() > 0 and bool((tensor == tensor.narrow(axis, 0, 1)).all())


def _tensors(value: Any) -> List[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]
