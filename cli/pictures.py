"""A folder of overlay pictures, one for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime import Prediction
from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files import atomic_write, writing
from mvrec_edge.runtime.files.partial_file import remove_abandoned
from mvrec_edge.runtime.files.writing import make_folder
from mvrec_edge.runtime.pictures.overlay import OverlayItem, draw_predictions
from mvrec_edge.runtime.regions.own_output import mark_jpeg

__all__ = ["PictureFolder"]

_JPEG_QUALITY = 92


class PictureFolder:
    """Writes pictures with contour, class and probability of every region.

    A picture is named after its image; where two items have images of the same name, the later one gets a number.

    Args:
        folder: The folder, made where it does not exist.
        taken: Pictures that are in it already, with the keys of the items that they are of.

    Raises:
        OutputError: The folder cannot be made.
    """

    def __init__(self, folder: Path, *, taken: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._owner = {Path(name).name: key for name, key in (taken or {}).items()}
        with writing(folder):
            make_folder(folder)
            for path in folder.glob(".*.1.partial"):
                remove_abandoned(path.with_name(path.name[1:].removesuffix(".1.partial")))

    def save(self, path: Path, key: str, image: npt.NDArray[np.uint8], predictions: Sequence[Prediction]) -> Path:
        """Draws the predictions on an image and writes it.

        Args:
            path: The image's path, for the picture's name.
            key: The key of the item.
            image: uint8 `[H, W, 3]`, RGB.
            predictions: Its predictions.

        Returns:
            The picture's path.

        Raises:
            OutputError: The picture cannot be written.
        """
        items = [_item(prediction) for prediction in predictions]
        picture = draw_predictions(image, items, list(predictions[0].probabilities) if predictions else [])
        target = self.folder / self._name(path, key)
        flags = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        made, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), flags)
        if not made:
            raise OutputError("the picture cannot be encoded", where=target)
        with atomic_write(target) as stream:
            stream.write(mark_jpeg(data.tobytes()))
        return target

    def _name(self, path: Path, key: str) -> str:
        number = 1
        while True:
            name = f"{path.stem}.jpg" if number == 1 else f"{path.stem}-{number}.jpg"
            if self._owner.setdefault(name, key) == key:
                return name
            number += 1


def _item(prediction: Prediction) -> OverlayItem:
    """What is drawn of a prediction: the probability belongs to the nearest class, so an unknown one shows that."""
    review = bool(prediction.review)
    if prediction.unknown:
        return OverlayItem(prediction.region, f"{prediction.label}, near {prediction.nearest_class}", review=review)
    return OverlayItem(prediction.region, prediction.label, prediction.probability, review)
