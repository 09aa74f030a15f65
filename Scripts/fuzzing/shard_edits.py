"""Shards that HDF5 writes well, and that are none of ours: by h5py, so that all of HDF5's checksums are right."""

import os

import h5py
import numpy as np
from mutators import EXTREMES

DATASETS = [
    "iteration", "metrics/train_loss", "metrics/test_error", "runs/seed", "runs/first_row", "runs/count", "runs/status",
    "runs/sum", "runs/sum_of_squares", "runs/content_hash", "chunks/offset", "chunks/bytes", "chunks/checksum",
]  # fmt: skip
ATTRIBUTES = ["format", "version", "task", "architecture", "metrics", "recipe", "generator_version", "codec"]
SHAPES = [
    "[0]", "[-1]", "[4611686018427387904,4]", "[4294967296,4294967296]", "[1e308]", "[3.5]", "[]",
    "[9223372036854775807]",
]  # fmt: skip


def edit(random, path):
    """Changes one thing in a shard.

    Returns:
        What, and whether the shard then says something else, rather than contradicting itself.
    """
    name = random.choice(list(EDITS))
    dataset, attribute = random.choice(DATASETS), random.choice(ATTRIBUTES)
    with h5py.File(path, "r+") as shard:
        if dataset not in shard:
            dataset = "iteration"
        what = EDITS[name](random, shard, dataset, attribute)
    contradicts = name == "chunks" or (name in ("values", "order") and dataset.startswith("chunks/"))
    return f"{name}: {what or dataset}", not contradicts


def _values(random, shard, dataset, _):
    values = shard[dataset][...]
    flat = values.reshape(-1)
    for place in (random.randrange(flat.size) for _ in range(random.choice([1, 1, 3]))):
        if flat.dtype.kind == "f":
            flat[place] = random.choice([0, -1, np.nan, np.inf, -np.inf, 1e30, 3.5])
        else:
            bounds = np.iinfo(flat.dtype)
            wanted = random.choice([*EXTREMES, int(flat[place]) + 1, int(flat[place]) - 1])
            flat[place] = (wanted - bounds.min) % (int(bounds.max) - int(bounds.min) + 1) + bounds.min
    shard[dataset][...] = values


def _order(random, shard, dataset, _):
    values = shard[dataset][...]
    a, b = random.randrange(len(values)), random.randrange(len(values))
    values[[a, b]] = values[[b, a]]
    shard[dataset][...] = values
    return f"{dataset}: {a} and {b} change places"


def _chunks(random, shard, *_):
    """The chunks of two places, with all that says where they are."""
    number = len(shard["chunks/offset"])
    a, b = random.randrange(number), random.randrange(number)
    for name in ["offset", "bytes"]:
        values = shard[f"chunks/{name}"][...]
        values[[a, b]] = values[[b, a]]
        shard[f"chunks/{name}"][...] = values
    return f"chunks {a} and {b} of {number} change places"


def _missing(random, shard, dataset, attribute):
    if random.random() < 0.5:
        del shard[dataset]
        return dataset
    del shard.attrs[attribute]
    return attribute


def _attribute(random, shard, _, attribute):
    value = random.choice([
        1.5, np.arange(5), "x", np.array([b"abc", b"de"]), np.nan, np.int64(-1), np.uint64(2**64 - 1),
        np.float64(1e300), h5py.Empty("f4"), "", np.bytes_(b"[" * 60_000), np.bytes_(b"[" * 513 + b"]" * 513),
        np.bytes_(b"\xff\xfe"),
    ])  # fmt: skip
    del shard.attrs[attribute]
    shard.attrs[attribute] = value
    return f"{attribute} = {str(value)[:40]}"


def _architecture(random, shard, *_):
    shape = random.choice(SHAPES)
    del shard.attrs["architecture"]
    shard.attrs["architecture"] = np.bytes_(f'{{"name":"x","tensors":[{{"name":"a","shape":{shape}}}]}}'.encode())
    return shape


def _type(random, shard, dataset, _):
    values = shard[dataset][...]
    del shard[dataset]
    with np.errstate(invalid="ignore"):
        shard[dataset] = values.astype(random.choice(["f8", "i2", "u8", ">i4", "S4", "?"]))


def _shape(random, shard, dataset, _):
    values = shard[dataset][...]
    flat = values.reshape(-1)
    del shard[dataset]
    shard[dataset] = random.choice([flat[:-1], np.concatenate([flat, flat]), values[None], flat[:0], flat[0]])


def _unlimited(_, shard, dataset, __):
    rank = shard[dataset].ndim
    kind = shard[dataset].dtype
    del shard[dataset]
    shard.create_dataset(dataset, (2**39,) + (32,) * (rank - 1), kind, chunks=(1024,) + (32,) * (rank - 1))


def _elsewhere(random, shard, dataset, _):
    """What lies in another file, in a pipe that never answers, or in itself."""
    values = shard[dataset][...]
    pipe = f"{os.path.dirname(shard.filename)}/.pipe"
    if not os.path.exists(pipe):
        os.mkfifo(pipe)
    other = random.choice(["/etc/hostname", "/dev/zero", pipe])
    del shard[dataset]
    way = random.choice(["link", "cycle", "storage", "virtual"])
    if way == "link":
        shard[dataset] = h5py.ExternalLink(other, f"/{dataset}")
    elif way == "cycle":
        shard[dataset] = h5py.SoftLink(f"/{dataset}")
    elif way == "storage":
        shard.create_dataset(dataset, values.shape, values.dtype, external=[(other, 0, h5py.h5f.UNLIMITED)])
    else:
        layout = h5py.VirtualLayout(values.shape, values.dtype)
        layout[...] = h5py.VirtualSource(other, dataset, values.shape)
        shard.create_virtual_dataset(dataset, layout)
    return f"{dataset} by {way} in {other}"


def _filter(random, shard, dataset, _):
    values = shard[dataset][...]
    del shard[dataset]
    shard.create_dataset(dataset, data=values, chunks=True, compression=random.choice(["gzip", "lzf"]), shuffle=True)


def _kind(random, shard, dataset, _):
    """Numbers that are none, and no dataset at all."""
    del shard[dataset]
    kind = random.choice([h5py.vlen_dtype(np.int32), h5py.ref_dtype, np.dtype([("a", "i4"), ("b", "f8")]), None])
    if kind is None:
        shard.create_group(dataset)
    else:
        shard.create_dataset(dataset, (6,), kind)


EDITS = {
    "values": _values, "order": _order, "chunks": _chunks, "missing": _missing, "attribute": _attribute,
    "architecture": _architecture, "type": _type, "shape": _shape, "unlimited": _unlimited, "elsewhere": _elsewhere,
    "filter": _filter, "kind": _kind,
}  # fmt: skip
