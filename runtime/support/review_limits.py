"""What calibration stores in a support cache so that a human looks at the regions that are not certain enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mvrec_edge.runtime.errors import SupportError, UsageError
from mvrec_edge.runtime.files.json_documents import Fields
from mvrec_edge.runtime.support.right_rate import HIGHEST_RIGHT, LOWEST_RIGHT, check_right_rate

__all__ = ["CONFIDENCE", "ReviewLimits", "check_review"]

#: How sure calibration is that the wanted share is kept.
CONFIDENCE = 0.9

_MOST_INSTANCES = 1 << 20


@dataclass(frozen=True)
class ReviewLimits:
    """Below which probability a human looks at a region.

    Attributes:
        right_at_least: Wanted share of right answers among the regions that no human looks at, 0.5 to 0.9999.
        confidence: Probability that the limits keep it, above 0.5 and below 1, all limits together.
        limits: For each class, the lowest probability with which a region called so is not looked at, 0 to 1; None
            where a human looks at each of them.
        own: For each class, whether its limit comes from the instances called so alone.
        instances: Left-out instances behind the limits, 0 or more.
        independent: As how many independent trials they count, 0 to `instances`: instances of one image are alike.
        to_review: How many of them a human would look at, 0 to `instances`.
    """

    right_at_least: float
    confidence: float
    limits: tuple[float | None, ...]
    own: tuple[bool, ...]
    instances: int
    independent: int
    to_review: int

    def wants_review(self, place: int, probability: float) -> bool:
        """Whether a human looks at a region.

        Args:
            place: Its most probable class, as a place among the classes.
            probability: The probability of that class, 0 to 1.
        """
        limit = self.limits[place]
        # Written so that NaN is looked at.
        return limit is None or not probability >= limit

    @property
    def all_to_review(self) -> bool:
        """Whether a human looks at every region, since the support does not suffice for the wanted share."""
        return all(limit is None for limit in self.limits)

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types."""
        return {
            "right_at_least": self.right_at_least,
            "confidence": self.confidence,
            "limits": list(self.limits),
            "own": list(self.own),
            "instances": self.instances,
            "independent": self.independent,
            "to_review": self.to_review,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> ReviewLimits:
        """Reads what `to_dict` gave; whether it fits a support is for `check_review` to say.

        Raises:
            SupportError: The lists are none of limits and of yes and no.
            IntegrityError: A number is missing or out of range.
        """
        limits, own = fields.payload.get("limits"), fields.payload.get("own")
        if not isinstance(limits, list) or not isinstance(own, list):
            raise SupportError("the limits for review are not complete")
        return cls(
            fields.number("right_at_least", LOWEST_RIGHT, HIGHEST_RIGHT),
            fields.number("confidence", 0.5, 1.0),
            tuple(limits),
            tuple(own),
            fields.integer("instances", 0, _MOST_INSTANCES),
            fields.integer("independent", 0, _MOST_INSTANCES),
            fields.integer("to_review", 0, _MOST_INSTANCES),
        )


def check_review(review: ReviewLimits | None, classes: int) -> None:
    """Refuses limits that do not belong to a support.

    Args:
        review: The limits.
        classes: Number of the support's classes.

    Raises:
        SupportError: A value has another type, length or range.
    """
    if review is None:
        return
    try:
        check_right_rate(review.right_at_least)
    except UsageError as error:
        raise SupportError(error.what) from error
    if len(review.limits) != classes or len(review.own) != classes:
        raise SupportError("the limits for review must be one for each class")
    numbers = [limit for limit in review.limits if limit is not None]
    if not all(_is_probability(limit) for limit in numbers) or not all(isinstance(own, bool) for own in review.own):
        raise SupportError("a limit for review must be from 0 to 1, or null")
    if not 0.5 < review.confidence < 1:
        raise SupportError("the confidence of the limits for review must be above 0.5 and below 1")
    if numbers and not review.instances:
        raise SupportError("the limits for review come from no instance")
    if not (0 <= review.to_review <= review.instances and 0 <= review.independent <= review.instances):
        raise SupportError("the limits for review count more instances than there are")


def _is_probability(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
