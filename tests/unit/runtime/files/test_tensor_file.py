"""A safetensors file that is replaced while it is read gives one of the two, never a mixture."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import safetensors.numpy

from mvrec_edge.runtime.files.tensor_file import read_tensors


def test_a_file_replaced_while_it_is_read_gives_one_or_the_other(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    contents = [
        safetensors.numpy.save({"x": np.full(size, size, np.float32)}, metadata={"size": str(size)})
        for size in (3, 50_000)
    ]
    path.write_bytes(contents[0])
    done = threading.Event()

    def replace() -> None:
        turn = 0
        while not done.is_set():
            turn = 1 - turn
            beside = tmp_path / "beside"
            beside.write_bytes(contents[turn])
            beside.replace(path)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(300):
            tensors, metadata = read_tensors(path, "a file")
            size = int(metadata["size"])
            assert tensors["x"].shape == (size,)
            assert (tensors["x"] == size).all()
    finally:
        done.set()
        thread.join()
