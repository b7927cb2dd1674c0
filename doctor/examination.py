"""The whole examination: read, judge, and put the most pressing first."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mvrec_edge.doctor.bundles import examine_bundle
from mvrec_edge.doctor.checks import check_cache_folder, check_cpu, check_gpu, check_jetson, check_memory
from mvrec_edge.doctor.diagnosis import Diagnosis, read_machine
from mvrec_edge.doctor.findings import LEVELS, Finding
from mvrec_edge.doctor.software_checks import check_engines, check_libraries, check_python
from mvrec_edge.runtime.engines.tensorrt.cuda_driver import LIBCUDA
from mvrec_edge.runtime.jetson import Interpreter

__all__ = ["examine_machine"]


def examine_machine(
    *,
    bundle: Path | None = None,
    root: Path = Path("/"),
    path: Sequence[str] | None = None,
    environment: Mapping[str, str] = os.environ,
    cuda_library: str = LIBCUDA,
    interpreter: Interpreter | None = None,
) -> Diagnosis:
    """Finds out what this machine can run, and what would put right what it cannot.

    Libraries are tried in processes of their own, so one that crashes is a finding. Nothing is written.

    Args:
        bundle: A bundle to check, too.
        root: Where `/proc`, `/sys`, `/etc` and `/var` are; tests give a recorded machine.
        path: Where libraries are looked for, instead of `sys.path`.
        environment: The environment variables that name the folder for TensorRT plans.
        cuda_library: Name or path of the CUDA driver's library.
        interpreter: The Python that runs this, as a Jetson's TensorRT asks for a certain one; by default this one.

    Returns:
        The diagnosis. It holds whatever went wrong; nothing is raised for an odd machine or a bad bundle.
    """
    read = read_machine(root, path, environment, cuda_library, interpreter)
    findings = [*read.findings, *_judge(read)]
    status = None
    if bundle is not None:
        status, about = examine_bundle(bundle, read.engines)
        findings += about
    # sorted keeps the order of the checks within a level.
    pressing = sorted(findings, key=lambda finding: -LEVELS.index(finding.level))
    return dataclasses.replace(read, bundle=status, findings=tuple(pressing))


def _judge(diagnosis: Diagnosis) -> Iterator[Finding]:
    yield from check_python()
    yield from check_engines(diagnosis)
    yield from check_libraries(diagnosis)
    yield from check_gpu(diagnosis)
    yield from check_jetson(diagnosis)
    yield from check_memory(diagnosis)
    yield from check_cpu(diagnosis)
    yield from check_cache_folder(diagnosis)
