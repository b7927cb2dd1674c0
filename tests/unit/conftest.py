"""A CUDA driver's library that is not one, for whoever asks the driver."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_LIBCUDA = """
#include <string.h>
int cuInit(unsigned int flags) { return INIT; }
int cuDriverGetVersion(int *version) { *version = 12040; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "A GPU", length); return 0; }
int cuDeviceTotalMem_v2(size_t *size, int device) { *size = 12ULL << 30; return 0; }
int cuDeviceGetAttribute(int *value, int which, int device) { *value = which == 75 ? 7 : 5; return 0; }
"""


def _compile(folder: Path, name: str, init: int) -> str:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: a stand-in for the CUDA driver cannot be built")
    source, library = folder / f"{name}.c", folder / f"{name}.so.1"
    source.write_text(_LIBCUDA.replace("INIT", str(init)))
    subprocess.run([compiler, "-w", "-shared", "-fPIC", "-o", library, source], check=True)
    return str(library)


@pytest.fixture(scope="session")
def libcuda(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CUDA driver for CUDA 12.4 with one GPU of compute capability 7.5."""
    return _compile(tmp_path_factory.mktemp("driver"), "libcuda", 0)


@pytest.fixture(scope="session")
def broken_libcuda(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CUDA driver that does not start."""
    return _compile(tmp_path_factory.mktemp("driver"), "libcuda", 999)
