"""Safetensors files: read as the library reads them, within bounds, and never a mixture of two."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.files.tensor_file import LARGEST_HEADER, read_tensors, tensors_in
from tests.harness.limits import cost_of, fault


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


_KINDS = ("bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")


def _same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    return found.keys() == expected.keys() and all(
        found[name].dtype == expected[name].dtype and np.array_equal(found[name], expected[name]) for name in found
    )


def test_every_type_and_shape_is_read_as_it_was_written(tmp_path: Path) -> None:
    tensors = {kind: np.arange(6).astype(kind).reshape(1, 2, 3) for kind in _KINDS}
    tensors |= {"empty": np.zeros((0, 5), np.float32), "alone": np.array(3, np.float16)}
    safetensors.numpy.save_file(tensors, tmp_path / "a", metadata={"x": "\u00e4 \U0001f600"})
    found, metadata = read_tensors(tmp_path / "a", "a file")
    assert _same(found, tensors)
    assert metadata == {"x": "\u00e4 \U0001f600"}
    found["u1"][...] = 9  # nobody else holds the memory


_FILE = safetensors.numpy.save({"a": np.arange(4, dtype=np.int16), "b": np.ones((2, 2), np.float32)}, {"x": "y"})


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_read_of_a_damaged_file_is_what_the_library_reads(data: st.DataObject) -> None:
    changed = bytearray(_FILE)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(
            st.sampled_from(b' 0123459,:[]{}"aFIU\x00\xff')
        )
    try:
        found, _ = tensors_in(io.BytesIO(changed), len(changed))
    except ValueError:
        return
    assert _same(found, safetensors.numpy.load(bytes(changed)))


def _file(header: object, values: bytes = bytes(16), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + values


def _tensor(**changes: object) -> dict[str, object]:
    return {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **changes}}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08",
        _file([]),
        _file({"a": 1}),
        _file(_tensor(more=1)),
        _file(_tensor(dtype="F3")),
        _file(_tensor(dtype=[])),
        _file(_tensor(dtype="BF16", shape=[8])),
        _file(_tensor(shape=[5])),
        _file(_tensor(shape=[4.0])),
        _file(_tensor(shape=[True, 4])),
        _file(_tensor(shape=[-4])),
        _file(_tensor(shape=[1] * 9 + [4])),
        _file(_tensor(shape=[0, 1 << 33], data_offsets=[0, 0]), b""),
        _file(_tensor(shape=[2**62])),
        _file(_tensor(data_offsets=[0, 16, 32])),
        _file(_tensor(data_offsets=[16, 0])),
        _file(_tensor(data_offsets=[8, 24])),
        _file(_tensor(), bytes(17)),
        _file(_tensor(), bytes(15)),
        _file({**_tensor(), "b": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}),
        _file({**_tensor(), "b": {"dtype": "F32", "shape": [4], "data_offsets": [20, 36]}}, bytes(36)),
        _file({**_tensor(), "__metadata__": {"x": 1}}),
        _file({**_tensor(), "__metadata__": ["x"]}),
        _file(_tensor(), length=1 << 63),
        _file(b'{"a":NaN}'),
        _file(b"[" * 100_000),
    ],
)
def test_what_is_no_tensor_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(InputError, match="is not a file, or is damaged"):
        read_tensors(tmp_path / "a", "a file")


@pytest.mark.parametrize(
    "header",
    [
        lambda: b" " * (LARGEST_HEADER + 1),
        lambda: b'{"__metadata__":{"a":"' + b"a" * 60_000_000 + b'"}}',
        lambda: b'{"a":' + b"[" * 15_000_000,
        lambda: b"{" + b",".join(b'"%d":[]' % place for place in range(1_000_000)) + b"}",
        lambda: b'{"__metadata__":{"a":"' + b"\\n" * 8_000_000 + b'"',
        lambda: b'"' * LARGEST_HEADER,
    ],
)
def test_a_header_that_takes_much_is_refused_at_little_cost(tmp_path: Path, header: Callable[[], bytes]) -> None:
    (tmp_path / "a").write_bytes(_file(header(), b""))
    cost = cost_of(lambda: read_tensors(tmp_path / "a", "a file"))
    assert fault(cost) is None
    assert "is not a file, or is damaged" in str(cost.refusal)


def test_a_header_that_promises_much_takes_no_memory(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as stream:
        stream.write(_file(_tensor(shape=[1 << 30], data_offsets=[0, 1 << 32]), b""))
        stream.truncate(1 << 33)  # sparse: takes no space
    cost = cost_of(lambda: read_tensors(tmp_path / "a", "a file"))
    assert fault(cost) is None
    assert "do not end with it" in str(cost.refusal)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(InputError, match="cannot be read: is not a regular file"):
        read_tensors(tmp_path / "a", "a file")
