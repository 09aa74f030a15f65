"""The documents: links lead somewhere, commands have the flags that they show, and there is one version."""

import re
import shlex
import subprocess
from functools import lru_cache

import pytest
from conftest import CORPUS, ROOT

import checkpoint_corpus

ARTICLES = sorted((ROOT / "Sources" / "Corpus" / "Corpus.docc").glob("*.md"))
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "Schemas").glob("*.md")), *ARTICLES]


def anchors(text):
    """What GitHub calls the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    text = document.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = document.parent / path if path else document
        assert there.exists(), f"{document.name} links to {target}"
        if anchor:
            assert anchor in anchors(there.read_text()), f"{document.name} links to {target}"
    for name in re.findall(r"<doc:(\w+)>", text):
        assert (document.parent / f"{name}.md").exists(), f"{document.name} links to {name}"


def commands():
    """The lines of code that call the command, as words."""
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ARTICLES]:
        for line in document.read_text().replace("\\\n", " ").splitlines():
            if re.match(r"( {4})?corpus \w", line):
                yield pytest.param(shlex.split(line, comments=True)[1:], id=f"{document.name}: {line.strip()[:60]}")


@lru_cache
def help_of(*subcommand):
    return subprocess.run([CORPUS, *subcommand, "--help"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("words", list(commands()))
def test_commands_are_as_the_command_has_them(words):
    # `corpus generate mnist` has flags of its own, `corpus query DIR` has not.
    names = words[:2] if words[0] in ("generate", "import") and not words[1].startswith("-") else words[:1]
    known = set(re.findall(r"--[a-z][a-z-]*", help_of(*names)))
    flags = {word for word in words if word.startswith("--")}
    assert flags <= known, f"corpus {' '.join(names)} has no {', '.join(sorted(flags - known))}"


def test_there_is_one_version():
    (version,) = re.findall(r'productVersion: StaticString = "(\d+\.\d+\.\d+)"',
                            (ROOT / "Sources" / "Corpus" / "Version.swift").read_text())  # fmt: skip
    told = subprocess.run([CORPUS, "--version"], capture_output=True, text=True, check=True).stdout
    assert (told.strip(), checkpoint_corpus.__version__) == (version, version)
    assert re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == version
