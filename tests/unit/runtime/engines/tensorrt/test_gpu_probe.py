"""The GPU as the driver knows it, asked without a CUDA library."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.engines.tensorrt.gpu_probe import first_gpu

_DRIVER = """
#include <string.h>
int cuInit(unsigned int flags) { return INIT; }
int cuDeviceGet(int *device, int place) { *device = place; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "NVIDIA A GPU", length); return 0; }
int cuDeviceGetAttribute(int *value, int which, int device) { *value = which == 75 ? 12 : 1; return 0; }
"""


@pytest.mark.parametrize(("init", "gpu"), [(0, GpuModel("NVIDIA A GPU", "12.1")), (100, None)])
def test_what_the_driver_says(tmp_path: Path, init: int, gpu: GpuModel | None) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: a stand-in for the CUDA driver cannot be built")
    source, library = tmp_path / "driver.c", tmp_path / "driver.so"
    source.write_text(_DRIVER.replace("INIT", str(init)))
    subprocess.run([compiler, "-w", "-shared", "-fPIC", "-o", library, source], check=True)
    assert first_gpu(str(library)) == gpu


@pytest.mark.parametrize("library", ["libcuda-of-nobody.so.1", "libc.so.6"])
def test_no_driver_and_something_else(library: str) -> None:
    assert first_gpu(library) is None
