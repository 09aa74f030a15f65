"""Parameter vectors out of what people train: state dictionaries, modules, arrays."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

import numpy as np

from .errors import invalid_argument


def unwrapped(source: Any) -> Any:
    """A module without what DistributedDataParallel, DataParallel and torch.compile have put around it."""
    while True:
        if hasattr(source, "_orig_mod"):
            source = source._orig_mod
        elif type(source).__name__ in ("DistributedDataParallel", "DataParallel"):
            source = source.module
        else:
            return source


def state_of(source: Any) -> Any:
    """The state dictionary of a module; anything else as it is."""
    source = unwrapped(source)
    return source.state_dict() if hasattr(source, "state_dict") else source


def bare_names(names: Iterable[str]) -> dict[str, str]:
    """What tensors are called without such wrappers: these write `_orig_mod.` somewhere into names, or `module.` before
    all of them."""
    bare = {name: _compiled(name) for name in names}
    while bare and all(name.startswith("module.") for name in bare.values()):
        bare = {name: short[len("module.") :] for name, short in bare.items()}
    return bare


def _compiled(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def architecture_of(source: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of tensors by their names, of a module, a state dictionary, or names with shapes or arrays.

    Tensors of whole numbers, such as BatchNorm's count of batches, are no parameters and left out, and so are the
    prefixes of wrappers.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    is_module = hasattr(source, "state_dict")
    source = state_of(source)
    if not isinstance(source, Mapping):
        raise invalid_argument(
            f"a {type(source).__name__} is no architecture",
            "pass a dict from names to shapes, a state_dict or a module",
        )
    for name, value in source.items():
        if not hasattr(value, "shape"):
            shapes[name] = tuple(int(length) for length in value)
        elif _is_floating(value):
            shapes[name] = tuple(int(length) for length in value.shape)
    if not any(hasattr(value, "shape") for value in source.values()):
        return shapes
    # A module that is not wrapped any more may well have a part called `module`.
    bare = {name: _compiled(name) for name in shapes} if is_module else bare_names(shapes)
    return {bare[name]: shape for name, shape in shapes.items()}


def vector_of(source: Any, architecture: Mapping[str, tuple[int, ...]]) -> np.ndarray:
    """The parameter vector, a new float32 array (P,), of a module, a state dictionary or a vector."""
    size = sum(int(np.prod(shape)) for shape in architecture.values())
    source = state_of(source)
    if not isinstance(source, Mapping):
        vector = _array(source, "the parameters")
        if vector.shape != (size,):
            raise invalid_argument(
                f"an array of shape {vector.shape} is no parameter vector of this corpus",
                f"pass one of shape ({size},), or a state_dict",
            )
        return np.array(vector, np.float32)
    source = _named_as(architecture, source)
    parts = []
    for name, shape in architecture.items():
        if name not in source:
            raise invalid_argument(f"the tensor {name} is missing", "pass all of the architecture")
        part = _array(source[name], name)
        if part.shape != tuple(shape):
            raise invalid_argument(
                f"the tensor {name} has the shape {part.shape}, and the architecture says {shape}",
                "log networks of the corpus's architecture",
            )
        parts.append(np.ravel(part))
    for name, value in source.items():
        if name not in architecture and _is_floating(value):
            raise invalid_argument(
                f"the tensor {name} is none of the architecture",
                "leave it out, or begin a corpus of another architecture",
            )
    return np.concatenate(parts, dtype=np.float32)


def _named_as(architecture: Mapping[str, Any], source: Mapping[str, Any]) -> Mapping[str, Any]:
    """A state dictionary under the names of an architecture, from which it may differ by the prefixes of wrappers."""
    if all(name in source for name in architecture):
        return source
    own = {bare: name for name, bare in bare_names(architecture).items()}
    return {own.get(bare, name): source[name] for name, bare in bare_names(source).items()}


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
        raise invalid_argument(
            f"{name} is of type {array.dtype}, and a corpus holds float32",
            "convert it first, as by `.float()`, if you can do without the rest",
        )
    return array
