"""Pages of mapped files: given back, unless something could be lost."""

from __future__ import annotations

import mmap
import re
import threading
from pathlib import Path

import pytest

from mvrec_edge.runtime.engines.openvino import mapped_pages
from mvrec_edge.runtime.engines.openvino.mapped_pages import giving_back

SIZE = 1 << 20


def resident(path: Path) -> int:
    """Bytes of a file's mappings that count as memory of this process."""
    pieces = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())
    sizes = [re.search(r"Rss:\s+(\d+) kB", piece) for piece in pieces if f" {path}\n" in piece]
    return sum(int(size[1]) << 10 for size in sizes if size)


def mapped(path: Path, access: int) -> mmap.mmap:
    with path.open("r+b") as stream:
        return mmap.mmap(stream.fileno(), 0, access=access)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    if not Path("/proc/self/smaps").exists():
        pytest.skip("the system has no list of mappings")
    path = tmp_path / "encoder.weights"
    path.write_bytes(bytes(range(256)) * (SIZE // 256))
    return path


def test_pages_that_were_read_are_given_back_and_can_be_read_again(weights: Path) -> None:
    with mapped(weights, mmap.ACCESS_READ) as data:
        whole = data[:]
        assert resident(weights) == SIZE
        with giving_back(weights):
            pass
        assert resident(weights) == 0
        assert data[:] == whole


def test_what_could_be_lost_and_what_lies_elsewhere_is_left_alone(weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "encoder.weights.2"
    other.write_bytes(bytes(SIZE))
    with mapped(weights, mmap.ACCESS_COPY) as private:
        private[5] = 99
        with giving_back(weights):
            pass
        assert private[5] == 99
    with mapped(weights, mmap.ACCESS_READ) as data:
        assert sum(data[:])
        with giving_back(other):
            pass
        assert resident(weights) == SIZE


def test_a_system_without_a_list_of_mappings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_pages, "_MAPPINGS", tmp_path / "none")
    before = threading.active_count()
    with giving_back(tmp_path / "none"):
        assert threading.active_count() == before


def test_the_helper_ends_with_what_it_helps(weights: Path) -> None:
    before = threading.active_count()
    with pytest.raises(RuntimeError), giving_back(weights):
        assert threading.active_count() == before + 1
        raise RuntimeError
    assert threading.active_count() == before


def test_a_mapping_that_comes_later_is_left_alone(weights: Path) -> None:
    """Its owner is not known to hold it until the end, and other memory may take its place."""
    with giving_back(weights), mapped(weights, mmap.ACCESS_READ) as data:
        assert sum(data[:])
        for _ in range(3):
            assert resident(weights) == SIZE
