"""A graph that is held: what a library opens is what was hashed, and stays so."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mvrec_edge.pocket import POCKET_BUNDLE
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.bundle import HeldGraph
from mvrec_edge.runtime.errors import IntegrityError

GRAPH, WEIGHTS = "encoder.fp32.onnx", "encoder.fp32.weights"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(POCKET_BUNDLE, tmp_path / "b", copy_function=shutil.copyfile))


@pytest.fixture
def held(folder: Path) -> Iterator[HeldGraph]:
    with contextlib.closing(Bundle.load(folder, graphs=()).hold("fp32")) as held:
        yield held


def _replace(file: Path, data: bytes) -> None:
    file.with_name("new").write_bytes(data)
    file.with_name("new").replace(file)


def _away_and_back(folder: Path) -> None:
    folder.rename(folder.with_name("aside"))
    shutil.copytree(folder.with_name("aside"), folder)
    shutil.rmtree(folder)
    folder.with_name("aside").rename(folder)


CHANGES: dict[str, Callable[[Path], object]] = {
    "the graph by another": lambda folder: _replace(folder / GRAPH, b"other"),
    "the weights by their copy": lambda folder: _replace(folder / WEIGHTS, (folder / WEIGHTS).read_bytes()),
    "the folder by its copy": lambda folder: shutil.copytree(folder.rename(folder.with_name("aside")), folder),
    "the folder, and back": _away_and_back,
    "the folder by nothing": lambda folder: folder.rename(folder.with_name("aside")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_exchanged_before_it_is_opened_is_refused(folder: Path, held: HeldGraph, name: str) -> None:
    with pytest.raises(IntegrityError, match="was changed or exchanged while"), held.opening():
        CHANGES[name](folder)


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_exchanged_later_does_no_harm(folder: Path, held: HeldGraph, name: str) -> None:
    with held.opening():
        pass
    CHANGES[name](folder)
    for _ in range(2):
        with held.reading():
            pass


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS])
def test_what_is_written_to_later_is_refused(folder: Path, held: HeldGraph, name: str) -> None:
    with held.opening():
        pass
    (folder / name).write_bytes((folder / name).read_bytes())
    for _ in range(2):
        with (
            pytest.raises(IntegrityError, match=f"{name}: was changed or exchanged .*while it was in use"),
            held.reading(),
        ):
            pytest.fail("nothing may be computed from it")


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS])
def test_what_is_written_to_meanwhile_is_refused(
    folder: Path, held: HeldGraph, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the file system has no leases."""
    monkeypatch.delattr("fcntl.F_SETLEASE", raising=False)
    with held.opening():
        pass
    with pytest.raises(IntegrityError, match=f"{name}: was changed or exchanged while it was in use"), held.reading():
        os.truncate(folder / name, 3)


def test_an_error_of_a_library_that_met_a_change_is_that_of_the_change(folder: Path, held: HeldGraph) -> None:
    with pytest.raises(IntegrityError, match="while it was opened"), held.opening():
        _replace(folder / GRAPH, b"half")
        raise ValueError("protobuf parsing failed")


def test_an_error_of_a_library_that_met_none_is_its_own(held: HeldGraph) -> None:
    for inside in (held.opening, held.reading):
        with pytest.raises(ValueError, match="no such operator"), inside():
            raise ValueError("no such operator")


def test_a_link_may_lead_elsewhere_meanwhile(folder: Path) -> None:
    (folder.parent / "current").symlink_to("b")
    with contextlib.closing(Bundle.load(folder.parent / "current").hold("fp32")) as held:
        with held.opening():
            (folder.parent / "current").unlink()
            assert (held.graph.parent / WEIGHTS).stat().st_size
        with held.reading():
            pass


def test_one_that_is_forgotten_holds_up_nobody(folder: Path) -> None:
    held = Bundle.load(folder).hold("fp32")
    with held.opening():
        pass
    del held
    gc.collect()
    with ThreadPoolExecutor(1) as pool:
        pool.submit((folder / WEIGHTS).write_bytes, b"").result(timeout=20)


def test_a_build_holds_up_nobody(folder: Path, held: HeldGraph) -> None:
    with pytest.raises(IntegrityError, match="while it was opened"), held.opening(mapped=False):
        (folder / WEIGHTS).write_bytes(b"")
