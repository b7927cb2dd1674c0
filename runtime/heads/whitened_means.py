"""`zip-w`: nearest class mean in the whitened metric, training-free."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads.whitened_head import WhitenedHead
from mvrec_edge.runtime.support.head_settings import HeadSettings
from mvrec_edge.runtime.support.whitening import Metric

__all__ = ["WhitenedMeans"]


class WhitenedMeans(WhitenedHead):
    """Compares the mean of the unit views with the class means.

    `logits_c = beta cos(z, P_c - mu)` with `z` the mean of the query's unit views less the centre `mu`, and the
    cosine in the whitened metric. Its time does not depend on the number of instances. See `Head` for the arguments.
    """

    name = "zip-w"
    defaults = HeadSettings("zip-w", beta=20.0, aggregate="mean", temperature=4.0)

    def logits_in(
        self,
        metric: Metric,
        units: npt.NDArray[np.float32],
        views: npt.NDArray[np.intp] | None,  # noqa: ARG002 (means are compared)
    ) -> npt.NDArray[np.float32]:
        """See `WhitenedHead.logits_in`."""
        return np.float32(self.beta) * metric.class_cosines(units.mean(axis=1))

    def scores_in(self, metric: Metric, means: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """See `WhitenedHead.scores_in`."""
        return self.beta * metric.class_cosines(means).astype(np.float64)
