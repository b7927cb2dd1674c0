"""The calls of PyCUDA that the engine makes; they need a current context, as the real ones do."""

from __future__ import annotations

import ctypes
import os

import fake_gpu
import numpy as np


class Error(Exception):
    pass


_stack: list[object] = []


def _current() -> None:
    if not _stack:
        raise Error("no context is current")


def init() -> None:
    if os.environ.get("FAKE_CUDA") == "none":
        raise Error("no CUDA-capable device is detected")


class Context:
    def push(self) -> None:
        _stack.append(self)

    @staticmethod
    def pop() -> None:
        _stack.pop()

    def detach(self) -> None:
        pass


class Device:
    def __init__(self, index: int) -> None:
        assert index == 0

    def retain_primary_context(self) -> Context:
        return Context()

    def compute_capability(self) -> tuple[int, int]:
        return fake_gpu.CAPABILITY

    def name(self) -> str:
        return fake_gpu.NAME


class Stream:
    def __init__(self) -> None:
        _current()
        self.handle = fake_gpu.new_stream()

    def __del__(self) -> None:
        # As the real one: it goes with its last reference, while its context is current.
        _current()
        del fake_gpu.streams[self.handle]

    def synchronize(self) -> None:
        _current()
        fake_gpu.wait(self.handle)


class Allocation:
    def __init__(self, size: int) -> None:
        self.address = fake_gpu.allocate(size)

    def __int__(self) -> int:
        return self.address

    def free(self) -> None:
        _current()
        fake_gpu.free(self.address)


def mem_alloc(size: int) -> Allocation:
    _current()
    return Allocation(size)


def pagelocked_empty(shape, dtype):
    _current()
    return np.empty(shape, dtype)


def memcpy_htod_async(target, source, stream) -> None:
    _current()
    fake_gpu.copy(target, source.ctypes.data, source.nbytes, stream.handle, target)


def memcpy_dtoh_async(target, source, stream) -> None:
    _current()
    assert isinstance(target, np.ndarray)
    assert isinstance(target.ctypes.data_as(ctypes.c_void_p).value, int)
    fake_gpu.copy(target.ctypes.data, source, target.nbytes, stream.handle, source)
