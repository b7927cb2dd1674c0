"""Memory and streams of a GPU that is not there."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

NAME = "Fake GPU"
CAPABILITY = (8, 7)

allocations: dict[int, ctypes.Array] = {}
streams: dict[int, list[Callable[[], None]]] = {}
capturing: dict[int, list[Callable[[], None]]] = {}


def allocate(size: int) -> int:
    buffer = (ctypes.c_uint8 * size)()
    address = ctypes.addressof(buffer)
    allocations[address] = buffer
    return address


def free(address: int) -> None:
    del allocations[address]


def check(address: int, size: int) -> None:
    for start, buffer in allocations.items():
        if start <= address and address + size <= start + len(buffer):
            return
    raise AssertionError(f"{size} bytes at {address:#x} were never allocated")


def new_stream() -> int:
    handle = max(streams, default=0x1000) + 1
    streams[handle] = []
    return handle


def enqueue(stream: int, work: Callable[[], None]) -> None:
    capturing.get(stream, streams[stream]).append(work)


def wait(stream: int) -> None:
    assert stream not in capturing, "waiting breaks a capture"
    while streams[stream]:
        streams[stream].pop(0)()


def copy(target: int, source: int, size: int, stream: int, device: int) -> None:
    check(device, size)
    enqueue(stream, lambda: ctypes.memmove(target, source, size))
