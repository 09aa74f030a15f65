"""Which permutation groups a new corpus declares: as somebody says, or as they are found in a module."""

from __future__ import annotations

import os
import warnings
from typing import Any, Mapping, Optional

from ..errors import invalid_argument
from ..permutations import Permutations, PermutationWarning


def groups_of(
    path: str, source: Any, architecture: Mapping[str, Any], wanted: Any, example: Any
) -> Optional[Permutations]:
    """The permutation groups that a corpus declares; None to leave it with those that it has, or none.

    `source` is a module, or whatever else tells the architecture; `wanted` and `example` are Writer's permutations and
    example_input. Raises CorpusError as Writer does.
    """
    is_chosen = isinstance(wanted, str)
    if is_chosen and wanted not in ("auto", "trace", "none"):
        raise invalid_argument(f"permutations is {wanted!r}", 'make it "auto", "trace", "none" or a dict')
    declared = None if is_chosen or wanted is None else Permutations.declared(wanted, architecture)
    is_module = hasattr(source, "state_dict") and hasattr(source, "forward") and hasattr(source, "modules")
    if declared is not None:
        if is_module and declared:
            _check(source, declared, example)
        return declared
    if wanted == "none" or wanted is None:
        return Permutations()
    if wanted == "trace" and not is_module:
        raise invalid_argument(
            f"there is no module to trace, but a {type(source).__name__}",
            "pass the module as architecture, or what moves in each axis as permutations",
        )
    if not is_module or (wanted == "auto" and os.path.exists(os.path.join(path, "corpus.json"))):
        return None
    from .probe import NotTraceable, derive

    try:
        return derive(source, example)
    except NotTraceable as error:
        remedy = (
            "pass example_input=, what the module is called with, or what moves in each axis, such as "
            'permutations={"fc1.weight": ["hidden", None], "fc1.bias": ["hidden"], "fc2.weight": [None, "hidden"]}, '
            'or permutations="none"'
        )
        message = f"nothing can be told of the symmetries of {type(source).__name__}"
        if wanted == "trace" or example is not None:
            raise invalid_argument(message, remedy, str(error)) from None
        warnings.warn(
            f"{message} ({error}), so its hidden units will not be permuted: {remedy}", PermutationWarning, stacklevel=3
        )
        return Permutations()


def _check(module: Any, declared: Permutations, example: Any) -> None:
    """Refuses groups that change what a module computes; those of one that cannot be run are somebody's word."""
    from .probe import NotTraceable, Probe

    try:
        probe = Probe(module, example)
    except NotTraceable as error:
        if example is None:
            return
        raise invalid_argument(
            f"the permutations of {type(module).__name__} cannot be checked",
            "pass what the module is called with as example_input, or leave it out", str(error),
        ) from None
    try:
        failing = probe.failing(declared)
    except (IndexError, KeyError, ValueError):
        # Shapes that do not fit are refused with their sizes when the corpus is opened.
        return
    if failing:
        raise invalid_argument(
            f"permuting {', '.join(failing)} changes what {type(module).__name__} computes, or nothing in it",
            "name all axes that move with these units, or leave the groups out",
        )
