"""The lock: one at a time, also between processes, and gone with the process that held it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mvrec_edge.runtime.errors import LockedError, OutputError
from mvrec_edge.runtime.files.file_lock import claimed, locked

_HOLD = """
import sys
from pathlib import Path
from mvrec_edge.runtime.files.file_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_no_change_of_another_thread_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.write_text("0")

    def count() -> None:
        for _ in range(50):
            with locked(path):
                path.write_text(str(int(path.read_text()) + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() == "200"


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_a_lock_of_another_process_is_waited_for(tmp_path: Path, how: str) -> None:
    path = tmp_path / "line.safetensors"
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    told: list[bool] = []

    def let_go() -> None:
        # It still holds the lock while this is called, and is told to let go only now.
        told.append(holder.poll() is None)
        if how == "ends":
            holder.stdin.close()  # type: ignore[union-attr]
        else:
            holder.kill()

    with locked(path, let_go):
        assert told == [True]
    holder.wait()
    holder.stdout.close()
    with locked(path, lambda: told.append(False)):
        assert told == [True]


def test_a_block_that_fails_frees_the_lock(tmp_path: Path) -> None:
    told: list[bool] = []
    with pytest.raises(ValueError, match="x"), locked(tmp_path / "a"):
        raise ValueError("x")
    with locked(tmp_path / "a", lambda: told.append(True)):
        assert told == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"), locked(tmp_path / "none" / "a"):
        pass


def test_a_claim_is_refused_to_others_and_leaves_nothing(tmp_path: Path) -> None:
    path, link = tmp_path / "r.html", tmp_path / "link"
    link.symlink_to("r.html")
    with claimed(path):
        for name in (path, link):
            with pytest.raises(LockedError, match="another process is writing there"), claimed(name):
                pass
        with claimed(tmp_path / "other"):
            pass
    with claimed(link):
        pass
    assert [each.name for each in tmp_path.iterdir()] == ["link"]


def test_a_claim_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".a.claim").touch()
    with claimed(tmp_path / "a"):
        assert (tmp_path / ".a.claim").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_is_given_up_meanwhile_is_not_shared(tmp_path: Path) -> None:
    """Threads that open the lock file while another one removes it."""
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(200):
            with contextlib.suppress(LockedError), claimed(tmp_path / "a"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


def test_a_pipe_and_a_long_name_can_be_claimed(tmp_path: Path) -> None:
    with claimed(Path("/dev/null")), claimed(Path("/dev/null")):
        pass
    with claimed(tmp_path / ("x" * 250)):
        pass
    with pytest.raises(OutputError, match="does not exist"), claimed(tmp_path / "none" / "a"):
        pass
