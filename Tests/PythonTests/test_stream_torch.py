"""The pair stream with PyTorch: tensors, DataLoader and its workers, torch.distributed."""

import multiprocessing
import pickle
import shutil
import socket

import numpy as np
import pytest
from conftest import module_or_skip
from test_stream import epochs, key, keys, stream_of  # noqa: F401

from checkpoint_corpus import PairStream

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
torch = module_or_skip("torch")
data = module_or_skip("torch.utils.data")


def tensors_of(path, **changes):
    return stream_of(path, **({"as_torch": None} | changes))


def loader_of(stream, workers, **options):
    return data.DataLoader(stream, batch_size=None, num_workers=workers, **options)


def test_gives_tensors_and_is_a_dataset(cartpole, epochs):  # noqa: F811
    stream = tensors_of(cartpole)
    assert isinstance(stream, PairStream) and isinstance(stream, data.IterableDataset)
    batches = list(stream)
    assert keys(batches) == epochs[0]
    assert batches[0]["start"].dtype == torch.float32 and batches[0]["run"].dtype == torch.int64
    assert all(tensor.is_pinned() == torch.cuda.is_available() for tensor in batches[0].values())
    stream.close()
    assert keys(batches) == epochs[0]
    assert isinstance(next(iter(tensors_of(cartpole, as_torch=False)))["start"], np.ndarray)
    assert keys(pickle.loads(pickle.dumps(tensors_of(cartpole)))) == epochs[0]


@pytest.mark.parametrize("workers, start", [(1, "fork"), (2, "fork"), (3, "fork"), (13, "fork"), (2, "spawn")])
def test_workers_share_epochs_in_the_order_of_the_stream(cartpole, epochs, workers, start):  # noqa: F811
    stream = tensors_of(cartpole)
    loader = loader_of(stream, workers, multiprocessing_context=start)
    assert len(loader) == 11
    for epoch in range(3):
        assert keys(loader) == epochs[epoch] and stream.position == (epoch + 1, 0)
    assert keys(stream) == epochs[3]


def test_workers_that_stay_go_on(cartpole, epochs):  # noqa: F811
    stream = tensors_of(cartpole)
    stream.seek(0, 4)
    loader = loader_of(stream, 3, persistent_workers=True)
    assert keys(loader) == epochs[0][4:] and keys(loader) == epochs[1]
    stream.seek(3, 5)
    assert keys(loader) == epochs[3][5:]
    assert stream.state_dict() == dict(epoch=4, batch=0, item=0, seed=0, fingerprint=stream.fingerprint)


@pytest.mark.parametrize("workers", [0, 2, 3])
def test_a_loop_that_stops_is_resumed(cartpole, epochs, workers):  # noqa: F811
    stream = tensors_of(cartpole)
    found = []
    for number, batch in enumerate(loader_of(stream, workers)):
        found.append(key(batch))
        if number == 6:
            break
    state = stream.state_dict(taken=7 if workers else 0)
    other = tensors_of(cartpole)
    other.load_state_dict(state)
    loader = loader_of(other, workers)
    assert found + keys(loader) == epochs[0] and keys(loader) == epochs[1]


def stateful(stream, workers, **options):
    torchdata = pytest.importorskip("torchdata.stateful_dataloader")
    return torchdata.StatefulDataLoader(stream, batch_size=None, num_workers=workers, **options)


@pytest.mark.parametrize("workers, taken, options", [
    (0, 7, {}), (1, 11, {}), (2, 0, {}), (2, 7, dict(multiprocessing_context="spawn")), (3, 10, {}), (2, 11, {}),
    (3, 7, dict(snapshot_every_n_steps=3)), (2, 5, dict(persistent_workers=True)), (13, 4, {}),
])  # fmt: skip
def test_a_stateful_loader_goes_on_exactly(cartpole, epochs, workers, taken, options):  # noqa: F811
    loader = stateful(tensors_of(cartpole), workers, **options)
    assert keys(loader) == epochs[0]
    batches = iter(loader)
    found = [key(next(batches)) for _ in range(taken)]
    if taken == 11:
        assert next(batches, None) is None
    state = loader.state_dict()
    del batches
    other = stateful(tensors_of(cartpole), workers, **options)
    other.load_state_dict(pickle.loads(pickle.dumps(state)))
    rest = keys(other)
    # After the end of an epoch, the next one begins.
    assert (found + rest == epochs[1]) if taken < 11 else (found == epochs[1] and rest == epochs[2])
    assert keys(other) == epochs[2 if taken < 11 else 3]


def test_a_stateful_loader_goes_back_in_the_same_process(cartpole, epochs):  # noqa: F811
    loader = stateful(tensors_of(cartpole), 2)
    batches = iter(loader)
    for _ in range(5):
        next(batches)
    state = loader.state_dict()
    assert keys(batches) == epochs[0][5:]
    for _ in range(2):
        loader.load_state_dict(state)
        assert keys(loader) == epochs[0][5:] and keys(loader) == epochs[1]


def test_a_stateful_loader_of_another_kind_is_refused(cartpole, digits):
    loader = stateful(tensors_of(cartpole), 2)
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    for stream, workers in ((tensors_of(cartpole), 3), (tensors_of(cartpole, batch_size=4), 2), (tensors_of(digits), 2)):
        other = stateful(stream, workers)
        other.load_state_dict(state)
        with pytest.raises(Exception, match="part of a pass|AssertionError|another|^$"):
            next(iter(other))


def test_ranks_and_workers_together(cartpole, epochs):  # noqa: F811
    loaders = [loader_of(tensors_of(cartpole, rank=rank, world_size=2), 2) for rank in range(2)]
    for epoch in range(2):
        parts = [keys(loader) for loader in loaders]
        assert [batch for turn in zip(*parts) for batch in turn] == epochs[epoch][:10]


def test_a_stream_from_before_torch_becomes_a_dataset(cartpole, epochs):  # noqa: F811
    stream = stream_of(cartpole)
    next(iter(stream))
    dataset = stream.dataset()
    assert isinstance(dataset, data.IterableDataset) and keys(loader_of(dataset, 2)) == epochs[0][1:]


def test_errors_come_out_of_workers(cartpole, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(cartpole, copy)
    stream = tensors_of(copy)
    shutil.rmtree(copy)
    with pytest.raises(Exception, match="corpus"):
        list(loader_of(stream, 2))


def _rank(rank, path, port, queue):
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    stream = tensors_of(path)
    queue.put((stream.rank, stream.world_size, keys(stream)))
    torch.distributed.destroy_process_group()


def test_ranks_are_those_of_torch_distributed(cartpole, epochs):  # noqa: F811
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_rank, args=(rank, cartpole, port, queue)) for rank in range(2)]
    for process in processes:
        process.start()
    parts = sorted(queue.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    assert [part[:2] for part in parts] == [(0, 2), (1, 2)]
    assert [batch for turn in zip(parts[0][2], parts[1][2]) for batch in turn] == epochs[0][:10]
