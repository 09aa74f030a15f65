"""What others do to a corpus under a running stream."""

import shutil
import threading
import time

import reading
from corpora import Kind
from originals import SHAPES, STREAM

from checkpoint_corpus import CorpusError, PairStream


class Streams(Kind):
    """Shards, caches and the index are truncated, replaced, copied over and deleted while a stream reads them.

    Of what lies in a file as it is (codec raw, a cache), a stream compares each part when it first reads it. Who later
    writes other numbers into its place in the same file is believed, and so not tried here.
    """

    def prepare(self):
        for name in ["wide-raw", "wide-delta", "delta"]:
            self.originals.corpus(name)

    def make(self, random, place):
        name = random.choice(["wide-raw", "wide-raw", "wide-delta"])
        shutil.copytree(self.originals.corpus(name), place / "corpus")
        action = random.choice([action for action in ACTIONS if action is not garble or name != "wide-raw"])
        # What the stream reads may be mapped, cached, or both.
        has_cache = random.random() < 0.3
        return f"{action.__name__} {name}{' with a cache' if has_cache else ''}", False, (name, action, has_cache)

    def read(self, record, place, random, told):
        name, action, has_cache = told
        shape, path = SHAPES[name], place / "corpus"
        options = STREAM | random.choice(reading.DRAWS[:5]) | ({"cache": place / "cache"} if has_cache else {})
        done = threading.Event()

        def act():
            time.sleep(random.random() * 0.05)
            action(random, path, record, self.originals)
            done.set()

        with reading.refusals(record, "opening"), PairStream(path, **options) as stream:
            thread = threading.Thread(target=act)
            failures = after = 0
            what = f"pairs during {action.__name__}"
            while after < 12 and failures < 3:
                try:
                    for batch in stream:
                        if not thread.ident:
                            thread.start()
                        reading.check_batch(record, batch, shape, what, options["metric"])
                        after += done.is_set()
                        if after >= 12:
                            break
                except CorpusError as error:
                    record.refused(what, error)
                    failures += 1
            thread.join()
        reading.read(record, path, shape, random, f"after {action.__name__}")


def _files(random, path):
    files = sorted([*path.rglob("*.h5"), *path.parent.glob("cache/*.runs")])
    return random.sample(files, random.choice([1, 3, len(files)])) if len(files) > 3 else files


def _cut(random, file):
    """A size to shorten a file to: any, or one after which its last page still is its last."""
    size = file.stat().st_size
    return random.choice([random.randrange(size), random.randrange((size - 1) // 4096 * 4096, size)])


def shorten(random, path, *_):
    for file in _files(random, path):
        with open(file, "r+b") as opened:
            opened.truncate(_cut(random, file))


def copy_over(random, path, *_):
    """As `cp` does it: the file is empty first, and then comes bit by bit, the same as before."""
    for file in _files(random, path):
        data = file.read_bytes()
        with open(file, "wb", buffering=0) as opened:
            for place in range(0, len(data), 20_000):
                opened.write(data[place : place + 20_000])
                time.sleep(0.0005)


def shorten_and_restore(random, path, *_):
    for file in _files(random, path):
        data = file.read_bytes()
        size = _cut(random, file)
        with open(file, "r+b") as opened:
            opened.truncate(size)
            time.sleep(0.005)
            opened.seek(size)
            opened.write(data[size:])


def garble(random, path, *_):
    """Zeros, or anything, in the place of what checksums cover at every read."""
    for file in _files(random, path):
        if file.suffix != ".h5":
            continue
        with open(file, "r+b") as opened:
            opened.seek(random.randrange(file.stat().st_size))
            opened.write(random.choice([bytes(5000), random.randbytes(5000)]))


def delete(random, path, *_):
    for file in _files(random, path):
        file.unlink()


def delete_all(_, path, *__):
    shutil.rmtree(path)


def delete_index(_, path, *__):
    (path / "index.sqlite").unlink()


def exchange(random, path, _, originals):
    """Another file takes the name of a shard: another shard, or none."""
    others = sorted(originals.corpus(random.choice(["wide-raw", "wide-delta", "delta"])).rglob("*.h5"))
    for file in _files(random, path):
        new = file.with_name(".new")
        if random.random() < 0.3:
            new.write_bytes(random.randbytes(3000))
        else:
            shutil.copy(random.choice(others), new)
        new.rename(file)


def compact(_, path, record, *__):
    record.run("compact", path, "--quiet")


def repack(random, path, record, *_):
    record.run("repack", "--codec", random.choice(["delta", "zstd", "raw"]), path, "--quiet")


def rebuild(_, path, record, *__):
    record.run("index", "--rebuild", path, "--quiet")


ACTIONS = [
    shorten, copy_over, shorten_and_restore, garble, delete, delete_all, delete_index, exchange, compact, repack,
    rebuild,
]  # fmt: skip
