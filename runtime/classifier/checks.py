"""Whether an encoder may be used: with this support cache, for these views, and for more than measuring time."""

from __future__ import annotations

import warnings

from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.engines.engine import Engine
from mvrec_edge.runtime.errors import FingerprintMismatchError, UsageError
from mvrec_edge.runtime.gradual import ViewUse
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.views import ViewPlan

__all__ = [
    "RandomWeightsWarning",
    "ReviewWarning",
    "check_encoder",
    "check_view_size",
    "limit_not_as_tried",
    "matching_precision",
    "warn_if_random",
]


class RandomWeightsWarning(UserWarning):
    """The encoder's weights were drawn, so predictions say nothing about the defect."""


class ReviewWarning(UserWarning):
    """The limit for review may keep less than it promises."""


def check_encoder(cache: SupportCache, fingerprint: str, precision: str) -> None:
    """Refuses a cache whose embeddings another encoder made.

    Args:
        cache: The support cache.
        fingerprint: What the embeddings to be compared have.
        precision: The precision they are made with, for the message.

    Raises:
        FingerprintMismatchError: They must not be compared.
    """
    if cache.encoder != fingerprint:
        raise FingerprintMismatchError(
            f"the support cache was made with another bundle or precision "
            f"({cache.encoder_name or 'unknown encoder'}, fingerprint {cache.encoder[:12] or 'none'}; this one is "
            f"{precision}, {fingerprint[:12]})",
            fix="encode the cache again: mvrec-edge calibrate BUNDLE SUPPORT --rebase CACHE --precision "
            f"{precision} --out NEW; or use the bundle and precision that the cache was made with",
        )


def matching_precision(bundle: Bundle, cache: SupportCache, wanted: str | None = None) -> str:
    """The precision of a bundle that a support cache was made with: only embeddings of one graph may be compared.

    Args:
        bundle: The bundle.
        cache: The support cache.
        wanted: The precision that somebody asks for; by default the cache's own.

    Raises:
        FingerprintMismatchError: The cache was made with another bundle, or with another precision than is wanted.
        UsageError: The bundle does not have the precision that is wanted.
    """
    precision = wanted or bundle.precision_of(cache.encoder) or bundle.precisions[0]
    check_encoder(cache, bundle.fingerprint(precision), precision)
    return precision


def check_view_size(engine: Engine, plan: ViewPlan) -> None:
    """Refuses a plan whose views the engine cannot take.

    Raises:
        UsageError: The sizes differ.
    """
    if plan.size != engine.image_size:
        raise UsageError(
            f"the views are {plan.size} pixels wide, the encoder takes {engine.image_size}",
            fix=f"use a view plan of size {engine.image_size}",
        )


def limit_not_as_tried(cache: SupportCache, use: ViewUse, recentre: bool = False) -> str | None:
    """Why a cache's limit for review may keep less than it promises, in words; None where it has none, or need not.

    Args:
        cache: A support cache without parts, or that of one part.
        use: How many views are used.
        recentre: Whether the centre follows the line, which takes all views.
    """
    views = cache.embeddings.shape[1]
    if cache.review is None:
        return None
    promised = f"less may be right than the {100 * cache.review.right_at_least:g}% that it promises"
    if recentre:
        return (
            "the limit for review was tried about the support's centre; about one that follows the line (--recentre), "
            f"{promised}"
        )
    if use.at_once or (use.views == views and use.budget_ms is None):
        return None
    return f"the limit for review was tried with all {views} views of a defect; with fewer, {promised}"


def warn_if_random(random_weights: bool) -> None:
    """Warns where an encoder's weights were drawn rather than trained."""
    if random_weights:
        warnings.warn(
            "the encoder has random weights: it serves to measure time and to try things out, "
            "and its predictions say nothing about a defect",
            RandomWeightsWarning,
            stacklevel=3,
        )
