"""The delta codec seen from outside: the HDF5 plugin under h5py, and the reader in Schemas/delta-codec.md."""

import importlib
import os
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
GOLDEN = ROOT / "Tests" / "Golden"
DELTA = 52225


def require(condition, reason):
    """Skips where something is missing, but fails where everything has to be there."""
    if condition:
        return
    if os.environ.get("CORPUS_REQUIRE_ALL"):
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


def require_module(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        require(False, f"needs the Python package {name}")


np = require_module("numpy")


@pytest.fixture
def h5py():
    module = require_module("h5py")
    require(
        module.h5z.filter_avail(DELTA),
        "no plugin on HDF5_PLUGIN_PATH: swift build -c release --product H5ZCheckpointDelta",
    )
    return module


@pytest.fixture
def reader():
    """The code block of the document, run as it stands there."""
    require_module("xxhash")
    document = (ROOT / "Schemas" / "delta-codec.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    names = {}
    exec(compile(code, "delta-codec.md", "exec"), names)
    return names["decode_chunk"]


def walk(frames, parameters, seed=0):
    generator = np.random.default_rng(seed)
    steps = generator.uniform(-1e-3, 1e-3, (frames, parameters)).cumsum(axis=0)
    return (generator.uniform(-0.1, 0.1, parameters) * (1 + steps)).astype("<f4")


def specials():
    """Every kind of float, in two frames that differ in each."""
    bits = np.array(
        [0, 1 << 31, 1, 0x80000001, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7F800001, 0x7FC12345, 0xFFFFFFFF],
        "<u4",
    )
    return np.stack([bits, bits[::-1]]).view("<f4")


def write(h5py, path, values, frames):
    with h5py.File(path, "w") as file:
        parameters = values.shape[1]
        file.create_dataset(
            "parameters", data=values, chunks=(frames, parameters), compression=DELTA,
            compression_opts=(2, parameters, frames),
        )


@pytest.mark.parametrize("shape", [(200, 1250, 20), (30, 7960, 10), (45, 1250, 20), (7, 3, 2), (1, 1, 1)])
def test_h5py_reads_back_what_it_wrote(h5py, tmp_path, shape):
    rows, parameters, frames = shape
    values = walk(rows, parameters)
    write(h5py, tmp_path / "shard.h5", values, frames)
    with h5py.File(tmp_path / "shard.h5") as file:
        dataset = file["parameters"]
        assert dataset[:].tobytes() == values.tobytes()
        assert dataset[rows // 2].tobytes() == values[rows // 2].tobytes()
        if parameters > 1000:
            assert dataset.id.get_storage_size() < values.nbytes / 1.2


def test_special_floats(h5py, reader, tmp_path):
    values = specials()
    write(h5py, tmp_path / "shard.h5", values, 2)
    with h5py.File(tmp_path / "shard.h5") as file:
        assert file["parameters"][:].tobytes() == values.tobytes()
        chunk = file["parameters"].id.read_direct_chunk((0, 0))[1]
    assert reader(chunk).tobytes() == values.tobytes()


def test_damage_is_an_error_not_a_value(h5py, tmp_path):
    values = walk(20, 1250)
    write(h5py, tmp_path / "shard.h5", values, 20)
    with h5py.File(tmp_path / "shard.h5", "r+") as file:
        dataset = file["parameters"]
        chunk = bytearray(dataset.id.read_direct_chunk((0, 0))[1])
        chunk[len(chunk) // 2] ^= 1
        dataset.id.write_direct_chunk((0, 0), bytes(chunk))
    with h5py.File(tmp_path / "shard.h5") as file, pytest.raises(OSError):
        file["parameters"][:]


@pytest.mark.parametrize("shape", [(20, 1250), (3, 7960), (12, 40), (2, 70_000)])
def test_documented_reader_reads_the_plugins_chunks(h5py, reader, tmp_path, shape):
    values = walk(*shape)
    values[-1] = 0
    write(h5py, tmp_path / "shard.h5", values, shape[0])
    with h5py.File(tmp_path / "shard.h5") as file:
        chunk = file["parameters"].id.read_direct_chunk((0, 0))[1]
    assert reader(chunk).tobytes() == values.tobytes()


def test_documented_reader_reads_the_golden_chunk(reader):
    chunk = (GOLDEN / "delta-chunk-v2.bin").read_bytes()
    assert reader(chunk).tobytes() == (GOLDEN / "delta-chunk-v2.f32").read_bytes()
    for offset in (100, -2000, -100):  # the directory, a stream, a raw frame
        damaged = bytearray(chunk)
        damaged[offset] ^= 1
        with pytest.raises(ValueError):
            reader(bytes(damaged))


def test_h5py_reads_the_golden_chunk(h5py, tmp_path):
    with h5py.File(tmp_path / "shard.h5", "w") as file:
        dataset = file.create_dataset(
            "parameters", (8, 300), "<f4", chunks=(8, 300), compression=DELTA, compression_opts=(2, 300, 8)
        )
        dataset.id.write_direct_chunk((0, 0), (GOLDEN / "delta-chunk-v2.bin").read_bytes())
        file.flush()
        assert dataset[:].tobytes() == (GOLDEN / "delta-chunk-v2.f32").read_bytes()


def test_h5py_refuses_a_chunk_with_fewer_frames_than_its_dataset(h5py, tmp_path):
    # HDF5 would read past the end of what the filter gives it.
    with h5py.File(tmp_path / "shard.h5", "w") as file:
        dataset = file.create_dataset(
            "parameters", (20, 300), "<f4", chunks=(20, 300), compression=DELTA, compression_opts=(2, 300, 20)
        )
        dataset.id.write_direct_chunk((0, 0), (GOLDEN / "delta-chunk-v2.bin").read_bytes())
        file.flush()
        with pytest.raises(OSError):
            dataset[:]
