"""`mvrec-edge init`: a folder to start from, with a commented config file and the commands in order."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["init"]

_LABELLED, _INCOMING = "labelled", "incoming"
_SHOTS = 5
_QUERIES = 6
# Small, so that they are there at once, and still larger than the smallest window of the views.
_SIZE = (480, 640)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make, such as line1/.")],
    examples: Annotated[
        bool,
        typer.Option(
            "--examples",
            help=f"Add rendered images with their masks, to try the commands: {_SHOTS} of each class to learn "
            f"from, {_QUERIES} to classify.",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Also write into a folder that is not empty. No file in it is removed: one that has the name of "
            "a new file is renamed to NAME.old.",
        ),
    ] = False,
) -> None:
    """Make a folder to start from: folders for images, a commented mvrec-edge.toml, and a README.md.

    Example: mvrec-edge init line1

    Example: mvrec-edge init try --examples
    """
    from mvrec_edge.cli.config.command import command_settings
    from mvrec_edge.cli.console import say, show
    from mvrec_edge.cli.layout import CONFIG_NAME, STEPS, layout_files, write_layout

    if examples:
        _refuse_used(folder)
    # With examples, the rendered classes take the place of the empty ones.
    written, kept = write_layout(
        folder, layout_files(command_settings(), examples=examples), into_used=overwrite, example_classes=not examples
    )
    for path in kept:
        say(f"earlier file kept: {path}")
    for path in written:
        say(f"written: {path}")
    if examples:
        _render(folder)
    elif not written:
        say(f"{folder}: every file is there already")
    show("next:")
    show(f"  cd {shlex.quote(str(folder))}")
    if not examples:
        show("  # put images and masks into labelled/<class>/ and incoming/ (README.md says how)")
    wide = max(len(command) for command, _ in STEPS) + 2
    for command, what in STEPS:
        show(f"  {command:<{wide}}# {what}")
    show(f"every setting, with its default: {folder / CONFIG_NAME}")


def _refuse_used(folder: Path) -> None:
    """Refuses to mix rendered images with a person's own."""
    from mvrec_edge.runtime.errors import OutputError

    for place in (folder / _LABELLED, folder / _INCOMING):
        if place.is_dir() and any(item.name != "README.txt" for item in place.iterdir()):
            raise OutputError("holds files already", where=place, fix="leave out --examples")


def _render(folder: Path) -> None:
    import tempfile

    from mvrec_edge.cli.console import say
    from mvrec_edge.runtime.files import writing
    from mvrec_edge.testing import HELD_OUT_FAMILIES
    from mvrec_edge.testing.dataset import write_dataset

    # Beside its place, since a data set is only ever written into a folder of its own.
    with writing(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".examples-") as temporary:
        rendered = Path(temporary, "rendered")
        per_class = _SHOTS + math.ceil(_QUERIES / len(HELD_OUT_FAMILIES))
        # One line: all on one surface, and a kind of defect has one tone.
        write_dataset(rendered, families=HELD_OUT_FAMILIES, per_class=per_class, size=_SIZE, seed=0, surface="casting")
        queries: list[tuple[int, Path]] = []
        for family in HELD_OUT_FAMILIES:
            images = sorted((rendered / family / "Imgs").glob("*.jpg"))
            (folder / _LABELLED / family).mkdir(exist_ok=True)
            for image in images[:_SHOTS]:
                _move(image, folder / _LABELLED / family / image.name)
            queries += list(enumerate(images[_SHOTS:], 1))
        # Not in folders of their classes: on a line nobody has sorted them. Their names tell who wants to compare.
        for number, image in sorted(queries)[:_QUERIES]:
            _move(image, folder / _INCOMING / f"{image.parents[1].name}_{number:04d}.jpg")
    say(f"rendered: {folder / _LABELLED}, {_SHOTS} images of each of {', '.join(HELD_OUT_FAMILIES)}")
    say(f"rendered: {folder / _INCOMING}, {_QUERIES} images; the name of each says its class")


def _move(image: Path, target: Path) -> None:
    """Moves an image and its mask."""
    image.rename(target)
    image.with_suffix(".png").rename(target.with_suffix(".png"))
