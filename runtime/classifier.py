"""The whole of the light runtime in one object: image and regions in, predictions out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.encoding import EncodedImage, ImageRegions, encode_images
from mvrec_edge.runtime.engines.base import Engine
from mvrec_edge.runtime.errors import FingerprintMismatchError, UsageError
from mvrec_edge.runtime.heads import Head, open_head
from mvrec_edge.runtime.prediction import Prediction, StageTimes
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.support_cache import SupportCache
from mvrec_edge.runtime.views import ViewPlan

__all__ = ["DefectClassifier", "RandomWeightsWarning", "check_encoder", "warn_if_random"]

Key = TypeVar("Key")


class RandomWeightsWarning(UserWarning):
    """The encoder's weights were drawn, so predictions say nothing about the defect."""


def warn_if_random(random_weights: bool) -> None:
    """Warns where an encoder's weights were drawn rather than trained."""
    if random_weights:
        warnings.warn(
            "the encoder has random weights: it serves to measure time and to try things out, "
            "and its predictions say nothing about a defect",
            RandomWeightsWarning,
            stacklevel=3,
        )


class DefectClassifier:
    """Classifies the regions of images with an engine and a support cache.

    Args:
        engine: An open engine.
        cache: A support cache made with the same bundle.
        head: The head; by default the one the cache says.
        neighbours: How many of the nearest support instances a prediction names.

    Raises:
        FingerprintMismatchError: The cache was made with another bundle.
        UsageError: The cache has no view plan, or one of another view size.

    Example:
        >>> bundle = Bundle.load("encoder.bundle")                                # doctest: +SKIP
        >>> cache = SupportCache.load("line.safetensors")                         # doctest: +SKIP
        >>> precision = bundle.precision_of(cache.encoder)                        # doctest: +SKIP
        >>> with open_engine("auto", bundle, precision=precision) as engine:      # doctest: +SKIP
        ...     classifier = DefectClassifier(engine, cache)
        ...     predictions = classifier.classify(image, [Region(mask)])
    """

    def __init__(self, engine: Engine, cache: SupportCache, *, head: Head | None = None, neighbours: int = 3) -> None:
        check_encoder(cache, engine.fingerprint, engine.precision)
        if cache.view_plan is None:
            raise UsageError("the support cache has no view plan", fix="make it with view_plan=...")
        check_view_size(engine, cache.view_plan)
        warn_if_random(engine.random_weights)
        self.engine = engine
        self.cache = cache
        self.plan = cache.view_plan
        self.head = head or open_head(cache)
        self.neighbours = neighbours

    def classify(self, image: npt.NDArray[np.uint8], regions: Sequence[Region]) -> list[Prediction]:
        """Classifies the regions of one image.

        Args:
            image: uint8 `[H, W, 3]`, RGB.
            regions: Its regions.

        Returns:
            One prediction for each region, in order.

        Raises:
            ImageError: The image is not uint8 `[H, W, 3]`.
            AnnotationError: A region does not belong to the image.
        """
        return next(iter(self.classify_many([ImageRegions(None, image, regions)])))[1]

    def classify_many(
        self, items: Iterable[ImageRegions[Key]], progress: Callable[[int], None] | None = None
    ) -> Iterator[tuple[ImageRegions[Key], list[Prediction]]]:
        """Classifies the regions of many images, whose views share the engine's batches.

        Args:
            items: Images and regions, taken one by one.
            progress: Called with the number of views after each batch.

        Yields:
            Each item with its predictions, in order, as soon as they are there.
        """
        for encoded in encode_images(self.engine, self.plan, items, progress):
            yield encoded.item, self._predict(encoded)

    def _predict(self, encoded: EncodedImage[Key]) -> list[Prediction]:
        if not len(encoded.embeddings):
            return []
        start = time.perf_counter()
        answers = self.head.predict(encoded.embeddings, self.neighbours)
        classify_ms = (time.perf_counter() - start) * 1e3 / len(answers)
        return [
            Prediction(
                region=region,
                label=answer.label,
                probability=float(answer.probabilities.max()),
                probabilities={
                    name: float(value) for name, value in zip(self.cache.class_names, answer.probabilities, strict=True)
                },
                nearest=answer.nearest,
                views=self.plan.count,
                milliseconds=StageTimes(crop_ms, encode_ms, classify_ms),
            )
            for region, answer, crop_ms, encode_ms in zip(
                encoded.item.regions, answers, encoded.crop_ms, encoded.encode_ms, strict=True
            )
        ]


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
            fix="encode it again: mvrec-edge calibrate BUNDLE SUPPORT --rebase CACHE "
            f"--precision {precision} --out NEW; or use what the cache was made with",
        )


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
