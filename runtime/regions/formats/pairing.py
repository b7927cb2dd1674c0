"""Which of the files of one folder is an image, and which is the mask of which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.annotation import MaskFileShape
from mvrec_edge.runtime.regions.label_files import nfc

__all__ = ["MASK_ENDINGS", "Pairing", "folded", "mask_of_pair", "no_mask", "pair_masks"]

MASK_ENDINGS = ("_mask", ".mask")
_JPEG = (".jfif", ".jpe", ".jpeg", ".jpg")


class Pairing:
    """What the files of one folder turned out to be.

    Attributes:
        masks: Image to mask, in the order of the images.
        problems: What could not be decided, or lacks its other half.
    """

    def __init__(self) -> None:
        self.masks: dict[Path, Path] = {}
        self.problems: list[AnnotationError] = []


def pair_masks(files: Iterable[Path]) -> Pairing:
    """Pairs the images of one folder with the masks beside them.

    The mask of `a.jpg` is `a_mask.*` or `a.mask.*`; where there is none, it is the other file named `a`: the PNG, or
    of two files without a PNG the one that is not a JPEG, as nobody keeps an image losslessly and its mask as JPEG.
    The very name comes first; what finds no partner so is tried in composed form (NFC), and then whatever the case.
    Each image without a mask has a problem of its own.

    Args:
        files: The image files of one folder, sorted.
    """
    pairing = Pairing()
    rest = list(files)
    failed: list[tuple[list[Path], AnnotationError]] = []
    for spelled in (str, nfc, folded):
        failed = _pair(rest, spelled, pairing)
        rest = sorted(path for group, _ in failed for path in group)
    for group, error in failed:
        pairing.problems += _of_each_image(group, error)
    pairing.masks = dict(sorted(pairing.masks.items()))
    return pairing


def mask_of_pair(image: Path, mask: Path) -> MaskFileShape:
    """The shape that a mask gives; it knows where only the suffixes told which of the two files is the mask."""
    same = image.parent == mask.parent and folded(image.stem) == folded(mask.stem)
    # A JPEG never has two values alone.
    return MaskFileShape(mask, image if same and image.suffix.lower() not in _JPEG else None)


def folded(name: str) -> str:
    """A name as it is compared where case and form of its letters do not count."""
    return nfc(nfc(name).casefold())


def _pair(
    files: Iterable[Path], spelled: Callable[[str], str], pairing: Pairing
) -> list[tuple[list[Path], AnnotationError]]:
    """Adds the pairs among files; returns the groups that gave none, each with what is wrong with it."""
    by_stem: dict[str, list[Path]] = {}
    for path in files:
        by_stem.setdefault(spelled(path.stem), []).append(path)
    named: dict[str, list[Path]] = {}
    for stem in list(by_stem):
        owner = _owner(stem, by_stem)
        if owner is not None:
            named.setdefault(owner, []).extend(by_stem.pop(stem))
    rest: list[tuple[list[Path], AnnotationError]] = []
    for stem, same in by_stem.items():
        masks = named.get(stem, [])
        try:
            image, mask = _decide(same, masks)
        except AnnotationError as error:
            rest.append(([*same, *masks], error))
        else:
            pairing.masks[image] = mask
    return rest


def _of_each_image(group: list[Path], error: AnnotationError) -> Iterator[AnnotationError]:
    """The problem of a group, once for each name that an image has in it; files of the very name are one image."""
    by_name = {path.stem: path for path in reversed(group) if not path.stem.endswith(MASK_ENDINGS)}
    for image in sorted(by_name.values()) or [Path(str(error.where))]:
        yield AnnotationError(error.what, where=image, fix=error.fix)


def _owner(stem: str, stems: Iterable[str]) -> str | None:
    """The stem of the image that a file is the mask of by its name, where there is such an image."""
    for ending in MASK_ENDINGS:
        owner = stem.removesuffix(ending)
        if owner != stem and owner in stems:
            return owner
    return None


def _decide(same: list[Path], masks: list[Path]) -> tuple[Path, Path]:
    """The image and its mask among the files of one stem and the masks named after it."""
    if len(masks) > 1:
        raise _ambiguous(same[0], masks)
    if masks:
        if len(same) > 1:
            raise _ambiguous(same[0], same)
        return same[0], masks[0]
    if len(same) == 1:
        raise no_mask(same[0])
    if len(same) == 2:
        for suffixes, is_mask in (((".png",), True), (_JPEG, False)):
            of_kind = [path.suffix.lower() in suffixes for path in same]
            if sum(of_kind) == 1:
                mask = same[of_kind.index(is_mask)]
                return same[1 - same.index(mask)], mask
    raise _ambiguous(same[0], same)


def no_mask(image: Path) -> AnnotationError:
    """The error for an image that no mask belongs to."""
    for ending in MASK_ENDINGS:
        if image.stem.endswith(ending) and image.stem != ending:
            return AnnotationError(
                "the mask has no image beside it", where=image, fix="put the image there, without the ending"
            )
    return AnnotationError(
        f"the image has no mask: neither {image.stem}_mask.png nor {image.stem}.png beside another image type",
        where=image,
        fix="put the mask beside the image, or give the folder of the masks with --masks",
    )


def _ambiguous(where: Path, files: list[Path]) -> AnnotationError:
    names = ", ".join(path.name for path in files[:5])
    return AnnotationError(
        f"it is not clear which is the image and which the mask: {names}",
        where=where,
        fix=f"name the mask {where.stem}_mask.png",
    )
