"""Damage to what comes from elsewhere: recipes, and corpora in the released layout."""

import json
import shutil
import struct

from corpora import Kind
from mutators import EXTREMES, change_json, damage_file
from trial import BROKEN, EQUAL

PAGE = 4096


class LMDB(Kind):
    """LMDB has no checksums, so that a value with a flipped bit is a value; what is stored has to be whole."""

    def prepare(self):
        self.originals.released()

    def make(self, random, place):
        path = place / "released"
        shutil.copytree(self.originals.released(), path)
        folder = path / random.choice(["000000", "000001"])
        if self.edits and random.random() < 0.25:
            text, what = change_json(random, json.loads((folder / "runs.json").read_bytes()))
            (folder / "runs.json").write_bytes(text)
            return f"runs.json: {what}", True, None
        file = folder / "data.mdb"
        if self.edits and random.random() < 0.4:
            return f"data.mdb: {_change_page(random, file)}", True, None
        # Pages of the tree, rather than values.
        pages = [(page * PAGE, 200) for page in _tree_pages(file.read_bytes())]
        return f"data.mdb: {damage_file(random, file, self.ways, pages)}", True, None

    def read(self, record, place, random, _):
        out = place / "out"
        record.run("import", "lmdb", place / "released", "--out", out, "--workers", 1, "--quiet")
        if (out / "corpus.json").exists():
            verify(record, out)


def verify(record, path):
    """What was stored has to be whole."""
    said = dict(record.seen)
    output = record.run("verify", path, "--quiet")
    if output is None and record.seen != said:
        record.add(BROKEN, f"what was stored is damaged: {record.seen}")
    elif output is not None:
        record.add(EQUAL, "verify")


def _tree_pages(data):
    """Meta pages, and those whose flags say branch or leaf."""
    flags = struct.Struct("<H")
    return [0, 1] + [
        page for page in range(2, len(data) // PAGE) if flags.unpack_from(data, page * PAGE + 10)[0] in (1, 2)
    ]  # fmt: skip


def _change_page(random, path):
    """An extreme number in the header of a page, or among its nodes; in both meta pages alike, at times."""
    data = bytearray(path.read_bytes())
    page = random.choice(_tree_pages(data))
    size = random.choice([2, 4, 8])
    place = (
        page * PAGE
        + random.choice([random.randrange(0, 16), random.randrange(0, 152), random.randrange(0, PAGE - 8)]) // 2 * 2
    )
    value = random.choice([*EXTREMES, random.randrange(PAGE), random.randrange(len(data) // PAGE)]) % 2 ** (8 * size)
    data[place : place + size] = value.to_bytes(size, "little")
    if page < 2 and random.random() < 0.5:
        data[(1 - page) * PAGE : (2 - page) * PAGE] = data[page * PAGE : (page + 1) * PAGE]
    path.write_bytes(data)
    return f"{value} in {size} bytes at {place % PAGE} of page {page}"


class Recipes(Kind):
    """Recipes of which hardly one is as before; what can be trained is trained, and has to be whole."""

    def prepare(self):
        self.originals.recipes()

    def make(self, random, place):
        # Digits take their time.
        task = random.choice(["cartpole", "cartpole", "cartpole", "mnist"])
        path = place / "recipe.json"
        if self.edits and random.random() < 0.9:
            text, what = change_json(random, json.loads((self.originals.recipes() / f"{task}.json").read_text()))
            path.write_bytes(text)
        else:
            shutil.copy(self.originals.recipes() / f"{task}.json", path)
            what = damage_file(random, path, self.ways)
        return f"recipe of {task}: {what}", True, None

    def read(self, record, place, random, _):
        out = place / "out"
        record.run(
            "generate",
            "--recipe",
            place / "recipe.json",
            "--runs",
            0,
            "--out",
            out,
            "--workers",
            1,
            "--quiet",
            stop_after=15,
        )
        if (out / "corpus.json").exists():
            verify(record, out)
