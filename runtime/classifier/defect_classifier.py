"""The whole of the light runtime in one object: image and regions in, predictions out."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.classifier.checks import ReviewWarning, limit_not_as_tried, warn_if_random
from mvrec_edge.runtime.classifier.support_in_use import PartChoice, SupportInUse
from mvrec_edge.runtime.engines.encoding import EncodedImage, ImageRegions, encode_images
from mvrec_edge.runtime.engines.engine import Engine
from mvrec_edge.runtime.errors import FingerprintMismatchError, MvrecEdgeError, UsageError
from mvrec_edge.runtime.gradual import Rule, ViewUse, see_gradually
from mvrec_edge.runtime.heads import Head, HeadPrediction
from mvrec_edge.runtime.novelty import Novelty
from mvrec_edge.runtime.novelty.drift import DriftWarning
from mvrec_edge.runtime.prediction import UNKNOWN, Prediction, Recentred, StageTimes
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.views import ViewPlan
from mvrec_edge.runtime.wording import counted

__all__ = ["DefectClassifier", "ReloadWarning"]

Key = TypeVar("Key")

#: Every view of every region.
ALL_VIEWS = ViewUse()


class ReloadWarning(UserWarning):
    """A support cache that was asked for cannot be used; the one before stays in use."""


class DefectClassifier:
    """Classifies the regions of images with an engine and a support cache.

    Several threads may share a classifier: each call has views and predictions of its own, and the engine takes their
    batches one after the other.

    Args:
        engine: An open engine.
        cache: A support cache made with the same bundle, or the path of one, which `reload` then reads again.
        head: The head; by default the one the cache says.
        neighbours: How many of the nearest support instances a prediction names.
        views: How many views are used; by default all.
        say: Given one line when a requested reload is done or has failed, a window of regions departs from what
            calibration saw, or a limit for review was tried with more views or about a centre that stays; by default
            a failure is a `ReloadWarning`, a drift a `DriftWarning`, and such a limit a `ReviewWarning`.
        reject_rate: Wanted share of known defects that are called unknown, 0.00001 to 0.5; by default what the cache
            says.
        drift_window: Regions in a window that is compared with calibration, 10 to 100,000; by default none is. A cache
            that does not say how far known defects lie from one another is not watched.
        recentre: Whether the centre that regions are compared about follows the line (`Recentring`). What a region
            gets then depends on those before it, and with several threads on their order. It begins at the support's
            centre, and again there with another cache or after a drift.

    Raises:
        InputError: The cache cannot be read or is none.
        IntegrityError: The cache was changed after it was written.
        FingerprintMismatchError: The cache was made with another bundle.
        UsageError: The cache has no view plan, or one of another view size, or fewer views than are wanted; or a reject
            rate is given that the cache cannot serve, or a window of another size; or the centre shall follow the line
            and cannot (`check_recentring`).

    Example:
        >>> bundle = Bundle.load("encoder.bundle")                                # doctest: +SKIP
        >>> cache = SupportCache.load("line.safetensors")                         # doctest: +SKIP
        >>> precision = bundle.precision_of(cache.encoder)                        # doctest: +SKIP
        >>> with open_engine("auto", bundle, precision=precision) as engine:      # doctest: +SKIP
        ...     classifier = DefectClassifier(engine, "line.safetensors")
        ...     predictions = classifier.classify(image, [Region(mask)])
        ...     classifier.reload()  # the file has changed
    """

    def __init__(
        self,
        engine: Engine,
        cache: SupportCache | str | Path,
        *,
        head: Head | None = None,
        neighbours: int = 3,
        views: ViewUse = ALL_VIEWS,
        say: Callable[[str], None] | None = None,
        reject_rate: float | None = None,
        drift_window: int | None = None,
        recentre: bool = False,
    ) -> None:
        self._use = views
        self._recentre = recentre
        self._path = None if isinstance(cache, SupportCache) else Path(cache)
        self._reject_rate, self._drift_window = reject_rate, drift_window
        self.engine = engine
        self._support = self._open(_loaded(cache), head)
        # A head that somebody made cannot be made again here.
        self._own_head = head is not None
        self._requests: deque[SupportCache | str | Path | None] = deque()
        self._say = say
        warn_if_random(engine.random_weights)
        self._warn_of_review()
        self.neighbours = neighbours

    @property
    def cache(self) -> SupportCache:
        """The support cache in use."""
        return self._support.cache

    @property
    def head(self) -> Head:
        """The head in use; with a cache of several parts the one that tells these apart."""
        return self._support.head

    @property
    def rule(self) -> Rule:
        """When the views seen are enough, for the support cache in use, and a region whose part is not given."""
        return self._support.rule

    @property
    def plan(self) -> ViewPlan:
        """The views that are cut; a reload does not change them."""
        return self._support.plan

    def reload(self, cache: SupportCache | str | Path | None = None, *, head: Head | None = None) -> None:
        """Takes another support cache, whole or not at all; may be called from any thread.

        Images whose predictions are not made yet get the new one; no prediction uses part of both.

        Args:
            cache: The cache or its path; by default the path that the classifier was made with, or last reloaded from.
            head: The head, for a classifier that was given one of its own.

        Raises:
            InputError: The cache cannot be read or is none.
            IntegrityError: The cache was changed after it was written.
            FingerprintMismatchError: It was made with another bundle or with other views.
            UsageError: There is no path to read again, or no head, or a part is missing. After any error the present
                cache stays in use.
        """
        source = self._path if cache is None else cache
        if source is None:
            raise UsageError("there is no file to read the support cache from again", fix="give reload() the cache")
        if self._own_head and head is None:
            raise UsageError("the classifier has a head of its own, for the present cache", fix="give reload() a head")
        support = self._open(_loaded(source), head)
        if support.plan != self.plan:
            # Views that wait for a full batch are cut already, and belong to the plan they were cut by.
            raise FingerprintMismatchError(
                "the support cache was made with other views than the one in use",
                where=None if isinstance(source, SupportCache) else source,
                fix="start again with this cache, or calibrate it with the same --view-recipe, --window-sizes and "
                "--resample",
            )
        if gone := [part for part in self.cache.part_names if part not in support.cache.part_names]:
            # Regions that are under way may be given as being of it.
            raise UsageError(
                f"the support cache lacks the part '{gone[0]}' of the one in use",
                where=None if isinstance(source, SupportCache) else source,
                fix="start again with this cache, or put the part back",
            )
        if not isinstance(source, SupportCache):
            self._path = Path(source)
        self._own_head = head is not None
        self._support = support
        self._warn_of_review()

    def request_reload(self, cache: SupportCache | str | Path | None = None) -> None:
        """Asks for `reload(cache)` before the next image; it only takes a note, so a signal handler may call it.

        A cache that cannot be used is told by `say`, and the present one stays in use. Of several requests the last
        one counts.
        """
        self._requests.append(cache)

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
        if not self._use.at_once:
            yield from self._classify_gradually(items, progress)
            return
        for encoded in encode_images(self.engine, self.plan, items, progress):
            self._reload_if_requested()
            yield encoded.item, self._predict(encoded, self._support)

    def _classify_gradually(
        self, items: Iterable[ImageRegions[Key]], progress: Callable[[int], None] | None
    ) -> Iterator[tuple[ImageRegions[Key], list[Prediction]]]:
        """Classifies with as many views as each region needs; an image keeps the support it came in under."""
        supports: deque[SupportInUse] = deque()

        def with_rules() -> Iterator[tuple[ImageRegions[Key], Sequence[Rule]]]:
            for item in items:
                self._reload_if_requested()
                supports.append(self._support)
                yield item, [supports[-1].rule_of(region) for region in item.regions]

        for image in see_gradually(self.engine, self.plan, with_rules(), progress):
            support = supports.popleft()
            predictions = []
            for index, region in enumerate(image.item.regions):
                seen = image.regions[index]
                # One by one: the last digits of a product may depend on how many rows it has.
                alone = EncodedImage(
                    ImageRegions(image.item.key, image.item.image, [region]),
                    seen.embeddings[None],
                    [image.crop_ms[index]],
                    [image.encode_ms[index]],
                )
                (prediction,) = self._predict(alone, support, seen.views.tolist())
                times = dataclasses.replace(
                    prediction.milliseconds, classify=prediction.milliseconds.classify + seen.decide_ms
                )
                predictions.append(
                    dataclasses.replace(prediction, stopped=seen.stopped, change_risk=seen.risk, milliseconds=times)
                )
            yield image.item, predictions

    def _open(self, cache: SupportCache, head: Head | None) -> SupportInUse:
        return SupportInUse.open(
            cache, self.engine, head, self._use, self._reject_rate, self._drift_window, self._recentre
        )

    def _reload_if_requested(self) -> None:
        requests: list[SupportCache | str | Path | None] = []
        # Taken before the file is read: a request that comes meanwhile may mean a newer file, and is not lost. Another
        # thread may take them as well, so whether there is one is only known when it was taken.
        with contextlib.suppress(IndexError):
            while True:
                requests.append(self._requests.popleft())
        if not requests:
            return
        try:
            self.reload(requests[-1])
        except MvrecEdgeError as error:
            message = f"the new support cache cannot be used, so the present one stays in use: {error}"
            if self._say is None:
                warnings.warn(message, ReloadWarning, stacklevel=3)
            else:
                self._say(f"warning: {message}")
        else:
            if self._say is not None:
                self._say(f"the support cache was loaded again: {counted(len(self.cache.labels), 'instance')}")

    def _predict(
        self, encoded: EncodedImage[Key], support: SupportInUse, views: Sequence[int] | None = None
    ) -> list[Prediction]:
        """Predicts from embeddings of all views, or of those that are named."""
        if not len(encoded.embeddings):
            return []
        if not support.parts:
            return self._predict_alike(encoded, support, views)
        start = time.perf_counter()
        choices = support.choose(encoded.item.regions, encoded.embeddings, views)
        choose_ms = (time.perf_counter() - start) * 1e3 / len(choices)
        predictions: dict[int, Prediction] = {}
        for name in dict.fromkeys(choice.name for choice in choices):
            own = [place for place, choice in enumerate(choices) if choice.name == name]
            found = self._predict_alike(_some(encoded, own), support.parts[name], views)
            predictions |= {
                place: _of_part(prediction, choices[place], support, choose_ms)
                for place, prediction in zip(own, found, strict=True)
            }
        return [predictions[place] for place in range(len(choices))]

    def _predict_alike(
        self, encoded: EncodedImage[Key], support: SupportInUse, views: Sequence[int] | None
    ) -> list[Prediction]:
        """Predicts by a support without parts, or by that of one part."""
        start = time.perf_counter()
        answers, recentred = self._answers(encoded.embeddings, support, views)
        novelties: list[Novelty | None] = [None] * len(answers)
        if support.novelty is not None:
            novelties = [*support.novelty.score(encoded.embeddings, views)]
        if support.recentring is not None:
            support.recentring.see(
                encoded.embeddings,
                [answer.label for answer in answers],
                [each.fixed_class for each in recentred if each is not None],
                [novelty is not None and bool(novelty.unknown) for novelty in novelties],
            )
        classify_ms = (time.perf_counter() - start) * 1e3 / len(answers)
        self._watch(support, novelties)
        looked_at = [
            _wants_review(support, answer.probabilities, novelty)
            for answer, novelty in zip(answers, novelties, strict=True)
        ]
        return [
            Prediction(
                region=region,
                label=UNKNOWN if novelty is not None and novelty.unknown else answer.label,
                probability=float(answer.probabilities.max()),
                probabilities={
                    name: float(value)
                    for name, value in zip(support.cache.class_names, answer.probabilities, strict=True)
                },
                nearest=answer.nearest,
                views=encoded.embeddings.shape[1],
                milliseconds=StageTimes(crop_ms, encode_ms, classify_ms),
                nearest_class=answer.label,
                novelty=None if novelty is None else novelty.score,
                unknown=None if novelty is None else novelty.unknown,
                review=review,
                cache=support.cache.digest,
                embedding=embedding,
                recentred=moved,
            )
            for region, answer, novelty, review, crop_ms, encode_ms, embedding, moved in zip(
                encoded.item.regions,
                answers,
                novelties,
                looked_at,
                encoded.crop_ms,
                encoded.encode_ms,
                encoded.embeddings.mean(axis=1),
                recentred,
                strict=True,
            )
        ]

    def _warn_of_review(self) -> None:
        # A head that was given has no limits, whatever the cache says.
        limited = [each for each in (self._support, *self._support.parts.values()) if each.review is not None]
        warning = limit_not_as_tried(limited[0].cache, self._use, self._recentre) if limited else None
        if warning is not None and self._say is not None:
            self._say(f"warning: {warning}")
        elif warning is not None:
            warnings.warn(warning, ReviewWarning, stacklevel=3)

    def _answers(
        self, embeddings: npt.NDArray[np.float32], support: SupportInUse, views: Sequence[int] | None
    ) -> tuple[list[HeadPrediction], list[Recentred | None]]:
        """What the head says about the regions of an image, all about one centre."""
        fixed = support.head.predict(embeddings, self.neighbours, views)
        if support.recentring is None:
            return fixed, [None] * len(fixed)
        move = support.recentring.move()
        answers = fixed
        if move.vector is not None:
            answers = support.head.predict(embeddings, self.neighbours, views, move.vector)
        return answers, [Recentred(move.length, each.label) for each in fixed]

    def _watch(self, support: SupportInUse, novelties: Sequence[Novelty | None]) -> None:
        if support.drift is None:
            return
        for novelty in novelties:
            if novelty is None or novelty.deviations is None:
                continue
            drift = support.drift.see(novelty.deviations)
            if drift is not None and support.recentring is not None:
                # What is learned from regions that are not as they were is worth nothing.
                support.recentring.reset()
            if drift is not None and self._say is not None:
                self._say(f"warning: {drift}")
            elif drift is not None:
                warnings.warn(str(drift), DriftWarning, stacklevel=4)


def _wants_review(
    support: SupportInUse, probabilities: npt.NDArray[np.float32], novelty: Novelty | None
) -> bool | None:
    """Whether a human looks at a region; an unknown one has no class that a machine could go by."""
    if support.review is None:
        return None
    unknown = novelty is not None and bool(novelty.unknown)
    return unknown or support.review.wants_review(int(probabilities.argmax()), float(probabilities.max()))


def _some(encoded: EncodedImage[Key], places: Sequence[int]) -> EncodedImage[Key]:
    """Some regions of an image."""
    item = dataclasses.replace(encoded.item, regions=[encoded.item.regions[place] for place in places])
    times = ([each[place] for place in places] for each in (encoded.crop_ms, encoded.encode_ms))
    return EncodedImage(item, encoded.embeddings[list(places)], *times)


def _of_part(prediction: Prediction, choice: PartChoice, support: SupportInUse, choose_ms: float) -> Prediction:
    """A prediction by the support of one part as one by the whole: with its part, and the places in the whole cache.

    A doubtful part makes the class as doubtful: a human looks at the region where both together are below the limit.
    """
    places = support.places[choice.name]
    within = support.parts[choice.name]
    review = prediction.review
    if within.review is not None and not review:
        place = within.cache.class_names.index(prediction.nearest_class)
        review = within.review.wants_review(place, prediction.probability * choice.of_class)
    times = prediction.milliseconds
    return dataclasses.replace(
        prediction,
        nearest=tuple(dataclasses.replace(each, index=int(places[each.index])) for each in prediction.nearest),
        milliseconds=dataclasses.replace(times, classify=times.classify + choose_ms),
        review=review,
        cache=support.cache.digest,
        part=choice.name,
        part_given=choice.given,
        part_probability=choice.probability,
    )


def _loaded(cache: SupportCache | str | Path) -> SupportCache:
    return cache if isinstance(cache, SupportCache) else SupportCache.load(cache)
