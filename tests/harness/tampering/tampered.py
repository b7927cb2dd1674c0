"""The campaign `tampering`: a changed file is refused before a native library opens it.

The libraries' opening functions are replaced by spies, which note what they are given and open nothing. Now and then
nothing is changed, and then the spies must have been asked: else they would see nothing.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
from mvrec_edge.runtime import Bundle, SupportCache
from mvrec_edge.runtime.bundle import Golden, GraphRecord, TransformerArchitecture, WeightsSource, write_bundle
from mvrec_edge.runtime.engines.engine_registry import open_engine
from mvrec_edge.runtime.engines.tensorrt.plan_keys import PlanKey
from mvrec_edge.runtime.engines.tensorrt.plans import plan_path, record_plan, verified_plan
from mvrec_edge.runtime.errors import EnvironmentUnfitError, MvrecEdgeError
from mvrec_edge.runtime.support.versions import SupportVersions
from tests.harness.campaign import Campaign, Finding, Tally
from tests.harness.parsers.own_seeds import VIEW_SIZE, cache
from tests.harness.parsers.protobuf_mutation import GRAPH, WEIGHTS

__all__ = ["Tampering"]

#: One trial of so many changes nothing.
_CONTROL = 25

Spied = list[str]
Open = Callable[[], object]


class Tampering(Campaign):
    """Bundles, support caches, plans, versions and stored embeddings with a change in one file."""

    name = "tampering"
    goal = "a changed bundle, cache, plan, version or stored embedding is refused before a native library opens it"
    short = 1_000
    full = 20_000
    chunk = 500

    def run(self, trials: range, folder: Path) -> Tally:
        """Does some trials; what one changes, and how, follows from its number."""
        tally = Tally()
        environment = mock.patch.dict(os.environ, {"MVREC_EDGE_CACHE": str(folder / "user")})
        with environment, _spies() as spied:
            subjects = _subjects(folder, spied)
            for number in trials:
                subject = subjects[number % len(subjects)]
                source = random.Random(number)
                found = subject.untouched() if number % _CONTROL == 0 else subject.tampered(source)
                tally.trials += 1
                tally.counts[subject.name] += 1
                if found is not None:
                    tally.findings.append(Finding(number, f"{subject.name}: {found}"))
        return tally


class _Subject:
    """Something that is opened, and the files that a trial changes.

    Args:
        name: What it is.
        files: Its files.
        opened: Opens it; what it returns is used, so it must be what was written.
        whole: What `opened` returns of the files as they are.
        spied: What native libraries were asked to open.
    """

    def __init__(self, name: str, files: list[Path], opened: Open, whole: object, spied: Spied) -> None:
        self.name = name
        self._kept = {file: file.read_bytes() for file in files}
        self._opened = opened
        self._whole = whole
        self._spied = spied

    def untouched(self) -> str | None:
        """What is wrong where nothing was changed."""
        self._spied.clear()
        try:
            answer = self._opened()
        except MvrecEdgeError as error:
            return f"refused although nothing was changed: {error}"
        if answer != self._whole:
            return "is another although nothing was changed"
        return None if self._spied or self._whole is not _OPENED else "the spies were not asked"

    def tampered(self, source: random.Random) -> str | None:
        """What is wrong where a file was changed; the file is as it was afterwards."""
        file = source.choice(list(self._kept))
        change = source.choice(_CHANGES)
        self._spied.clear()
        try:
            change(file, self._kept[file], source)
            if file.is_file() and not file.is_symlink() and file.read_bytes() == self._kept[file]:
                return None
            return self._wrong()
        finally:
            _remove(file)
            _remove(file.with_name("stranger"))
            file.write_bytes(self._kept[file])

    def _wrong(self) -> str | None:
        try:
            answer = self._opened()
        except MvrecEdgeError:
            return f"{self._spied[0]} opened it before it was refused" if self._spied else None
        if self._spied:
            return f"{self._spied[0]} opened it"
        # What is not covered by a hash, such as a blank in a header, must not matter.
        return None if answer in (None, self._whole) and self._whole is not _OPENED else "was opened"


#: What opening gives where nothing but the spies can tell that it was opened.
_OPENED = "opened"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# How a file is changed.


def _one_byte(file: Path, data: bytes, source: random.Random) -> None:
    changed = bytearray(data)
    changed[source.randrange(len(data))] ^= source.randrange(1, 256)
    file.write_bytes(changed)


def _one_bit(file: Path, data: bytes, source: random.Random) -> None:
    changed = bytearray(data)
    changed[source.randrange(len(data))] ^= 1 << source.randrange(8)
    file.write_bytes(changed)


def _zeros(file: Path, data: bytes, source: random.Random) -> None:
    place = source.randrange(len(data))
    piece = data[place : place + 16]
    file.write_bytes(data[:place] + bytes(len(piece)) + data[place + len(piece) :])


def _exchanged_bytes(file: Path, data: bytes, source: random.Random) -> None:
    one, other = sorted(source.sample(range(len(data)), 2))
    changed = bytearray(data)
    changed[one], changed[other] = changed[other], changed[one]
    file.write_bytes(changed)


_CHANGES: tuple[Callable[[Path, bytes, random.Random], object], ...] = (
    *(_one_byte, _one_byte, _one_byte, _one_bit, _one_bit, _zeros, _exchanged_bytes),
    lambda file, data, source: file.write_bytes(data[: source.randrange(len(data))]),
    lambda file, data, source: file.write_bytes(data + source.randbytes(source.choice((1, 8, 4096)))),
    lambda file, data, source: file.write_bytes(source.randbytes(len(data))),
    lambda file, data, source: file.unlink(),
    lambda file, data, source: (file.unlink(), file.mkdir()),
    lambda file, data, source: (file.unlink(), os.mkfifo(file)),
    lambda file, data, source: (file.unlink(), file.symlink_to("/dev/zero")),
    lambda file, data, source: (file.unlink(), file.symlink_to("nowhere")),
)


# What is opened.


@contextlib.contextmanager
def _spies() -> Iterator[Spied]:
    """Stands in for whatever opens a file in a native library, and notes who was asked."""
    spied: Spied = []

    def spy(name: str) -> Callable[..., Any]:
        def asked(*_: object, **__: object) -> Any:
            spied.append(name)
            raise RuntimeError("a spy opens nothing")

        return asked

    with contextlib.ExitStack() as stack:
        for library, name in (
            *(("onnxruntime", "InferenceSession"), ("openvino", "Core.read_model"), ("openvino", "Core.compile_model")),
            *(("safetensors", "deserialize"), ("safetensors", "safe_open"), ("safetensors.numpy", "load")),
        ):
            if importlib.util.find_spec(library) is not None:
                stack.enter_context(mock.patch(f"{library}.{name}", spy(name)))
        yield spied


def _subjects(folder: Path, spied: Spied) -> list[_Subject]:
    makers = (_graphs, _golden, _support_cache, _plan, _version, _stored)
    return [subject for make in makers for subject in make(folder, spied)]


def _bundle(folder: Path) -> Path:
    path = folder / "encoder.bundle"
    if not path.exists():
        answers = np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)
        with write_bundle(path) as draft:
            (draft.folder / "encoder.fp32.onnx").write_bytes(GRAPH)
            (draft.folder / WEIGHTS[0]).write_bytes(WEIGHTS[1])
            views = np.zeros((2, VIEW_SIZE, VIEW_SIZE, 4), np.uint8)
            Golden(views, answers, {"fp32": answers}).save(draft.folder / "golden.safetensors")
            draft.finish(
                created_by="mvrec-edge",
                architecture=TransformerArchitecture(VIEW_SIZE, 14, 64, 2, 8),
                weights=WeightsSource("random", "tiny", "", 0),
                graphs=(GraphRecord(file="encoder.fp32.onnx", weights=WEIGHTS[0], precision="fp32"),),
            )
    return path


def _graphs(folder: Path, spied: Spied) -> list[_Subject]:
    path = _bundle(folder)

    def opening(engine: str) -> Open:
        def opened() -> object:
            # What only the engine reads is hashed when it is opened, as in `classify`.
            bundle = Bundle.load(path, graphs=())
            with contextlib.suppress(EnvironmentUnfitError):
                open_engine(engine, bundle, threads=1).close()
            return _OPENED

        return opened

    engines = [name for name in ("onnxruntime", "openvino") if importlib.util.find_spec(name) is not None]
    return [_Subject(f"bundle, {name}", sorted(path.iterdir()), opening(name), _OPENED, spied) for name in engines]


def _golden(folder: Path, spied: Spied) -> list[_Subject]:
    path = _bundle(folder)

    def opened() -> object:
        return Golden.of(Bundle.load(path)).reference.tobytes()

    return [_Subject("golden views", [path / "golden.safetensors"], opened, opened(), spied)]


def _support_cache(folder: Path, spied: Spied) -> list[_Subject]:
    file = folder / "line.safetensors"
    cache().save(file)

    def opened() -> object:
        return SupportCache.load(file).digest

    return [_Subject("support cache", [file], opened, opened(), spied)]


def _plan(folder: Path, spied: Spied) -> list[_Subject]:
    del folder
    key = PlanKey("12" * 32, "10.3.0", "Orin", "8.7", "1:27:54", "Linux aarch64")
    file = plan_path(key)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(range(256)))
    record_plan(key, file)

    def opened() -> object:
        return verified_plan(key, file)

    return [_Subject("plan", [file, file.with_suffix(".json")], opened, opened(), spied)]


def _version(folder: Path, spied: Spied) -> list[_Subject]:
    place = folder / "versions"
    place.mkdir(exist_ok=True)
    present, before = cache(), cache().changed(encoder_name="before")
    file = place / "line.safetensors"
    earlier = file.with_name(f"{file.name}.1")
    before.save(earlier)

    def opened() -> object:
        present.save(file)
        versions = SupportVersions(file)
        try:
            with versions.change():
                versions.rollback(1)
        except MvrecEdgeError:
            if SupportCache.load(file).digest != present.digest:
                raise AssertionError("the present version is lost") from None
            raise
        found = SupportCache.load(file).digest
        # The step back leaves the numbers changed; they are as before in the next trial.
        for other in place.glob("line.safetensors.*"):
            _remove(other)
        before.save(earlier)
        return found

    return [_Subject("version", [earlier], opened, opened(), spied)]


def _stored(folder: Path, spied: Spied) -> list[_Subject]:
    store, key = EmbeddingStore(folder / "store"), "ef" * 32
    embedding = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    store.put(key, embedding)
    files = [path for path in store.folder.rglob("*") if path.is_file()]

    def opened() -> object:
        found = store.get(key, (3, 8))
        return None if found is None else found.tobytes()

    return [_Subject("stored embedding", files, opened, embedding.tobytes(), spied)]
