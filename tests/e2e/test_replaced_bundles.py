"""What a command does to a bundle that it replaces."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mvrec_edge.pocket.finished import copy_pocket
from mvrec_edge.runtime.files.file_lock import claimed
from mvrec_edge.runtime.files.mount_point import is_mount_point
from tests.e2e.commands import error_line, run, run_process
from tests.real_rtx import require_rtx


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


@pytest.fixture
def mounted(bundle: Path) -> Iterator[Path]:
    """A bundle that is mounted from within the same file system, as a container has it."""
    place = bundle.with_name("mounted.bundle")
    place.mkdir()
    if subprocess.run(["mount", "--bind", bundle, place], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_mount_point_is_refused_before_any_work(mounted: Path) -> None:
    for words in (
        ("export", "pocket", "--out", mounted, "--overwrite"),
        ("build", mounted, "--for", "rtx", "--into-bundle"),
    ):
        line = error_line(run(*words, code=6))
        assert f"{mounted}: is a mount point" in line
        assert "mount the folder above it" in line


def test_what_is_a_mount_point(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc")
    assert is_mount_point(tmp_path / "link")
    assert not is_mount_point(tmp_path)
    assert not is_mount_point(tmp_path / "none")


def test_a_bundle_that_another_process_writes_gets_its_plan_later(bundle: Path, tmp_path: Path) -> None:
    environment = {
        "PYTHONPATH": os.pathsep.join([str(require_rtx()), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        "MVREC_EDGE_CACHE": str(tmp_path / "cache"),
    }
    words = ("build", bundle, "--for", "rtx", "--precision", "fp32", "--into-bundle")
    with claimed(bundle):
        lines = run_process(*words, code=8, environment=environment).stderr.splitlines()
    (plan,) = (tmp_path / "cache" / "plans").glob("*.plan")
    assert lines[-3] == f"{plan}: the plan is kept there"
    assert lines[-2] == "the same command, given again, only copies what is kept into the bundle"
    assert "there already" in run_process(*words, environment=environment).stderr
