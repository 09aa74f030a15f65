"""Parameter vectors out of what people train: state dictionaries, modules, arrays."""

from __future__ import annotations

from typing import Any, Mapping

import numpy as np

from .errors import CorpusError


def state_of(source: Any) -> Any:
    """The state dictionary of a module; anything else as it is."""
    return source.state_dict() if hasattr(source, "state_dict") else source


def architecture_of(source: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of tensors by their names, of a module, a state dictionary, or names with shapes or arrays.

    Tensors of whole numbers, such as BatchNorm's count of batches, are no parameters and left out.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    source = state_of(source)
    if not isinstance(source, Mapping):
        raise CorpusError(
            "invalid_argument", f"a {type(source).__name__} is no architecture",
            "pass a dict from names to shapes, a state_dict or a module",
        )  # fmt: skip
    for name, value in source.items():
        if not hasattr(value, "shape"):
            shapes[name] = tuple(int(length) for length in value)
        elif _is_floating(value):
            shapes[name] = tuple(int(length) for length in value.shape)
    return shapes


def vector_of(source: Any, architecture: Mapping[str, tuple[int, ...]]) -> np.ndarray:
    """The parameter vector, a new float32 array (P,), of a module, a state dictionary or a vector."""
    size = sum(int(np.prod(shape)) for shape in architecture.values())
    source = state_of(source)
    if not isinstance(source, Mapping):
        vector = _array(source, "the parameters")
        if vector.shape != (size,):
            raise CorpusError(
                "invalid_argument", f"an array of shape {vector.shape} is no parameter vector of this corpus",
                f"pass one of shape ({size},), or a state_dict",
            )  # fmt: skip
        return np.array(vector, np.float32)
    parts = []
    for name, shape in architecture.items():
        if name not in source:
            raise CorpusError("invalid_argument", f"the tensor {name} is missing", "pass all of the architecture")
        part = _array(source[name], name)
        if part.shape != tuple(shape):
            raise CorpusError(
                "invalid_argument", f"the tensor {name} has the shape {part.shape}, and the architecture says {shape}",
                "log networks of the corpus's architecture",
            )  # fmt: skip
        parts.append(np.ravel(part))
    for name, value in source.items():
        if name not in architecture and _is_floating(value):
            raise CorpusError(
                "invalid_argument", f"the tensor {name} is none of the architecture",
                "leave it out, or begin a corpus of another architecture",
            )  # fmt: skip
    return np.concatenate(parts, dtype=np.float32)


def _is_floating(value: Any) -> bool:
    if hasattr(value, "is_floating_point"):
        return bool(value.is_floating_point())
    return np.asarray(value).dtype.kind == "f"


def _array(value: Any, name: str) -> np.ndarray:
    """A tensor or array as numpy's, float32 or narrower."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        # numpy has no bfloat16.
        value = (value.float() if value.element_size() < 4 else value).numpy()
    array = np.asarray(value)
    if array.dtype.kind != "f" or array.dtype.itemsize > 4:
        raise CorpusError(
            "invalid_argument", f"{name} is of type {array.dtype}, and a corpus holds float32",
            "convert it first, as by `.float()`, if you can do without the rest",
        )  # fmt: skip
    return array
