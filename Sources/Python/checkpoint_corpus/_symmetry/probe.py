"""Permutation groups of a module: proposed by a trace, and kept as far as they hold on numbers."""

from __future__ import annotations

import contextlib
import copy
import itertools
import warnings
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set

import numpy as np
import torch

from .dims import Dim, written
from .inputs import inputs_of
from .trace import Trace
from ..permutations import Axis, Permutations, PermutationWarning
from ..vectors import unwrapped

#: Two outputs are the same within this part of their scale; the check computes in float64.
_TOLERANCE = 1e-9


class NotTraceable(Exception):
    """Why nothing can be said of a module."""


class Probe:
    """A copy of a module in float64, in which tensors can be replaced, and inputs for it.

    Args:
        module: stays as it is.
        example: a tuple of inputs, or a single one; None to guess.

    Raises:
        NotTraceable: where it cannot be copied or run, or computes something else each time.
    """

    def __init__(self, module: torch.nn.Module, example: Any = None) -> None:
        with _quiet():
            self.module = _copied(module)
            self._random = torch.Generator().manual_seed(20220926)
            #: The tensors of the parameter vector, whose memory is the module's.
            self.state = {
                name: tensor for name, tensor in self.module.state_dict().items() if tensor.is_floating_point()
            }
            self._original = {name: tensor.clone() for name, tensor in self.state.items()}
            if example is None:
                self.inputs = list(itertools.islice(self._running(inputs_of(self.module, self._random)), 2))
                if not self.inputs:
                    raise NotTraceable("no input was found that it accepts")
            else:
                example = example if isinstance(example, (tuple, dict)) else (example,)
                self.inputs = [_wide(example)]
                try:
                    self._run(self.inputs[0])
                except Exception as error:
                    raise NotTraceable(f"it fails on the example input: {_short(error)}") from error

    def _running(self, candidates: Iterator[Any]) -> Iterator[Any]:
        for candidate in candidates:
            try:
                output = self._run(candidate)
            except Exception:
                continue
            if any(tensor.is_floating_point() and tensor.numel() for tensor in _leaves(output)):
                yield candidate

    def _run(self, inputs: Any, gradients: bool = False) -> Any:
        with torch.set_grad_enabled(gradients), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            inputs = copy.deepcopy(inputs)
            return self.module(**inputs) if isinstance(inputs, dict) else self.module(*inputs)

    def propose(self) -> Permutations:
        """The groups that a forward pass seems to have."""
        with _quiet():
            inputs = copy.deepcopy(self.inputs[0])
            self._randomize(0.2)
            trace = Trace(self.state, inputs)
            try:
                with torch.no_grad(), torch.random.fork_rng(devices=[]), trace:
                    outputs = self.module(**inputs) if isinstance(inputs, dict) else self.module(*inputs)
                    trace.finish(outputs)
            except Exception as error:
                raise NotTraceable(f"its operations cannot be followed: {_short(error)}") from error
            finally:
                self._restore()
        proposed = _named(trace)
        # With what a tensor moves that the forward pass does not use, nobody knows.
        unused = {name: max(t.shape, default=0) for name, t in self.state.items() if name not in trace.used}
        doubtful = [name for name, units in proposed.groups.items() if units <= max(unused.values(), default=0)]
        if doubtful:
            warnings.warn(
                f"{type(self.module).__name__} does not use {', '.join(list(unused)[:3])} where it is called, and they "
                f"may belong to the same units as {', '.join(doubtful[:3])}, which will not be permuted: pass "
                "permutations=, what moves in each axis", PermutationWarning, stacklevel=5,
            )  # fmt: skip
        return proposed.without(doubtful)

    def failing(self, permutations: Permutations) -> List[str]:
        """The groups that change what the module computes, or of which that cannot be told."""
        with _quiet():
            try:
                return self._failing(permutations)
            finally:
                self._restore()

    def _failing(self, permutations: Permutations) -> List[str]:
        names = list(permutations.groups)
        failing = set()
        # The inputs as they are, and others, under other numbers of the module's own.
        draws = [(self.inputs[0], 0.3), *((self._redrawn(inputs), 0.1) for inputs in self.inputs)]
        for number, (inputs, scale) in enumerate(draws):
            state = self._randomize(scale)
            expected = self._outputs(inputs)
            if expected is None:
                state = self._randomize(0.01)
                expected = self._outputs(inputs)
            if expected is None:
                return names
            left = [name for name in names if name not in failing]
            if not self._holds(permutations, state, expected, inputs, left):
                failing |= {name for name in left if not self._holds(permutations, state, expected, inputs, [name])}
                left = [name for name in names if name not in failing]
                if not self._holds(permutations, state, expected, inputs, left):
                    return names
            if number == 0:
                again = self._outputs(inputs)
                if again is None or not _equal(expected, again):
                    return names
                steep = self._steep(inputs)
                failing |= {
                    name for name in left
                    if sum(tensor in steep for tensor in permutations.moves(name)) < 2
                    and not self._matters(permutations, state, expected, inputs, name)
                }  # fmt: skip
        return [name for name in names if name in failing]

    def _steep(self, inputs: Any) -> Set[str]:
        """Tensors on which the outputs depend, as far as gradients tell."""
        parameters = [p for p in self.module.parameters() if p.is_floating_point()]
        try:
            with torch.enable_grad():
                for parameter in parameters:
                    parameter.requires_grad_(True)
                outputs = [t for t in _leaves(self._run(inputs, gradients=True)) if t.requires_grad]
                loss = sum((t * torch.randn(t.shape, generator=self._random)).sum() for t in outputs)
                gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        except Exception:
            return set()
        finally:
            for parameter in parameters:
                parameter.requires_grad_(False)
        steep = {p.data_ptr() for p, g in zip(parameters, gradients) if g is not None and bool((g != 0).any())}
        return {name for name, tensor in self.state.items() if tensor.data_ptr() in steep}

    def _holds(
        self, permutations: Permutations, state: Mapping[str, torch.Tensor], expected: List[torch.Tensor],
        inputs: Any, groups: Sequence[str],
    ) -> bool:  # fmt: skip
        """Whether the outputs stay when the units of groups take other orders."""
        orders = {name: self._order(permutations.groups[name]) for name in groups}
        touched = dict.fromkeys(tensor for name in groups for tensor in permutations.moves(name))
        outputs = self._with(permutations, state, orders, list(touched), inputs)
        return outputs is not None and _equal(expected, outputs)

    def _matters(
        self, permutations: Permutations, state: Mapping[str, torch.Tensor], expected: List[torch.Tensor],
        inputs: Any, group: str,
    ) -> bool:  # fmt: skip
        """Whether the outputs change when only some of a group's tensors move: else the check has seen nothing."""
        tensors = permutations.moves(group)
        if len(tensors) < 2 or permutations.groups[group] < 2:
            return True
        for tensor in tensors:
            orders = {group: self._order(permutations.groups[group])}
            outputs = self._with(permutations, state, orders, [tensor], inputs)
            if outputs is None or not _equal(expected, outputs):
                return True
        return False

    def _with(
        self, permutations: Permutations, state: Mapping[str, torch.Tensor], orders: Mapping[str, np.ndarray],
        tensors: Sequence[str], inputs: Any,
    ) -> Optional[List[torch.Tensor]]:  # fmt: skip
        for name in tensors:
            self.state[name].copy_(permutations.permuted(name, state[name], orders))
        try:
            return self._outputs(inputs)
        finally:
            for name in tensors:
                self.state[name].copy_(state[name])

    def _outputs(self, inputs: Any) -> Optional[List[torch.Tensor]]:
        """What the module computes, as numbers; None where some are none."""
        try:
            outputs = [t.detach().clone() for t in _leaves(self._run(inputs)) if t.is_floating_point() or t.is_complex()]
        except Exception:
            return None
        return outputs if outputs and all(bool(t.isfinite().all()) for t in outputs) else None

    def _order(self, units: int) -> np.ndarray:
        order = torch.randperm(units, generator=self._random).numpy()
        # One that leaves all where they are would prove nothing.
        return np.roll(np.arange(units), 1) if units > 1 and (order == np.arange(units)).all() else order

    def _redrawn(self, inputs: Any) -> Any:
        """Inputs of the same shapes, with other numbers where these are real."""

        def other(value: Any) -> Any:
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                return torch.randn(value.shape, generator=self._random, dtype=torch.float64)
            if isinstance(value, torch.Tensor) and value.dtype in (torch.int64, torch.int32):
                return value.flatten()[torch.randperm(value.numel(), generator=self._random)].reshape(value.shape)
            return value

        return torch.utils._pytree.tree_map(other, inputs)

    def _randomize(self, scale: float) -> Dict[str, torch.Tensor]:
        """Gives each tensor numbers that differ from unit to unit."""
        for name, tensor in self.state.items():
            original = self._original[name]

            def drawn() -> torch.Tensor:
                return torch.randn(tensor.shape, generator=self._random, dtype=tensor.dtype)

            if name.endswith("running_var"):
                tensor.copy_(original.abs() * (0.5 + drawn().abs()) + 0.1)
            elif tensor.dim() > 1:
                fan = max(1, tensor.numel() // tensor.shape[0])
                tensor.copy_(original * (1 + scale * drawn()) + drawn() * scale * fan**-0.5)
            else:
                tensor.copy_(original * (1 + scale * drawn()) + scale * drawn())
        return {name: tensor.clone() for name, tensor in self.state.items()}

    def _restore(self) -> None:
        for name, tensor in self.state.items():
            tensor.copy_(self._original[name])


def derive(module: torch.nn.Module, example: Any = None) -> Permutations:
    """The permutation groups of a module that hold on numbers, however random.

    Raises:
        NotTraceable: saying why it cannot be told.
    """
    probe = Probe(module, example)
    proposed = probe.propose()
    while proposed:
        failing = probe.failing(proposed)
        if not failing:
            break
        proposed = proposed.without(failing)
    return proposed


def _named(trace: Trace) -> Permutations:
    """The axes of a trace that are not fixed, as groups with names."""
    names: Dict[Dim, str] = {}
    order = list(trace.used) + [name for name in trace.axes if name not in trace.used]
    for tensor in order:
        for axis in trace.axes[tensor]:
            for part in (part for segment in written(axis) for part in segment if isinstance(part, Dim)):
                if part not in names:
                    base = tensor.rpartition(".")[0] or tensor
                    taken = [name for name in names.values() if name == base or name.startswith(base + "/")]
                    names[part] = f"{base}/{len(taken) + 1}" if taken else base
    tensors: Dict[str, List[Axis]] = {}
    for tensor, axes in trace.axes.items():
        written_axes = [
            [[names[part] if isinstance(part, Dim) else part for part in segment] for segment in written(axis)]
            for axis in axes
        ]
        if any(isinstance(part, str) for axis in written_axes for segment in axis for part in segment):
            tensors[tensor] = written_axes
    return Permutations({name: dim.size for dim, name in names.items()}, tensors)


def _copied(module: torch.nn.Module) -> torch.nn.Module:
    # Tensors that are made of others, such as weights under weight_norm, cannot be copied but by value.
    memo: Dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    try:
        copied = copy.deepcopy(module, memo).cpu().double().eval()
    except Exception as error:
        raise NotTraceable(f"it cannot be copied: {_short(error)}") from error
    # Parts that are compiled are watched, and called, as they were before.
    for part in list(copied.modules()):
        for name, child in list(part.named_children()):
            if unwrapped(child) is not child:
                setattr(part, name, unwrapped(child))
    return copied


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Computes by operations that can be watched, and new tensors in float64."""
    mha, kind = torch.backends.mha.get_fastpath_enabled(), torch.get_default_dtype()
    torch.backends.mha.set_fastpath_enabled(False)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(mha)
        torch.set_default_dtype(kind)


def _wide(value: Any) -> Any:
    def wide(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        leaf = leaf.detach().cpu()
        return leaf.double() if leaf.is_floating_point() else leaf.clone()

    return torch.utils._pytree.tree_map(wide, value)


def _leaves(value: Any) -> List[torch.Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(_opened(value)) if isinstance(leaf, torch.Tensor)]


def _opened(value: Any) -> Any:
    """Outputs that are objects, such as those of torchvision's detectors or transformers' models, as dicts."""
    if hasattr(value, "__dict__") and not isinstance(value, (torch.Tensor, dict, list, tuple)):
        return {name: part for name, part in vars(value).items() if isinstance(part, (torch.Tensor, list, tuple, dict))}
    return dict(value) if isinstance(value, dict) else value


def _equal(a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> bool:
    if [t.shape for t in a] != [t.shape for t in b]:
        return False
    for x, y in zip(a, b):
        if x.numel() and float((x - y).abs().max()) > _TOLERANCE * max(float(x.abs().max()), 1e-300):
            return False
    return True


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
