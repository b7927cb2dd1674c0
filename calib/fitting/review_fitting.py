"""Limits of the probability below which a human looks at a region, fitted to the support's left-out instances."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.fitting.binomial_bound import lower_bound, trials_needed
from mvrec_edge.calib.fitting.leave_one_out import class_on_one_image, leave_one_out, nothing_to_leave_out
from mvrec_edge.calib.fitting.limit_testing import independent_trials, lowest_limit
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads import head_class
from mvrec_edge.runtime.heads.aggregation import softmax
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.review_limits import CONFIDENCE, ReviewLimits
from mvrec_edge.runtime.support.right_rate import check_right_rate
from mvrec_edge.runtime.wording import counted

__all__ = ["LeftOutAnswers", "check_reviewable", "describe_review", "fit_review", "left_out_answers", "review_limits"]


@dataclass(frozen=True)
class LeftOutAnswers:
    """What a cache's own head says of its instances, each left out with its image.

    Attributes:
        probabilities: float32 `[H]`, the probability of the class that is said.
        said: int64 `[H]`, that class.
        labels: int64 `[H]`, the true class.
        images: int64 `[H]`, equal for instances of one image.
    """

    probabilities: npt.NDArray[np.float32]
    said: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    images: npt.NDArray[np.int64]

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether the class that is said is the true one, bool `[H]`."""
        equal: npt.NDArray[np.bool_] = self.said == self.labels
        return equal


def left_out_answers(cache: SupportCache) -> LeftOutAnswers:
    """Classifies each instance that can be left out by those of all other images, as `classify` would.

    Args:
        cache: The cache with its head and temperature.
    """
    left_out = leave_one_out(cache)
    probabilities = softmax(left_out.logits / np.float32(cache.head.temperature))
    return LeftOutAnswers(
        probabilities.max(axis=1),
        probabilities.argmax(axis=1).astype(np.int64),
        left_out.labels,
        cache.image_groups[left_out.instances],
    )


def check_reviewable(head: str) -> None:
    """Refuses a head whose left-out answers promise too much.

    Args:
        head: Name of a head, or `"auto"`.

    Raises:
        UsageError: The head trains: what it was trained to has seen every instance.
    """
    if head != "auto" and head_class(head).trains:
        raise UsageError(
            f"--right-at-least needs instances that the head has not learned from, and {head} has learned from all",
            fix="leave out --right-at-least, or take a head that does not train, such as --head auto",
        )


def fit_review(cache: SupportCache, right_at_least: float, confidence: float = CONFIDENCE) -> SupportCache:
    """Fits the limits to the left-out instances of a cache.

    Where the support does not suffice for what is wanted, the limits send every region to a human.

    Args:
        cache: The support cache with its head and temperature.
        right_at_least: Wanted share of right answers among the regions that no human looks at.
        confidence: Probability that the limits keep it, above 0.5 and below 1.

    Returns:
        The cache with its `review`.

    Raises:
        UsageError: The share is outside 50% to 99.99%, or the head trains.
    """
    check_right_rate(right_at_least)
    check_reviewable(cache.head.name)
    limits = review_limits(left_out_answers(cache), len(cache.class_names), right_at_least, confidence)
    return dataclasses.replace(cache, review=limits)


def review_limits(
    answers: LeftOutAnswers, classes: int, right_at_least: float, confidence: float = CONFIDENCE
) -> ReviewLimits:
    """Finds the limit of each class that is said, or one for several classes together.

    A class that no left-out instance is called has no limit, so a human looks at each region that is called so.
    Classes have limits of their own where there are so many answers that each of these limits, and that of all other
    classes together, could be found with one wrong answer. Which these are follows from what is said alone, and not
    from what is right. With G limits each one is tested at the confidence `1 - (1 - confidence) / G`, so that all hold
    together (Bonferroni). See `lowest_limit` for how a limit is found.

    Args:
        answers: What is said of left-out instances.
        classes: Number of classes N.
        right_at_least: Wanted share of right answers, above 0 and below 1.
        confidence: Probability that all limits keep it, above 0 and below 1.
    """
    own = _classes_of_their_own(answers, classes, right_at_least, confidence)
    alone = np.isin(answers.said, own)
    groups = [answers.said == place for place in own]
    if not alone.all():
        groups.append(~alone)
    each = 1 - (1 - confidence) / max(len(groups), 1)
    found = [
        lowest_limit(answers.probabilities[inside], answers.right[inside], answers.images[inside], right_at_least, each)
        for inside in groups
    ]
    common = found[-1] if len(found) > len(own) else None
    # Of a class that no left-out instance was called, nothing was tried.
    limits: list[float | None] = [common if (answers.said == place).any() else None for place in range(classes)]
    for place, limit in zip(own, found, strict=False):
        limits[place] = limit
    result = ReviewLimits(
        right_at_least,
        confidence,
        tuple(limits),
        tuple(place in own for place in range(classes)),
        len(answers.said),
        int(_trials(answers.images)),
        0,
    )
    looked_at = [
        result.wants_review(int(place), float(probability))
        for place, probability in zip(answers.said, answers.probabilities, strict=True)
    ]
    return dataclasses.replace(result, to_review=sum(looked_at))


def _classes_of_their_own(answers: LeftOutAnswers, classes: int, right_at_least: float, confidence: float) -> list[int]:
    """The classes that have limits of their own, as many as may be, those of the most answers first."""
    counts = [_trials(answers.images[answers.said == place]) for place in range(classes)]
    ranked = sorted(range(classes), key=lambda place: (-counts[place], place))
    for most in range(classes, 0, -1):
        own, rest = ranked[:most], np.isin(answers.said, ranked[most:])
        groups = most + bool(rest.any())
        if groups < 2:
            continue
        needed = trials_needed(right_at_least, 1 - (1 - confidence) / groups, 1)
        fewest = counts[own[-1]] if not rest.any() else min(counts[own[-1]], _trials(answers.images[rest]))
        if fewest >= needed:
            return own
    return []


def _trials(images: npt.NDArray[np.int64]) -> float:
    """As how many independent trials answers about these images count."""
    return float(independent_trials(images)[-1]) if len(images) else 0.0


def describe_review(cache: SupportCache) -> list[str]:
    """What goes to a human, in a few lines: the limits and what they promise, or why they promise nothing."""
    review = cache.review
    if review is None:
        return ["nothing goes to a human: calibrate with --right-at-least for a limit"]
    counting = [_counting(review)] if review.independent < review.instances else []
    if review.all_to_review:
        # The reason goes by the number that they count as, which is said first.
        return [*counting, f"every region goes to a human: {_why_all(cache, review)}"]
    promised = (
        f"of all others at least {100 * review.right_at_least:g}% are right, with {100 * review.confidence:g}% "
        "confidence, where they are like the examples"
    )
    share = 100 * review.to_review / review.instances
    lines = [
        f"{_which(cache, review)} goes to a human; {promised}",
        f"of the examples {review.to_review} of {review.instances} would go to a human ({share:.1f}%)",
        *counting,
    ]
    if (fewer := _fewer_views(cache)) is not None:
        lines.append(fewer)
    if (untried := class_on_one_image(cache)) is not None:
        lines.append(f"{untried}, so nothing is known of its defects")
    return lines


def _fewer_views(cache: SupportCache) -> str | None:
    """That `classify` takes fewer views than the limit was tried with, where the cache says so."""
    views = cache.embeddings.shape[1]
    use = "all" if cache.schedule is None else cache.schedule.use
    if use in ("all", views):
        return None
    return f"the limit was tried with all {views} views, and with --views {use} less may be right"


def _which(cache: SupportCache, review: ReviewLimits) -> str:
    """Which regions go to a human, in words."""
    named = list(zip(cache.class_names, review.limits, review.own, strict=True))
    common = {limit for _, limit, own in named if not own}
    if len(common) == len(set(review.limits)) == 1 and not any(review.own):
        return f"a region whose probability is below {review.limits[0]:.3f}"
    parts = [f"{name} {_below(limit)}" for name, limit, own in named if own]
    parts += [f"any other class {_below(limit)}" for limit in common]
    return f"a region called {', '.join(parts)}"


def _below(limit: float | None) -> str:
    return "with any probability" if limit is None else f"below {limit:.3f}"


def _why_all(cache: SupportCache, review: ReviewLimits) -> str:
    """Why no limit could be found."""
    if not review.instances:
        return f"{nothing_to_leave_out(cache)}, so none can be left out to try it"
    wanted = f"{100 * review.right_at_least:g}%"
    needed = trials_needed(review.right_at_least, review.confidence)
    if review.independent < needed:
        best = lower_bound(review.independent, review.independent, review.confidence)
        short = needed - review.independent
        takes = (
            f"{counted(review.independent, 'example')} can promise at most {_rounded_down(best)} right, and {wanted} "
            f"takes {needed} that are all read rightly; "
        )
        if (wrong := int((~left_out_answers(cache).right).sum())) > 0:
            return (
                f"{takes}{wrong} of {review.instances} {'is' if wrong == 1 else 'are'} read wrongly, so more examples "
                "alone may not do: 'mvrec-edge support list CACHE --check' shows which"
            )
        return f"{takes}{counted(short, 'more example')} {'is' if short == 1 else 'are'} needed"
    return (
        f"some of the examples that are read with the highest probability are read wrongly, and {wanted} takes "
        f"{needed} of these that are all right; 'mvrec-edge support list CACHE --check' shows which are read wrongly"
    )


def _counting(review: ReviewLimits) -> str:
    return (
        f"the {counted(review.instances, 'example')} count as {review.independent}, since several lie on one image and "
        "are no independent trials"
    )


def _rounded_down(share: float) -> str:
    """In percent, with one decimal, never more than it is."""
    return f"{np.floor(1000 * share) / 10:.1f}%"
