"""The commands that write, each with what has to hold of its files afterwards, however it ended."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mvrec_edge.runtime import Bundle, SupportCache
from mvrec_edge.runtime.errors import MvrecEdgeError
from mvrec_edge.runtime.files import sha256_file
from tests.harness.faults.shim import Runner

__all__ = ["CASES", "Case", "broken", "leftovers", "lost", "make_base", "records", "snapshot", "told"]

_FAST = ("--engine", "onnxruntime", "--threads", "1")
_CLASSIFY = ("classify", "b.bundle", "line.safetensors")
_RESULTS = ("--out", "o/r.jsonl", "--csv", "o/r.csv", "--overlay", "o/p", "--report", "o/r.html")
#: Fields of a record that are of the run alone.
_OF_THE_RUN = ("ms", "time", "run", "picture")


@dataclass(frozen=True)
class Case:
    """One command that writes.

    Attributes:
        name: For messages and counts.
        arguments: The command.
        again: The command that is run afterwards, and must succeed whatever happened.
        before: What is done once to the base before.
        states: Files that are old or new at every moment, byte for byte, since the command writes the same bytes each
            time; the old ones are kept under another name.
    """

    name: str
    arguments: tuple[str, ...]
    again: tuple[str, ...]
    before: Callable[[Runner, Path], None] = field(default=lambda runner, folder: None)
    states: tuple[str, ...] = ()


def make_base(runner: Runner, folder: Path) -> None:
    """What all commands find: a bundle, a support cache, images that are marked twice, among them one that is none."""
    for number in range(4):
        _draw(folder / "labelled" / ("dent", "pit")[number % 2] / f"{number}.jpg", number)
    for number in range(2):
        _draw(folder / "in" / f"{number}.jpg", 10 + number)
    (folder / "in" / "2.jpg").write_text("no image")
    shutil.copy(folder / "in" / "0.png", folder / "in" / "2.png")
    for name in ("one", "two"):
        (folder / f"{name}.csv").write_text("image,x1,y1,x2,y2\nin/0.jpg,8,10,20,30\nin/0.jpg,40,10,60,30\n")
    # Read alone but by the export, so a link does.
    _done(runner, folder, "export", "pocket", "--out", "../pocket.bundle")
    (folder / "b.bundle").symlink_to(folder.parent.resolve() / "pocket.bundle")
    made = ("--out", "line.safetensors", "--view-recipe", "ms", "--resample", "fast")
    _done(runner, folder, "calibrate", "b.bundle", "labelled", *made, *_FAST)


def _draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(60, 120, (64, 96, 3), np.uint8)
    mask = np.zeros((64, 96), np.uint8)
    mask[10 : 30 + seed % 7, 8:24] = 255
    image[mask > 0] = 20 * (seed % 10)
    cv2.imwrite(str(path), image)
    cv2.imwrite(str(path.with_suffix(".png")), mask)


def _done(runner: Runner, folder: Path, *arguments: object) -> None:
    ended = runner.run(arguments, folder)
    if ended.code not in (0, 1):
        raise RuntimeError(f"{arguments}: exit code {ended.code}: {ended.stderr}")


def _classified(runner: Runner, folder: Path) -> None:
    _done(runner, folder, *_CLASSIFY, "one.csv", "two.csv", "in", *_RESULTS, *_FAST)


def _half_classified(runner: Runner, folder: Path) -> None:
    """A run that was ended: the first item has failed, and the last record is torn."""
    _classified(runner, folder)
    results = folder / "o" / "r.jsonl"
    lines = results.read_bytes().splitlines(keepends=True)
    failed = [line for line in lines if b'"error"' in line]
    rest = [line for line in lines if b'"error"' not in line]
    results.write_bytes(b"".join([*failed, *rest[:3]]) + rest[3][:200])
    table = (folder / "o" / "r.csv").read_bytes().splitlines(keepends=True)
    broken_row = next(row for row in table[1:] if b"2.jpg" in row)
    (folder / "o" / "r.csv").write_bytes(table[0] + broken_row + table[1][:50])


def _evaluated(runner: Runner, folder: Path) -> None:
    _done(runner, folder, *_EVALUATE)


def _changed_twice(runner: Runner, folder: Path) -> None:
    _done(runner, folder, "support", "rename", "line.safetensors", "dent", "dint")
    _done(runner, folder, "support", "rename", "line.safetensors", "pit", "pot")


def _initialised(runner: Runner, folder: Path) -> None:
    _done(runner, folder, "init", "i")
    (folder / "i" / "README.md").write_text("my own\n")


def _extra(runner: Runner, folder: Path) -> None:
    shutil.copytree(folder / "labelled", folder / "more")
    (folder / "more" / "pit").rename(folder / "more" / "pot")
    _done(
        runner,
        folder,
        *("calibrate", "b.bundle", "more", "--view-recipe", "ms", "--resample", "fast", *_FAST),
        *("--out", "extra.safetensors"),
    )


def _change(word: str, *more: str, before: Callable[[Runner, Path], None] = lambda runner, folder: None) -> Case:
    command = ("support", word, "line.safetensors", *more)
    return Case(f"support {word}", command, command, before, states=("line.safetensors",))


_INPUTS = ("one.csv", "two.csv", "in")
_RUN = (*_CLASSIFY, *_INPUTS, *_RESULTS, *_FAST)
_CALIBRATE = ("calibrate", "b.bundle", "labelled", "--view-recipe", "ms", "--resample", "fast", *_FAST)
_EVALUATE = (
    *("evaluate", "b.bundle", "labelled", "--shots", "1", "--draws", "1", "--view-recipe", "ms", "--resample", "fast"),
    *("--out", "e", "--report", "e.html", "--store", "store", *_FAST),
)
_CACHE = ("line.safetensors",)
_ADD = (
    *("support", "add", "line.safetensors", "labelled/dent/0.jpg", "--label", "pit", "--bundle", "b.bundle"),
    *("--force", *_FAST),
)
_REPORT, _REPORTED = ("report", "o/r.jsonl", "--out", "n.html"), ("report", "o/r.jsonl")

#: The first two are those of CI.
CASES = (
    Case("classify", _RUN, (*_RUN, "--resume")),
    Case("support add", _ADD, _ADD, states=_CACHE),
    Case("classify --resume", (*_RUN, "--resume"), (*_RUN, "--resume"), _half_classified),
    Case("classify --overwrite", (*_RUN, "--overwrite"), (*_RUN, "--resume", "--overwrite"), _classified),
    Case("calibrate", (*_CALIBRATE, "--out", "n.safetensors"), (*_CALIBRATE, "--out", "n.safetensors", "--overwrite")),
    Case(
        "calibrate --overwrite",
        (*_CALIBRATE, "--out", "line.safetensors", "--overwrite", "--head", "zip"),
        (*_CALIBRATE, "--out", "line.safetensors", "--overwrite", "--head", "zip"),
        states=_CACHE,
    ),
    _change("remove", "0", "--force"),
    _change("rename", "dent", "dint"),
    _change("merge", "extra.safetensors", "--force", before=_extra),
    _change("rollback", before=_changed_twice),
    Case("report", _REPORT, (*_REPORT, "--overwrite"), _classified),
    Case("report --overwrite", (*_REPORTED, "--overwrite"), (*_REPORTED, "--overwrite"), _classified),
    Case("evaluate", _EVALUATE, (*_EVALUATE, "--overwrite")),
    Case("evaluate --overwrite", (*_EVALUATE, "--overwrite"), (*_EVALUATE, "--overwrite"), _evaluated),
    Case("export", ("export", "pocket", "--out", "n.bundle"), ("export", "pocket", "--out", "n.bundle", "--overwrite")),
    Case(
        "export --overwrite",
        ("export", "pocket", "--out", "n.bundle", "--overwrite"),
        ("export", "pocket", "--out", "n.bundle", "--overwrite"),
        lambda runner, folder: _done(runner, folder, "export", "pocket", "--out", "n.bundle"),
    ),
    Case("init", ("init", "i"), ("init", "i", "--overwrite")),
    Case("init --overwrite", ("init", "i", "--overwrite"), ("init", "i", "--overwrite"), _initialised),
)


def snapshot(folder: Path) -> dict[str, str]:
    """The visible files with their hashes; a folder with the word `folder`."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            found[name] = sha256_file(path) if path.is_file() else "folder"
    return found


def leftovers(folder: Path) -> list[str]:
    """Files and folders of which nothing should be left after a command that was not killed."""
    names = (str(path.relative_to(folder)) for path in folder.rglob(".*"))
    return [f"left behind: {name}" for name in names if name.endswith((".partial", ".claim", ".replaced"))]


def records(path: Path) -> list[dict[str, Any]]:
    """The whole records of a results file."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else ()
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def told(found: list[dict[str, Any]]) -> list[str]:
    """What records say of their items, in an order of its own."""
    return sorted(json.dumps({k: v for k, v in each.items() if k not in _OF_THE_RUN}, sort_keys=True) for each in found)


def lost(before: dict[str, str], folder: Path, old: Path, case: Case) -> list[str]:
    """What was there and is not any more, neither as it was nor whole and new."""
    wrong = []
    now = snapshot(folder)
    hashes = set(now.values())
    for name, digest in before.items():
        # A rollback gives a version its place; what it held is looked for below.
        if name not in now and digest not in hashes:
            wrong.append(f"gone: {name}")
    wrong += [f"no file holds what {name} was" for name in case.states if before[name] not in hashes]
    kept = {key for each in records(old / "o/r.jsonl") if "error" not in each for key in [_key(each)]}
    if "--overwrite" not in case.arguments and kept:
        present = {_key(each) for each in records(folder / "o/r.jsonl")}
        wrong += [f"record lost: {key}" for key in sorted(kept - present) if not _incomplete(old, key)]
    return wrong


def _key(record: dict[str, Any]) -> tuple[str, str]:
    return (record["item"] or {}).get("key", ""), str(record.get("source"))


def _incomplete(old: Path, key: tuple[str, str]) -> bool:
    group = [each for each in records(old / "o/r.jsonl") if _key(each)[0] == key[0]]
    return len(group) < group[0]["item"]["records"]


def broken(folder: Path, *, killed: bool, before: Path | None = None) -> list[str]:
    """The files that are not whole, each with the reader that says so. A growing file of a killed run may end torn.

    What a command has not touched is not its doing: a file that is as it was in `before` is left out.
    """
    wrong = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not hidden and not (before is not None and _alike(path, before / name)):
            wrong += [f"{name}: {what}" for what in _wrong_with(path, killed=killed)]
    for place in (each for each in folder.glob("*.bundle") if not each.is_symlink()):
        try:
            bundle = Bundle.load(place)
            for precision in bundle.precisions:
                bundle.graph(precision)
        except MvrecEdgeError as error:
            wrong.append(f"{place.name}: {error}")
    return wrong


def _alike(path: Path, other: Path) -> bool:
    return other.is_file() and path.read_bytes() == other.read_bytes()


def _wrong_with(path: Path, *, killed: bool) -> Iterator[str]:
    data = path.read_bytes()
    ends = {".html": b"</html>\n", ".png": b"IEND\xaeB`\x82", ".md": b"\n", ".toml": b"\n"}
    if path.parent.name == "p" and not data.endswith(b"\xff\xd9"):
        yield "torn picture"
    if not data.endswith(ends.get(path.suffix, b"")) and "labelled" not in path.parts:
        yield "torn"
    if path.suffix == ".safetensors" and path.parent.suffix != ".bundle":
        try:
            SupportCache.load(path)
        except MvrecEdgeError as error:
            yield str(error)
    if path.suffix == ".json" and path.parent.name == "e":
        json.loads(data)
    if path.name == "r.jsonl" and not killed and not data.endswith(b"\n") and data:
        yield "a torn record"
    if path.name == "r.jsonl":
        lines = data.splitlines(keepends=True)
        whole = lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines
        # A power cut may leave zeros in the place of what was not synced.
        if not all((line.startswith(b"{") and line.endswith(b"}\n")) or b"\0" in line for line in whole):
            yield "a line that is no record"
    if path.name == "r.csv" and data and not killed:
        text = data.decode()
        if not text.endswith("\n") or len({len(row) for row in csv.reader(text.splitlines())}) != 1:
            yield "a torn row"
