"""What a run has to do, item by item: an image with what one input marks on it, and a key that knows it again."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.runtime import Prediction
from mvrec_edge.runtime.regions import Annotation, RegionSource, SourceImage
from mvrec_edge.runtime.regions.annotation import MaskFileShape, UnusableShape
from mvrec_edge.runtime.regions.region_names import RegionName, label_file, name_regions
from mvrec_edge.runtime.regions.shapes import WholeImageShape

__all__ = ["RunItem", "place_of", "run_items", "without_number"]

_DIGITS = 16


@dataclass(frozen=True)
class RunItem:
    """An image with what one input marks on it. An image that two inputs mark is two items.

    Attributes:
        source: The input.
        image: One of its images.
        key: `PLACE-REGIONS`, and `-2` and so on behind it where the same is there again. `PLACE` is a digest of the
            image and the files that mark it, `REGIONS` of what they mark. Whether an image or a mask file is still the
            same, `REGIONS` tells by size and time of change: to read them all would take as long as to classify.
    """

    source: RegionSource
    image: SourceImage
    key: str

    def names(self, predictions: Sequence[Prediction]) -> list[RegionName | None]:
        """The names by which the regions of the image can be opened again."""
        return name_regions(self.source, self.image, [prediction.region for prediction in predictions])


def run_items(sources: Iterable[RegionSource]) -> list[RunItem]:
    """Everything that was opened, in order."""
    seen: Counter[str] = Counter()
    items = []
    states = _States()
    for source in sources:
        files: dict[str, str] = {}
        for image in source:
            key = _key(source, image, files, states)
            seen[key] += 1
            items.append(RunItem(source, image, key if seen[key] == 1 else f"{key}-{seen[key]}"))
    return items


def place_of(key: str) -> str:
    """Of a key, what says which image is meant and which files mark it."""
    return key.partition("-")[0]


def without_number(key: str) -> str:
    """A key without the number that tells it from others of the same content."""
    return "-".join(key.split("-")[:2])


class _States:
    """What tells whether files were changed, by one look at each however many regions and inputs name it."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, int] | None] = {}

    def of(self, path: Path) -> tuple[int, int] | None:
        """Size in bytes and time of change in nanoseconds, of what a link leads to; None where nothing is there."""
        if path not in self._known:
            try:
                found = path.stat()
            except (OSError, ValueError):
                # It fails where it is read, with the reason, and what failed is tried again.
                self._known[path] = None
            else:
                self._known[path] = found.st_size, found.st_mtime_ns
        return self._known[path]


def _key(source: RegionSource, image: SourceImage, files: dict[str, str], states: _States) -> str:
    origins = [_origin(source, annotation, files) for annotation in image.annotations]
    # As they are written, and not where they lie: a folder may be moved together with its results.
    place = _digest([str(image.path), *sorted({file for file, _ in origins})])
    drawn = (_drawn(annotation, states) for annotation in image.annotations)
    marked = zip(origins, drawn, strict=True)
    parts = [part for part in (image.part, *(each.part for each in image.annotations)) if part is not None]
    return f"{place}-{_digest([repr(states.of(image.path)), *map(_in_words, marked), *parts])}"


def _origin(source: RegionSource, annotation: Annotation, files: dict[str, str]) -> tuple[str, str]:
    """The file that an annotation stands in, whichever folder above it was given, and its number there."""
    if isinstance(annotation.shape, MaskFileShape):
        return str(annotation.shape.path), ""
    name, _, number = annotation.source.rpartition("#")
    if name not in files:
        files[name] = str(label_file(source, name) or name)
    return files[name], number


def _drawn(annotation: Annotation, states: _States) -> object:
    if isinstance(annotation.shape, MaskFileShape):
        return states.of(annotation.shape.path)
    if isinstance(annotation.shape, UnusableShape):
        return annotation.shape.error.what
    # Its place in the source depends on what else was given, and so does a label that is the name of a folder.
    label = None if isinstance(annotation.shape, WholeImageShape) else annotation.label
    return dataclasses.replace(annotation, source="", index=0, label=label)


def _in_words(marked: object) -> str:
    try:
        return repr(marked)
    except RecursionError:
        # Lists in lists, which no region can be made of.
        return ""


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        # A name need not be UTF-8.
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:_DIGITS]
