"""The calls of cuda-python that the engine makes; each returns a status first."""

from __future__ import annotations

import os
from enum import IntEnum
from types import SimpleNamespace

import fake_gpu


class cudaError_t(IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorStreamCaptureUnsupported = 900


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class cudaStreamCaptureMode(IntEnum):
    cudaStreamCaptureModeThreadLocal = 1


_OK = cudaError_t.cudaSuccess
_mode = os.environ.get("FAKE_CUDA", "")


_FAILURES = {"none": cudaError_t.cudaErrorNoDevice, "old": cudaError_t.cudaErrorInsufficientDriver}


def cudaSetDevice(device):
    return (_FAILURES.get(_mode, _OK),)


def cudaDriverGetVersion():
    return _OK, int(os.environ.get("FAKE_DRIVER", "12040"))


def cudaGetDeviceProperties(device):
    major, minor = fake_gpu.CAPABILITY
    return _OK, SimpleNamespace(name=fake_gpu.NAME.encode(), major=major, minor=minor)


def cudaStreamCreate():
    return _OK, fake_gpu.new_stream()


def cudaStreamDestroy(stream):
    del fake_gpu.streams[stream]
    return (_OK,)


def cudaStreamSynchronize(stream):
    fake_gpu.wait(stream)
    return (_OK,)


def cudaMalloc(size):
    if _mode == "full":
        return cudaError_t.cudaErrorMemoryAllocation, 0
    return _OK, fake_gpu.allocate(size)


def cudaFree(address):
    fake_gpu.free(address)
    return (_OK,)


cudaMallocHost = cudaMalloc
cudaFreeHost = cudaFree


def cudaMemcpyAsync(target, source, size, kind, stream):
    device = target if kind == cudaMemcpyKind.cudaMemcpyHostToDevice else source
    fake_gpu.copy(target, source, size, stream, device)
    return (_OK,)


def cudaStreamBeginCapture(stream, mode):
    if _mode == "nograph":
        return (cudaError_t.cudaErrorStreamCaptureUnsupported,)
    fake_gpu.capturing[stream] = []
    return (_OK,)


def cudaStreamEndCapture(stream):
    return _OK, fake_gpu.capturing.pop(stream)


def cudaGraphInstantiate(graph, flags):
    return _OK, list(graph)


def cudaGraphLaunch(launched, stream):
    fake_gpu.streams[stream].extend(launched)
    return (_OK,)


def cudaGraphExecDestroy(launched):
    launched.clear()
    return (_OK,)


def cudaGraphDestroy(graph):
    graph.clear()
    return (_OK,)
