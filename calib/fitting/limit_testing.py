"""The lowest probability from which on answers are right often enough, tested so that the promise can be kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.fitting.binomial_bound import binomial_tail, trials_needed

__all__ = ["independent_trials", "lowest_limit"]


def lowest_limit(
    probabilities: npt.NDArray[np.floating],
    right: npt.NDArray[np.bool_],
    images: npt.NDArray[np.integer],
    right_at_least: float,
    confidence: float,
) -> float | None:
    """The lowest probability at or above which a wanted share of answers is right.

    The lowest of many limits that happens to look good on the data that chose it would promise too much. So limits are
    tested one after the other from the highest downwards, up to the first that does not show the wanted share: fixed
    sequence testing in "Learn then Test" (Angelopoulos et al. 2021). The whole sequence then errs as seldom as one
    test does. Which limits are tested follows from the probabilities and the images alone, never from which answers
    are right: the first has as many answers at or above it as suffice when all are right, the next as many as suffice
    when one is wrong, and so on; the last takes all answers. Each test is exact and binomial (Clopper and Pearson 1934)
    on `independent_trials`.

    Args:
        probabilities: `[H]`, the stated probability of each answer, 0 to 1.
        right: bool `[H]`, whether it is right.
        images: int `[H]`, equal for answers about one image.
        right_at_least: The wanted share, above 0 and below 1.
        confidence: Probability that the limit keeps it, above 0 and below 1.

    Returns:
        The limit, one of the probabilities; None where none can be promised.
    """
    order = np.argsort(-probabilities, kind="stable")
    ordered = probabilities[order]
    # Answers of one probability are above a limit together, so that their order plays no part.
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(ordered) else np.zeros(0, np.intp)
    trials = independent_trials(images[order])[ends]
    wrong = np.cumsum(~right[order])[ends] / (ends + 1)
    limit = None
    for step in _sequence(trials, right_at_least, confidence):
        share = 1 - float(wrong[step])
        count = float(trials[step])
        if binomial_tail(count * share, count, right_at_least) > 1 - confidence:
            break
        limit = float(ordered[ends[step]])
    return limit


def independent_trials(images: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """As how many independent trials the first one, two, ... of some answers count.

    Answers about one image share its light and focus, and tend to be wrong together. The worst is assumed: that answers
    about one image are all right or all wrong. By Kish (1965), answers of m_1, m_2, ... on each image then count as
    `(sum m)^2 / sum m^2`: as many as there are images where each has equally many.

    Args:
        images: int `[H]`, equal for answers about one image.

    Returns:
        float64 `[H]`, from 1 to the number of answers.
    """
    sizes: dict[int, int] = {}
    squares, counts = 0, np.zeros(len(images))
    for place, image in enumerate(images.tolist()):
        size = sizes.get(image, 0)
        sizes[image] = size + 1
        squares += 2 * size + 1
        counts[place] = (place + 1) ** 2 / squares
    return counts


def _sequence(trials: npt.NDArray[np.float64], right_at_least: float, confidence: float) -> Iterator[int]:
    """Which of the limits are tested, as places in `trials`, which holds the trials at or above each of them."""
    place, wrong = -1, 0
    while True:
        enough = np.flatnonzero(trials[place + 1 :] >= trials_needed(right_at_least, confidence, wrong))
        if not len(enough):
            break
        place += 1 + int(enough[0])
        yield place
        # Some steps are left out of long sequences, which changes nothing in what holds.
        wrong = max(wrong + 1, wrong * 5 // 4)
    if 0 <= place < len(trials) - 1:
        yield len(trials) - 1
