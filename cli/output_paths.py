"""Outputs that would be written over one another, or over what the command reads, are refused before any work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mvrec_edge.cli.config.command import at_the_end, config_in_use
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.files.file_lock import claimed
from mvrec_edge.runtime.files.writing import make_folder
from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.regions.annotation import MaskFileShape
from mvrec_edge.runtime.regions.listing import is_picture_name
from mvrec_edge.runtime.regions.own_output import own_output

if TYPE_CHECKING:
    from mvrec_edge.runtime.regions import RegionSource

__all__ = ["Outputs"]

# What a labelled folder is read from; anything else in it may be replaced.
_READ_IN_FOLDERS = (*IMAGE_SUFFIXES, ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".xml", ".yaml", ".yml")


@dataclass(frozen=True)
class Outputs:
    """What a command writes. Two paths are the same where links lead to one place, or where they are one file.

    Attributes:
        files: Files, by their options.
        folders: Folders that are replaced with all that is in them.
        pictures: Folders into which JPEG files named after images go.
    """

    files: Mapping[str, Path | None]
    folders: Mapping[str, Path | None] = field(default_factory=dict)
    pictures: Mapping[str, Path | None] = field(default_factory=dict)

    @property
    def beside_images(self) -> list[Path]:
        """What may lie in a folder of images and is not read there: files, and folders of pictures."""
        return [path for option, path in self._named() if option not in self.folders]

    def check(self, read: Iterable[Path | None]) -> None:
        """Refuses outputs on one path, and outputs on what is read; the config file in use is read as well.

        Args:
            read: Files and folders that are read whole, such as a support cache and a bundle.

        Raises:
            UsageError: One would be written over another.
        """
        named = list(self._named())
        for place, (option, path) in enumerate(named):
            for other, earlier in named[:place]:
                if self._clash(option, path, earlier) or self._clash(other, earlier, path):
                    raise UsageError(
                        f"{other} and {option} would both be written there", where=path, fix="name two places"
                    )
        self.check_read([path for path in (*read, config_in_use.get()) if path is not None])

    def claim(self, *options: str, make_folders: bool = True) -> None:
        """Keeps outputs for this command until it ends, so that another one that would write there is refused.

        Args:
            *options: The options whose outputs are claimed; those that a run adds to are locked when they are opened.
            make_folders: Whether to make folders that are missing.

        Raises:
            LockedError: Another process is writing there.
            OutputError: Nothing can be written there.
        """
        for option, path in self._named():
            if option not in options:
                continue
            if make_folders:
                with contextlib.suppress(OSError):
                    make_folder(path.parent)
            # Whoever is to write there says what is wrong with the folder.
            if path.parent.is_dir():
                at_the_end.get().enter_context(claimed(path))

    def check_read(self, read: Iterable[Path]) -> None:
        """Refuses outputs on files and folders that are read whole; see `check` for what is raised."""
        read = list(read)
        for option, path in self._named():
            for file in read:
                pictures = option in self.pictures and not file.is_dir() and self._clash(option, path, file)
                inside = file.is_dir() and _inside(path, file)
                if pictures or (option not in self.pictures and (self._clash(option, path, file) or inside)):
                    raise _refused(option, path, file)

    def check_folder(self, folder: Path) -> None:
        """Refuses to replace what may be an image, a mask or labels in a folder that is read; see `check`."""
        if not folder.is_dir():
            return
        for option, path in self._named():
            if option in self.pictures:
                continue
            foreign = path.suffix.lower() in _READ_IN_FOLDERS and _is_foreign(path)
            if self._clash(option, path, folder) or (foreign and _inside(path, folder)):
                raise _refused(option, path, folder)

    def check_source(self, source: RegionSource) -> None:
        """Refuses to replace an image, a mask or a label file of a source; see `check`."""
        masks = (
            annotation.shape.path
            for image in source
            for annotation in image.annotations
            if isinstance(annotation.shape, MaskFileShape)
        )
        files = [*source.label_files, *(image.path for image in source), *masks]
        keys = {key: file for file in dict.fromkeys(files) for key in _keys(file)}
        for option, path in self._named():
            hit = next((keys[key] for key in _keys(path) if key in keys), None)
            if hit is None and option not in self.files:
                hit = next((file for file in files if self._clash(option, path, file)), None)
            if hit is not None:
                raise _refused(option, path, hit)

    def _named(self) -> Iterator[tuple[str, Path]]:
        for option, path in (*self.files.items(), *self.folders.items(), *self.pictures.items()):
            if path is not None and path != Path("-") and (path.is_file() or path.is_dir() or not path.exists()):
                yield option, path

    def _clash(self, option: str, path: Path, other: Path) -> bool:
        """Whether what is written at a path would reach another one."""
        if _same(path, other):
            return True
        if option in self.folders:
            return _inside(other, path)
        return option in self.pictures and is_picture_name(other) and _resolved(other).parent == _resolved(path)


def _refused(option: str, path: Path, read: Path) -> UsageError:
    what = f"{option} would be written over what is read, {read}"
    return UsageError(what, where=path, fix="choose another place")


def _is_foreign(path: Path) -> bool:
    """Whether a file is there that holds something, and that mvrec-edge did not write."""
    return path.is_file() and path.stat().st_size > 0 and own_output(path) is None


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        # Links that lead to one another; whoever opens it says so.
        return path.absolute()


def _keys(path: Path) -> list[object]:
    """What tells a file from others: where links lead to, and its inode."""
    keys: list[object] = [_resolved(path)]
    try:
        found = path.stat()
    except (OSError, ValueError):
        return keys
    return [*keys, (found.st_dev, found.st_ino)]


def _same(path: Path, other: Path) -> bool:
    return any(key in _keys(other) for key in _keys(path))


def _inside(path: Path, folder: Path) -> bool:
    return _resolved(folder) in _resolved(path).parents
