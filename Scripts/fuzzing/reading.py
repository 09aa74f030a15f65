"""The paths on which a corpus is read, each compared with what was written."""

import contextlib

import numpy as np
from originals import METRICS, STREAM
from trial import EQUAL, WRONG

import checkpoint_corpus
from checkpoint_corpus import Corpus, CorpusError, PairStream

#: More ways of drawing pairs, each of which asks the index or the shards for something else.
DRAWS = [
    {},
    {"order": "sequential", "on_damage": "skip"},
    {"balance": "metric", "metric": "train_loss"},
    {"item": "checkpoints", "where": "iteration >= 20 AND train_loss > 0.1"},
    {"starts": 0.5, "directions": "both", "unchanged": 0.2, "run_weights": "1 + (run < 4)"},
    {"cache": "memory", "on_damage": "skip"},
]


@contextlib.contextmanager
def refusals(record, what):
    """Takes down the package's errors."""
    try:
        yield
    except CorpusError as error:
        record.refused(what, error)


def read(record, path, shape, random, when):
    """Reads a corpus through the package: parameters, whole runs, and pairs.

    Args:
        when: what has been done to the corpus before.
    """
    with refusals(record, f"{when}: opening"), Corpus(path) as corpus:
        runs = []
        with refusals(record, f"{when}: the runs"):
            runs = list(corpus)
        for run in runs:
            if not 0 <= run < shape.runs:
                # Who asks for it must not get anything.
                with refusals(record, f"{when}: parameters of run {run}, which there is not"):
                    corpus.parameters(run)
                    record.add(WRONG, f"{when}: parameters of run {run}, which there is not")
                continue
            with refusals(record, f"{when}: run {run}"):
                read_run(record, corpus, run, shape, when)
        with refusals(record, f"{when}: SQL"):
            corpus.sql(
                "SELECT run, count(*), max(train_loss) FROM checkpoints JOIN runs USING (run) GROUP BY run", frame=False
            )
    read_pairs(record, path, shape, random, when)


def read_run(record, corpus, run, shape, when):
    iterations, metrics, parameters = shape.run(run)
    record.compare(f"{when}: parameters of run {run}", corpus.parameters(run), parameters)
    step = run * 7 % shape.checkpoints
    record.compare(f"{when}: parameters of run {run}, step {step}", corpus.parameters(run, step), parameters[step])
    whole = corpus.run(run)
    record.compare(f"{when}: iterations of run {run}", whole.iterations, iterations)
    record.compare(f"{when}: parameters of the whole run {run}", whole.parameters, parameters)
    record.compare(f"{when}: metrics of run {run}", np.stack([whole.metrics[name] for name in METRICS]), metrics)


def read_pairs(record, path, shape, random, when):
    for draw in [DRAWS[0], random.choice(DRAWS[1:])]:
        options = STREAM | draw
        what = f"{when}: pairs ({', '.join(f'{name}={value}' for name, value in options.items() if name in draw)})"
        with refusals(record, what), PairStream(path, **options) as stream:
            for batch in stream:
                check_batch(record, batch, shape, what, options["metric"])
    what = f"{when}: the scale"
    with refusals(record, what), PairStream(path, **STREAM | {"scale": None}) as stream:
        if stream.runs == shape.runs:
            is_right = abs(stream.scale / shape.scale() - 1) < 1e-5
            # It follows from what the index says of all runs, which a stream compares with each run's shard as it comes
            # to the run: within an epoch.
            for _ in () if is_right else stream:
                pass
            record.add(EQUAL if is_right else WRONG, f"{what} is {stream.scale}")


def check_batch(record, batch, shape, what, metric="test_error"):
    """Compares each item of a batch with the run and step that it says it is."""
    place = list(METRICS).index(metric)
    runs = batch["run"]
    if runs.min() < 0 or runs.max() >= shape.runs:
        return record.add(WRONG, f"{what}: run {runs.max()}, which there is not")
    for end in ["start", "target"] if "target" in batch else ["start"]:
        steps = batch[f"{end}_step"]
        if steps.min() < 0 or steps.max() >= shape.checkpoints:
            return record.add(WRONG, f"{what}: step {steps.max()}, which there is not")
        vectors = np.stack([shape.run(run)[2][step] for run, step in zip(runs.tolist(), steps)])
        values = np.array([shape.run(run)[1][place][step] for run, step in zip(runs.tolist(), steps)], np.float32)
        record.compare(f"{what}: parameters", np.asarray(batch[end]), vectors)
        record.compare(f"{what}: metrics", np.asarray(batch[f"{end}_metric"]), values)


def read_index(record, path, shape, when):
    """Compares what SQL says of all runs that are there; for an index that was just made from the shards."""
    with refusals(record, f"{when}: SQL"), Corpus(path) as corpus:
        for run in corpus:
            rows = corpus.sql(
                "SELECT step, iteration, train_loss, test_error FROM checkpoints WHERE run = ? ORDER BY step",
                run,
                frame=False,
            )
            if not 0 <= run < shape.runs:
                record.add(WRONG, f"{when}: SQL knows run {run}, which there is not")
                continue
            iterations, metrics, _ = shape.run(run)
            found = np.array(
                [[row["iteration"] for row in rows], *([row[name] for row in rows] for name in METRICS)], np.float64
            )
            record.compare(f"{when}: SQL on run {run}", found, np.stack([iterations, *metrics]).astype(np.float64))


def export(record, path, shape, out, when):
    """Compares what the command writes for other programs."""
    out.unlink(missing_ok=True)
    if record.run("export", path, "--format", "npz", "--include-bad", "--out", out, "--quiet") is None:
        return
    with np.load(out) as file:
        arrays = {name: file[name] for name in file.files if name != "metadata"}
    what = f"{when}: export"
    for run in np.unique(arrays["run"]).tolist():
        if not 0 <= run < shape.runs:
            record.add(WRONG, f"{what} of run {run}, which there is not")
            continue
        rows = arrays["run"] == run
        steps = arrays["step"][rows]
        if steps.tolist() != list(range(shape.checkpoints)):
            record.add(WRONG, f"{what} of run {run} has the steps {steps.tolist()[:8]}")
            continue
        iterations, metrics, parameters = shape.run(run)
        record.compare(f"{what} of run {run}: parameters", arrays["parameters"][rows], parameters)
        record.compare(f"{what} of run {run}: iterations", arrays["iteration"][rows], iterations.astype(np.int64))
        for name, values in zip(METRICS, metrics):
            record.compare(f"{what} of run {run}: {name}", arrays[name][rows], values)
    out.unlink()


def rebuild(record, path, forget=False):
    """Makes the index anew from the shards."""
    with refusals(record, "rebuilding"):
        checkpoint_corpus.index(path, rebuild=True, forget=forget)
