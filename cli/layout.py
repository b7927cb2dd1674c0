"""The folder that `mvrec-edge init` lays out: its files, and how they come into a folder without a loss."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mvrec_edge.cli.config.setting import Setting
from mvrec_edge.cli.config.template import render_template

__all__ = ["CONFIG_NAME", "FOLDERS", "STEPS", "layout_files", "write_layout"]

CONFIG_NAME = "mvrec-edge.toml"

#: Every folder, in the order it is made.
FOLDERS = ("labelled", "labelled/dent", "labelled/scratch", "incoming", "results")

#: The commands in order, each with what it does. `pocket` is the small encoder that the package brings along.
STEPS: tuple[tuple[str, str], ...] = (
    ("mvrec-edge export pocket --out encoder.bundle", "write the encoder"),
    (f"mvrec-edge calibrate --config {CONFIG_NAME}", "learn the classes from labelled/"),
    (f"mvrec-edge classify --config {CONFIG_NAME} --report results/report.html", "classify what is in incoming/"),
)

_LABELLED = """\
This folder has one folder for each class of defect. The name of the folder is the name of the class.
Rename the two example folders, and add a folder for each further class. At least two classes are needed.

Put the images of a class into its folder, each with its mask beside it.
The mask of part1.jpg is part1.png or part1_mask.png, and has the same size as the image.
In a mask, every pixel above 0 belongs to a defect; all other pixels are 0.
Five labelled defects of each class are a good start; one is the least.

Do you have labels in another format (labelme, COCO, Pascal VOC, an MVTec-FS table, boxes in a CSV file)? Put them here
instead of the folders, or set `support` in mvrec-edge.toml to their path. The page docs/bring-your-own-defects.md of
mvrec-edge describes every format.
"""
_CLASS = """\
Put images of this class here, each with its mask beside it: part1.jpg and part1.png.
Rename this folder to the name of your class. You may delete this file.
"""
_INCOMING = """\
Put the images to classify here, each with a mask of the defects that your inspection has found: part7.jpg and
part7.png. Subfolders are read too. A CSV file of boxes beside the images works as well; its columns are
image,x1,y1,x2,y2.
"""
_RESULTS = """\
mvrec-edge writes its results here. It replaces a file only if --overwrite is given.
"""
_README = """\
# Defect classes with mvrec-edge

| place | what goes there |
| --- | --- |
| `labelled/<class>/` | a few images of each class of defect, each with its mask |
| `incoming/` | images to classify, each with a mask of its defects |
| `results/` | the results |
| `{config}` | every setting, with its default and its meaning |

{examples}Run these in this folder, in this order:

```
{commands}
```

1. `export pocket` writes the small trained encoder that comes with mvrec-edge as a bundle.
   This encoder is the quickest start; for the accuracy of the MVREC paper, export an AlphaCLIP checkpoint instead.
2. `calibrate` reads `labelled/` and writes the support cache `line.safetensors`. Run it again with `--overwrite` when
   you have added images, or exported another encoder.
3. `classify` reads `incoming/` and writes one line of JSON for each defect to `results/results.jsonl`. It also writes
   the report `results/report.html`, which opens in any browser. For the next lot, name other files with
   `--out results/lot-2.jsonl --report results/lot-2.html`, or give `--overwrite`.

To measure the accuracy on your own images, run `mvrec-edge evaluate --config {config}`. It draws 1 and then 3
shots of each class from `labelled/` and classifies the rest, so each class needs more labelled defects than shots.
The setting `shots` in `{config}` has the numbers.

The command line overrides `{config}`: `mvrec-edge classify --config {config} elsewhere/` classifies the
folder `elsewhere/`.
"""
_RENDERED = """\
The images in this folder are rendered, to try the commands. The names of the images in `incoming/` say their classes.
To begin with your own images, delete the folders in `labelled/` and the images and masks in `incoming/`.

"""


def layout_files(commands: Mapping[str, Mapping[str, Setting]], *, examples: bool = False) -> dict[str, str]:
    """The text of every file of the layout, by its path within the folder.

    Args:
        commands: The settings of each command, by its name; the config file lists them.
        examples: Say in the README that the images are rendered ones.
    """
    steps = [command for command, _ in STEPS]
    return {
        CONFIG_NAME: render_template(commands),
        "README.md": _README.format(
            config=CONFIG_NAME, commands="\n".join(steps), examples=_RENDERED if examples else ""
        ),
        "labelled/README.txt": _LABELLED,
        "labelled/dent/README.txt": _CLASS,
        "labelled/scratch/README.txt": _CLASS,
        "incoming/README.txt": _INCOMING,
        "results/README.txt": _RESULTS,
    }


def write_layout(
    folder: Path, files: Mapping[str, str], *, into_used: bool, example_classes: bool = True
) -> tuple[list[Path], list[Path]]:
    """Writes the layout; nothing that is there is removed or replaced.

    A file that is there and differs is renamed first: `NAME.old`, or `NAME.old2` and so on where that is taken.

    Args:
        folder: The folder; it is made where it is missing.
        files: The text of each file, by its path within the folder.
        into_used: Also write into a folder that holds something already.
        example_classes: Make the two example classes, where there is no `labelled/` yet.

    Returns:
        The files written, and the names that earlier files have now.

    Raises:
        OutputError: The folder holds something and `into_used` is not given, something else stands where a folder
            or file has to be, or the folder cannot be written. Of all but the last nothing has changed.
    """
    from mvrec_edge.runtime.files import atomic_write, writing

    with writing(folder):
        _refuse_what_is_in_the_way(folder, files, into_used=into_used)
        folder.mkdir(parents=True, exist_ok=True)
    # The example classes are for a start only: whoever has classes of their own does not get them again.
    example_classes = example_classes and not (folder / "labelled").exists()
    written: list[Path] = []
    kept: list[Path] = []
    with writing(folder):
        if example_classes:
            _make_example_classes(folder)
        for name in FOLDERS:
            if "/" not in name:
                (folder / name).mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / name
        if not path.parent.is_dir():
            continue
        with writing(path):
            if path.is_symlink() or path.exists():
                if not path.is_symlink() and path.read_bytes() == text.encode():
                    continue
                kept.append(_set_aside(path))
        with atomic_write(path) as stream:
            stream.write(text.encode())
        written.append(path)
    return written, kept


def _make_example_classes(folder: Path) -> None:
    """Makes `labelled/` with the example classes in one step: without them it would be taken for a person's own."""
    from mvrec_edge.runtime.files.draft_folder import DraftFolder

    draft = DraftFolder(folder / "labelled")
    try:
        for name in FOLDERS:
            if name.startswith("labelled/"):
                (draft.path / Path(name).name).mkdir()
        draft.put_in_place()
    finally:
        draft.close()


def _refuse_what_is_in_the_way(folder: Path, files: Mapping[str, str], *, into_used: bool) -> None:
    """Refuses a folder that the layout does not go into; nothing is changed."""
    from mvrec_edge.runtime.errors import OutputError

    if folder.exists() and not folder.is_dir():
        raise OutputError("is a file", where=folder, fix="name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not into_used:
        raise OutputError(
            "is not empty", where=folder, fix="choose another folder, or give --overwrite: files there are kept"
        )
    # A link is not followed: it may lead anywhere.
    for place in [folder / name for name in FOLDERS]:
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise OutputError("is not a folder", where=place, fix="move it away")
    for path in [folder / name for name in files]:
        if path.is_dir() and not path.is_symlink():
            raise OutputError("is a folder", where=path, fix="move it away")


def _set_aside(path: Path) -> Path:
    number = 1
    while True:
        place = path.with_name(f"{path.name}.old{number if number > 1 else ''}")
        if not place.is_symlink() and not place.exists():
            path.rename(place)
            return place
        number += 1
