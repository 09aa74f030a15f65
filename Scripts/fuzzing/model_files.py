"""The files of a model, read and written without the package: Schemas/model.md describes them."""

import hashlib
import json
import struct


def tensors(path):
    """The bytes of each tensor of a safetensors file."""
    header, body = _parts(path.read_bytes())
    header.pop("__metadata__", None)
    return {name: body[slice(*entry["data_offsets"])] for name, entry in header.items()}


def header_length(path):
    return struct.unpack("<Q", path.read_bytes()[:8])[0]


def _parts(data):
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _sealed(data, digits):
    """A file with the SHA-256 of what it now is, in place of the digits that stand in it; without those, as it is."""
    if digits.encode() not in data:
        return data
    blank = data.replace(digits.encode(), b"0" * 64, 1)
    return blank.replace(b"0" * 64, hashlib.sha256(blank).hexdigest().encode(), 1)


def rewrite(path, change):
    """Gives a file other JSON, and the SHA-256 that then is right.

    Args:
        change: takes the JSON, which is the header of a safetensors file, and returns the text of the new.
    """
    data = path.read_bytes()
    if path.suffix == ".json":
        value = json.loads(data)
        path.write_bytes(_sealed(change(value), value["sha256"]))
        return
    header, body = _parts(data)
    digits = header["__metadata__"]["sha256"]
    text = change(header)
    text += b" " * (-(8 + len(text)) % 64)
    path.write_bytes(_sealed(struct.pack("<Q", len(text)) + text + body, digits))


def rewrite_description(path, change):
    """As `rewrite`, for the description in the header of a training."""

    def change_header(header):
        texts = header["__metadata__"]
        texts["description"] = change(json.loads(texts["description"])).decode("utf-8", "replace")
        return json.dumps(header).encode()

    rewrite(path, change_header)


def extend_training(path):
    """Makes a training that is at its end have two more updates to go."""

    def extend(description):
        description["training"]["steps"] += 2
        return json.dumps(description).encode()

    rewrite_description(path / "training.safetensors", extend)
    rewrite(path / "model.json", extend)
