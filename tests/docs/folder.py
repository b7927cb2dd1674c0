"""Builds the folder of an example, spoils it, and runs the page's commands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from tests.docs.page import Example
from tests.e2e.commands import run as run_command

__all__ = ["IMAGE_SIZE", "build", "check", "run", "spoil"]

#: Width and height of every image in the examples; the pages name it, as their coordinates lie on it.
IMAGE_SIZE = (320, 240)


def build(example: Example, folder: Path, bundle: Path) -> None:
    """Makes the files that the page shows, and puts an encoder where its commands look for one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, what in example.tree.items():
        if name not in example.files:
            draw(folder, name, what.split()[0] if what else "")
    for name, text in example.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "encoder.bundle").symlink_to(bundle, target_is_directory=True)


def spoil(changes: Sequence[str], folder: Path) -> None:
    """Runs the changes of a mistake, line by line."""
    for change in changes:
        words = change.split()
        if words[0] == "draw":
            size = tuple(int(side) for side in words[3].split("x")) if len(words) > 3 else IMAGE_SIZE
            draw(folder, words[1], words[2], size)
        else:
            subprocess.run(["bash", "-e", "-c", change], cwd=folder, check=True)


def draw(folder: Path, name: str, what: str, size: tuple[int, ...] = IMAGE_SIZE) -> None:
    """Draws an image of noise, or a mask: with one blob, black and white exchanged, with a speck alone, or empty."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    random = np.random.default_rng(zlib.crc32(name.encode()))
    pixels = np.zeros((height, width), np.uint8)
    if what == "image":
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
    elif what in ("mask", "inverted"):
        centre = (width // 2 + int(random.integers(-20, 20)), height // 2 + int(random.integers(-20, 20)))
        cv2.ellipse(pixels, centre, (30, 20), 0, 0, 360, (255,), -1)
        if what == "inverted":
            pixels = 255 - pixels
    elif what == "speck":
        pixels[100:103, 100:103] = 255
    else:
        assert what == "empty", f"'{path.name}' is said to be '{what}': say 'image' or 'mask', or show its text"
    assert cv2.imwrite(str(path), pixels), name


def run(command: str, folder: Path) -> tuple[int, list[str]]:
    """Runs a command line of a page in a folder; returns the exit code and the lines printed."""
    words = shlex.split(command)
    assert words[0] == "mvrec-edge", f"only mvrec-edge is run here, not: {command}"
    ended = run_command(*words[1:], code=None, cwd=folder)
    return ended.returncode, (ended.stdout + ended.stderr).splitlines()


def check(messages: Sequence[str], printed: Sequence[str], page: str) -> None:
    """Whether every line that the page quotes was printed."""
    for message in messages:
        pattern = ".*".join(re.escape(part) for part in message.split("..."))
        assert any(re.fullmatch(pattern, line) for line in printed), (
            f"docs/{page} quotes\n  {message}\nbut the command printed\n  " + "\n  ".join(printed)
        )
