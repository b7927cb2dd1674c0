"""Where the user's cache folder lies, and who may read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files.user_cache import user_cache, user_cache_path


def test_the_order_of_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MVREC_EDGE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/line")
    assert user_cache_path() == Path("/home/line/.cache/mvrec-edge")
    monkeypatch.setenv("XDG_CACHE_HOME", "/fast")
    assert user_cache_path() == Path("/fast/mvrec-edge")
    monkeypatch.setenv("MVREC_EDGE_CACHE", "/own")
    assert user_cache_path() == Path("/own")


def test_open_to_this_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path / "a"))
    assert user_cache().stat().st_mode & 0o777 == 0o700


def test_a_place_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path / "file" / "a"))
    with pytest.raises(OutputError):
        user_cache()
