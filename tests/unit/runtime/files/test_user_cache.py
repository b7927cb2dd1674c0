"""Where the user's cache folder lies, and who may read it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files.user_cache import belongs_to_user, user_cache, user_cache_path


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


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_place_where_others_may_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    folder.chmod(mode)
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(folder))
    with pytest.raises(OutputError, match=r"another user owns it or may write there \(chmod go-w"):
        user_cache()
    folder.chmod(0o755)
    assert user_cache() == folder


def test_a_place_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path / "a"))
    user_cache()
    assert belongs_to_user(tmp_path / "a")
    if os.geteuid() != 0:
        pytest.skip("only an administrator can give a folder to another user")
    os.chown(tmp_path / "a", 12345, -1)
    with pytest.raises(OutputError, match="another user owns it"):
        user_cache()


def test_a_folder_within_is_checked_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path / "a"))
    inner = user_cache("plans")
    assert (inner, inner.stat().st_mode & 0o777) == (tmp_path / "a" / "plans", 0o700)
    inner.chmod(0o777)
    with pytest.raises(OutputError, match="plans: is not used as this user's cache folder"):
        user_cache("plans")
