"""The whole examination: read, judge, and put the most pressing first."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mvrec_edge import __version__
from mvrec_edge.doctor.bundles import examine_bundle
from mvrec_edge.doctor.checks import check_cache_folder, check_cpu, check_gpu, check_jetson, check_memory
from mvrec_edge.doctor.cuda import LIBCUDA
from mvrec_edge.doctor.facts import Facts, gather
from mvrec_edge.doctor.report import LEVELS, Finding, Report
from mvrec_edge.doctor.software_checks import check_engines, check_libraries, check_python

__all__ = ["examine_machine"]


def examine_machine(
    *,
    bundle: Path | None = None,
    root: Path = Path("/"),
    path: Sequence[str] | None = None,
    environment: Mapping[str, str] = os.environ,
    cuda_library: str = LIBCUDA,
) -> Report:
    """Finds out what this machine can run, and what would put right what it cannot.

    Libraries are tried in processes of their own, so one that crashes is a finding. Nothing is written.

    Args:
        bundle: A bundle to check, too.
        root: Where `/proc`, `/sys`, `/etc` and `/var` are; tests give a recorded machine.
        path: Where libraries are looked for, instead of `sys.path`.
        environment: The environment variables that name the folder for TensorRT plans.
        cuda_library: Name or path of the CUDA driver's library.

    Returns:
        The report. It holds whatever went wrong; nothing is raised for an odd machine or a bad bundle.
    """
    facts = gather(root, path, environment, cuda_library)
    findings = [*facts.failures, *_judge(facts)]
    status = None
    if bundle is not None:
        status, about = examine_bundle(bundle, facts.engines)
        findings += about
    return Report(
        version=__version__,
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        system=facts.system,
        cpu=facts.cpu,
        memory=facts.memory,
        gpus=facts.gpus,
        cuda=facts.cuda,
        jetson=facts.jetson,
        libraries=facts.libraries,
        engines=facts.engines,
        cache_folder=facts.cache_folder,
        bundle=status,
        # sorted keeps the order of the checks within a level.
        findings=tuple(sorted(findings, key=lambda finding: -LEVELS.index(finding.level))),
    )


def _judge(facts: Facts) -> Iterator[Finding]:
    yield from check_python()
    yield from check_engines(facts)
    yield from check_libraries(facts)
    yield from check_gpu(facts)
    yield from check_jetson(facts)
    yield from check_memory(facts)
    yield from check_cpu(facts)
    yield from check_cache_folder(facts)
