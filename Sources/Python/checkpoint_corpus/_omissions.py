"""What streams leave out, in words."""

from __future__ import annotations

from typing import Mapping

#: By which argument what is left out is taken.
WAYS = {
    "nonfinite": 'statuses=("nonfinite", …)', "out_of_range": 'statuses=("out_of_range", …)',
    "ok": 'statuses=("ok", …)', "unmeasured": "include_unmeasured=True", "singles": 'item="checkpoints"',
}  # fmt: skip


def text(left_out: Mapping[str, int], metric: str, ways: Mapping[str, str]) -> str:
    """What is left out, in words, and what takes it.

    left_out: as a PairStream has it. ways: what takes a part, by its name there.
    """
    known = {
        "nonfinite": ("run", "with parameters that are not finite"),
        "out_of_range": ("run", "with parameters above 10"),
        "ok": ("run", "without fault"),
        "unmeasured": ("checkpoint", f"without a finite {metric}"),
        "singles": ("run", "of a single checkpoint"),
    }
    parts = []
    for name, count in left_out.items():
        thing, which = known[name]
        way = f" ({ways[name]} takes them)" if name in ways else ""
        parts.append(f"{count} {thing}{'' if count == 1 else 's'} {which}{way}")
    return ", ".join(parts)
