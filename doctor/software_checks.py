"""Judging a machine's software: Python, libraries and engines."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from mvrec_edge.doctor.diagnosis import Diagnosis
from mvrec_edge.doctor.engines import WRONG_ANSWER, EngineStatus
from mvrec_edge.doctor.findings import Finding, Level
from mvrec_edge.doctor.libraries import opencv_wheels, runtime_wheels

__all__ = ["check_engines", "check_libraries", "check_python"]

_OLDEST_PYTHON = (3, 10)
_GPU = ("cuda", "tensorrt")


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Iterator[Finding]:
    """The Python that runs this.

    Args:
        version: Its version.
    """
    text = ".".join(str(part) for part in version)
    if version[:2] < _OLDEST_PYTHON:
        yield Finding(
            "problem", "Python", f"{text} is too old: 3.10 or newer is needed", "install Python 3.10 or newer"
        )
    else:
        yield Finding("ok", "Python", text)


def check_libraries(diagnosis: Diagnosis) -> Iterator[Finding]:
    """Wheels that overwrite each other, versions that do not fit, and what images cannot be read."""
    libraries, fixes = diagnosis.libraries, diagnosis.fixes
    runtimes = runtime_wheels(libraries)
    if len(runtimes) > 1:
        text = f"{' and '.join(runtimes)} are installed and overwrite each other's files"
        yield Finding("problem", "ONNX Runtime", text, fixes.mend_onnxruntime())
    wheels = opencv_wheels(libraries)
    broken = [name for name in wheels if libraries[name].startswith("4.10.0")]
    if len(wheels) > 1:
        text = f"{' and '.join(wheels)} are installed and overwrite each other's files"
        yield Finding("problem" if broken else "warning", "OpenCV", text, fixes.one_opencv(wheels))
    if broken:
        text = f"{broken[0]} {libraries[broken[0]]} fills the missing rows of a truncated JPEG from an earlier image"
        yield Finding("problem", "OpenCV", text, fixes.one_opencv(wheels))
    if "imagecodecs" not in libraries:
        text = "imagecodecs is not installed, so TIFF files compressed with LZW or ZSTD are refused"
        yield Finding("note", "TIFF", text, fixes.install("tiff"))
    for conflict in diagnosis.conflicts:
        if conflict.library not in broken:
            text = f"{conflict.library} {conflict.version} is installed, but {conflict.needed} is needed"
            yield Finding("warning", "libraries", text, conflict.fix)


def check_engines(diagnosis: Diagnosis) -> Iterator[Finding]:
    """What can run the encoder."""
    if not any(engine.usable for engine in diagnosis.engines):
        broken = next((engine.fix for engine in diagnosis.engines if engine.installed and engine.fix is not None), None)
        fix = broken or (diagnosis.fixes.tensorrt() if diagnosis.fixes.is_jetson else diagnosis.fixes.install("cpu"))
        yield Finding("problem", "engines", "no engine works on this machine", fix)
    on_gpu = any(engine.usable and (engine.provider or engine.engine) in _GPU for engine in diagnosis.engines)
    if diagnosis.cuda is not None and diagnosis.cuda.devices and not on_gpu:
        text = f"{diagnosis.cuda.devices[0].name} works, but no engine uses it"
        yield Finding("warning", "engines", text, diagnosis.fixes.onnxruntime("cuda"))
    for engine in diagnosis.engines:
        if engine.usable:
            yield from _check_usable(engine, diagnosis)
    unusable: dict[tuple[Level, str, str | None], list[str]] = {}
    for engine in diagnosis.engines:
        if not engine.usable:
            # A library that is installed and does not work is worth more attention than one that is not there.
            level: Level = "warning" if engine.installed and engine.fix is not None else "note"
            reason = (engine.reason or "does not work") + _loss(engine, diagnosis)
            unusable.setdefault((level, reason, engine.fix), []).append(engine.name)
    for (level, reason, advice), names in unusable.items():
        yield Finding(level, ", ".join(names), reason, advice)


def _loss(engine: EngineStatus, diagnosis: Diagnosis) -> str:
    """What a missing OpenVINO costs. ONNX Runtime has no bfloat16 on the CPU; on Arm nothing has been measured."""
    cpu = diagnosis.cpu
    if engine.engine != "openvino" or engine.installed or cpu is None or cpu.architecture != "x86_64":
        return ""
    what = [name for name, there in (("bfloat16", cpu.has_bf16), ("8-bit integers", cpu.has_int8)) if there]
    return (
        f"; of the engines it was the fastest on a CPU that multiplies {' and '.join(what)} itself, as this does"
        if what
        else ""
    )


def _check_usable(engine: EngineStatus, diagnosis: Diagnosis) -> Iterator[Finding]:
    runs = [precision for precision, reason in engine.precisions.items() if reason is None]
    how = "" if engine.tried else " (by the GPU's model; not tried)"
    yield Finding("ok", engine.name, f"version {engine.version}, runs {', '.join(runs)}{how}")
    if engine.remark is not None:
        yield Finding("warning", engine.name, engine.remark, engine.fix)
    wrong = [precision for precision, reason in engine.precisions.items() if reason == WRONG_ANSWER]
    if wrong:
        text = f"gives wrong answers in {', '.join(wrong)}"
        yield Finding("problem", engine.name, text, diagnosis.fixes.again(engine.engine))
