"""Hidden units of many kinds of networks: PairStream permutes them and nothing changes, or it refuses to."""

import json
import shutil
import warnings

import numpy as np
import pytest
from conftest import module_or_skip, run_corpus

torch = module_or_skip("torch")

from checkpoint_corpus import Corpus, CorpusError, PairStream, PermutationWarning, Permutations, Writer  # noqa: E402
from checkpoint_corpus.vectors import vector_of  # noqa: E402

nn, functional = torch.nn, torch.nn.functional


class Net(nn.Module):
    """Some layers, and a function of them and the inputs."""

    def __init__(self, function, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self._function = function

    def forward(self, *inputs):
        return self._function(self, *inputs)


def parameter(*shape):
    return nn.Parameter(torch.randn(*shape))


def tied():
    net = Net(
        lambda s, x: s.head(torch.tanh(s.hidden(s.embedding(x)))), embedding=nn.Embedding(11, 8), hidden=nn.Linear(8, 8),
        head=nn.Linear(8, 11, bias=False),
    )  # fmt: skip
    net.head.weight = net.embedding.weight
    return net


def attention(s, x):
    q, k, v = (part(x).unflatten(-1, (4, 4)).transpose(1, 2) for part in (s.q, s.k, s.v))
    weights = torch.softmax(q @ k.transpose(-1, -2) / 2, -1)
    return s.o((weights @ v).transpose(1, 2).flatten(2))


def unet(s, x):
    outer = torch.relu(s.down(x))
    inner = functional.interpolate(torch.relu(s.inner(functional.max_pool2d(outer, 2))), scale_factor=2)
    return s.up(torch.cat([outer, inner], 1))


def squeezed(s, x):
    h = torch.relu(s.conv(x))
    return s.out(h * torch.sigmoid(s.second(torch.relu(s.first(h.mean((2, 3))))))[:, :, None, None])


def residual_block(s, x):
    h = torch.relu(s.norm0(s.conv0(x)))
    h = torch.relu(h + s.norm2(s.conv2(torch.relu(s.norm1(s.conv1(h))))))
    return s.fc(h.mean((2, 3)))


def densely(s, x):
    a = torch.relu(s.a(x))
    return s.c(torch.cat([x, a, torch.relu(s.b(torch.cat([x, a], 1)))], 1))


def mlp(*layers):
    return lambda: nn.Sequential(*(layer() for layer in layers))


def linear(*sizes):
    return lambda: nn.Linear(*sizes)


def conv(*sizes, **options):
    return lambda: nn.Conv2d(*sizes, **options)


PICTURE, VECTOR, SIGNAL, TOKENS = (2, 3, 8, 8), (2, 6), (2, 5, 6), (2, 5, 16)
LSTM = {"r": lambda: nn.LSTM(6, 8, 2, batch_first=True, bidirectional=True)}

#: Kinds whose hidden units have to be permuted: how they are made, and the shape of an input.
PERMUTED = {
    "mlp": (mlp(linear(6, 16), nn.ReLU, linear(16, 12), nn.Tanh, linear(12, 4)), VECTOR),
    "cnn with batch norm": (
        mlp(conv(3, 8, 3, padding=1), lambda: nn.BatchNorm2d(8), nn.ReLU, conv(8, 6, 3), lambda: nn.BatchNorm2d(6),
            nn.ReLU, lambda: nn.AdaptiveAvgPool2d(1), nn.Flatten, linear(6, 4)), PICTURE),
    "flattened": (
        mlp(conv(3, 8, 3), nn.ReLU, lambda: nn.MaxPool2d(2), nn.Flatten, linear(72, 10), nn.ReLU, linear(10, 4)),
        PICTURE),
    "residual mlp": (
        lambda: Net(lambda s, x: s.c((h := torch.relu(s.a(x))) + torch.relu(s.b(h))), a=nn.Linear(6, 16),
                    b=nn.Linear(16, 16), c=nn.Linear(16, 4)), VECTOR),
    "residual cnn": (
        lambda: Net(residual_block, conv0=nn.Conv2d(3, 8, 3), norm0=nn.BatchNorm2d(8),
                    conv1=nn.Conv2d(8, 8, 3, padding=1), norm1=nn.BatchNorm2d(8),
                    conv2=nn.Conv2d(8, 8, 3, padding=1), norm2=nn.BatchNorm2d(8), fc=nn.Linear(8, 4)), PICTURE),
    "transformer": (lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), TOKENS),
    "transformer stack": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 24, batch_first=True, activation="gelu"), 2),
        TOKENS),
    "own attention": (
        lambda: Net(attention, q=nn.Linear(16, 16), k=nn.Linear(16, 16), v=nn.Linear(16, 16), o=nn.Linear(16, 3)),
        TOKENS),
    "multihead attention": (
        lambda: Net(lambda s, x: s.o(s.attention(s.i(x), s.i(x), s.i(x))[0]), i=nn.Linear(6, 8),
                    attention=nn.MultiheadAttention(8, 2), o=nn.Linear(8, 3)), SIGNAL),
    "u-net": (
        lambda: Net(unet, down=nn.Conv2d(3, 8, 3, padding=1), inner=nn.Conv2d(8, 12, 3, padding=1),
                    up=nn.Conv2d(20, 2, 1)), PICTURE),
    "depthwise": (mlp(conv(3, 8, 1), nn.ReLU, conv(8, 8, 3, groups=8), nn.ReLU, conv(8, 4, 1)), PICTURE),
    "grouped": (mlp(conv(3, 8, 1), nn.ReLU, conv(8, 12, 3, groups=4), nn.ReLU, conv(12, 4, 1)), PICTURE),
    "group norm": (mlp(conv(3, 8, 1), lambda: nn.GroupNorm(4, 8), nn.ReLU, conv(8, 4, 1)), PICTURE),
    "layer norm": (mlp(linear(6, 16), lambda: nn.LayerNorm(16), nn.ReLU, linear(16, 4)), VECTOR),
    "glu": (mlp(linear(6, 16), nn.GLU, linear(8, 4)), VECTOR),
    "swiglu": (
        lambda: Net(lambda s, x: s.c(functional.silu(s.a(x)) * s.b(x)), a=nn.Linear(6, 16), b=nn.Linear(6, 16),
                    c=nn.Linear(16, 4)), VECTOR),
    "squeeze and excite": (
        lambda: Net(squeezed, conv=nn.Conv2d(3, 8, 3), first=nn.Linear(8, 4), second=nn.Linear(4, 8),
                    out=nn.Conv2d(8, 2, 1)), PICTURE),
    "tied embedding": (tied, None),
    "shared layer": (
        lambda: Net(lambda s, x: s.o(torch.relu(s.h(torch.relu(s.h(torch.relu(s.i(x))))))), i=nn.Linear(6, 8),
                    h=nn.Linear(8, 8), o=nn.Linear(8, 3)), VECTOR),
    "another order": (
        lambda: Net(lambda s, x: s.a(torch.relu(s.b(torch.relu(s.c(x))))), a=nn.Linear(8, 8), b=nn.Linear(8, 8),
                    c=nn.Linear(8, 8)), (2, 8)),
    "lstm": (lambda: Net(lambda s, x: s.o(s.r(x)[0]), r=LSTM["r"](), o=nn.Linear(16, 3)), SIGNAL),
    "gru": (lambda: Net(lambda s, x: s.o(s.r(x)[0][:, -1]), r=nn.GRU(6, 8, batch_first=True), o=nn.Linear(8, 3)), SIGNAL),
    "rnn": (lambda: Net(lambda s, x: s.o(s.r(x)[0]), r=nn.RNN(6, 8, batch_first=True), o=nn.Linear(8, 3)), SIGNAL),
    "transposed": (
        mlp(conv(3, 8, 3), nn.ReLU, lambda: nn.ConvTranspose2d(8, 6, 3, stride=2), nn.ReLU, conv(6, 2, 1)), PICTURE),
    "pixel shuffle": (mlp(conv(3, 16, 3), lambda: nn.PixelShuffle(2), nn.ReLU, conv(4, 2, 3)), PICTURE),
    "channel shuffle": (
        mlp(conv(3, 8, 1), nn.ReLU, lambda: nn.ChannelShuffle(2), conv(8, 8, 3, groups=2), nn.ReLU, conv(8, 2, 1)),
        PICTURE),
    "bilinear": (
        lambda: Net(lambda s, x: s.o(torch.relu(s.b(torch.relu(s.l(x)), torch.tanh(s.m(x))))), l=nn.Linear(6, 5),
                    m=nn.Linear(6, 7), b=nn.Bilinear(5, 7, 9), o=nn.Linear(9, 2)), VECTOR),
    "prelu": (mlp(conv(3, 8, 3), lambda: nn.PReLU(8), conv(8, 2, 1)), PICTURE),
    "scales": (
        lambda: Net(lambda s, x: s.o(torch.relu(s.i(x)) * s.g + s.b), i=nn.Linear(6, 8), o=nn.Linear(8, 2),
                    g=parameter(8), b=parameter(8)), VECTOR),
    "softmax": (
        lambda: Net(lambda s, x: s.o(torch.softmax(s.i(x), -1)), i=nn.Linear(6, 8), o=nn.Linear(8, 2)), VECTOR),
    "dense": (lambda: Net(densely, a=nn.Linear(6, 8), b=nn.Linear(14, 8), c=nn.Linear(22, 3)), VECTOR),
    "siamese": (
        lambda: Net(lambda s, x: s.o((s.f(x[:, :3]) - s.f(x[:, 3:])).abs()),
                    f=nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 5)), o=nn.Linear(5, 1)), VECTOR),
    "two heads": (
        lambda: Net(lambda s, x: torch.cat([s.p(h := torch.tanh(s.t(x))), s.v(h)], -1), t=nn.Linear(6, 8),
                    p=nn.Linear(8, 3), v=nn.Linear(8, 1)), VECTOR),
    "of signals": (
        mlp(lambda: nn.Conv1d(3, 8, 3), lambda: nn.BatchNorm1d(8), nn.ReLU, lambda: nn.AvgPool1d(2),
            lambda: nn.Conv1d(8, 5, 3), nn.Flatten, linear(65, 2)), (2, 3, 32)),
    "of volumes": (
        mlp(lambda: nn.Conv3d(3, 8, 3), lambda: nn.BatchNorm3d(8), nn.ReLU, lambda: nn.MaxPool3d(2), nn.Flatten,
            linear(216, 2)), (2, 3, 8, 8, 8)),
    "weight norm": (
        mlp(lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 8)), nn.ReLU, linear(8, 2)), VECTOR),
    "spectral norm": (
        mlp(lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 8, 3)), nn.ReLU,
            lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(8, 2, 3))), PICTURE),
    "instance norm": (
        mlp(conv(3, 8, 3), lambda: nn.InstanceNorm2d(8, affine=True), nn.ReLU, conv(8, 2, 1)), PICTURE),
    "bare matrices": (
        lambda: Net(lambda s, x: torch.relu(x @ s.w + s.b) @ s.v, w=parameter(6, 8), b=parameter(8), v=parameter(8, 3)),
        VECTOR),
    "dropout": (mlp(linear(6, 8), nn.ReLU, lambda: nn.Dropout(0.5), linear(8, 2)), VECTOR),
    "upsampled": (
        mlp(conv(3, 8, 3), nn.ReLU, lambda: nn.Upsample(scale_factor=2, mode="bilinear"), conv(8, 2, 3)), PICTURE),
    "maxout": (
        lambda: Net(lambda s, x: s.o(s.i(x).view(-1, 4, 3).amax(-1)), i=nn.Linear(6, 12), o=nn.Linear(4, 2)), VECTOR),
}  # fmt: skip

#: Kinds without hidden units that are alike, or of which it is not known what else uses them.
REFUSED = {
    "one layer": (linear(6, 6), VECTOR),
    "positions": (
        lambda: Net(lambda s, x: s.o(torch.relu(s.i(x) + torch.arange(8.0))), i=nn.Linear(6, 8), o=nn.Linear(8, 2)),
        VECTOR),
    "cumulative": (
        lambda: Net(lambda s, x: s.o(s.i(x).cumsum(-1)), i=nn.Linear(6, 8), o=nn.Linear(8, 2)), VECTOR),
    "neighbours": (mlp(conv(3, 8, 3), lambda: nn.LocalResponseNorm(3), nn.ReLU, conv(8, 2, 1)), PICTURE),
    "a skip from the inputs": (
        lambda: Net(lambda s, x: s.b(torch.relu(s.a(x)) + x), a=nn.Linear(6, 6), b=nn.Linear(6, 2)), VECTOR),
    "a skip to the outputs": (
        lambda: Net(lambda s, x: s.b(h := torch.relu(s.a(x))) + h, a=nn.Linear(6, 8), b=nn.Linear(8, 8)), VECTOR),
    "an order of its own": (
        lambda: Net(lambda s, x: s.b(torch.relu(s.a(x))[:, [3, 1, 0, 2]]), a=nn.Linear(6, 4), b=nn.Linear(4, 2)),
        VECTOR),
    "sorted by place": (
        lambda: Net(lambda s, x: s.b(torch.fft.fft(s.a(x)).real), a=nn.Linear(6, 8), b=nn.Linear(8, 2)), VECTOR),
    "a head that is not used": (
        lambda: Net(lambda s, x: s.p(torch.relu(s.t(x))), t=nn.Linear(6, 8), p=nn.Linear(8, 2), v=nn.Linear(8, 1)),
        VECTOR),
    "noise": (
        lambda: Net(lambda s, x: s.b(s.a(x) * torch.rand(8)), a=nn.Linear(6, 8), b=nn.Linear(8, 2)), VECTOR),
}  # fmt: skip


def inputs(shape):
    torch.manual_seed(7)
    return torch.randint(0, 11, (2, 5)) if shape is None else torch.randn(shape)


def trained(build, seed):
    """A network whose tensors all differ from unit to unit, as after some training."""
    torch.manual_seed(seed)
    net = build()
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if tensor.is_floating_point():
                noise = 0.2 * torch.randn_like(tensor)
                tensor.copy_(tensor + (noise.abs() if name.endswith("running_var") else noise))
    return net


def stored(path, build, networks=3, **arguments):
    """A corpus of a run of networks; and these, as vectors."""
    shutil.rmtree(path, ignore_errors=True)
    nets = [trained(build, seed) for seed in range(networks)]
    settings = dict(task="toy", architecture=nets[0], metrics=["test_loss"], test_limit=0)
    with Writer(path, **(settings | arguments)) as writer, writer.run(0) as run:
        for step, net in enumerate(nets):
            run.log(step, net, test_loss=2.0 - step)
        return [vector_of(net, writer.architecture) for net in nets]


def outputs(build, corpus, vector, example):
    torch.manual_seed(0)
    net = build()
    tensors = corpus.tensors(vector)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name in tensors:
                tensor.copy_(torch.tensor(np.array(tensors[name])))
        return net.eval()(example)


def stream(path, augment, **options):
    """Networks of a corpus with what has been done to them, and their steps."""
    pairs = PairStream(
        path, batch_size=8, items_per_epoch=8, split="all", augment=augment, scale=1.0, item="checkpoints", workers=1,
        as_torch=False, **options,
    )  # fmt: skip
    return next(iter(pairs))


def check_permuted(path, build, vectors, example):
    corpus = Corpus(path)
    for augment in ("permute", "canonical"):
        batch = stream(path, augment)
        moved = 0
        for vector, step in zip(batch["start"], batch["start_step"]):
            moved += not np.array_equal(vector, vectors[step])
            assert np.array_equal(np.sort(vector), np.sort(vectors[step]))
            expected = outputs(build, corpus, vectors[step], example)
            error = (outputs(build, corpus, vector, example) - expected).abs().max()
            assert error <= 1e-5 * expected.abs().max()
        assert moved > len(batch["start"]) / 2


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("has_example", [True, False], ids=["example", "guess"])
@pytest.mark.parametrize("kind", PERMUTED)
def test_units_are_permuted_and_nothing_changes(kind, has_example, tmp_path):
    build, shape = PERMUTED[kind]
    example = inputs(shape)
    vectors = stored(tmp_path / "corpus", build, **({"example_input": example} if has_example else {}))
    check_permuted(tmp_path / "corpus", build, vectors, example)


@pytest.mark.parametrize("has_example", [True, False], ids=["example", "guess"])
@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_permuted_is_refused(kind, has_example, tmp_path):
    build, shape = REFUSED[kind]
    vectors = stored(tmp_path / "corpus", build, **({"example_input": inputs(shape)} if has_example else {}))
    for augment in ("permute", "canonical"):
        with pytest.raises(CorpusError, match="permutations") as error:
            stream(tmp_path / "corpus", augment)
        assert error.value.code == "invalid_argument"
    batch = stream(tmp_path / "corpus", "automatic")
    assert all(np.array_equal(vector, vectors[step]) for vector, step in zip(batch["start"], batch["start_step"]))


def test_what_is_proven_stays_where_something_else_is_not(tmp_path):
    def build():
        return Net(
            lambda s, x: s.c(torch.tanh(s.b(torch.relu(s.a(x)))).cumsum(-1)), a=nn.Linear(6, 8), b=nn.Linear(8, 5),
            c=nn.Linear(5, 2),
        )  # fmt: skip

    vectors = stored(tmp_path / "corpus", build)
    assert [group["name"] for group in manifest(tmp_path / "corpus")["groups"]] == ["a"]
    check_permuted(tmp_path / "corpus", build, vectors, inputs(VECTOR))


def manifest(path):
    return json.loads((path / "corpus.json").read_text())["architecture"].get("permutations")


DECLARED = {"0.weight": ["hidden", None], "0.bias": ["hidden"], "2.weight": [None, "hidden"]}
TWO_LAYERS = mlp(linear(6, 8), nn.ReLU, linear(8, 2))


def test_groups_are_declared_by_hand(tmp_path):
    shapes = {"0.weight": (8, 6), "0.bias": (8,), "2.weight": (2, 8), "2.bias": (2,)}
    stored(tmp_path / "none", TWO_LAYERS, architecture=shapes)
    assert manifest(tmp_path / "none") is None
    vectors = stored(tmp_path / "corpus", TWO_LAYERS, architecture=shapes, permutations=DECLARED)
    assert manifest(tmp_path / "corpus")["groups"] == [{"name": "hidden", "units": 8}]
    check_permuted(tmp_path / "corpus", TWO_LAYERS, vectors, inputs(VECTOR))
    assert manifest(tmp_path / "corpus") == Permutations.parse(manifest(tmp_path / "corpus")).json()
    stored(tmp_path / "off", TWO_LAYERS, permutations="none")
    assert manifest(tmp_path / "off") == {"groups": [], "tensors": {}}


@pytest.mark.parametrize("declared, message", [
    ({"0.weight": ["hidden", None]}, "hidden changes what"),
    (DECLARED | {"0.bias": [None]}, "hidden changes what"),
    (DECLARED | {"1.weight": ["hidden"]}, "1.weight"),
    (DECLARED | {"0.bias": ["hidden", None]}, "0.bias"),
    (DECLARED | {"2.weight": ["hidden", None]}, "axis 0 of 2.weight has the length 2.*hidden has 8 units"),
    (DECLARED | {"2.weight": [None, [3, "hidden"]]}, "axis 1 of 2.weight has the length 8"),
    (DECLARED | {"2.weight": [None, [1.5]]}, "1.5 moves nothing in 2.weight"),
    ({"0.weight": [["a", "b"], None]}, "how many units"),
    (3, "permutations is 3"), ("all", "permutations is 'all'"),
])  # fmt: skip
def test_bad_declarations_are_refused(declared, message, tmp_path):
    with pytest.raises(CorpusError, match=message) as error:
        stored(tmp_path / "corpus", TWO_LAYERS, permutations=declared)
    assert error.value.code == "invalid_argument" and not (tmp_path / "corpus").exists()


def test_a_module_that_cannot_be_traced_says_how_to_declare(tmp_path):
    def build():
        return Net(lambda s, x: s.a(x["features"]), a=nn.Linear(6, 8))

    with pytest.warns(PermutationWarning, match="example_input.*permutations="):
        stored(tmp_path / "corpus", build)
    assert manifest(tmp_path / "corpus") == {"groups": [], "tensors": {}}
    for arguments in ({"permutations": "trace"}, {"example_input": torch.zeros(2, 6)}):
        with pytest.raises(CorpusError, match="example_input") as error:
            stored(tmp_path / "other", build, **arguments)
        assert error.value.code == "invalid_argument"
    with pytest.raises(CorpusError, match="no module to trace"):
        stored(tmp_path / "other", build, architecture={"a.weight": (8, 6)}, permutations="trace")
    # By name, it can.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored(tmp_path / "named", build, example_input=({"features": torch.zeros(2, 6)},), permutations="trace")


def test_a_corpus_goes_on_with_the_groups_that_it_has(tmp_path):
    path = tmp_path / "corpus"
    stored(path, TWO_LAYERS)
    before = (path / "corpus.json").read_bytes()
    for declared in ("auto", {**DECLARED}):
        settings = dict(task="toy", architecture=TWO_LAYERS(), metrics=["test_loss"], test_limit=0)
        if declared == "auto":
            with Writer(path, **settings) as writer, writer.run(1) as run:
                run.log(0, TWO_LAYERS(), test_loss=1.0)
        else:
            # The same axes under another name.
            with pytest.raises(CorpusError, match="other permutation groups"):
                Writer(path, permutations=declared, **settings)
    assert (path / "corpus.json").read_bytes() == before and len(Corpus(path)) == 2
    # One from before there were groups goes on without.
    text = json.loads(before)
    del text["architecture"]["permutations"]
    (path / "corpus.json").write_text(json.dumps(text))
    with Writer(path, **settings) as writer, writer.run(2) as run:
        run.log(0, TWO_LAYERS(), test_loss=1.0)
    assert len(Corpus(path)) == 3 and manifest(path) is None
    with pytest.raises(CorpusError, match="permutations"):
        stream(path, "permute")
    assert "3 runs" in run_corpus("verify", path)


def test_shards_say_it_too(tmp_path):
    h5py = pytest.importorskip("h5py")
    stored(tmp_path / "corpus", TWO_LAYERS)
    with h5py.File(next((tmp_path / "corpus" / "runs").glob("*/*.h5"))) as shard:
        assert json.loads(shard.attrs["architecture"])["permutations"] == manifest(tmp_path / "corpus")


def test_a_module_stays_as_it_was(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Conv2d(4, 2, 3)).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = torch.get_rng_state()
    Writer(tmp_path / "corpus", task="toy", architecture=net, metrics=["test_loss"]).close()
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert net.training and all(p.requires_grad and p.dtype == torch.float32 for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), state) and torch.get_default_dtype() == torch.float32
