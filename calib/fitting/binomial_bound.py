"""What so many right answers of so many say about the share of right ones: exact binomial bounds."""

from __future__ import annotations

import functools
import math

__all__ = ["binomial_tail", "lower_bound", "trials_needed"]

_TINY = 1e-300
_CLOSE = 1e-15
_MOST_STEPS = 100_000
_MOST_TRIALS = 1 << 40


def binomial_tail(right: float, trials: float, share: float) -> float:
    """The probability of at least so many right answers where each is right with the same probability.

    It is the regularised incomplete beta function `I_share(right, trials - right + 1)` (DLMF 8.17.5), which goes on
    between whole numbers: Korn and Graubard (1998) take a number of trials that counts less where trials are alike.

    Args:
        right: Right answers, 0 to `trials`.
        trials: Answers, at least 0.
        share: Probability of a right one, above 0 and below 1.

    Returns:
        0 to 1.
    """
    if right <= 0:
        return 1.0
    a, b = right, trials - right + 1
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(share) + b * math.log1p(-share)
    )
    # The fraction converges fast below the mean; above it the other tail is computed.
    if share < (a + 1) / (a + b + 2):
        value = front * _continued_fraction(a, b, share) / a
    else:
        value = 1 - front * _continued_fraction(b, a, 1 - share) / b
    return min(max(value, 0.0), 1.0)


def _continued_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, DLMF 8.17.22, by Lentz's method."""
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > _TINY else _TINY)
    total = d
    for m in range(1, _MOST_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            d = 1 + term * d
            d = 1 / (d if abs(d) > _TINY else _TINY)
            c = 1 + term / c
            c = c if abs(c) > _TINY else _TINY
            change = d * c
            total *= change
        if abs(change - 1) < _CLOSE:
            break
    return total


def lower_bound(right: float, trials: float, confidence: float) -> float:
    """The one-sided lower bound of a share by Clopper and Pearson (1934).

    Args:
        right: Right answers, 0 to `trials`.
        trials: Answers, at least 0.
        confidence: Probability that the share is not below the bound, above 0 and below 1.

    Returns:
        The largest share under which so many right ones have at most the probability `1 - confidence`; 0 without
        answers.
    """
    if right <= 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if binomial_tail(right, trials, middle) <= 1 - confidence else (low, middle)
    return low


@functools.cache
def trials_needed(share: float, confidence: float, wrong: int = 0) -> int:
    """How many answers, of which so many are wrong, show that a share of right ones is kept.

    Args:
        share: Wanted share of right answers, above 0 and below 1.
        confidence: As for `lower_bound`.
        wrong: Wrong answers among them, at least 0.

    Returns:
        The smallest number of answers whose `lower_bound` is at least the share.
    """

    def shows(trials: int) -> bool:
        return binomial_tail(trials - wrong, trials, share) <= 1 - confidence

    low, high = wrong, wrong + 1
    while not shows(high) and high < _MOST_TRIALS:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high
