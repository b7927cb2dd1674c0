"""Regions of many images through the engine in full batches."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.engine import Engine
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.threads import work_ahead
from mvrec_edge.runtime.views import ViewPlan, crop_views
from mvrec_edge.runtime.views.patches import PatchViews, cut_patch

__all__ = ["EncodedImage", "ImageRegions", "ViewQueue", "Views", "encode_images", "views_for"]

#: Views that are cut, uint8 `[n, S, S, 4]`, or what the engine cuts them from.
Views = npt.NDArray[np.uint8] | PatchViews

Key = TypeVar("Key")
Target = TypeVar("Target", bound="EncodedImage[Any]")

# Regions that are cut before the engine is ready for them; one at a time would do if all took equally long.
_REGIONS_AHEAD = 2


@dataclass(frozen=True)
class ImageRegions(Generic[Key]):
    """An image and its regions, as they go in.

    Attributes:
        key: Whatever the caller wants back with the result.
        image: uint8 `[H, W, 3]`, RGB.
        regions: Its regions; may be empty.
    """

    key: Key
    image: npt.NDArray[np.uint8]
    regions: Sequence[Region]


@dataclass
class EncodedImage(Generic[Key]):
    """An image's embeddings, as they come out.

    Attributes:
        item: What went in.
        embeddings: float32 `[R, V, C]`.
        crop_ms: Milliseconds spent cutting the views of each region, or the patch that the engine cuts them from.
        encode_ms: Each region's share of the engine's time, in milliseconds.
    """

    item: ImageRegions[Key]
    embeddings: npt.NDArray[np.float32]
    crop_ms: list[float] = field(default_factory=list)
    encode_ms: list[float] = field(default_factory=list)


def encode_images(
    engine: Engine,
    plan: ViewPlan,
    items: Iterable[ImageRegions[Key]],
    progress: Callable[[int], None] | None = None,
) -> Iterator[EncodedImage[Key]]:
    """Cuts the views of every region and encodes them, in order.

    Views wait until they fill a batch, whichever images they come from; only the images whose views wait are
    held in memory. An item comes out as soon as its last view is encoded. Beside an engine on a GPU the next images are
    read and their views cut in a thread of their own, a few regions ahead.

    Args:
        engine: The engine.
        plan: The views to cut; its size must be the engine's.
        items: Images and regions, taken one by one.
        progress: Called with the number of views after each batch.

    Yields:
        The items with their embeddings, in the order they came in.

    Raises:
        UsageError: The plan's view size is not the engine's.
        AnnotationError: A region does not belong to its image.
    """
    waiting: deque[EncodedImage[Key]] = deque()
    queue: ViewQueue[EncodedImage[Key]] = ViewQueue(engine)
    steps = _cut(items, plan, engine)
    # A CPU has its cores full with the engine.
    for encoded, index, views in work_ahead(steps, _REGIONS_AHEAD) if engine.on_gpu else steps:
        if views is None:
            waiting.append(encoded)
        else:
            queue.put(views, encoded, index)
            queue.run(progress, everything=False)
        # The queue is in order: if views of the oldest image wait, they are at the front.
        while waiting and queue.front is not waiting[0]:
            yield waiting.popleft()
    queue.run(progress, everything=True)
    yield from waiting


def _cut(
    items: Iterable[ImageRegions[Key]], plan: ViewPlan, engine: Engine
) -> Iterator[tuple[EncodedImage[Key], int, Views | None]]:
    """The views of each region, with the image and the region's number; after an image's last ones None for views."""
    for item in items:
        encoded = EncodedImage(item, np.empty((len(item.regions), plan.count, engine.embedding_dim), np.float32))
        for index, region in enumerate(item.regions):
            start = time.perf_counter()
            views = views_for(engine, item.image, region, plan)
            encoded.crop_ms.append((time.perf_counter() - start) * 1e3)
            encoded.encode_ms.append(0.0)
            yield encoded, index, views
        yield encoded, len(item.regions), None


def views_for(
    engine: Engine, image: npt.NDArray[np.uint8], region: Region, plan: ViewPlan, views: Sequence[int] | None = None
) -> Views:
    """A region's views as the engine takes them: cut here, or what it cuts them from, where it can.

    Args:
        engine: The engine.
        image: uint8 `[H, W, 3]`, RGB.
        region: A region of this image.
        plan: Which views.
        views: Indices of the views, in the order wanted; by default all.

    Raises:
        The same as `crop_views`.
    """
    # An engine cuts views of its own size; any other shall be refused as they always are.
    if engine.cuts_views and plan.size == engine.image_size:
        patch = cut_patch(image, region, plan, views=views)
        if patch is not None:
            return patch
    return crop_views(image, region, plan, views=views, threads=engine.threads)


@dataclass(frozen=True)
class _Piece(Generic[Target]):
    """Views that follow one another in one region, the first at place `first`."""

    views: Views
    target: Target
    index: int
    first: int


class ViewQueue(Generic[Target]):
    """Views that wait for a full batch, and where the embedding of each belongs.

    Args:
        engine: The engine.

    Attributes:
        size: Views that wait.
        view_ms: Milliseconds that each view of the latest batch took; None before the first.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.size = 0
        self.view_ms: float | None = None
        self._pieces: deque[_Piece[Target]] = deque()

    @property
    def front(self) -> Target | None:
        """The image whose views are encoded next."""
        return self._pieces[0].target if self._pieces else None

    def put(self, views: Views, target: Target, index: int, first: int = 0, *, ahead: bool = False) -> None:
        """Adds views of one region.

        Args:
            views: What `views_for` gave.
            target: The image whose embeddings and times are filled in.
            index: The region.
            first: Place of the first view among the region's embeddings.
            ahead: Whether they go before all that wait.
        """
        piece = _Piece(views, target, index, first)
        if ahead:
            self._pieces.appendleft(piece)
        else:
            self._pieces.append(piece)
        self.size += len(views)

    def run(self, progress: Callable[[int], None] | None, *, everything: bool) -> None:
        """Encodes full batches as long as there are any; with `everything` also what is left."""
        while self.size >= self.engine.batch or (everything and self.size):
            self.encode(progress)

    def encode(self, progress: Callable[[int], None] | None) -> list[tuple[Target, int]]:
        """Encodes one batch: as many views as the engine takes at once, or all that wait.

        Returns:
            Image and region of everything that was put in and is now encoded to its last view, in order.
        """
        count = min(self.size, self.engine.batch)
        taken: list[_Piece[Target]] = []
        done: list[tuple[Target, int]] = []
        missing = count
        while missing:
            piece = self._pieces.popleft()
            part = dataclasses.replace(piece, views=piece.views[:missing])
            taken.append(part)
            if len(part.views) < len(piece.views):
                first = piece.first + len(part.views)
                self._pieces.appendleft(dataclasses.replace(piece, views=piece.views[missing:], first=first))
            else:
                done.append((piece.target, piece.index))
            missing -= len(part.views)
        self.size -= count
        start = time.perf_counter()
        embeddings = self._encoded([piece.views for piece in taken], progress)
        self.view_ms = (time.perf_counter() - start) * 1e3 / count
        place = 0
        for piece in taken:
            length = len(piece.views)
            piece.target.embeddings[piece.index, piece.first : piece.first + length] = embeddings[
                place : place + length
            ]
            piece.target.encode_ms[piece.index] += self.view_ms * length
            place += length
        return done

    def _encoded(self, views: Sequence[Views], progress: Callable[[int], None] | None) -> npt.NDArray[np.float32]:
        """Embeddings of views in order; those that follow one another and are of one kind go in together."""
        parts = []
        for _, run in itertools.groupby(views, type):
            some = list(run)
            patches = [each for each in some if isinstance(each, PatchViews)]
            if patches:
                parts.append(self.engine.encode_patches(patches, progress))
            else:
                cut = [each for each in some if not isinstance(each, PatchViews)]
                parts.append(self.engine.encode(cut[0] if len(cut) == 1 else np.concatenate(cut), progress))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
