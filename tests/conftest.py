"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvrec_edge.runtime.bundle import Bundle, EncoderArchitecture

REPOSITORY = Path(__file__).resolve().parents[1]

#: Small enough to encode hundreds of views in a test, with the shape of the real one.
TINY = EncoderArchitecture(image_size=56, patch_size=14, width=128, layers=3, embedding_dim=64)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data and reference outputs, beside the repository; absent on most machines."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared/data beside the repository: the golden references are not at hand")
    return folder


@pytest.fixture(scope="session")
def tiny_bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a tiny encoder with random weights, made by the export stage."""
    pytest.importorskip("torch", reason="the export stage needs PyTorch")
    from mvrec_edge.export import export_bundle, random_weights

    path = tmp_path_factory.mktemp("bundles") / "tiny.bundle"
    export_bundle(random_weights(TINY, seed=0), path)
    return path


@pytest.fixture
def tiny_bundle(tiny_bundle_path: Path) -> Bundle:
    """The same bundle, opened."""
    return Bundle.load(tiny_bundle_path)
