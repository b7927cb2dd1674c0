"""Which libraries are installed, read from their metadata: none of them is imported."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mvrec_edge.runtime.installing import install_libraries

__all__ = ["Conflict", "conflicts", "installed_libraries", "normalised", "opencv_wheels", "runtime_wheels"]

_NAMES = frozenset(
    {
        *("numpy", "safetensors", "pillow", "torch", "onnx", "onnxscript", "nncf", "openvino", "typer"),
        *("cuda-python", "cuda-bindings", "pycuda", "scikit-learn", "matplotlib", "mvrec-edge"),
        *("imagecodecs", "simplejpeg", "tifffile"),
    }
)
_FAMILIES = ("opencv-", "onnxruntime", "tensorrt", "nvidia-cublas", "nvidia-cudnn", "nvidia-cuda-runtime")
# Extensions that go beside ONNX Runtime instead of over it.
_BESIDE = frozenset({"onnxruntime-extensions", "onnxruntime-genai", "onnxruntime-tools"})
# What a user of these extras is not meant to have is nobody's conflict.
_EXTRAS = ("", "cpu", "gpu", "openvino", "tensorrt-rtx", "export", "plot", "tiff")
# Which release of these fits is for the driver to say, and the engines' own checks ask it.
_BY_DRIVER = frozenset({"cuda-python", "tensorrt", "tensorrt-cu12"})


@dataclass(frozen=True)
class Conflict:
    """An installed library whose version this package does not accept.

    Attributes:
        library: Its name.
        version: What is installed.
        needed: What is accepted, such as `">=1.18"`.
        extra: The extra that asks for it; empty for a library that is always needed.
    """

    library: str
    version: str
    needed: str
    extra: str

    @property
    def fix(self) -> str:
        """The command that installs an accepted version."""
        return install_libraries(f"{self.library}{self.needed}")


def normalised(name: str) -> str:
    """A distribution's name in the one spelling that package indexes compare."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_libraries(path: Sequence[str] | None = None) -> dict[str, str]:
    """Versions of the installed libraries that matter here, by name, sorted.

    Args:
        path: Folders to look in instead of `sys.path`.
    """
    found: dict[str, str] = {}
    where = importlib.metadata.distributions() if path is None else importlib.metadata.distributions(path=list(path))
    for distribution in where:
        try:
            name, version = normalised(distribution.metadata["Name"]), str(distribution.version)
        except Exception:  # noqa: S112 (a folder that an interrupted pip left behind has no readable metadata)
            continue
        # The first on the path is the one that an import finds.
        if name in _NAMES or name.startswith(_FAMILIES):
            found.setdefault(name, version)
    return dict(sorted(found.items()))


def opencv_wheels(libraries: dict[str, str]) -> list[str]:
    """The installed wheels that each bring the module `cv2`, and overwrite each other's files."""
    return [name for name in libraries if name.startswith("opencv-")]


def runtime_wheels(libraries: dict[str, str]) -> list[str]:
    """The installed wheels that each bring the module `onnxruntime`, and overwrite each other's files."""
    return [name for name in libraries if name.startswith("onnxruntime") and name not in _BESIDE]


def conflicts(libraries: dict[str, str], requirements: Sequence[str] | None = None) -> list[Conflict]:
    """Installed versions that this package's requirements exclude.

    Args:
        libraries: What is installed.
        requirements: Requirements as a wheel states them; by default those of the installed mvrec-edge.

    Returns:
        The conflicts; none where nothing states requirements, or the library `packaging` is not installed.
    """
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:
        return []
    if requirements is None:
        try:
            requirements = importlib.metadata.requires("mvrec-edge") or []
        except importlib.metadata.PackageNotFoundError:
            return []
    found: dict[tuple[str, str], Conflict] = {}
    for text in requirements:
        try:
            needed = Requirement(text)
        except InvalidRequirement:
            continue
        version = libraries.get(normalised(needed.name))
        extra = next((extra for extra in _EXTRAS if _asks(needed, extra)), None)
        by_driver = normalised(needed.name) in _BY_DRIVER
        if by_driver or version is None or extra is None or needed.specifier.contains(version, prereleases=True):
            continue
        conflict = Conflict(normalised(needed.name), version, str(needed.specifier), extra)
        found.setdefault((conflict.library, conflict.needed), conflict)
    return list(found.values())


def _asks(needed: object, extra: str) -> bool:
    marker = getattr(needed, "marker", None)
    return not extra if marker is None else bool(marker.evaluate({"extra": extra}))
