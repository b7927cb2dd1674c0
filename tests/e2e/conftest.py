"""Fixtures shared by the end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.commands import run


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, tiny_bundle_path: Path) -> Path:
    """A folder with a rendered data set and a support cache made from it by the command line."""
    from mvrec_edge.testing.dataset import write_dataset

    folder = tmp_path_factory.mktemp("line")
    write_dataset(folder / "parts", families=("scratch", "stain", "pit"), per_class=4, size=(240, 320), seed=0)
    quick = ("--shots", 2, "--resample", "fast")
    run("calibrate", tiny_bundle_path, folder / "parts", *quick, "--out", folder / "line.safetensors")
    return folder
