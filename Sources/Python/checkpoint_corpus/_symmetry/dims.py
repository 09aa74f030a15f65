"""Axes as unknowns: what is known of their parts, and which of them are the same.

An axis is a leaf, a product of parts (row-major) or a chain of parts one behind the other. What an operation does to
tensors makes axes equal (`unify`), or shows that their elements are not alike (`fix`). A leaf that nothing fixes is one
whose elements may be put into any order, wherever it occurs.
"""

from __future__ import annotations

import math
from typing import Callable, Iterable, Iterator, List, Optional, Sequence, Union

#: The most parts that a fixed factor is written out to.
_LIMIT = 1024


class Dim:
    """An axis, or a part of one."""

    __slots__ = ("size", "link", "fixed", "kind", "parts")

    def __init__(self, size: int, fixed: bool = False) -> None:
        self.size = int(size)
        self.fixed = fixed or size == 1
        #: What it turned out to be the same as.
        self.link: Optional[Dim] = None
        #: "prod" or "cat" of its parts; None for a leaf.
        self.kind: Optional[str] = None
        self.parts: List[Dim] = []

    def become(self, kind: str, parts: Sequence[Dim]) -> None:
        self.kind, self.parts = kind, list(parts)


def find(dim: Dim) -> Dim:
    while dim.link is not None:
        dim = dim.link
    return dim


def fix(dim: Dim) -> None:
    """Says that the elements of an axis are not alike."""
    dim = find(dim)
    if dim.kind is None:
        dim.fixed = True
    for part in dim.parts:
        fix(part)


def is_fixed(dim: Dim) -> bool:
    dim = find(dim)
    return dim.fixed if dim.kind is None else all(is_fixed(part) for part in dim.parts)


def _flat(dim: Dim, kind: str) -> List[Dim]:
    dim = find(dim)
    return [leaf for part in dim.parts for leaf in _flat(part, kind)] if dim.kind == kind else [dim]


def factors(dim: Dim) -> List[Dim]:
    return [factor for factor in _flat(dim, "prod") if factor.size > 1]


def segments(dim: Dim) -> List[Dim]:
    return _flat(dim, "cat")


def _made(kind: str, parts: Sequence[Dim]) -> Dim:
    if len(parts) == 1:
        return find(parts[0])
    dim = Dim((math.prod if kind == "prod" else sum)(part.size for part in parts))
    dim.become(kind, parts)
    dim.fixed = False
    return dim


def product(parts: Iterable[Dim]) -> Dim:
    parts = [part for part in parts if part.size > 1]
    return _made("prod", parts) if parts else Dim(1)


def chain(parts: Iterable[Dim]) -> Dim:
    parts = [part for part in parts if part.size > 0]
    return _made("cat", parts) if parts else Dim(0, True)


def _split_product(dim: Dim, size: int) -> Optional[List[Dim]]:
    """A factor as two, the first of this size."""
    dim = find(dim)
    if dim.kind is None:
        dim.become("prod", [Dim(size, dim.fixed), Dim(dim.size // size, dim.fixed)])
        return dim.parts
    if dim.kind == "cat":
        parts = segments(dim)
        if len(parts) == size and all(part is parts[0] for part in parts):
            return [Dim(size, True), parts[0]]
    return None


def regroup(axes: Iterable[Dim], sizes: Sequence[int]) -> Optional[List[Dim]]:
    """Axes of other sizes for the elements of these axes; None where the parts don't lie so."""
    queue = [factor for axis in axes for factor in factors(axis)]
    result = []
    for size in sizes:
        taken = []
        while size > 1:
            if not queue:
                return None
            factor = find(queue.pop(0))
            if factor.kind == "prod":
                queue[:0] = factors(factor)
            elif size % factor.size == 0:
                taken.append(factor)
                size //= factor.size
            elif factor.size % size == 0:
                parts = _split_product(factor, size)
                if parts is None:
                    return None
                queue[:0] = parts
            else:
                return None
        result.append(product(taken))
    return None if queue else result


def reshape(axes: Sequence[Dim], sizes: Sequence[int]) -> List[Dim]:
    """The axes of a view of other sizes; what cannot be told is fixed."""
    result: List[Dim] = []
    i = j = 0
    while i < len(axes) or j < len(sizes):
        left, right, first, begin = 1, 1, i, j
        while True:
            if left == right and (i > first or j > begin):
                break
            if i < len(axes) and (left <= right or j == len(sizes)):
                left *= axes[i].size
                i += 1
            elif j < len(sizes):
                right *= sizes[j]
                j += 1
            else:
                break
        # A single axis keeps what is known of it as it is.
        old = [axis for axis in axes[first:i] if axis.size != 1]
        new = [size for size in sizes[begin:j] if size != 1]
        made = old if [axis.size for axis in old] == new else regroup(old, new) if left == right else None
        if made is None:
            for axis in old:
                fix(axis)
            made = [Dim(size, True) for size in new]
        rest = iter(made)
        result += [Dim(1) if size == 1 else next(rest) for size in sizes[begin:j]]
    return result


def _to_chain(dim: Dim) -> bool:
    """Writes a product out as a chain, if its first factor is fixed or a chain itself; fixes it where it is neither."""
    dim = find(dim)
    first, *rest = factors(dim)
    if not rest:
        return False
    if first.kind == "cat":
        dim.become("cat", [product([part, *rest]) for part in segments(first)])
        return True
    fix(first)
    if first.size > _LIMIT:
        return False
    dim.become("cat", [product(rest)] * first.size)
    return True


def cut(dim: Dim, sizes: Sequence[int]) -> List[Dim]:
    """An axis as segments of these sizes, one behind the other."""
    dim = find(dim)
    sizes = [int(size) for size in sizes]
    if sizes == [dim.size]:
        return [dim]
    if is_fixed(dim):
        return [Dim(size, True) for size in sizes]
    queue, result = [dim], []
    for size in sizes:
        taken = []
        while size > 0:
            part = find(queue.pop(0))
            if part.kind == "cat":
                queue[:0] = segments(part)
            elif part.size <= size:
                taken.append(part)
                size -= part.size
            elif part.kind is None:
                part.become("cat", [Dim(size, part.fixed), Dim(part.size - size, part.fixed)])
                queue[:0] = part.parts
            elif _to_chain(part):
                queue[:0] = segments(part)
            else:
                fix(dim)
                return [Dim(size, True) for size in sizes]
        result.append(chain(taken))
    return result


def unify(a: Dim, b: Dim) -> None:
    """Says that two axes are the same."""
    a, b = find(a), find(b)
    if a is b or a.size == b.size == 1:
        return
    if a.size != b.size:
        fix(a)
        fix(b)
    elif a.kind is None or b.kind is None:
        leaf, other = (a, b) if a.kind is None else (b, a)
        if leaf.fixed:
            fix(other)
        leaf.link = other
    elif is_fixed(a) or is_fixed(b):
        fix(a)
        fix(b)
    else:
        is_product = a.kind == b.kind == "prod"
        if not (_unify_products(a, b) if is_product else _unify_chains(a, b)):
            fix(a)
            fix(b)
        elif find(a) is not find(b):
            find(a).link = find(b)


def _heads(queues: List[List[Dim]], kind: str, parts_of: Callable[[Dim], List[Dim]]) -> Iterator[List[Dim]]:
    """The first axes of two queues while both have some; one of this kind makes way for its parts before."""
    while queues[0] and queues[1]:
        first = [find(queue[0]) for queue in queues]
        for queue, dim in zip(queues, first):
            if dim.kind == kind:
                queue[:1] = parts_of(dim)
        if all(dim.kind != kind for dim in first):
            yield first


def _unify_products(a: Dim, b: Dim) -> bool:
    queues = [factors(a), factors(b)]
    for first in _heads(queues, "prod", factors):
        sizes = [dim.size for dim in first]
        if sizes[0] == sizes[1]:
            unify(*first)
            for queue in queues:
                queue.pop(0)
            continue
        large = 0 if sizes[0] > sizes[1] else 1
        if sizes[large] % sizes[1 - large]:
            return False
        parts = _split_product(first[large], sizes[1 - large])
        if parts is None:
            return False
        queues[large][:1] = parts
    return True


def _unify_chains(a: Dim, b: Dim) -> bool:
    queues = [[a], [b]]
    for first in _heads(queues, "cat", segments):
        sizes = [dim.size for dim in first]
        whole = first[0] is a or first[1] is b
        if sizes[0] == sizes[1] and not whole:
            unify(*first)
            for queue in queues:
                queue.pop(0)
            continue
        large = 0 if sizes[0] > sizes[1] or (sizes[0] == sizes[1] and first[0] is a) else 1
        dim, size = first[large], sizes[1 - large]
        if dim.kind is None:
            dim.become("cat", [Dim(size, dim.fixed), Dim(dim.size - size, dim.fixed)])
        elif not _to_chain(dim):
            return False
    return True


#: A part of a segment: a leaf that is not fixed, or a length.
Part = Union[Dim, int]


def written(dim: Dim) -> List[List[Part]]:
    """An axis as segments of factors; fixes what cannot be written so."""
    merged: List[List[Part]] = []
    for segment in _expanded(dim):
        short: List[Part] = []
        for leaf in segment:
            part: Part = leaf.size if leaf.fixed else leaf
            if isinstance(part, int) and short and isinstance(short[-1], int):
                short[-1] *= part
            elif part != 1:
                short.append(part)
        short = short or [1]
        if merged and all(isinstance(part, int) for part in merged[-1] + short):
            merged[-1] = [merged[-1][0] + short[0]]
        else:
            merged.append(short)
    if len(merged) > 1 and all(segment == merged[0] for segment in merged):
        head = [len(merged) * merged[0][0], *merged[0][1:]] if isinstance(merged[0][0], int) else None
        return [head or [len(merged), *merged[0]]]
    return merged


def _expanded(dim: Dim) -> List[List[Dim]]:
    dim = find(dim)
    if dim.kind is None:
        return [[dim]]
    if dim.kind == "cat":
        return [segment for part in dim.parts for segment in _expanded(part)]
    result: List[List[Dim]] = [[]]
    for factor in reversed(factors(dim)):
        if len(result) == 1:
            result = [segment + result[0] for segment in _expanded(factor)]
        else:
            # Repeats of a chain: each of them would have to be told apart.
            fix(factor)
            if factor.size * len(result) > _LIMIT:
                for leaf in (leaf for segment in result for leaf in segment):
                    fix(leaf)
                size = sum(math.prod(leaf.size for leaf in segment) for segment in result)
                result = [[Dim(factor.size * size, True)]]
            else:
                result = result * factor.size
    return result
