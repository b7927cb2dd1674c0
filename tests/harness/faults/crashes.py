"""States of the disk that a power cut may leave, built from the log of a command's calls; and the next run on each."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.campaign import Campaign, Finding, Tally
from tests.harness.faults.campaign import Bases, what_is_wrong_afterwards
from tests.harness.faults.cases import CASES, Case, broken
from tests.harness.faults.shim import Runner, compiler, runner

__all__ = ["Crashes"]

#: Those whose files have to last; the first are those of CI.
_NAMES = (
    *("classify", "support add", "classify --resume", "classify --overwrite", "calibrate --overwrite"),
    *("support rename", "support rollback", "report --overwrite", "export", "export --overwrite", "init"),
)


@dataclass
class Disk:
    """Names and what they stand for.

    Attributes:
        names: Files and folders by their path; a folder stands for -1.
        contents: The bytes of each file.
        times: When each file that was there at first was changed, in nanoseconds.
    """

    names: dict[str, int] = field(default_factory=dict)
    contents: dict[int, bytearray] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """What is in a folder; links are left out, as nothing is written through them."""
        disk = cls()
        for path in sorted(folder.rglob("*")):
            if path.is_symlink():
                continue
            name = str(path.relative_to(folder))
            disk.names[name] = -1 if path.is_dir() else len(disk.contents)
            if not path.is_dir():
                disk.contents[disk.names[name]] = bytearray(path.read_bytes())
                disk.times[disk.names[name]] = path.stat().st_mtime_ns
        return disk

    def copy(self) -> Disk:
        contents = {number: bytearray(data) for number, data in self.contents.items()}
        return Disk(dict(self.names), contents, dict(self.times))

    def put_into(self, folder: Path) -> None:
        """Makes the files; what lies in a folder that has no name is lost."""
        for name, number in sorted(self.names.items()):
            path = folder / name
            if not path.parent.is_dir():
                continue
            if number < 0:
                path.mkdir(exist_ok=True)
            else:
                path.write_bytes(self.contents.get(number, b""))
                # An input that is as it was has the time that it had: by it a run that goes on knows it again.
                if number in self.times:
                    os.utime(path, ns=(self.times[number], self.times[number]))


@dataclass(frozen=True)
class Call:
    """One call that changed the disk.

    Attributes:
        kind: `create`, `mkdir`, `rename`, `exchange`, `link`, `unlink` and `rmdir` change a folder; `write` and `cut`
            a file; `sync` makes changes last.
        name: The path.
        to: The other path of a rename, an exchange or a link.
        file: The file; -1 for a folder.
        at: Where bytes are written, or the length that is left.
        data: The bytes.
    """

    kind: str
    name: str
    to: str = ""
    file: int = -1
    at: int = 0
    data: bytes = b""

    @property
    def of_data(self) -> bool:
        return self.kind in ("write", "cut")

    @property
    def folder(self) -> str:
        """The folder whose names it changes."""
        return str(Path(self.to or self.name).parent)

    def do(self, disk: Disk) -> None:
        """Changes the disk."""
        names = disk.names
        if self.kind in ("create", "mkdir"):
            names[self.name] = self.file
        elif self.kind == "link" and self.name in names:
            names[self.to] = names[self.name]
        elif self.kind == "rename":
            _move(names, [(self.name, self.to)])
        elif self.kind == "exchange":
            _move(names, [(self.name, self.to), (self.to, self.name)])
        elif self.kind in ("unlink", "rmdir"):
            names.pop(self.name, None)
        elif self.of_data:
            content = disk.contents.setdefault(self.file, bytearray())
            if self.kind == "cut":
                content[self.at :] = bytes(max(self.at - len(content), 0))
            else:
                content.extend(bytes(max(self.at - len(content), 0)))
                content[self.at : self.at + len(self.data)] = self.data


def _move(names: dict[str, int], moves: list[tuple[str, str]]) -> None:
    """Gives names, and all below them, their new places at once."""
    taken = {}
    for old, new in moves:
        for name in [each for each in names if each == old or each.startswith(old + "/")]:
            taken[new + name[len(old) :]] = names[name]
    for old, new in moves:
        for gone in (old, new):
            for name in [each for each in names if each == gone or each.startswith(gone + "/")]:
                del names[name]
    names.update(taken)


def read_log(log: Path, folder: Path, before: Disk) -> list[Call]:
    """The calls of a log of the shim, with files told apart by numbers of their own."""
    disk, files, calls = before.copy(), {}, []
    for entry, data in _entries(log.read_bytes()):
        name, to = (_relative(entry[key], folder) for key in ("path", "to"))
        kind, inode = entry["call"], entry["inode"]
        if kind == "open":
            made = name not in disk.names
            if made:
                disk.contents[len(disk.contents)] = bytearray()
            files[inode] = len(disk.contents) - 1 if made else disk.names[name]
            found = [Call("create", name, file=files[inode])] if made else []
            if entry["to"] == "truncated" and not made:
                found.append(Call("cut", name, file=files[inode]))
        elif kind == "write":
            found = [Call("write", name, file=files[inode], at=entry["at"], data=data)]
        elif kind.startswith("ftruncate"):
            found = [Call("cut", name, file=files[inode], at=entry["at"])]
        elif kind in ("fsync", "fdatasync"):
            of_folder = name == "." or disk.names.get(name) == -1
            number = -1 if of_folder else files.get(inode, disk.names.get(name, -1))
            found = [Call("sync", name, file=number)]
        else:
            found = [Call(kind, name, "" if entry["to"] in ("", "truncated") else to)]
        for call in found:
            call.do(disk)
        calls += found
    return calls


def _entries(data: bytes) -> Iterable[tuple[dict[str, object], bytes]]:
    at = 0
    while at < len(data):
        end = data.index(b"\n", at) + 1
        entry = json.loads(data[at:end])
        size = entry["size"] if entry["call"] == "write" else 0
        yield entry, data[end : end + size]
        at = end + size


def _relative(path: object, folder: Path) -> str:
    text = str(path)
    return str(Path(text).relative_to(folder)) if text.startswith(f"{folder}/") or text == str(folder) else text


def state_after(before: Disk, calls: list[Call], chance: random.Random | None) -> Disk:
    """What is on the disk after a power cut.

    Of the names in a folder, all changes before its last sync are there, and some of those after it, in order. Of a
    file's content, all that was synced is there, and any part of the rest: where a later write is there and an earlier
    one is not, there are zeros between.

    Args:
        before: The disk before the first call.
        calls: The calls that were done.
        chance: Chooses; None for what must be there and nothing else.
    """
    last_sync: dict[object, int] = {}
    for place, call in enumerate(calls):
        if call.kind == "sync":
            last_sync[call.name if call.file < 0 else call.file] = place
    later: dict[str, int] = defaultdict(int)
    for place, call in enumerate(calls):
        if not call.of_data and call.kind != "sync" and place > last_sync.get(call.folder, -1):
            later[call.folder] += 1
    room = {folder: 0 if chance is None else chance.randint(0, count) for folder, count in later.items()}
    disk = before.copy()
    for place, call in enumerate(calls):
        if call.kind == "sync":
            continue
        if call.of_data:
            kept = place < last_sync.get(call.file, -1) or (chance is not None and chance.random() < 0.5)
        elif place > last_sync.get(call.folder, -1):
            kept = room[call.folder] > 0
            room[call.folder] -= 1
        else:
            kept = True
        if kept:
            call.do(disk)
    return disk


class Crashes(Campaign):
    """A power cut at a random call leaves one of the states that the file system allows, and the next run goes on."""

    name = "crashes"
    goal = (
        "states that a power cut may leave, with writes reordered: old or new and whole, and what was synced is there"
    )
    short = 60
    full = 1000
    chunk = 60
    at_once = 1

    def needs(self) -> str | None:
        return None if compiler() else "no C compiler to build the shim that notes the calls"

    def run(self, trials: range, folder: Path) -> Tally:
        tally = Tally()
        cases = {case.name: case for case in CASES}
        with runner() as run:
            bases = Bases(run, folder)
            logs: dict[str, tuple[Disk, list[Call]]] = {}
            for number in trials:
                case = cases[_NAMES[number % (2 if number < self.short else len(_NAMES))]]
                if case.name not in logs:
                    logs[case.name] = _logged(run, bases, case, folder)
                before, calls = logs[case.name]
                chance = random.Random(number)
                wrong = _try(run, bases, case, before, calls[: chance.randint(0, len(calls))], chance, folder / "trial")
                tally.trials += 1
                tally.counts[case.name] += 1
                tally.findings += [Finding(number, f"{case.name}: {each}") for each in wrong]
        return tally


def _logged(run: Runner, bases: Bases, case: Case, folder: Path) -> tuple[Disk, list[Call]]:
    before, _, _ = bases.of(case)
    place = folder / "logged" / case.name.replace(" ", "_") / "w"
    shutil.copytree(before, place, symlinks=True)
    log = folder / "calls"
    run.run(case.arguments, place, log=log)
    return Disk.of(before), read_log(log, place, Disk.of(before))


def _try(
    run: Runner, bases: Bases, case: Case, disk: Disk, calls: list[Call], chance: random.Random, folder: Path
) -> list[str]:
    before, after, _ = bases.of(case)
    place = folder / "w"
    shutil.rmtree(folder, ignore_errors=True)
    place.mkdir(parents=True)
    for link in (each for each in before.iterdir() if each.is_symlink()):
        (place / link.name).symlink_to(link.readlink())
    state_after(disk, calls, chance).put_into(place)
    wrong = [*broken(place, killed=True), *_missing(state_after(disk, calls, None), place)]
    if wrong:
        return [f"after {len(calls)} calls: {each}" for each in wrong]
    return [f"after {len(calls)} calls: {each}" for each in what_is_wrong_afterwards(run, case, after, place)]


def _missing(certain: Disk, place: Path) -> list[str]:
    """The records that were on the disk for certain and are not in the file."""
    name = "o/r.jsonl"
    if name not in certain.names or not (place / name).exists():
        return [] if name not in certain.names else [f"gone: {name}"]
    there = set((place / name).read_bytes().split(b"\n"))
    # The file may have another content by now, of which all that was written before is a part.
    synced = {
        line for line in bytes(certain.contents.get(certain.names[name], b"")).split(b"\n") if line.endswith(b"}")
    }
    return [f"a synced record is lost: {line[:60]!r}" for line in synced - there]
