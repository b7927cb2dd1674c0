"""The last lines of a run say what was skipped and how to get it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.skips import skipped_lines

REPOSITORY = Path(__file__).resolve().parents[2]


def test_equal_reasons_are_one_line_with_a_remedy() -> None:
    reasons = ["no Chromium with its driver"] * 3 + ["something else"]
    assert skipped_lines(reasons, 8) == [
        "3 skipped: no Chromium with its driver -> make browser-tools (Debian, as root), or install Chromium with its "
        "driver",
        "1 skipped: something else",
        "8 left out by their marker -> make test-slow runs all",
    ]


def test_nothing_skipped_says_nothing() -> None:
    assert skipped_lines([]) == []


def test_a_run_ends_with_them() -> None:
    """Of a run without a browser on its path, the lines before the last."""
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", "tests/browser/test_report_page.py"]
    result = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={"PATH": str(Path(sys.executable).parent)},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    last = result.stdout.strip().splitlines()[-2:]
    assert "skipped: no Chromium" in last[0]
    assert last[0].endswith("-> make browser-tools (Debian, as root), or install Chromium with its driver")


def test_the_files_that_start_first_are_there() -> None:
    from tests.conftest import LONGEST_FIRST

    assert [name for name in LONGEST_FIRST if not (REPOSITORY / name).is_file()] == []
