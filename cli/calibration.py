"""The user's labelled defects as views, for the precisions of an export."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mvrec_edge.calib import LabelledSet
    from mvrec_edge.export.precision import Calibration
    from mvrec_edge.runtime import ViewPlan

__all__ = ["cut_calibration"]


def cut_calibration(labelled: LabelledSet, path: Path, *, plan: ViewPlan, shots: int) -> Calibration:
    """Cuts the views of a few instances of each class.

    Args:
        labelled: The labelled set.
        path: Where it was read from.
        plan: The views.
        shots: Instances of each class.

    Raises:
        SupportError: There are fewer than two classes.
    """
    import numpy as np

    from mvrec_edge.calib import compare_decisions
    from mvrec_edge.cli.console import count_bar, say
    from mvrec_edge.export.precision import Calibration
    from mvrec_edge.runtime import crop_views
    from mvrec_edge.runtime.errors import SupportError

    names = labelled.class_names
    if len(names) < 2:
        raise SupportError(
            f"there are {len(names)} classes: whether decisions change can only be seen with two or more",
            where=path,
            fix="give a set with labels of at least two classes",
        )
    for line in labelled.too_few(shots):
        say(line)
    # The first draw of the protocol; no user asks for another here.
    drawn = labelled.draw(shots, seed=0)
    cut = np.empty((len(drawn.instances), plan.count, plan.size, plan.size, 4), np.uint8)
    with count_bar("cutting views", len(drawn.instances), "defects") as advance:
        for image, places in drawn.places_by_image.items():
            pixels = drawn.images.read(image)
            for place in places:
                cut[place] = crop_views(pixels, drawn.instances[place].region, plan)
                advance(1)
    labels = [names.index(instance.label) for instance in drawn.instances]
    return Calibration(cut, lambda reference, answers: compare_decisions(reference, answers, labels, names))
