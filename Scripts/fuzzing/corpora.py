"""Damage to what a corpus consists of: its shards, its index, its manifest, and the cache of a stream."""

import json
import os
import shutil
import sqlite3

import h5py
import reading
import shard_edits
from mutators import EXTREMES, OF_BYTES, change_json, damage_file
from originals import CARTPOLE, SHAPES, STREAM

from checkpoint_corpus import PairStream

SMALL = ["delta", "zstd", "raw", "long"]


class Kind:
    """A kind of inputs.

    An input is what `make` writes to a place, in which `corpus` is, as a rule, a corpus of the shape `name`.

    Args:
        ways: names of those mutators of bytes that are used; where some are left out, nothing is edited either.
    """

    def __init__(self, originals, ways=tuple(OF_BYTES)):
        self.originals, self.ways = originals, ways

    @property
    def edits(self):
        return len(self.ways) == len(OF_BYTES)

    def prepare(self):
        """Makes the originals that it takes, if they are not there."""
        for name in SMALL:
            self.originals.corpus(name)

    def make(self, random, place):
        """Writes an input to an empty directory.

        Returns:
            What is wrong with it, whether it is an edit (`Record`), and what `read` is told beside.
        """
        raise NotImplementedError

    def read(self, record, place, random, name):
        """Reads it, in a process of its own."""
        raise NotImplementedError


class Shards(Kind):
    def make(self, random, place):
        name = random.choice(SMALL)
        path = place / "corpus"
        shutil.copytree(self.originals.corpus(name), path)
        sealed, single = sorted(path.glob("shards/*.h5")), sorted(path.glob("runs/*/*.h5"))
        file = random.choice([*sealed, *sealed, random.choice(single)])
        if self.edits and random.random() < 0.3:
            what, is_edit = shard_edits.edit(random, file)
        else:
            what, is_edit = damage_file(random, file, self.ways, _regions(file)), False
        return f"{file.name} of {name}: {what}", is_edit, name

    def read(self, record, place, random, name):
        path, shape = place / "corpus", SHAPES[name]
        reading.read(record, path, shape, random, "as it is")
        reading.rebuild(record, path)
        reading.read_index(record, path, shape, "rebuilt")
        reading.read(record, path, shape, random, "rebuilt")
        reading.export(record, path, shape, place / "out.npz", "rebuilt")
        # What rewrites a corpus must not launder what is damaged.
        repack = ["repack", "--codec", random.choice(["delta", "zstd", "raw"])]
        command = random.choice([None, None, ["compact"], repack, ["verify"], ["repair"]])
        if command:
            record.run(command[0], *command[1:], path, "--quiet")
            reading.read(record, path, shape, random, f"after {command[0]}")
        for other in random.sample(
            [["show", path, "1"], ["stream", path, "--count", "3"], ["status", path], ["index", path]], 1
        ):
            record.run(*other)


def _regions(file):
    """All that is no chunk of parameters, and where chunks begin."""
    with h5py.File(file) as shard:
        chunks = sorted(zip(shard["chunks/offset"][:].tolist(), shard["chunks/bytes"][:].tolist()))
    regions, end = [], 0
    for offset, size in chunks:
        regions += [(end, offset - end), (offset, min(size, 200))]
        end = offset + size
    return [*regions, (end, os.path.getsize(file) - end)]


class Indexes(Kind):
    def make(self, random, place):
        name = random.choice(SMALL)
        path = place / "corpus"
        shutil.copytree(self.originals.corpus(name), path)
        index = path / "index.sqlite"
        way = random.choices(["bytes", "SQL", "other"], [6, 4, 1])[0] if self.edits else "bytes"
        if way == "bytes":
            pages = range(0, index.stat().st_size, 4096)
            what = damage_file(random, index, self.ways, [(0, 100), *((page, 24) for page in pages)])
        elif way == "SQL":
            what = _change_sql(random, index)
        else:
            what = random.choice(["another corpus's", "empty", "a directory", "with a foreign journal"])
            if what == "with a foreign journal":
                (path / "index.sqlite-journal").write_bytes(random.randbytes(2000))
            else:
                index.unlink()
                if what == "empty":
                    index.touch()
                elif what == "a directory":
                    index.mkdir()
                else:
                    shutil.copy(
                        self.originals.corpus(random.choice([s for s in SMALL if s != name])) / "index.sqlite", index
                    )
        return f"index of {name}: {what}", False, name

    def read(self, record, place, random, name):
        path, shape = place / "corpus", SHAPES[name]
        reading.read(record, path, shape, random, "as it is")
        reading.export(record, path, shape, place / "out.npz", "as it is")
        command = random.choice(["index", "status", "show", "verify", "compact", "repack --codec zstd", "repair"])
        record.run(*command.split(), path, *(["1"] if command == "show" else []))
        reading.rebuild(record, path, forget=True)
        reading.read_index(record, path, shape, "rebuilt")
        reading.read(record, path, shape, random, "rebuilt")


def _change_sql(random, index):
    with sqlite3.connect(index) as database:
        tables = {
            table: [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            for table in ["corpus", "shards", "runs", "checkpoints", "chunks"]
        }
        table = random.choice([*tables, "runs", "runs", "checkpoints", "chunks"])
        column = random.choice(tables[table])
        value = random.choice([
            *(value for value in EXTREMES if -(2**63) <= value < 2**63), None, "x", "", "'", b"\xff\0", "train", "ok",
            1.5, float("inf"), "../../x", "runs/000/000006.h5",
        ])  # fmt: skip
        key = {"corpus": "name", "shards": "shard"}.get(table, "run")
        (of,) = random.choice(database.execute(f"SELECT {key} FROM {table}").fetchall())
        structure = [
            f"DROP TABLE {table}", "DROP INDEX checkpoints_test_error", "PRAGMA user_version = 7",
            f'ALTER TABLE {table} RENAME COLUMN "{column}" TO other',
            f"DELETE FROM {table}", f"DELETE FROM {table} WHERE {key} = {of!r}",
            f"ALTER TABLE {table} RENAME TO old; CREATE TABLE {table} AS SELECT * FROM old",
            f"ALTER TABLE {table} RENAME TO old; CREATE VIEW {table} AS SELECT * FROM old",
            f"CREATE TRIGGER other BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END",
        ]  # fmt: skip
        everywhere = f'UPDATE OR IGNORE {table} SET "{column}" = ?'
        statement = random.choice([everywhere] * 4 + [f"{everywhere} WHERE {key} = {of!r}"] * 8 + structure)
        try:
            if "?" in statement:
                database.execute(statement, [value])
            else:
                database.executescript(statement)
        except sqlite3.Error as error:
            return f"{statement}: {error}"
    database.close()
    return f"{statement} with {value!r}"[:200]


class Caches(Kind):
    def prepare(self):
        for name in ["delta", "zstd", "raw"]:
            self.originals.cache(name)

    def make(self, random, place):
        name = random.choice(["delta", "zstd", "raw"])
        shutil.copytree(self.originals.cache(name), place / "cache")
        (file,) = (place / "cache").glob("*.runs")
        what = damage_file(random, file, self.ways, [(0, 16), (4096, 4096), (8192, 4096)])
        return f"cache of {name}: {what}", False, name

    def read(self, record, place, random, name):
        path, shape = self.originals.corpus(name), SHAPES[name]
        for turn in ["first", "second"]:
            what = f"{turn} stream with the cache"
            with reading.refusals(record, what), PairStream(path, cache=place / "cache", **STREAM) as stream:
                for batch in stream:
                    reading.check_batch(record, batch, shape, what)


class Manifests(Kind):
    def prepare(self):
        super().prepare()
        self.originals.cartpole()

    def make(self, random, place):
        name = random.choice([*SMALL, "cartpole"])
        path = place / "corpus"
        shutil.copytree(self.originals.cartpole() if name == "cartpole" else self.originals.corpus(name), path)
        manifest = path / "corpus.json"
        is_edit = self.edits and random.random() < 0.8
        if is_edit:
            text, what = change_json(random, json.loads(manifest.read_bytes()))
            manifest.write_bytes(text)
        else:
            what = damage_file(random, manifest, self.ways)
        if random.random() < 0.4:
            (path / "index.sqlite").unlink()
            what += ", without index"
        # Names and goals of metrics may have changed places.
        return f"manifest of {name}: {what}", is_edit, name

    def read(self, record, place, random, name):
        path = place / "corpus"
        reading.rebuild(record, path)
        if name in SHAPES:
            reading.read(record, path, SHAPES[name], random, "rebuilt")
            reading.read_index(record, path, SHAPES[name], "rebuilt")
        commands = [
            ["status", path], ["index", "--rebuild", path], ["verify", path, "--quiet"], ["stream", path, "--count", 2],
            ["recipe", path], ["show", path, 1], ["repair", path, "--quiet"], ["compact", path, "--quiet"],
            ["repack", "--codec", "zstd", path], ["verify", path, "--replay", 1],
            ["generate", "cartpole", "--runs", "0..<7", "--out", path, *CARTPOLE],
        ]  # fmt: skip
        for command in random.sample(commands, 3):
            record.run(*command, stop_after=20)
