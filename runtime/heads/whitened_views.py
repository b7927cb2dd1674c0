"""`zip-vw`: view beside view in the whitened metric, training-free."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads.whitened_head import FEWEST_VIEWS, WhitenedHead, log_class_means
from mvrec_edge.runtime.support.head_settings import HeadSettings
from mvrec_edge.runtime.support.whitening import Metric

__all__ = ["WhitenedViews"]

# What stands in for few views is `zip-w`; its cosines, times this, spread as the logits of all views do.
_OF_MEANS = 5.0


class WhitenedViews(WhitenedHead):
    """Compares each view of a query with the same view of every support instance.

    `logits_c = log(mean over i in c of exp(-beta (1 - sim(q, i))))`, with `sim` the mean over the query's views v of
    the whitened cosine of `q_v - mu_v` and `x_iv - mu_v`. With fewer than `FEWEST_VIEWS` views, or where it is not
    known which views they are, it is `zip-w`: single views say little, and their mean more. See `Head` for the
    arguments.
    """

    name = "zip-vw"
    defaults = HeadSettings("zip-vw", beta=8.0, aggregate="mean")

    def logits_in(
        self, metric: Metric, units: npt.NDArray[np.float32], views: npt.NDArray[np.intp] | None
    ) -> npt.NDArray[np.float32]:
        """See `WhitenedHead.logits_in`."""
        if views is None or len(views) < FEWEST_VIEWS:
            return self.scores_in(metric, units.mean(axis=1)).astype(np.float32)
        cosines = metric.view_cosines(units, views.tolist())
        return log_class_means(cosines, metric.class_weights, self.beta)

    def scores_in(self, metric: Metric, means: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """See `WhitenedHead.scores_in`."""
        return _OF_MEANS * metric.class_cosines(means).astype(np.float64)
