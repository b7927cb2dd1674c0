"""What a precision changes in decisions: label flips and lost margin, by leaving each instance out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.fitting.leave_one_out import leave_one_out
from mvrec_edge.runtime.bundle import LabelRecord
from mvrec_edge.runtime.heads import head_class
from mvrec_edge.runtime.heads.aggregation import softmax
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["compare_decisions"]

# The paper's head as released: of all heads it keeps the smallest margins, so it shows a change first.
_HEAD = "zip"


def compare_decisions(
    reference: npt.NDArray[Any], embeddings: npt.NDArray[Any], labels: Sequence[int], class_names: Sequence[str]
) -> LabelRecord:
    """Decides every instance by all the others, on two sets of embeddings.

    Args:
        reference: Float32 embeddings of the module, `[I, V, C]`.
        embeddings: Those of a graph of another precision, `[I, V, C]`; keys and queries both come from them.
        labels: The class of each instance, `[I]`.
        class_names: The classes.

    Returns:
        Flips and margins.

    Raises:
        SupportError: The instances make no support cache, such as with one class only.
    """
    sides = []
    for values in (reference, embeddings):
        head = head_class(_HEAD).defaults
        sides.append(
            leave_one_out(SupportCache.from_embeddings(values.astype(np.float32), labels, class_names, head=head))
        )
    before, after = (softmax(side.logits) for side in sides)
    truth = sides[0].labels
    if not len(truth):
        return LabelRecord(0, 0, 0, 0, 0.0, 0.0)
    decided = before.argmax(axis=1)
    lost = _margins(before, decided) - _margins(after, decided)
    return LabelRecord(
        instances=len(truth),
        flips=int((after.argmax(axis=1) != decided).sum()),
        correct_reference=int((decided == truth).sum()),
        correct=int((after.argmax(axis=1) == truth).sum()),
        mean_margin_lost=float(lost.mean()),
        worst_margin_lost=float(lost.max()),
    )


def _margins(probabilities: npt.NDArray[Any], decided: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """The probability of the decided class minus that of the best other one."""
    rows = np.arange(len(decided))
    others = probabilities.copy()
    others[rows, decided] = -1.0
    margins: npt.NDArray[np.float64] = probabilities[rows, decided].astype(np.float64) - others.max(axis=1)
    return margins
