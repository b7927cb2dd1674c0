"""Which part images show, as `calibrate`, `classify` and `support add` are told it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mvrec_edge.cli.completion import complete_name, part_places
from mvrec_edge.cli.options import LabelledOptions, SourceOptions

if TYPE_CHECKING:
    from mvrec_edge.calib import LabelledSet
    from mvrec_edge.runtime import SupportCache
    from mvrec_edge.runtime.errors import InputError
    from mvrec_edge.runtime.regions import RegionSource

__all__ = ["PartFrom", "PartOptions"]

PartFrom = Annotated[
    str | None,
    typer.Option(
        "--part-from",
        metavar="PLACE",
        autocompletion=complete_name(part_places),
        help="Where it stands which part an image shows: 'folder' for a folder of each part, PART/CLASS/..., or "
        "'column' for the column 'part' of a table of boxes. By default it stands nowhere.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class PartOptions:
    """Which part, or product, images show."""

    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="NAME",
            help="Part, or product, that all images show. 'calibrate' makes a support cache that knows its part; "
            "'classify' and 'support add' take that part of the cache. By default 'classify' chooses the part of each "
            "defect by its embedding, where the cache has parts, and 'calibrate' knows of none.",
            show_default=False,
        ),
    ] = None
    part_from: PartFrom = None

    def __post_init__(self) -> None:
        from mvrec_edge.runtime.errors import UsageError
        from mvrec_edge.runtime.regions.part_sources import check_part_from

        check_part_from(self.part_from)
        if self.part is not None and self.part_from is not None:
            raise UsageError("--part names one part, --part-from reads several", fix="give one of the two")
        if self.part is not None and not self.part.strip():
            raise UsageError("--part is empty", fix="give the name of a part")

    @property
    def wanted(self) -> bool:
        """Whether anything is said of parts."""
        return self.part is not None or self.part_from is not None

    def check_cache(self, cache: SupportCache) -> None:
        """Refuses a support cache that has no parts, or not the one that is named.

        Raises:
            UsageError: It has none, or not this one.
        """
        from mvrec_edge.runtime.classifier.given_parts import check_given

        if self.wanted:
            check_given(self.part or next(iter(cache.part_names), ""), cache)

    def open_for(
        self, cache: SupportCache, reading: SourceOptions, paths: Sequence[Path], **how: Any
    ) -> tuple[list[RegionSource], list[InputError]]:
        """Opens several places for a support cache that has the parts which are named; see `open_all`."""
        self.check_cache(cache)
        return self.open_all(reading, paths, **how)

    def open_all(
        self, reading: SourceOptions, paths: Sequence[Path], **how: Any
    ) -> tuple[list[RegionSource], list[InputError]]:
        """Opens several places, each image with its part where that is read; see `SourceOptions.open_all`."""
        from mvrec_edge.runtime.errors import InputError
        from mvrec_edge.runtime.regions.part_sources import of_part, part_folders

        if self.part_from != "folder":
            return reading.open_all(paths, with_parts=self.part_from == "column", **how)
        named: list[tuple[str, Path]] = []
        problems: list[InputError] = []
        for path in paths:
            try:
                named += part_folders(path)
            except InputError as error:
                problems.append(error)
        if not named:
            raise problems[-1]
        parts = {path: part for part, path in named}
        sources, others = reading.open_all(list(parts), **how)
        return [of_part(source, parts[source.path]) for source in sources], problems + others

    def read(self, reading: LabelledOptions, path: Path, **how: Any) -> LabelledSet:
        """Reads every labelled region at a place, each with its part; see `LabelledOptions.read`."""
        from mvrec_edge.calib.instances.kept_images import KeptImages
        from mvrec_edge.runtime.errors import InputError
        from mvrec_edge.runtime.regions.part_sources import part_folders

        if self.part_from != "folder":
            labelled = reading.read(path, with_parts=self.part_from == "column", **how)
            return _all_of_parts(labelled) if self.part is None else labelled.with_part(self.part)
        how.setdefault("images", KeptImages())
        whole: LabelledSet | None = None
        problems: list[InputError] = []
        for part, folder in part_folders(path):
            try:
                own = reading.read(folder, f"reading labels of {part}", **how).with_part(part)
            except InputError as error:
                problems.append(error)
                continue
            whole = own if whole is None else whole.join(own)
        if whole is None:
            raise problems[-1]
        _say(problems)
        return dataclasses.replace(whole, problems=(*whole.problems, *problems))


def _all_of_parts(labelled: LabelledSet) -> LabelledSet:
    """The instances that are of a part, where some are; each of the others is a problem."""
    from mvrec_edge.runtime.errors import AnnotationError

    if not labelled.part_names:
        return labelled
    problems = [
        AnnotationError("has no part", where=each.source, fix="fill in the column 'part', or leave the row out")
        for each in labelled.instances
        if each.region.part is None
    ]
    _say(problems)
    kept = labelled.with_instances(each for each in labelled.instances if each.region.part is not None)
    return dataclasses.replace(kept, problems=(*kept.problems, *problems))


def _say(problems: Sequence[InputError]) -> None:
    from mvrec_edge.cli.console import say_problems

    say_problems(problems)
