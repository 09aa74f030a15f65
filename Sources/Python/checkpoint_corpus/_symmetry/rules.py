"""What operations of PyTorch do to the axes of their tensors, for `trace`.

A rule gets the operation's arguments by their names and gives the axes of its results. What has no rule fixes all that
it touches: a symmetry may be missed that way, never made up.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence

from .dims import Dim, chain, cut, fix, product, regroup, reshape, unify

Axes = List[Dim]
#: Axes of each result.
Results = List[Axes]


class Operation:
    """One operation as it ran: its arguments by name, and its results' shapes."""

    def __init__(self, name: str, arguments: Dict[str, Any], axes: Callable[[Any], Axes], shapes: List[tuple]) -> None:
        self.name, self.arguments, self._axes, self.shapes = name, arguments, axes, shapes

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)

    def axes(self, *names: str) -> Any:
        """The axes of the tensors in these arguments, None for arguments that are not given."""
        found = [None if self[name] is None else self._axes(self[name]) for name in names]
        return found[0] if len(found) == 1 else found

    def of(self, tensor: Any) -> Axes:
        return self._axes(tensor)

    def dim(self, name: str, axes: Sequence[Any]) -> int:
        """The dimension that an argument names, counted from the front."""
        return self[name] % max(1, len(axes))

    def fresh(self, result: int = 0) -> Axes:
        """Fixed axes for a result of which nothing else is known."""
        return [Dim(size, True) for size in self.shapes[result]]


RULES: Dict[str, Callable[[Operation], Optional[Results]]] = {}


def rule(*names: str) -> Callable[[Callable[[Operation], Any]], Callable[[Operation], Any]]:
    def add(function: Callable[[Operation], Any]) -> Callable[[Operation], Any]:
        for name in names:
            RULES[name] = function
        return function

    return add


def broadcast(tensors: Sequence[Axes], shape: Sequence[int]) -> Axes:
    """The axes of a result of this shape, in which tensors meet element by element."""
    result = []
    for dim, size in enumerate(shape):
        met = [axes[dim - len(shape)] for axes in tensors if len(axes) >= len(shape) - dim]
        met = [axis for axis in met if axis.size == size] if size != 1 else []
        for other in met[1:]:
            unify(met[0], other)
        result.append(met[0] if met else Dim(size))
    return result


def pointwise(op: Operation) -> Results:
    tensors = [op.of(value) for value in tensors_of(op.arguments.values())]
    return [broadcast(tensors, shape) for shape in op.shapes]


def tensors_of(values: Any) -> List[Any]:
    found = []
    for value in values:
        if hasattr(value, "untyped_storage"):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += tensors_of(value)
    return found


def fix_all(axes: Sequence[Dim]) -> None:
    for axis in axes:
        fix(axis)


def unify_all(a: Sequence[Dim], b: Sequence[Dim]) -> None:
    for one, other in zip(a, b):
        unify(one, other)


# Operations that leave axes as they are


@rule("clone", "detach", "alias", "_to_copy", "lift_fresh", "lift_fresh_copy", "positive", "contiguous", "zero",
      "fill", "dropout", "alpha_dropout", "feature_dropout")  # fmt: skip
def _same(op: Operation) -> Results:
    return [op.of(tensors_of(op.arguments.values())[0])]


@rule("copy")
def _copy(op: Operation) -> Results:
    to, source = op.axes("self", "src")
    return [broadcast([to, source], [axis.size for axis in to])]


@rule("zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty", "zeros",
      "ones", "full", "empty", "scalar_tensor")  # fmt: skip
def _uniform(op: Operation) -> Results:
    return [[Dim(size) for size in shape] for shape in op.shapes]


# Axes that move, merge and part


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "unflatten", "squeeze", "unsqueeze",
      "_reshape_copy", "view_copy")  # fmt: skip
def _view(op: Operation) -> Results:
    return [reshape(op.axes("self"), op.shapes[0])]


@rule("permute")
def _permute(op: Operation) -> Results:
    axes = op.axes("self")
    return [[axes[dim] for dim in op["dims"]]]


@rule("transpose", "t")
def _transpose(op: Operation) -> Results:
    axes = list(op.axes("self"))
    a, b = (op.dim("dim0", axes), op.dim("dim1", axes)) if op["dim0"] is not None else (0, 1)
    if len(axes) > 1:
        axes[a], axes[b] = axes[b], axes[a]
    return [axes]


@rule("expand")
def _expand(op: Operation) -> Results:
    axes, shape = op.axes("self"), op.shapes[0]
    axes = [None] * (len(shape) - len(axes)) + list(axes)
    return [[axis if axis and axis.size == size else Dim(size) for axis, size in zip(axes, shape)]]


@rule("repeat")
def _repeat(op: Operation) -> Results:
    repeats, axes = op["repeats"], op.axes("self")
    axes = [Dim(1)] * (len(repeats) - len(axes)) + list(axes)
    return [[product([Dim(count, True), axis]) for count, axis in zip(repeats, axes)]]


@rule("cat")
def _cat(op: Operation) -> Results:
    parts = [axes for axes in map(op.of, op["tensors"]) if len(axes) == len(op.shapes[0])]
    dim = (op["dim"] or 0) % len(op.shapes[0])
    for other in parts[1:]:
        unify_all(parts[0][:dim], other[:dim])
        unify_all(parts[0][dim + 1 :], other[dim + 1 :])
    return [[*parts[0][:dim], chain(axes[dim] for axes in parts), *parts[0][dim + 1 :]]]


@rule("stack")
def _stack(op: Operation) -> Results:
    parts = list(map(op.of, op["tensors"]))
    dim = (op["dim"] or 0) % len(op.shapes[0])
    for other in parts[1:]:
        unify_all(parts[0], other)
    return [[*parts[0][:dim], Dim(len(parts), True), *parts[0][dim:]]]


@rule("slice")
def _slice(op: Operation) -> Results:
    axes = list(op.axes("self"))
    dim = (op["dim"] or 0) % len(axes)
    size = axes[dim].size
    if (op["step"] or 1) != 1:
        fix(axes[dim])
        return [op.fresh()[dim : dim + 1] if len(axes) == 1 else [*axes[:dim], op.fresh()[dim], *axes[dim + 1 :]]]
    start = min(max(0, (op["start"] or 0) + (size if (op["start"] or 0) < 0 else 0)), size)
    length = op.shapes[0][dim]
    axes[dim] = cut(axes[dim], [start, length, size - start - length])[1]
    return [axes]


@rule("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk", "unsafe_chunk")
def _split(op: Operation) -> Results:
    axes = op.axes("self")
    dim = (op["dim"] or 0) % len(axes)
    parts = cut(axes[dim], [shape[dim] for shape in op.shapes])
    return [[*axes[:dim], part, *axes[dim + 1 :]] for part in parts]


@rule("select", "unbind", "index_select")
def _select(op: Operation) -> Results:
    axes = list(op.axes("self"))
    dim = (op["dim"] or 0) % len(axes)
    fix(axes[dim])
    kept = [Dim(op.shapes[0][dim], True)] if op.name == "index_select" else []
    return [axes[:dim] + kept + axes[dim + 1 :] for _ in op.shapes]


@rule("roll", "flip")
def _roll(op: Operation) -> Results:
    axes = op.axes("self")
    for dim in op["dims"] or range(len(axes)):
        fix(axes[dim])
    return [axes]


@rule("constant_pad_nd")
def _pad(op: Operation) -> Results:
    axes, pad = list(op.axes("self")), op["pad"]
    for i in range(len(pad) // 2):
        before, after = pad[2 * i : 2 * i + 2]
        dim = len(axes) - 1 - i
        if before < 0 or after < 0:
            fix(axes[dim])
            axes[dim] = op.fresh()[dim]
        elif before or after:
            axes[dim] = chain([Dim(before, True), axes[dim], Dim(after, True)])
    return [axes]


@rule("index")
def _index(op: Operation) -> Results:
    axes = op.axes("self")
    dims = [dim for dim, index in enumerate(op["indices"]) if index is not None]
    if len(dims) != 1:
        return None
    index = op["indices"][dims[0]]
    fix(axes[dims[0]])
    fix_all(op.of(index))
    count = len(op.shapes[0]) - len(axes) + 1
    shape = op.shapes[0][dims[0] : dims[0] + count]
    return [[*axes[: dims[0]], *(Dim(size, True) for size in shape), *axes[dims[0] + 1 :]]]


@rule("embedding")
def _embedding(op: Operation) -> Results:
    weight, indices = op.axes("weight", "indices")
    fix(weight[0])
    return [[*indices, *weight[1:]]]


@rule("pixel_shuffle")
def _pixel_shuffle(op: Operation) -> Results:
    axes, result = op.axes("self"), op.fresh()
    fix_all(axes[-2:])
    square = op["upscale_factor"] ** 2
    made = regroup([axes[-3]], [axes[-3].size // square, square])
    if made is None:
        return None
    fix(made[1])
    return [[*axes[:-3], made[0], *result[-2:]]]


@rule("pixel_unshuffle")
def _pixel_unshuffle(op: Operation) -> Results:
    axes, result = op.axes("self"), op.fresh()
    fix_all(axes[-2:])
    return [[*axes[:-3], product([axes[-3], Dim(op["downscale_factor"] ** 2, True)]), *result[-2:]]]


@rule("channel_shuffle", "native_channel_shuffle")
def _channel_shuffle(op: Operation) -> Results:
    axes = list(op.axes("self"))
    made = regroup([axes[1]], [op["groups"], axes[1].size // op["groups"]])
    if made is None:
        return None
    axes[1] = product(reversed(made))
    return [axes]


@rule("glu")
def _glu(op: Operation) -> Results:
    axes = list(op.axes("self"))
    dim = op.dim("dim", axes)
    half = axes[dim].size // 2
    first, second = cut(axes[dim], [half, half])
    unify(first, second)
    axes[dim] = first
    return [axes]


# Sums over axes


@rule("sum", "mean", "amax", "amin", "prod", "var", "std", "logsumexp", "linalg_vector_norm", "norm", "any", "all",
      "nansum", "var_mean", "std_mean", "max", "min", "nanmean")  # fmt: skip
def _reduce(op: Operation) -> Optional[Results]:
    axes = op.axes("self")
    dims = op["dim"]
    if op.name in ("max", "min"):
        if op["other"] is not None:
            return pointwise(op)
        if dims is not None:
            # The second result says at which index, so the elements are told apart.
            fix(axes[dims])
    if dims is None or dims == []:
        dims = range(len(axes))
    dims = {dim % max(1, len(axes)) for dim in ([dims] if isinstance(dims, int) else dims)}
    rest = [Dim(1) if dim in dims else axis for dim, axis in enumerate(axes)]
    if len(op.shapes[0]) != len(axes):
        rest = [axis for dim, axis in enumerate(rest) if dim not in dims]
    return [rest for _ in op.shapes]


@rule("_softmax", "_log_softmax", "softmax", "log_softmax", "_safe_softmax")
def _softmax(op: Operation) -> Results:
    return [op.axes("self")]


@rule("cumsum", "cumprod", "logcumsumexp", "sort", "topk", "argsort", "cummax", "cummin")
def _cumulative(op: Operation) -> Results:
    axes = op.axes("self")
    dim = (op["dim"] if op["dim"] is not None else -1) % max(1, len(axes))
    fix(axes[dim])
    return [[Dim(shape[i], True) if i == dim else axis for i, axis in enumerate(axes)] for shape in op.shapes]
