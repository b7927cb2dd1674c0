"""Records out of a results file onto a report, with pictures from the images where they still are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from mvrec_edge.cli.console import say
from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.images import read_image
from mvrec_edge.runtime.images.image_files import is_regular_file
from mvrec_edge.runtime.report import ReportWriter, check_record
from mvrec_edge.runtime.wording import counted

__all__ = ["add_recorded", "recorded_images"]


def add_recorded(page: ReportWriter, lines: Iterable[tuple[str, Any]], images: Path | None = None) -> list[InputError]:
    """Puts the records of a results file onto a report.

    Args:
        page: The report.
        lines: What `read_results` gives.
        images: The folder in which the images are looked for; by default they are where the records say.

    Returns:
        What was wrong with lines of the file.
    """
    wrong: list[InputError] = []
    missing: list[str] = []
    regions = 0
    checked = _checked(page, lines, wrong)
    for image, records in groupby(checked, key=lambda record: record["image"]):
        together = list(records)
        regions += len(together)
        pixels = None
        place = _find(Path(image), images)
        try:
            # A run that used a damaged image shows what it saw.
            damaged = "warn" if together[0].get("damaged") else "refuse"
            pixels = None if place is None else read_image(place, damaged=damaged)
        except InputError as error:
            page.add_problems([error], image)
        if pixels is None:
            missing.append(image)
        page.add_records(Path(image), pixels, together)
    if regions:
        page.note(f"Read from records, with boxes for outlines and no place on the map: {counted(regions, 'region')}.")
    if missing:
        lost = f"images that are not there any more: {len(missing)}, such as {missing[0]}; shown without pictures"
        say(f"warning: {lost} (give their folder with 'mvrec-edge report --images')")
        page.note(f"{lost[0].upper()}{lost[1:]}.")
    return wrong


def recorded_images(lines: Iterable[tuple[str, Any]], images: Path | None = None) -> set[Path]:
    """The images that `add_recorded` reads, where they are there."""
    named = {line.get("image") for _, line in lines if isinstance(line, dict) and isinstance(line.get("image"), str)}
    return {place for name in named if (place := _find(Path(str(name)), images)) is not None}


def _checked(
    page: ReportWriter, lines: Iterable[tuple[str, Any]], wrong: list[InputError]
) -> Iterator[Mapping[str, Any]]:
    """The records of regions; failed items go to the page as what they are."""
    for where, line in lines:
        try:
            if isinstance(line, InputError):
                raise line
            error = line.get("error")
            if isinstance(error, dict):
                what, fix = str(error.get("what", "")), error.get("fix")
                problem = InputError(what, where=error.get("where"), fix=None if fix is None else str(fix))
                page.add_problems([problem], str(line.get("image") or problem.where or ""))
            else:
                yield check_record(line, where)
        except InputError as error:
            wrong.append(error)


def _find(image: Path, images: Path | None) -> Path | None:
    """Where an image is: where its record says, or under a folder by as much of its path as can be."""
    if images is None:
        return image if is_regular_file(image) else None
    parts = [part for part in image.parts if part not in (image.anchor, "..")]
    tails = (images.joinpath(*parts[start:]) for start in range(len(parts)))
    return next((tail for tail in tails if is_regular_file(tail)), None)
