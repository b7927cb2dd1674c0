"""Files that are exchanged or written to between their hash, their opening and their use."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvrec_edge.runtime import Bundle, SupportCache, open_engine
from mvrec_edge.runtime.bundle import Golden
from mvrec_edge.runtime.engines.tensorrt.plan_keys import PlanKey
from mvrec_edge.runtime.engines.tensorrt.plans import record_plan, verified_plan
from mvrec_edge.runtime.errors import InputError, IntegrityError, MvrecEdgeError
from tests.harness.campaign import Campaign, Finding, Tally
from tests.harness.children import in_a_child
from tests.harness.tampering.small_bundle import GRAPH, SIZE, VARIANT, WEIGHTS, write_small_bundle

__all__ = ["SwappedFiles"]

_GOLDEN, _MANIFEST = "golden.safetensors", "manifest.json"
_ROUNDS = 4
# A writer that a lease holds up goes on when the batch is done, so the batch must not wait for it.
_PATIENCE_S = 0.05

_VIEWS = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 4), dtype=np.uint8)


def _exchange(file: Path, other: Path) -> None:
    shutil.copyfile(other, file.with_name("new"))
    file.with_name("new").replace(file)


def _exchange_and_back(file: Path, other: Path) -> None:
    file.rename(file.with_name("aside"))
    shutil.copyfile(other, file)
    file.with_name("aside").replace(file)


def _overwrite(file: Path, other: Path) -> None:
    with file.open("r+b") as stream:
        stream.write(other.read_bytes())


def _overwrite_at_the_old_time(file: Path, other: Path) -> None:
    about = file.stat()
    _overwrite(file, other)
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))


def _overwrite_and_back(file: Path, other: Path) -> None:
    data = file.read_bytes()
    _overwrite(file, other)
    with file.open("r+b") as stream:
        stream.write(data)


def _exchange_folder(file: Path, other: Path) -> None:
    shutil.copytree(other.parent, file.parent.with_name("fresh"))
    file.parent.rename(file.parent.with_name("stale"))
    file.parent.with_name("fresh").rename(file.parent)


def _exchange_folder_and_back(file: Path, other: Path) -> None:
    _exchange_folder(file, other)
    file.parent.rename(file.parent.with_name("fresh"))
    file.parent.with_name("stale").rename(file.parent)


_CHANGES: tuple[Callable[[Path, Path], object], ...] = (
    _exchange,
    _exchange_and_back,
    _overwrite,
    _overwrite_at_the_old_time,
    _overwrite_and_back,
    _exchange_folder,
    _exchange_folder_and_back,
    # As `cp` does it.
    lambda file, other: shutil.copyfile(other, file),
    lambda file, other: file.write_bytes(file.read_bytes()),
    lambda file, other: os.truncate(file, 0),
    lambda file, other: os.truncate(file, file.stat().st_size // 2),
    lambda file, other: os.truncate(file, file.stat().st_size + 1),
    lambda file, other: file.unlink(),
)


@dataclass
class _Change:
    """One change, made once: before the file that is opened as the given one, or before a step of the library."""

    make: Callable[[Path, Path], object]
    file: Path
    other: Path
    moment: tuple[str, int]

    def __post_init__(self) -> None:
        self._seen: dict[str, int] = {}
        self.made = False
        self._pool = ThreadPoolExecutor(1)

    def step(self, name: str) -> None:
        number = self._seen.get(name, 0)
        self._seen[name] = number + 1
        if self.made or (name, number) != self.moment:
            return
        self.made = True
        with contextlib.suppress(StillRunning):
            self._pool.submit(self.make, self.file, self.other).result(timeout=_PATIENCE_S)

    def watch_opening(self) -> None:
        """Takes a step before each file of the folder that Python opens; for good, so in a child alone."""
        place = str(self.file.parent) + os.sep

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event != "open" or self.made or not isinstance(arguments[0], (str, os.PathLike)):
                return
            if os.fspath(arguments[0]).startswith(place):
                self.step("open")

        sys.addaudithook(hook)

    def around(self, holder: Any, name: str, step: str) -> None:
        """Takes a step before and after each call of a library's function."""
        call = getattr(holder, name)

        def called(*arguments: Any, **named: Any) -> Any:
            self.step(f"before {step}")
            answer = call(*arguments, **named)
            self.step(f"after {step}")
            return answer

        setattr(holder, name, called)


_OPENING = tuple((f"{when} opening", 0) for when in ("before", "after"))
_MOMENTS = {
    "onnxruntime": (
        *(("open", number) for number in range(5)),
        *(_OPENING * 2),
        *((f"{when} running", number) for when in ("before", "after") for number in range(3)),
        ("between", 1),
    ),
    # Opening runs it once, too.
    "openvino": (
        *(("open", number) for number in range(4)),
        *(_OPENING * 2),
        *((f"{when} running", number) for when in ("before", "after") for number in range(4)),
        ("between", 1),
    ),
    "golden": tuple(("open", number) for number in range(7)),
    "cache": (("open", 0),),
    "plan": tuple(("open", number) for number in range(2)),
}
_FILES = {
    "onnxruntime": (WEIGHTS, WEIGHTS, WEIGHTS, VARIANT, VARIANT, GRAPH, _MANIFEST),
    "openvino": (WEIGHTS, WEIGHTS, GRAPH, _MANIFEST),
    "golden": (_GOLDEN, _MANIFEST),
    "cache": ("a.safetensors",),
    "plan": ("a.plan", "a.json"),
}
# Engines have more to try.
_SUBJECTS = ("onnxruntime", "openvino", "onnxruntime", "golden", "onnxruntime", "openvino", "onnxruntime", "plan")
_SUBJECTS = (*_SUBJECTS, *_SUBJECTS[:-1], "cache")


class SwappedFiles(Campaign):
    """Each trial is one change of one file at one moment, in a child of its own."""

    name = "swap"
    goal = "a file that is exchanged or written to after its hash is refused, or what is used is what was hashed"
    short = 200
    full = 20_000
    chunk = 250

    def run(self, trials: range, folder: Path) -> Tally:
        """Counts for each subject how often the change was refused and how often it did no harm."""
        tally = Tally()
        _libraries()
        places = _make_originals(folder)
        right, new = (_answers_of({name: pair[which] for name, pair in places.items()}) for which in (0, 1))
        for trial in trials:
            rng = np.random.default_rng(trial)
            subject = _SUBJECTS[trial % len(_SUBJECTS)]
            number = int(rng.integers(len(_CHANGES)))
            name = str(rng.choice(_FILES[subject]))
            moment = _MOMENTS[subject][int(rng.integers(len(_MOMENTS[subject])))]
            place = folder / "trial" / "b"
            shutil.copytree(places[subject][0], place)
            change = _Change(_CHANGES[number], place / name, places[subject][1] / name, moment)
            outcome = _outcome(subject, place, change, right[subject], new[subject])
            tally.trials += 1
            tally.counts[f"{subject}: {outcome}"] += 1
            if outcome not in _HARMLESS:
                what = f"{subject}, {name}, change {number}, {moment[0]} {moment[1]}: {outcome}"
                tally.findings.append(Finding(trial, what))
            shutil.rmtree(place.parent)
        return tally


_HARMLESS = ("refused", "the hashed file", "the new file", "not reached")


def _outcome(subject: str, place: Path, change: _Change, right: Any, new: Any) -> str:
    found, ended = in_a_child(lambda: _used(subject, place, change))
    if ended is not None:
        return str(ended)
    if isinstance(found["answer"], str):
        return str(found["answer"])
    if found["answer"] == right:
        return "the hashed file" if found["made"] else "not reached"
    # A folder that was exchanged while it was read is read again, as a whole; a cache is one file, read in one step.
    whole = change.make is _exchange_folder and change.moment[0] == "open"
    if found["answer"] == new and (whole or subject == "cache"):
        return "the new file"
    return "other answers than those of the hashed file"


def _answers_of(places: dict[str, Path]) -> dict[str, Any]:
    return {
        name: in_a_child(lambda name=name, place=place: _used(name, place, None))[0]["answer"]
        for name, place in places.items()
    }


def _libraries() -> None:
    """Loads in the parent what every child needs."""
    import onnxruntime  # noqa: F401 (each child would load it)
    import openvino  # noqa: F401 (the same)


def _make_originals(folder: Path) -> dict[str, tuple[Path, Path]]:
    """For each subject two folders: what is used, and what takes its place."""
    places: dict[str, tuple[Path, Path]] = {}
    for which in (0, 1):
        bundle, caches, plans = (folder / f"{kind}{which}" for kind in ("bundle", "cache", "plan"))
        write_small_bundle(bundle, seed=which, golden=True)
        draw = np.random.default_rng(which)
        caches.mkdir()
        labels = np.arange(6) % 3
        SupportCache.from_embeddings(draw.standard_normal((6, 2, 8)).astype(np.float16), labels, ["a", "b", "c"]).save(
            caches / "a.safetensors"
        )
        plans.mkdir()
        (plans / "a.plan").write_bytes(draw.bytes(5000))
        record_plan(_KEY, plans / "a.plan")
        for name, place in (("onnxruntime", bundle), ("openvino", bundle), ("golden", bundle), ("cache", caches)):
            places[name] = (places[name][0], place) if which else (place, place)
        places["plan"] = (places["plan"][0], plans) if which else (plans, plans)
    return places


_KEY = PlanKey("0" * 64, "10.3.0", "GPU", "8.7", "1:2:4", "system")


def _used(subject: str, place: Path, change: _Change | None) -> dict[str, Any]:
    """What comes of using a file while it is changed: the answers, or the kind of the error; and whether it was."""
    if change is not None:
        change.watch_opening()
    try:
        answer = _answers(subject, place, change)
    except (IntegrityError, InputError):
        answer = "refused"
    except MvrecEdgeError as error:
        answer = f"{type(error).__name__}: {error}"
    return {"answer": answer, "made": change is not None and change.made}


def _answers(subject: str, place: Path, change: _Change | None) -> list[Any] | str:
    if subject in ("onnxruntime", "openvino"):
        return _embeddings(subject, place, change)
    if subject == "golden":
        return [float(Golden.of(Bundle.load(place)).reference.sum())]
    if subject == "cache":
        return [SupportCache.load(place / "a.safetensors").digest]
    plan = verified_plan(_KEY, place / "a.plan")
    return "refused" if plan is None else [plan.hex()]


def _embeddings(name: str, place: Path, change: _Change | None) -> list[Any]:
    if change is not None:
        _hook(name, change)
    answers = []
    with open_engine(name, Bundle.load(place, graphs=()), threads=1) as engine:
        for _ in range(_ROUNDS):
            answers.append(engine.encode(_VIEWS).tobytes().hex())
            if change is not None:
                change.step("between")
    return answers


def _hook(name: str, change: _Change) -> None:
    if name == "onnxruntime":
        import onnxruntime

        change.around(onnxruntime, "InferenceSession", "opening")
        change.around(onnxruntime.capi.onnxruntime_inference_collection.Session, "run", "running")
    else:
        import openvino

        change.around(openvino.Core, "read_model", "opening")
        change.around(openvino.InferRequest, "infer", "running")
