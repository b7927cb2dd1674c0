"""What a recorded Jetson is told, through the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.commands import run


@pytest.mark.parametrize(
    ("release", "arguments", "words"),
    [
        ("R36 (release), REVISION: 4.3", ("--engine", "tensorrt"), "sudo apt install nvidia-jetpack python3-venv"),
        ("R35 (release), REVISION: 4.1", ("--engine", "tensorrt"), "on an Orin, install JetPack 6.1 or newer"),
        ("R39 (release), REVISION: 2.1", ("--engine", "tensorrt-rtx"), "use --engine tensorrt"),
    ],
)
def test_on_a_jetson_the_command_is_that_of_the_board(
    tiny_bundle_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    release: str,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    """The extra of PCs would install nothing there, or the wrong thing."""
    for module in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "nv_tegra_release").write_text(f"# {release}, GCID: 1, BOARD: generic, EABI: aarch64\n")
    monkeypatch.setattr("mvrec_edge.runtime.jetson.SYSTEM", tmp_path)
    said = run("verify", tiny_bundle_path, *arguments, code=5).stdout
    assert words in said
    assert "[tensorrt" not in said
