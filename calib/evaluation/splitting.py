"""Which labelled instances are drawn as shots, and which are queries: by region, or by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.evaluation.shot_counts import Shots, shots_of_classes, shots_words
from mvrec_edge.calib.instances.sampling import sample_by_image, sample_shots
from mvrec_edge.runtime.errors import InputError, UsageError

__all__ = [
    "SPLITS",
    "KnownPlaces",
    "Split",
    "check_queries",
    "check_split",
    "images_on_both_sides",
    "most_left_out",
    "no_queries_to_exchange",
    "split_places",
]

#: Whether a draw takes single regions, or whole images.
SPLITS = ("region", "image")

_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class KnownPlaces:
    """What is known of labelled instances before they are encoded.

    Attributes:
        support_labels: int64 `[S]`, the classes of what shots are drawn from.
        query_labels: int64 `[Q]`, those of the queries; None to classify what was not drawn.
        support_images: int64 `[S]`, equal for instances of one image; None where images are not known.
        query_images: int64 `[Q]`, numbered as those of the support; None where there is no query or no image is known.
        support_regions: int64 `[S]`, equal for one region of one image; None where regions are not known.
        query_regions: int64 `[Q]`, numbered as those of the support; None where there is no query or none is known.
    """

    support_labels: _Integers
    query_labels: _Integers | None = None
    support_images: _Integers | None = None
    query_images: _Integers | None = None
    support_regions: _Integers | None = None
    query_regions: _Integers | None = None

    def exchanged(self) -> KnownPlaces:
        """The other direction of queries of their own, which become what shots are drawn from."""
        if self.query_labels is None:
            raise no_queries_to_exchange()
        return KnownPlaces(
            self.query_labels,
            self.support_labels,
            self.query_images,
            self.support_images,
            self.query_regions,
            self.support_regions,
        )


@dataclass(frozen=True)
class Split:
    """One draw.

    Attributes:
        drawn: Places of the shots in the support, int64 `[K]`.
        queries: Places of the queries, in the query set where there is one and else in the support, int64 `[Q]`.
        labels: int64 `[Q]`, the classes of the queries.
        shared: The images that have a region on both sides, int64; empty where images are not known.
    """

    drawn: _Integers
    queries: _Integers
    labels: _Integers
    shared: _Integers


def split_places(known: KnownPlaces, shots: Shots, seed: int, split: str = "region") -> Split:
    """Draws shots; what is left, or the query set, is to be classified.

    `"region"` draws by the released protocol. `"image"` draws images until each class has its shots, by the same
    generator, and what lies on an image that was drawn is no query: where each image has one region, both draw the
    same. A query of a set of its own that is the same region of the same image as a shot is left out.

    Args:
        known: Labels and images.
        shots: Instances of each class, or the range that each class's own number is drawn from (`shots_of_classes`).
        seed: Seed of the draw.
        split: One of `SPLITS`.

    Raises:
        UsageError: Images are to be drawn and are not known, or there is no such split.
    """
    check_split(split, known)
    labels, images = known.support_labels.tolist(), known.support_images
    wanted = dict(enumerate(shots_of_classes(shots, 1 + max(labels, default=-1), seed)))
    if split == "image" and images is not None:
        drawn = np.asarray(sample_by_image(labels, images.tolist(), wanted, seed), np.int64)
    else:
        drawn = np.asarray(sample_shots(labels, wanted, seed), np.int64)
    if known.query_labels is None:
        queries = np.setdiff1d(np.arange(len(labels)), drawn)
        query_labels, query_images = known.support_labels, images
    else:
        queries = np.arange(len(known.query_labels))
        query_labels, query_images = known.query_labels, known.query_images
        if known.support_regions is not None and known.query_regions is not None:
            # A shot that is a query as well would be told by itself.
            queries = queries[~np.isin(known.query_regions, known.support_regions[drawn])]
    shared = np.empty(0, np.int64)
    if images is not None and query_images is not None:
        if split == "image":
            queries = queries[~np.isin(query_images[queries], images[drawn])]
        shared = np.intersect1d(images[drawn], query_images[queries])
    return Split(drawn, queries, query_labels[queries], shared)


def no_queries_to_exchange() -> UsageError:
    """The error where both directions are asked for and there is one set alone."""
    return UsageError(
        "--swap exchanges the support with the queries, and there are no queries of their own",
        fix="give --query, or a features file with 'query_embeddings', or leave out --swap",
    )


def check_split(split: str, known: KnownPlaces | None = None) -> None:
    """Refuses a split that there is not, or that needs images where none are known.

    Raises:
        UsageError: It cannot be used.
    """
    if split not in SPLITS:
        raise UsageError(f"there is no split '{split}'", fix="one of " + ", ".join(SPLITS))
    if split == "image" and known is not None:
        missing = known.support_images is None or (known.query_labels is not None and known.query_images is None)
        if missing:
            raise UsageError(
                "the split 'image' needs to know which image each instance came from, and these features do not say",
                fix="add 'support_images' (and 'query_images') to the file, or use the split 'region'",
            )


def check_queries(known: KnownPlaces, shots: Sequence[Shots], draws: int, split: str, classes: Sequence[str]) -> None:
    """Refuses draws that leave nothing to classify.

    Args:
        known: Labels and images.
        shots: Numbers and ranges of shots.
        draws: Draws for each.
        split: One of `SPLITS`.
        classes: Classes that have to have a query, and something else beside it, in every draw; mostly none.

    Raises:
        InputError: A draw has no query, or one of the classes has none.
        UsageError: See `split_places`.
    """
    for count in shots:
        for seed in range(draws):
            labels = split_places(known, count, seed, split).labels
            where = f"with {shots_words(count)} drawn by {split} (seed {seed})"
            if not len(labels):
                raise InputError(
                    f"{where} every {split} would be drawn, so none is left to classify",
                    fix="ask for fewer shots, or give queries of their own",
                )
            for place, name in enumerate(classes):
                if not 0 < int((labels == place).sum()) < len(labels):
                    raise InputError(
                        f"{where} the class '{name}' or all others have no query", fix="ask for fewer shots"
                    )


def most_left_out(known: KnownPlaces, shots: Sequence[Shots], draws: int, split: str) -> int:
    """How many queries of a set of their own are shots as well, and so left out, in the draw that has the most."""
    if known.query_regions is None or known.support_regions is None:
        return 0
    pairs = (
        (known.query_regions, known.support_regions[split_places(known, count, seed, split).drawn])
        for count in shots
        for seed in range(draws)
    )
    return max(int(np.isin(queries, drawn).sum()) for queries, drawn in pairs)


def images_on_both_sides(known: KnownPlaces, shots: Sequence[Shots], draws: int, split: str) -> int:
    """How many images have regions among the shots and among the queries of one draw, in any of the draws."""
    found = [split_places(known, count, seed, split).shared for count in shots for seed in range(draws)]
    return len(np.unique(np.concatenate(found))) if found else 0
