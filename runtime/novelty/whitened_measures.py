"""How far a region lies from the classes in the whitened metric: by its angle, and by its distance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.support.left_out_whitening import left_out_whitening_of
from mvrec_edge.runtime.support.whitening import Whitening, unit_rows

__all__ = ["MEASURES", "WhitenedMeasures", "left_out_measures"]

#: How many measures there are: one minus the largest cosine, and the logarithm of the smallest Mahalanobis distance.
MEASURES = 2

# More left-out instances cost time and change neither a mean nor a spread.
_MOST_LEFT_OUT = 200
# Below any distance that float32 can tell from none.
_LEAST_SQUARE = 1e-12


class WhitenedMeasures:
    """Two measures of how far regions lie from all class means, in the metric S of `Whitening`.

    With `z` the mean of a region's unit views less the centre, and `p_c` a class mean less the centre:

        1 - max over c of z' S^-1 p_c / (|z| |p_c|), lengths in the metric
        log min over c of sqrt((z - p_c)' S^-1 (z - p_c)), the Mahalanobis distance

    The first does not see how far out a region lies, the second does.

    Args:
        whitening: The support's metric. It is not kept, since it holds every view of every instance.
    """

    def __init__(self, whitening: Whitening) -> None:
        self._matrix, self._centre = whitening.matrix, whitening.centre
        self._classes = np.asarray((whitening.class_means - self._centre) @ self._matrix, np.float32)

    def __call__(self, embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Measures regions.

        Args:
            embeddings: `[M, P, C]`, the views that the metric was made of.

        Returns:
            float32 `[M, 2]`: 0 to 2, and a logarithm.
        """
        return _measures((unit_rows(embeddings).mean(axis=1) - self._centre) @ self._matrix, self._classes)


def left_out_measures(
    whitening: Whitening, groups: npt.NDArray[np.integer], usable: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Both measures of support instances, each against the support without its image.

    Args:
        whitening: The support's metric.
        groups: int `[NK]`, equal for instances of one image.
        usable: bool `[NK]`, which instances can be left out.

    Returns:
        float32 `[NK, 2]`; NaN for an instance that cannot be left out, and of more than 200 (or two for each
        class) for those that are passed over, evenly in all classes.
    """
    result = np.full((len(groups), MEASURES), np.nan, np.float32)
    instances = np.flatnonzero(usable)
    most = max(_MOST_LEFT_OUT, 2 * whitening.classes)
    if len(instances) > most:
        by_class = instances[np.argsort(whitening.key_labels[instances], kind="stable")]
        instances = by_class[np.linspace(0, len(by_class) - 1, most).astype(np.intp)]
    left_out = left_out_whitening_of(whitening, groups)
    # Those of one image together, which share a metric.
    for instance in instances[np.argsort(groups[instances], kind="stable")]:
        metric = left_out.without(int(instance))
        result[instance] = _measures(*metric.whitened(whitening.means[[instance]]))[0]
    return result


def _measures(rows: npt.NDArray[np.float32], classes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Both measures of whitened rows against whitened class means, float32 `[M, D]` and `[N, D]` to `[M, 2]`."""
    cosines = unit_rows(rows) @ unit_rows(classes).T
    squares = np.stack([((rows - each) ** 2).sum(axis=1) for each in classes], axis=1)
    angle = np.clip(1 - cosines.max(axis=1), 0, 2)
    return np.stack([angle, np.log(np.maximum(squares.min(axis=1), _LEAST_SQUARE)) / 2], axis=1).astype(np.float32)
