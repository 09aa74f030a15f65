"""The rooms of the code are as CONTRIBUTING.md draws them, and import what Package.swift declares."""

import json
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
OTHER_PACKAGES = {"GRDB", "GRDBSQLite", "ArgumentParser"}


@pytest.fixture(scope="module")
def declared():
    """For each target what Package.swift lets it import."""
    package = subprocess.run(
        ["swift", "package", "dump-package"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    ).stdout
    return {
        # Tests start the command without importing it.
        target["name"]: {next(iter(one.values()))[0] for one in target["dependencies"]} - {"CorpusCLI"}
        for target in json.loads(package)["targets"]
    }


def imported(declared):
    """For each target in Swift what its files import of this package and of others."""
    known = declared.keys() | OTHER_PACKAGES
    targets = {}
    for folder in [*(ROOT / "Sources").iterdir(), *(ROOT / "Tests").iterdir()]:
        files = list(folder.rglob("*.swift"))
        if files and folder.name in declared:
            names = set()
            for file in files:
                names |= set(re.findall(r"^(?:@testable )?(?:\w+ )?import (\w+)", file.read_text(), re.MULTILINE))
            targets[folder.name] = names & known
    return targets


def reachable(edges):
    """All that each room can get to."""

    def follow(room):
        found = set()
        for other in edges.get(room, ()):
            found |= {other} | follow(other)
        return found

    return {room: follow(room) for room in edges}


def test_targets_import_what_they_declare_and_nothing_else(declared):
    used = imported(declared)
    assert len(used) > 20
    assert {name: sorted(declared[name]) for name in used} == {name: sorted(used[name]) for name in used}


def test_contributing_draws_the_rooms_as_they_are(declared):
    text = (ROOT / "CONTRIBUTING.md").read_text()
    drawing = text[text.index("```mermaid") :].split("```")[1]
    drawn = {}
    for first, second in re.findall(r"(\w+) --> (\w+)", drawing):
        drawn.setdefault(first, set()).add(second)
        drawn.setdefault(second, set())
    rooms = {
        name: {other for other in others if not other.startswith("C") or other in {"Corpus", "CorpusStore"}} - OTHER_PACKAGES
        for name, others in declared.items()
        if name in imported(declared) and (ROOT / "Sources" / name).is_dir() and name != "Benchmarks"
    }
    assert reachable(drawn) == reachable(rooms)


def test_contributing_says_what_each_room_does():
    rows = re.findall(r"^\| `Sources/.*\|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    named = {name.removeprefix("Sources/") for row in rows for name in re.findall(r"`([\w/]+)`", row)}
    folders = {folder.name for folder in (ROOT / "Sources").iterdir()}
    assert {row.split("`")[1].removeprefix("Sources/") for row in rows} <= folders <= named


def test_contributing_walks_through_files_that_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text[text.index("### Three walks") : text.index("## Habits")]
    walks = [re.findall(r"`(Sources/[^`]*)`", walk) for walk in re.split(r"^\d\. ", section, flags=re.MULTILINE)[1:]]
    assert len(walks) == 3
    for walk in walks:
        assert 8 < len(walk) <= 14
        assert [name for name in walk if not (ROOT / name).is_file()] == []
