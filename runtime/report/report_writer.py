"""Collecting what a run says, region by region, and writing it as one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import AnnotationError, MvrecEdgeError, OutputError
from mvrec_edge.runtime.files import atomic_write, writing
from mvrec_edge.runtime.files.writing import make_folder
from mvrec_edge.runtime.pictures.overlay import class_colour, class_colour_at
from mvrec_edge.runtime.pictures.region_picture import SHEET_COLUMNS, PictureStore, region_picture, view_sheet
from mvrec_edge.runtime.prediction import Prediction
from mvrec_edge.runtime.regions.region import Region
from mvrec_edge.runtime.regions.region_names import RegionName
from mvrec_edge.runtime.report.embedding_map import embedding_map
from mvrec_edge.runtime.report.page import script_json, write_page
from mvrec_edge.runtime.report.part_titles import titled_neighbour, titled_record
from mvrec_edge.runtime.report.record import (
    AddCommand,
    ReportLimits,
    Section,
    certainty_of,
    problem_record,
    region_record,
)
from mvrec_edge.runtime.report.support_list import SupportList
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.views.schedule import default_schedule
from mvrec_edge.runtime.wording import counted

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ReportSummary", "ReportWriter", "check_place", "is_report"]

_SCHEMA = "mvrec-edge/report/1"
# The schema stands behind the page's style and before its data.
_SCHEMA_WITHIN = 1 << 17


@dataclass(frozen=True)
class ReportSummary:
    """What went into a report and what did not.

    Attributes:
        path: The file.
        size: Its bytes.
        regions: Regions listed.
        left_out: Sentences about what was left out; none where all is there.
    """

    path: Path
    size: int
    regions: int
    left_out: tuple[str, ...]


class ReportWriter:
    """Takes predictions image by image and writes a page to look through them.

    A context manager: at the end of the block the page is written, whole or not at all; after an error it is not
    written. Memory is bounded by the limits.

    Args:
        path: The HTML file to write.
        cache: The support cache that was classified against.
        title: The page's title.
        details: What to say about the run.
        command: What the command that adds a region to the support needs; by default the page offers none.
        overwrite: Whether to replace a file that is there.
        limits: How large the page may become.

    Attributes:
        summary: What was written; None before that.

    Raises:
        OutputError: The file exists already, or its folder is a file; folders that are missing are made.

    Example:
        >>> with ReportWriter(Path("report.html"), cache, title="line 1") as report:   # doctest: +SKIP
        ...     report.add(path, image, classifier.classify(image, regions))
    """

    def __init__(
        self,
        path: Path,
        cache: SupportCache,
        *,
        title: str,
        details: Sequence[Section] = (),
        command: AddCommand | None = None,
        overwrite: bool = False,
        limits: ReportLimits | None = None,
    ) -> None:
        check_place(path, overwrite=overwrite)
        self.path = path
        self.summary: ReportSummary | None = None
        self._cache = cache
        self._title = title
        self._details = list(details)
        self._command = command
        self._notes: list[str] = []
        self._limits = limits or ReportLimits()
        # Both grow where a prediction was made against another cache than this one, as after a reload.
        self._names = list(cache.class_titles)
        self._known_names = set(self._names)
        self._probabilities = 0
        self._support = SupportList(cache, self._limits.instances)
        self._records: list[dict[str, Any]] = []
        self._embeddings: list[npt.NDArray[np.float16] | None] = []
        self._pictures = PictureStore(self._limits.pictures)
        self._views = PictureStore(self._limits.views)
        self._problems: list[dict[str, Any]] = []
        self._milliseconds = np.zeros(3)
        self._counts = {"regions": 0, "images": 0, "problems": 0}

    def add(
        self,
        image_path: Path,
        image: npt.NDArray[np.uint8] | None,
        predictions: Sequence[Prediction],
        problems: Sequence[MvrecEdgeError] = (),
        names: Sequence[RegionName | None] = (),
        damaged: Sequence[str | None] = (),
    ) -> None:
        """Takes all that came of one image.

        Args:
            image_path: The image's path as it was given.
            image: uint8 `[H, W, 3]`, RGB; None where there are no pixels to show.
            predictions: One for each region.
            problems: What was wrong with the image or with single regions.
            names: Of each prediction's region, the name by which it can be opened alone; by default none has one.
            damaged: Of each prediction's region, what is damaged of its image; by default nothing is.
        """
        self._counts["images"] += 1
        self.add_problems(problems, str(image_path))
        for place, prediction in enumerate(predictions):
            record = titled_record(prediction.to_record())
            if place < len(names) and (name := names[place]) is not None:
                record |= {"region": str(name), "mask": None if name.mask is None else str(name.mask)}
            if place < len(damaged):
                record["damaged"] = damaged[place]
            nearest = [
                (self._support.place_of(titled_neighbour(item, prediction.part)), item.similarity)
                for item in prediction.nearest
            ]
            self._add_region(str(image_path), image, record, nearest, prediction.region, prediction.embedding)

    def add_records(
        self, image_path: Path, image: npt.NDArray[np.uint8] | None, records: Sequence[Mapping[str, Any]]
    ) -> None:
        """Takes the records that a results file has of one image; the pictures show boxes, since records have no masks.

        Args:
            image_path: The image's path as the records have it.
            image: uint8 `[H, W, 3]`, RGB; None where there are no pixels to show.
            records: One for each region, checked by `check_record`.
        """
        self._counts["images"] += 1
        for record in map(titled_record, records):
            nearest = [
                (self._support.place_named(item["label"], item["source"]), item["similarity"])
                for item in record["nearest"]
            ]
            region = None if image is None else _boxed(record, image)
            self._add_region(str(image_path), image, record, nearest, region, None)

    def add_problems(self, problems: Sequence[MvrecEdgeError], image: str = "") -> None:
        """Takes items that failed."""
        self._counts["problems"] += len(problems)
        room = self._limits.problems - len(self._problems)
        self._problems += [problem_record(image or str(each.where or ""), each) for each in problems[: max(room, 0)]]

    def add_details(self, *sections: Section) -> None:
        """Takes more tables of details."""
        self._details += sections

    @property
    def regions(self) -> int:
        """Regions taken so far."""
        return self._counts["regions"]

    def note(self, text: str) -> None:
        """Takes a sentence that stands at the top of the page."""
        self._notes.append(text)

    def _add_region(
        self,
        image_path: str,
        image: npt.NDArray[np.uint8] | None,
        record: Mapping[str, Any],
        nearest: Sequence[tuple[int, float]],
        region: Region | None,
        embedding: npt.NDArray[np.float32] | None,
    ) -> None:
        self._counts["regions"] += 1
        self._milliseconds += [record["ms"][stage] for stage in ("crop", "encode", "classify")]
        index = len(self._records)
        new = [name for name in record["probabilities"] if name not in self._known_names]
        self._probabilities += len(self._names) + len(new)
        if index >= self._limits.regions or self._probabilities > self._limits.probabilities:
            return
        self._names += new
        self._known_names.update(new)
        self._records.append(region_record(image_path, record, self._names, nearest))
        self._embeddings.append(_compact(embedding))
        if image is None or region is None:
            return
        certainty = certainty_of(self._records[index])
        if self._pictures.wants(certainty):
            picture = region_picture(image, region, record["label"], self._names)
            self._pictures.put(index, certainty, picture)
        else:
            self._pictures.refuse()
        if self._cache.view_plan is None:
            return
        if self._views.wants(certainty):
            self._views.put(index, certainty, view_sheet(image, region, self._cache.view_plan))
        else:
            self._views.refuse()

    def close(self) -> ReportSummary:
        """Writes the page.

        Raises:
            OutputError: It cannot be written.
        """
        left_out = self._left_out()
        pictures = {
            "crop": self._pictures.items(),
            "views": self._views.items(),
            "support": self._support.pictures(
                (near[0] for record in self._records for near in record["near"]), self._limits.support
            ),
        }
        with writing(self.path):
            make_folder(self.path.parent)
        with atomic_write(self.path) as stream:
            write_page(stream, self._title, self._data(left_out), pictures)
            size = stream.tell()
        self.summary = ReportSummary(self.path, size, len(self._records), tuple(left_out))
        return self.summary

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.summary is None:
            self.close()

    def _data(self, left_out: Sequence[str]) -> dict[str, Any]:
        names = self._names
        seen = {text for record in self._records for text in (record["label"], record["annotated"]) if text is not None}
        plan = self._cache.view_plan
        explained = self._draw_map()
        return {
            "schema": _SCHEMA,
            "title": self._title,
            "written": datetime.now().astimezone().isoformat(timespec="seconds"),
            # The classes of the cache first, as the probabilities are in their order.
            "classes": [
                {"name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour)}
                for name, colour in (
                    *((name, class_colour_at(place)) for place, name in enumerate(names)),
                    *((name, class_colour(name)) for name in sorted(seen - set(names))),
                )
            ],
            "known": len(names),
            "regions": self._records,
            "support": self._support.records,
            "explained": explained,
            "views": [] if plan is None else [_words(view.scale, plan.of_box, view) for view in plan.views],
            "order": [] if plan is None else list((self._cache.schedule or default_schedule(plan)).order),
            "columns": SHEET_COLUMNS,
            "add": None if self._command is None else self._command.to_page(),
            "details": [{"title": section.title, "rows": section.rows} for section in self._details],
            "times": self._times(),
            "counts": self._counts,
            "problems": self._problems,
            "notes": [*self._standing_notes(), *self._notes],
            "left_out": list(left_out),
        }

    def _standing_notes(self) -> list[str]:
        if self._cache.random_weights:
            return ["The encoder has random weights: its predictions say nothing about a defect."]
        return []

    def _times(self) -> dict[str, float]:
        names = ("cutting views", "encoder", "head")
        return {name: round(float(value), 3) for name, value in zip(names, self._milliseconds, strict=True)}

    def _draw_map(self) -> list[float]:
        """Gives regions and support their places on the map; returns what share of the spread its axes show."""
        with_place = [index for index, embedding in enumerate(self._embeddings) if embedding is not None]
        keys = self._support.keys()
        queries = np.array([self._embeddings[index] for index in with_place], np.float32)
        drawn = embedding_map(keys, queries.reshape(len(with_place), keys.shape[1]))
        for index, place in zip(with_place, drawn.queries, strict=True):
            self._records[index]["xy"] = _rounded(place)
        self._support.put_on_map(_rounded(place) for place in drawn.support)
        return [round(share, 4) for share in drawn.explained]

    def _left_out(self) -> list[str]:
        """What is not in the page, in sentences."""
        sentences = []
        if (missing := self._counts["regions"] - len(self._records)) > 0:
            sentences.append(f"Not listed: {counted(missing, 'region')} after the first {len(self._records)}.")
        for store, what, limit in (
            (self._pictures, "picture", self._limits.pictures),
            (self._views, "pictures of their views", self._limits.views),
        ):
            if store.refused:
                sentences.append(
                    f"Listed without {what}: {counted(store.refused, 'region')} ({limit >> 20} MiB are kept; regions "
                    "that are wrong, unknown, to be looked at or in doubt have theirs)."
                )
        if (missing := self._counts["problems"] - len(self._problems)) > 0:
            sentences.append(f"Not listed: {counted(missing, 'failed item')} after the first {len(self._problems)}.")
        if (missing := self._support.left_out) > 0:
            sentences.append(f"Not on the map: {counted(missing, 'support instance')}; those named as nearest are.")
        if self._records and not self._cache.thumbnails:
            sentences.append(
                "The support cache holds no pictures of its instances; calibrate again to have them beside each region."
            )
        return sentences


def check_place(path: Path, *, overwrite: bool) -> None:
    """Finds out whether a report can be written before an hour of work and not after it.

    Raises:
        OutputError: Something is there already, or a file where a folder is to be; folders that are missing are made.
    """
    if path.is_dir():
        raise OutputError("is a folder", where=path, fix="name a file, such as report.html")
    if path.exists() and not overwrite:
        raise OutputError("exists already", where=path, fix="choose another name, or give --overwrite")
    if any(folder.exists() and not folder.is_dir() for folder in path.parents):
        raise OutputError("cannot be written: its folder is a file", where=path, fix="choose another folder")


def is_report(path: Path) -> bool:
    """Whether a file is a page that a `ReportWriter` wrote."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return script_json({"schema": _SCHEMA})[1:-1].encode() in stream.read(_SCHEMA_WITHIN)


def _boxed(record: Mapping[str, Any], image: npt.NDArray[np.uint8]) -> Region | None:
    """The box of a record as a region of its image; None where the image is another one by now."""
    try:
        return Region.from_box(record["box"], image.shape[:2], record["annotated"], record["source"])
    except AnnotationError:
        return None


def _compact(embedding: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float16] | None:
    """Half the bytes, scaled first: only directions count, and float16 ends at 65504."""
    if embedding is None:
        return None
    length = float(np.linalg.norm(embedding))
    return (embedding / (length if length > 0 else 1.0)).astype(np.float16)


def _rounded(place: npt.NDArray[np.float64]) -> list[float]:
    return [round(float(value), 5) for value in place]


def _words(scale: float, of_box: bool, view: Any) -> str:
    """What a view holds, in words."""
    text = f"{scale:g} times the box" if of_box else f"{scale:g} px"
    across = {-1: "left", 0: "", 1: "right"}[view.dx]
    down = {-1: "up", 0: "", 1: "down"}[view.dy]
    if moved := " ".join(part for part in (down, across) if part):
        text += f", moved {moved}"
    if view.rotation:
        text += f", turned by {view.rotation} degrees"
    return text if view.flip == "none" else f"{text}, mirrored ({view.flip})"
