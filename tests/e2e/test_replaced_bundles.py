"""What a command does to a bundle that it replaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvrec_edge.pocket.finished import copy_pocket
from tests.e2e.commands import run


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    copy_pocket(tmp_path / "pocket.bundle")
    return tmp_path / "pocket.bundle"


def test_a_private_bundle_stays_private(bundle: Path) -> None:
    bundle.chmod(0o700)
    for file in bundle.iterdir():
        file.chmod(0o600)
    before = bundle.stat().st_ino
    run("export", "pocket", "--out", bundle, "--overwrite")
    assert bundle.stat().st_ino != before
    assert bundle.stat().st_mode & 0o7777 == 0o700
    assert {file.stat().st_mode & 0o7777 for file in bundle.iterdir()} == {0o600}
