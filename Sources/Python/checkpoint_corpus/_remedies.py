"""The library's remedies in Python's words: the library names what the command has, and Python may call it otherwise.

`corpus repair` and `corpus verify` stay, as nothing in Python does what they do.
"""

from __future__ import annotations

import re

#: What the library says, as a regular expression, and what takes its place.
_WORDS = [
    (r"`corpus index --rebuild ([^`]+)`", r"`checkpoint_corpus.index('\1', rebuild=True)`"),
    (r"`corpus index --forget ([^`]+)`", r"`checkpoint_corpus.index('\1', forget=True)`"),
    (r"`corpus index --alone`", "`checkpoint_corpus.index` with the variable CORPUS_ALONE=1"),
    (r"`corpus index ([^`]+)`", r"`checkpoint_corpus.index('\1')`"),
    (r"""`corpus query ([^`]+) "([^`"]+)"`""", r"""`checkpoint_corpus.Corpus('\1').sql("\2")`"""),
    (r"one that `corpus recipe` prints", "the `recipe` of a Corpus of that task"),
    (r"the directory that `corpus generate --out` made", "the directory of a corpus"),
    (r"`corpus generate`", "`checkpoint_corpus.Writer`"),
    (r"add --stale", "where you open a Corpus, pass stale=True"),
    (r"--alone or the variable", "the variable"),
    (r", fetch it with (\S+), or make other runs, with --dataset synthetic", r", or fetch it with \1"),
    (r"with --datasets", "by datasets="),
    (r"--datasets", "datasets="),
    (r"--out directory", "directory"),
    (r"--workers", "workers"),
]


def in_python(remedy: str) -> str:
    """A remedy as advice for those who are in Python."""
    for said, words in _WORDS:
        remedy = re.sub(said, words, remedy)
    return remedy
