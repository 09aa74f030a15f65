"""Damage to models and their trainings."""

import shutil

from corpora import Kind
from model_files import header_length, rewrite, rewrite_description, tensors
from mutators import change_json, damage_file
from originals import PROMPT
from trial import EQUAL, WRONG

FILES = ["model.json", "model.safetensors", "training.safetensors"]


class Models(Kind):
    def prepare(self):
        self.originals.references()

    def make(self, random, place):
        path = place / "model"
        shutil.copytree(self.originals.model(), path)
        file = path / random.choice(FILES)
        is_edit = self.edits and random.random() < 0.5
        if is_edit:
            what = _edit(random, file)
        else:
            header = [(0, 8 + header_length(file))] if file.suffix == ".safetensors" else []
            what = damage_file(random, file, self.ways, header)
        return f"{file.name}: {what}", is_edit, file.name

    def read(self, record, place, random, name):
        path, references = place / "model", self.originals.references()
        if name == "training.safetensors":
            command = ["train", self.originals.cartpole(), "--out", path, "--resume", "--workers", 1, "--quiet"]
            what, found, expected = "weights", path / "model.safetensors", references / "model" / "model.safetensors"
        else:
            found, expected = place / "networks.safetensors", references / "networks.safetensors"
            what, command = "networks", ["prompt", path, *PROMPT, "--out", found]
        # What it is told to do may take for ever.
        if record.run(*command, stop_after=30) is not None and found.exists():
            record.add(EQUAL if tensors(found) == tensors(expected) else WRONG, what)


def _edit(random, path):
    """A file that says something else, and has the SHA-256 of that."""
    said = []

    def change(value):
        text, what = change_json(random, value)
        said.append(what)
        return text

    if path.name == "training.safetensors" and random.random() < 0.5:
        rewrite_description(path, change)
    else:
        rewrite(path, change)
    return said[0]
