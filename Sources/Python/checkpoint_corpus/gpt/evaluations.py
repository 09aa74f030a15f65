"""How well prompts are met while a model is trained: the member `evaluations` of model.json.

Each is {"step", "best_prompt", "groups"}, a group {"starts", "alignment", "one_step", "start_metrics", "prompted",
"observed"}, None where a number is none. The first one is of the untrained model.
"""

from __future__ import annotations

import math
import sys
from typing import Any, Mapping, Optional

Evaluation = Mapping[str, Any]


def alignment(evaluation: Evaluation) -> float:
    """The mean over the groups, which tells better weights from worse.

    Networks that cannot be measured count as worst.
    """
    values = [group["alignment"] for group in evaluation["groups"]]
    return sum((-sys.float_info.max if v is None else v) / len(values) for v in values) if values else -math.inf


def best(description: Mapping[str, Any]) -> Optional[Evaluation]:
    """The evaluation with the best alignment, the first of equals: that of the weights in model.safetensors.

    Not that of the untrained model, which shows where the way began: it gives starts back as they are, and much of
    what is learned first is worse than that.
    """
    found, most = None, -math.inf
    for evaluation in description.get("evaluations") or []:
        if evaluation["step"] > 0 and alignment(evaluation) > most:
            found, most = evaluation, alignment(evaluation)
    return found


def has_stalled(description: Mapping[str, Any]) -> bool:
    """Whether so many evaluations as the configuration's patience have brought nothing better."""
    patience, found = description["training"].get("patience"), best(description)
    if patience is None or found is None:
        return False
    return sum(evaluation["step"] > found["step"] for evaluation in description["evaluations"]) >= patience


def line(evaluation: Evaluation) -> str:
    """An evaluation as it is told on the terminal."""

    def told(value: Optional[float], form: str) -> str:
        return "none" if value is None else format(value, form)

    return "; ".join(
        f"{group['starts']}: alignment {told(group['alignment'], '.2f')}, {told(group['one_step'], '.4g')} for "
        f"{evaluation['best_prompt']:.4g}"
        for group in evaluation["groups"]
    )
