"""Results of heads as rows of a results file, and as tables: for `heads.py`, `heads_pocket.py` and `baselines.py`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib import HeadResult
from mvrec_edge.calib.evaluation.standard_errors import error_over_draws

__all__ = ["accuracy_cell", "accuracy_row", "head_row", "table"]


def accuracy_row(accuracies: Sequence[float] | npt.NDArray[np.floating], **what: Any) -> dict[str, Any]:
    """What was measured, with its accuracy over draws.

    Args:
        accuracies: The accuracy of each draw, 0 to 1.
        what: The columns that say what was measured.

    Returns:
        In plain JSON types: `what`, then mean, standard error over draws (None for a single draw) and the draws, in %.
    """
    error = 100 * error_over_draws(accuracies)
    return {
        **what,
        "accuracy": round(100 * float(np.mean(accuracies)), 2),
        "standard_error_draws": None if math.isnan(error) else round(error, 2),
        "draws": [round(100 * float(value), 4) for value in accuracies],
    }


def head_row(result: HeadResult, name: str | None = None, **what: Any) -> dict[str, Any]:
    """A head's accuracy over draws, and what its probabilities are worth.

    Log-loss and calibration error are those of the answers of all draws together (see `measure_probabilities`): the
    calibration error is the expected one in ten equal bins, which many draws fill better than one.

    Args:
        result: What `evaluate_heads` returned.
        name: The head's name in the table, where it says more than that of the head.
        what: Further columns, such as the direction.

    Returns:
        In plain JSON types.
    """
    shots = result.shots if isinstance(result.shots, int) else str(result.shots)
    row = accuracy_row(result.accuracies, **what, head=name or result.head, shots=shots)
    return row | {
        "queries": int(result.queries.sum()),
        "log_loss": round(result.probabilities.log_loss.value, 3),
        "calibration_error": round(result.probabilities.calibration_error.value, 3),
    }


def accuracy_cell(row: dict[str, Any]) -> str:
    """`94.0 ± 0.9`: mean and standard error over draws, in %."""
    error = row["standard_error_draws"]
    return f"{row['accuracy']:.1f}" + ("" if error is None else f" ± {error:.1f}")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    return ["| " + " | ".join(each) + " |" for each in (header, ["---"] * len(header), *rows)]
