"""Model directories: model.json, model.safetensors and training.safetensors, as Schemas/model.md describes them.

`corpus train`, `corpus prompt` and `corpus evaluate` read and write the same ones.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import struct
from typing import Any, Iterable, Iterator, Mapping, Union

import numpy as np
import torch

from .. import _temporary
from .configuration import Configuration
from .evaluations import best
from .model import GPT
from .tokens import layers

Path = Union[str, "os.PathLike[str]"]


class ModelError(Exception):
    """What is wrong with a model's files, in a sentence that names the file and what to do."""


_NO_HASH = b"0" * 64


def _sealed(data: bytes, rest: Iterable[bytes] = ()) -> bytes:
    """Bytes with their SHA-256, and that of what follows them, in place of the 64 zeros that stand for it in them."""
    digest = hashlib.sha256(data)
    for piece in rest:
        digest.update(piece)
    return data.replace(_NO_HASH, digest.hexdigest().encode(), 1)


def _is_whole(data: bytes, digits: Any) -> bool:
    """Whether bytes have the SHA-256 that stands in them."""
    return isinstance(digits, str) and _sealed(data.replace(digits.encode(), _NO_HASH, 1)) == data


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The float32 tensors of a safetensors file, and the texts about them."""
    data = pathlib.Path(path).read_bytes()
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        texts = header.pop("__metadata__", {})
        tensors = {}
        for name, entry in header.items():
            first, last = (8 + length + offset for offset in entry["data_offsets"])
            if entry["dtype"] != "F32":
                raise ValueError(f"{name} is not float32")
            values = np.frombuffer(data[first:last], "<f4").reshape(entry["shape"])
            tensors[name] = torch.from_numpy(values.copy())
        # The first files have none.
        if "sha256" in texts and not _is_whole(data, texts.pop("sha256")):
            raise ValueError("it does not have the SHA-256 that it says")
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is no safetensors file of a model ({error}): restore it from a copy") from None
    return tensors, texts


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], texts: Mapping[str, str]) -> None:
    """Writes a safetensors file that is there as a whole or not at all."""
    header: dict[str, Any] = {"__metadata__": {**texts, "sha256": _NO_HASH.decode()}}
    end = 0
    arrays = []
    for name, tensor in tensors.items():
        array = tensor.detach().float().cpu().contiguous().numpy()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
        arrays.append(array)
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with _whole(path) as file:
        file.write(_sealed(struct.pack("<Q", len(text)) + text, (array.tobytes() for array in arrays)))
        for array in arrays:
            file.write(array.tobytes())


class _whole:
    """A file that gets its name when the block ends well and it reads back as it was written.

    It may replace the only other state of a training.
    """

    def __init__(self, path: Path) -> None:
        self.path = pathlib.Path(path)
        self.temporary = _temporary.path_for(self.path)

    def __enter__(self) -> _whole:
        self.file = open(self.temporary, "x+b")
        self._hash = hashlib.blake2b()
        return self

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self.file.write(data)

    def _reads_back(self) -> bool:
        self.file.flush()
        os.fsync(self.file.fileno())
        # So that what is read comes from the disk.
        os.posix_fadvise(self.file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self.file.seek(0)
        found = hashlib.blake2b()
        while piece := self.file.read(1 << 20):
            found.update(piece)
        return found.digest() == self._hash.digest()

    def __exit__(self, kind: Any, *_: Any) -> None:
        is_whole = kind is None and self._reads_back()
        self.file.close()
        if kind is None and not is_whole:
            self.temporary.unlink()
            raise ModelError(
                f"what was written to {self.path} does not read back as it was: the disk or the memory is failing; "
                "nothing was replaced for it"
            )
        if kind is None:
            os.replace(self.temporary, self.path)
            directory = os.open(self.path.parent, os.O_RDONLY)
            os.fsync(directory)
            os.close(directory)
        else:
            self.temporary.unlink()


class ModelDirectory:
    """A model's directory."""

    def __init__(self, path: Path) -> None:
        self.path = pathlib.Path(path)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Keeps other trainings away from the directory, which is made where it is missing: the command's, too.

        Raises:
            ModelError: where another one has it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / ".lock", "ab") as file:
            # struct flock: the first byte, exclusively, until the file is closed or the process ends.
            lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
            try:
                fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
            except OSError as error:
                # Without locks in the file system, trainings cannot be told apart, and this one may well be alone.
                if error.errno in (errno.EAGAIN, errno.EACCES):
                    raise ModelError(f"another process is training {self.path}: wait until it has ended, or choose "
                                     "another --out") from None  # fmt: skip
            yield

    @property
    def holds_training(self) -> bool:
        return (self.path / "training.safetensors").exists()

    @property
    def holds_model(self) -> bool:
        return self.holds_training or (self.path / "model.json").exists()

    def description(self) -> dict[str, Any]:
        """What model.json says."""
        path = self.path / "model.json"
        try:
            data = path.read_bytes()
            description = json.loads(data)
        except FileNotFoundError:
            raise ModelError(f"there is no {path}: name the directory that a training has made") from None
        except ValueError:
            raise ModelError(f"{path} is damaged: restore it from a copy") from None
        if not isinstance(description, dict) or description.get("format") != "checkpoint-corpus model" or description.get("version") != 1:
            raise ModelError(f"{path} describes no model of version 1: use the release that wrote it")
        if "sha256" in description and not _is_whole(data, description.pop("sha256")):
            raise ModelError(
                f"{path} is damaged, as it does not have the SHA-256 that it says: restore it from a copy; if you have "
                "changed it yourself, take out its member sha256"
            )
        return description

    def load(self) -> tuple[GPT, dict[str, Any]]:
        """The model with the averaged weights, for sampling; and its description."""
        description = _complete(self.description(), self.path / "model.json")
        model = new_model(description)
        tensors, _ = read_tensors(self.path / "model.safetensors")
        put_weights(model, tensors, self.path / "model.safetensors")
        return model.eval(), description

    def save(
        self, description: dict[str, Any], model: GPT, optimizer: torch.optim.Optimizer,
        average: Mapping[str, torch.Tensor], smoothing: Mapping[str, float],
    ) -> None:
        """Stores a model and its training; a crash leaves either this state or the one before to go on from.

        The averaged weights become the model's unless an evaluation has found others better, which `save_weights` has
        stored then.
        """
        tensors = {}
        zero = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
        for name, p in model.named_parameters():
            state = optimizer.state.get(p, {})
            tensors[f"weights.{name}"] = p
            tensors[f"moments1.{name}"] = state.get("exp_avg", zero[name])
            tensors[f"moments2.{name}"] = state.get("exp_avg_sq", zero[name])
            tensors[f"average.{name}"] = average[name]
        self.path.mkdir(parents=True, exist_ok=True)
        texts = {
            "format": "checkpoint-corpus training", "description": json.dumps(description),
            "loss_average": json.dumps(smoothing),
        }  # fmt: skip
        write_tensors(self.path / "training.safetensors", tensors, texts)
        # What follows can be made of it again.
        if best(description) is None:
            self.save_weights(description, average)
        with _whole(self.path / "model.json") as file:
            described = {**description, "sha256": _NO_HASH.decode()}
            file.write(_sealed((json.dumps(described, indent=2, sort_keys=True) + "\n").encode()))

    def save_weights(self, description: Mapping[str, Any], average: Mapping[str, torch.Tensor]) -> None:
        """Stores the averaged weights as those that samples are drawn with."""
        self.path.mkdir(parents=True, exist_ok=True)
        texts = {"format": "checkpoint-corpus model", "step": str(description["step"])}
        write_tensors(self.path / "model.safetensors", average, texts)

    def resume(
        self, model: GPT, optimizer: torch.optim.Optimizer
    ) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
        """Puts a stored training into a model and its optimizer; returns the averaged weights and the loss's average."""
        path = self.path / "training.safetensors"
        tensors, texts = read_tensors(path)
        parts: dict[str, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = tensor
        for part in ("weights", "moments1", "moments2", "average"):
            _require(model, parts.get(part, {}), path)
        put_weights(model, parts["weights"], path)
        step = json.loads(texts["description"])["step"]
        for name, p in model.named_parameters():
            optimizer.state[p] = {
                # Where the fused optimizer wants it.
                "step": torch.tensor(float(step), device=p.device),
                "exp_avg": parts["moments1"][name].to(p.device),
                "exp_avg_sq": parts["moments2"][name].to(p.device),
            }
        return parts["average"], json.loads(texts["loss_average"])

    def stored_description(self) -> dict[str, Any]:
        """The description in training.safetensors, which is never older than model.json."""
        path = self.path / "training.safetensors"
        _, texts = read_tensors(path)
        try:
            description = json.loads(texts.get("description", ""))
        except ValueError:
            raise ModelError(f"{path} is no training state: restore it from a copy, or begin anew") from None
        return _complete(description, path)


def _complete(description: Any, path: Path) -> dict[str, Any]:
    """A description, if it has what a model is made of."""
    try:
        Configuration.parse(description)
        for name in ("architecture", "metric", "scale", "step", "corpus"):
            if name not in description:
                raise ValueError(f"`{name}` is missing")
    except ValueError as error:
        raise ModelError(f"{path} is damaged, as {error}: restore it from a copy") from None
    return description


def shapes(description: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """The shapes of the architecture's tensors."""
    return [tuple(tensor["shape"]) for tensor in description["architecture"]["tensors"]]


def statuses_of(description: Mapping[str, Any]) -> tuple[str, ...]:
    """The statuses of the runs that a model is trained on."""
    return tuple(description.get("corpus", {}).get("statuses") or ("ok",))


def new_model(description: Mapping[str, Any]) -> GPT:
    """A model as a description has it, with new weights."""
    return GPT(Configuration.parse(description).model, shapes(description), layers(description["architecture"]))


def configured(configuration: Configuration) -> dict[str, Any]:
    """The members `model` and `training` of a description; what is None is left out."""
    parts = {"model": configuration.model, "training": configuration.training}
    return {
        name: {key: value for key, value in dataclasses.asdict(part).items() if value is not None}
        for name, part in parts.items()
    }


def shortest(value: float) -> float:
    """A float32 as the shortest number that stands for it, as JSON has it."""
    return float(str(np.float32(value)))


def _require(model: GPT, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    expected = {name: tuple(p.shape) for name, p in model.named_parameters()}
    missing = [name for name in expected if name not in tensors]
    if missing:
        raise ModelError(f"{path} lacks {missing[0]} and {len(missing) - 1} more: use the model.json that belongs to it")
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != expected.get(name):
            raise ModelError(
                f"in {path}, {name} has the shape {tuple(tensor.shape)}, and {expected.get(name)} is expected: use the "
                "model.json that belongs to it"
            )


def put_weights(model: GPT, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Copies weights into a model.

    Raises:
        ModelError: naming `path`, where some are missing, foreign or of another shape.
    """
    _require(model, tensors, path)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(tensors[name])
