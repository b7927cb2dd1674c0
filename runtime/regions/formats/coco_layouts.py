"""Where the images of a COCO file lie: the layouts in which labelling tools export it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["image_folders", "without_captions"]

# Folders of label files, beside which those of the images lie.
_LABELS = ("annotations", "annotation", "labels", "label", "json", "coco")
_IMAGES = ("images", "data")
_OUTLINES = "instances_"


def image_folders(path: Path) -> list[Path]:
    """The folders in which the images of a COCO file are looked for, the likeliest first.

    Next to the file, or next to the folder `annotations` that it lies in: `images/<subset>/`, `<subset>/`, the folder
    itself, `images/` and `data/`. The subset is in the file's name, as in `instances_<subset>.json`, in whatever case.

    Args:
        path: The JSON file.
    """
    bases = [path.parent]
    if path.parent.name.lower() in _LABELS:
        bases.append(path.parent.parent)
    within = [_folders(base / between) for base in bases for between in (*_IMAGES, "")]
    subsets = [place for name in _subsets(path.stem) for folders in within for place in folders.get(name.lower(), ())]
    # These two are named in messages, whether they are there or not.
    here = [path.parent, path.parent / "images"]
    others = [base / name for base in bases for name in (*_IMAGES, "")]
    return list(dict.fromkeys([*subsets, *here, *(place for place in others if place.is_dir())]))


def _folders(folder: Path) -> dict[str, list[Path]]:
    """The folders within a folder by their names in small letters."""
    found: dict[str, list[Path]] = {}
    if folder.is_dir():
        with os.scandir(folder) as entries:
            for name in sorted(entry.name for entry in entries if entry.is_dir()):
                found.setdefault(name.lower(), []).append(folder / name)
    return found


def without_captions(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Of the files of MS COCO, those that hold outlines, and those that say other things of the same images.

    Args:
        files: COCO files.

    Returns:
        The files to read; and, in a folder that has `instances_*.json`, `captions_*.json` and all others.
    """
    files = list(files)
    outlined = {file.parent for file in files if file.name.startswith(_OUTLINES)}
    read = [file for file in files if file.parent not in outlined or file.name.startswith(_OUTLINES)]
    return read, [file for file in files if file not in read]


def _subsets(stem: str) -> list[str]:
    """What the subset of a file may be called: `instances_val_2017` gives itself, `val_2017`, `2017` and so on."""
    words = stem.split("_")
    ends = ["_".join(words[first:]) for first in range(len(words))]
    starts = ["_".join(words[:last]) for last in range(1, len(words))]
    return [name for name in dict.fromkeys((*ends, *starts)) if name not in ("", ".", "..")]
