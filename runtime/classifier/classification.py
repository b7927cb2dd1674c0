"""The stage `classify`: images with marked defects in, the predictions for each image out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.classifier.defect_classifier import DefectClassifier
from mvrec_edge.runtime.classifier.given_parts import check_given, of_known_parts
from mvrec_edge.runtime.classifier.recentring import RecentringTally, check_one_centre, check_recentring
from mvrec_edge.runtime.engines.encoding import ImageRegions
from mvrec_edge.runtime.engines.engine import Engine
from mvrec_edge.runtime.errors import DamageWarning, InputError, InputWarning, UsageError
from mvrec_edge.runtime.gradual import DEFAULT_RISK, ViewUse
from mvrec_edge.runtime.heads import open_head
from mvrec_edge.runtime.images.missing import missing_of
from mvrec_edge.runtime.novelty import NoveltyScorer
from mvrec_edge.runtime.novelty.drift import check_window
from mvrec_edge.runtime.prediction import Prediction
from mvrec_edge.runtime.regions import SourceImage
from mvrec_edge.runtime.regions.kinds import KindWarning, KindWatch
from mvrec_edge.runtime.regions.region import Region, check_region_input
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.parts import parts_of
from mvrec_edge.runtime.support.reject_rate import check_rate
from mvrec_edge.runtime.views import with_windows

__all__ = ["ClassifiedImage", "ClassifySettings", "classify_source"]


@dataclass(frozen=True)
class ClassifySettings:
    """How the marked defects of a source are classified.

    Attributes:
        views: How many views of each defect are used: `"all"`; `"auto"`, as many as the decision takes; a number; or
            `"cache"`, what the support cache says, and all where it says nothing.
        risk: For `"auto"`: highest probability that all views would say otherwise, 0.000001 to 0.5.
        budget_ms: Most milliseconds for the views of one defect, as measured on the engine; None for no limit.
        reject_rate: Wanted share of known defects that are called unknown, 0.00001 to 0.5; by default what the support
            cache says.
        drift_window: Regions in a window that is compared with calibration, 10 to 100,000; None for no comparison.
        neighbours: How many of the nearest support instances a prediction names, at least 0.
        min_area: Smallest connected component of a mask file, in pixels; by default `DEFAULT_MIN_AREA`.
        region_input: What the encoder is told about where a defect is: its outline (`"mask"`), its box (`"box"`) or
            nothing (`"full"`); None for what the annotation says.
        part: The part that all images show, where the support cache has parts; None for what the source says, and
            where that says nothing, for what the embedding says.
        recentre: Whether the centre that regions are compared about follows the line; see `DefectClassifier`.

    Raises:
        UsageError: A value is not usable.
    """

    views: str | int = "cache"
    risk: float = DEFAULT_RISK
    budget_ms: float | None = None
    reject_rate: float | None = None
    drift_window: int | None = 50
    neighbours: int = 3
    min_area: int | None = None
    region_input: str | None = None
    part: str | None = None
    recentre: bool = False

    def __post_init__(self) -> None:
        self._view_use("all" if self.views == "cache" else self.views)
        if self.reject_rate is not None:
            check_rate(self.reject_rate)
        if self.drift_window is not None:
            check_window(self.drift_window)
        if self.neighbours < 0:
            raise UsageError(f"the number of neighbours is at least 0, not {self.neighbours}")
        if self.min_area is not None and self.min_area < 1:
            raise UsageError(f"the smallest defect has at least 1 pixel, not {self.min_area}")
        if self.region_input is not None:
            check_region_input(self.region_input)

    def view_use(self, cache: SupportCache) -> ViewUse:
        """How many views are used with a support cache."""
        if self.views != "cache":
            return self._view_use(self.views)
        kept = [cache.schedule] if cache.part_fits is None else [fit.schedule for fit in cache.part_fits.parts]
        wanted = {"all" if schedule is None else schedule.use for schedule in kept}
        # The views of a region whose part is not given are those of no part.
        return self._view_use(wanted.pop() if len(wanted) == 1 else "all")

    def check_cache(self, cache: SupportCache) -> None:
        """Refuses a support cache that cannot serve, before an engine is opened for it.

        Raises:
            UsageError: It holds nothing that a limit could be computed from, or not the part, or its centre cannot
                follow the line.
        """
        if self.recentre:
            check_one_centre(cache)
            for each in parts_of(cache).values() or (cache,):
                check_recentring(open_head(each), self.view_use(cache))
        if self.reject_rate is not None:
            for each in parts_of(cache).values() or (cache,):
                NoveltyScorer(each, self.reject_rate)
        if self.part is not None:
            check_given(self.part, cache)

    def _view_use(self, views: str | int) -> ViewUse:
        return ViewUse(views, self.risk, self.budget_ms)


#: What `classify` does where nothing else is said.
DEFAULT_SETTINGS = ClassifySettings()


@dataclass(frozen=True)
class ClassifiedImage:
    """All that came of one image.

    Attributes:
        path: The image's path as the source has it.
        image: uint8 `[H, W, 3]`, RGB; None where it could not be read.
        predictions: One for each region.
        problems: What was wrong with the image, or with single regions of it.
        warnings: What is odd about the image or its annotations, though they were used.
    """

    path: Path
    image: npt.NDArray[np.uint8] | None
    predictions: Sequence[Prediction]
    problems: Sequence[InputError]
    warnings: Sequence[InputWarning] = ()

    @property
    def damage(self) -> str | None:
        """What is damaged of an image that was used all the same; None where nothing is."""
        return next((each.what for each in self.warnings if isinstance(each, DamageWarning)), None)

    def damage_at(self, region: Region) -> str | None:
        """What is damaged of the image, and how much of a region on it is missing; None where nothing is damaged."""
        missing = missing_of(self.warnings)
        share = 0.0 if missing is None else missing.share_of(region.patch, region.origin)
        if self.damage is None or not share:
            return self.damage
        return f"{self.damage}; of this region {max(1, round(100 * share))}% is missing"


def classify_source(
    engine: Engine,
    cache: SupportCache | str | Path,
    images: Iterable[SourceImage],
    settings: ClassifySettings = DEFAULT_SETTINGS,
    *,
    progress: Callable[[int], None] | None = None,
    say: Callable[[str], None] | None = None,
    opened: Callable[[DefectClassifier], None] | None = None,
) -> Iterator[ClassifiedImage]:
    """Classifies the marked defects of images; what is wrong with one of them costs only that one.

    Images are read one by one as their turn comes, and their regions share the engine's batches.

    Args:
        engine: An open engine.
        cache: A support cache made with the same bundle and precision, or its path.
        images: The images: a source that `open_source` opened, or a choice from one. A source's own `problems` are the
            caller's to look at.
        settings: How.
        progress: Called with the number of views after each batch.
        say: Given one line about the order of views where `views` is `"auto"`, those that `DefectClassifier` says, at
            the end one about a centre that has followed the line, and one where regions were marked otherwise than
            those of the cache; by default that is a `KindWarning`.
        opened: Given the classifier before the first image is read, for whoever will have it reload the cache.

    Returns:
        What came of each image, in order, as soon as it is there.

    Raises:
        InputError: The cache cannot be read or is none.
        IntegrityError: The cache was changed after it was written.
        FingerprintMismatchError: The cache was made with another bundle or precision.
        UsageError: The cache has no view plan, or fewer views than are wanted, or cannot serve the reject rate.
    """
    loaded = cache if isinstance(cache, SupportCache) else SupportCache.load(cache)
    use = settings.view_use(loaded)
    classifier = DefectClassifier(
        engine,
        loaded,
        neighbours=settings.neighbours,
        views=use,
        say=say,
        reject_rate=settings.reject_rate,
        drift_window=settings.drift_window,
        recentre=settings.recentre,
    )
    if use.views == "auto" and say is not None:
        say(classifier.rule.describe())
    if opened is not None:
        opened(classifier)
    # Checked by now: an error comes from the call, and not from the first step of the loop over what it returns.
    return _classified(classifier, images, settings, progress, say)


def _classified(
    classifier: DefectClassifier,
    images: Iterable[SourceImage],
    settings: ClassifySettings,
    progress: Callable[[int], None] | None,
    say: Callable[[str], None] | None,
) -> Iterator[ClassifiedImage]:
    watch, tally = KindWatch(classifier.cache.region_input), RecentringTally()
    for item, predictions in classifier.classify_many(_read(images, settings, classifier), progress):
        key = item.key
        image = item.image if item.image.size else None
        _warn_of_kind(watch.see(prediction.region for prediction in predictions), say)
        tally.see(predictions)
        yield ClassifiedImage(key.path, image, predictions, key.problems, key.warnings)
    _warn_of_kind(watch.at_the_end(), say)
    if say is not None and (told := tally.in_words()) is not None:
        say(told)


def _warn_of_kind(warning: str | None, say: Callable[[str], None] | None) -> None:
    if warning is None:
        return
    if say is not None:
        say(f"warning: {warning}")
    else:
        warnings.warn(warning, KindWarning, stacklevel=2)


@dataclass(frozen=True)
class _Reading:
    """What goes along with an image through the engine."""

    path: Path
    problems: Sequence[InputError]
    warnings: Sequence[InputWarning]


def _read(
    images: Iterable[SourceImage], settings: ClassifySettings, classifier: DefectClassifier
) -> Iterator[ImageRegions[_Reading]]:
    """Reads images one by one; whatever is wrong with one goes along with it, and the rest goes on."""
    nothing = np.empty((0, 0, 3), np.uint8)
    for source_image in images:
        odd: list[InputWarning] = []
        try:
            image = source_image.read(warn=odd.append)
            reading = source_image.regions(image.shape[:2], settings.min_area, missing=missing_of(odd))
        except InputError as error:
            yield ImageRegions(_Reading(source_image.path, (error,), odd), nothing, [])
        else:
            regions, too_large = with_windows(reading.regions, classifier.plan)
            if settings.part is not None:
                regions = [region.with_part(settings.part) for region in regions]
            regions, strange = of_known_parts(regions, classifier.cache)
            if settings.region_input is not None:
                regions = [region.told_as(settings.region_input) for region in regions]
            key = _Reading(source_image.path, (*reading.problems, *too_large, *strange), (*odd, *reading.warnings))
            yield ImageRegions(key, image, regions)
