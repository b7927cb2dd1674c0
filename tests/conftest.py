"""Fixtures shared by all tests."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mvrec_edge.runtime.bundle import Bundle, TransformerArchitecture
from tests.real_rtx import in_reach
from tests.skips import skipped_lines

REPOSITORY = Path(__file__).resolve().parents[1]

#: Small enough to encode hundreds of views in a test, with the shape of the real one.
TINY = TransformerArchitecture(image_size=56, patch_size=14, width=128, layers=3, embedding_dim=64)


#: Files that take longest, which start first: else one process works on the last of them while the others are done.
LONGEST_FIRST = (
    "tests/e2e/test_demo.py",
    "tests/package/test_layout.py",
    "tests/docs/test_bring_your_own_defects.py",
    "tests/contract/test_rtx_graphs.py",
    "tests/e2e/test_command_line.py",
    "tests/e2e/test_precisions.py",
    "tests/e2e/test_init_and_config.py",
    "tests/e2e/test_bench.py",
    "tests/unit/runtime/engines/tensorrt/test_engine.py",
    "tests/unit/runtime/engines/tensorrt/test_building.py",
    "tests/unit/export/test_graph_and_check.py",
    "tests/golden/test_transistor_table.py",
    "tests/e2e/test_privacy.py",
    "tests/e2e/test_tensorrt.py",
    "tests/unit/bench/test_round_robin.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first; all others stay in their order."""
    places = {REPOSITORY / name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Ends a run with what was skipped and how to get it."""
    skipped = terminalreporter.stats.get("skipped", [])
    # A test that is skipped carries its place and its reason; one that is expected to fail carries a text.
    places = [report.longrepr for report in skipped if isinstance(report.longrepr, tuple)]
    reasons = [str(reason).removeprefix("Skipped: ") for _, _, reason in places]
    for line in skipped_lines(reasons, len(terminalreporter.stats.get("deselected", []))):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps what is measured and built in a test out of the user's cache folder."""
    before = os.environ.get("MVREC_EDGE_CACHE")
    os.environ["MVREC_EDGE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["MVREC_EDGE_CACHE"]
    else:
        os.environ["MVREC_EDGE_CACHE"] = before


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data and reference outputs, beside the repository; absent on most machines."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared/data beside the repository: the golden references are not at hand")
    return folder


def _exported(factory: pytest.TempPathFactory, name: str, *precisions: str, views_in_graph: bool = False) -> Path:
    """A bundle of the tiny encoder, exported by the first process of a run that asks for it and read by all."""
    pytest.importorskip("torch", reason="the export stage needs PyTorch")
    base = factory.getbasetemp()
    # Each process of a run has a folder of its own in that of the run.
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    path = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            from mvrec_edge.export import export_bundle, random_weights

            weights = random_weights(TINY, seed=0)
            export_bundle(weights, path, precisions=precisions, views_in_graph=views_in_graph)
    return path


@pytest.fixture(scope="session")
def tiny_bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a tiny encoder with random weights, made by the export stage; nobody may change it."""
    return _exported(tmp_path_factory, "tiny.bundle", "fp32")


@pytest.fixture(scope="session")
def half_bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same encoder in fp32 and fp16."""
    return _exported(tmp_path_factory, "half.bundle", "fp32", "fp16")


@pytest.fixture(scope="session")
def cutting_bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same encoder in fp32 and fp16, with the graphs that cut views."""
    return _exported(tmp_path_factory, "cutting.bundle", "fp32", "fp16", views_in_graph=True)


@pytest.fixture(scope="session")
def precisions_bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same encoder in all four precisions."""
    for library, reason in (("openvino", "checks bf16"), ("nncf", "makes int8")):
        pytest.importorskip(library, reason=f"{library} {reason}")
    return _exported(tmp_path_factory, "precisions.bundle", "fp32", "fp16", "bf16", "int8")


@pytest.fixture
def half_bundle(half_bundle_path: Path) -> Bundle:
    """The same bundle, opened."""
    return Bundle.load(half_bundle_path)


@pytest.fixture
def cutting_bundle(cutting_bundle_path: Path) -> Bundle:
    """The same bundle, opened."""
    return Bundle.load(cutting_bundle_path)


@pytest.fixture
def precisions_bundle(precisions_bundle_path: Path) -> Bundle:
    """The same bundle, opened."""
    return Bundle.load(precisions_bundle_path)


@pytest.fixture
def tiny_bundle(tiny_bundle_path: Path) -> Bundle:
    """The same bundle, opened."""
    return Bundle.load(tiny_bundle_path)


@pytest.fixture
def rtx_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """NVIDIA's TensorRT for RTX, which builds without a GPU, and the empty cache folder of the test."""
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path / "cache"))
    with in_reach(monkeypatch):
        yield tmp_path / "cache"
