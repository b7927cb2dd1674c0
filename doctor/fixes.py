"""The commands that put things right, which differ between a line PC and a Jetson."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mvrec_edge.runtime.engines.onnxruntime.onnxruntime_library import RUNTIME_FOR_THE_GPU
from mvrec_edge.runtime.engines.tensorrt.cuda_driver import how_to_get_bindings, how_to_get_tensorrt
from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT, Flavour
from mvrec_edge.runtime.installing import install_extra, install_libraries, remove_libraries, replace_libraries
from mvrec_edge.runtime.jetson import INSTALL_JETPACK, NEWER_JETPACK, OTHER_RUNTIME, JetsonRelease

__all__ = ["Fixes"]


@dataclass(frozen=True)
class Fixes:
    """Commands for one machine.

    Attributes:
        jetson: The release of a Jetson, where CUDA and TensorRT come with JetPack; None on another machine.
        no_tensorrt: On a Jetson, why TensorRT's module is not found, and what to do.
        served_cuda: The newest CUDA that the driver serves, such as `(12, 4)`; None where it does not say.
        has_gpu: Whether there is an NVIDIA GPU.
        runtime_wheels: The wheels that ONNX Runtime came in. Installing another one over one of them, or removing
            one of several, would make things worse.
    """

    jetson: JetsonRelease | None = None
    no_tensorrt: tuple[str, str] | None = None
    served_cuda: tuple[int, int] | None = None
    has_gpu: bool = False
    runtime_wheels: tuple[str, ...] = ()

    @property
    def is_jetson(self) -> bool:
        """Whether the machine is a Jetson."""
        return self.jetson is not None

    @property
    def why_no_tensorrt(self) -> str | None:
        """On a Jetson, why TensorRT's module is not found."""
        return None if self.no_tensorrt is None else self.no_tensorrt[0]

    def install(self, name: str) -> str:
        """Installs an extra of this package."""
        return install_extra(name)

    def again(self, *libraries: str) -> str:
        """Installs what is broken once more."""
        return install_libraries(*libraries, option="--force-reinstall")

    def onnxruntime(self, provider: str) -> str:
        """Gets an ONNX Runtime that has a provider."""
        if len(self.runtime_wheels) > 1:
            return self.mend_onnxruntime()
        if provider == "cpu":
            return self.install("cpu")
        if self.is_jetson:
            return OTHER_RUNTIME
        return replace_libraries(["onnxruntime"], "gpu")

    def mend_onnxruntime(self) -> str:
        """Puts right an ONNX Runtime that is broken, or of which several are installed."""
        if len(self.runtime_wheels) < 2:
            return self.again(*self.runtime_wheels or ("onnxruntime",))
        if self.is_jetson:
            return f"{remove_libraries(*self.runtime_wheels)}, then {OTHER_RUNTIME}"
        return replace_libraries(self.runtime_wheels, "gpu" if self.has_gpu else "cpu")

    def one_opencv(self, wheels: Sequence[str]) -> str:
        """Leaves one OpenCV, the one without a display library."""
        return f"{remove_libraries(*wheels)} && {install_libraries('opencv-python-headless!=4.10.0.*')}"

    def cuda_libraries(self, missing: Sequence[str]) -> str:
        """Installs shared libraries that ONNX Runtime misses."""
        if any(name.startswith(("libnvinfer", "libnvonnxparser")) for name in missing):
            return self.tensorrt()
        if self.is_jetson:
            return INSTALL_JETPACK
        return install_libraries("onnxruntime-gpu[cuda,cudnn]")

    def code_for_the_gpu(self) -> str:
        """Gets an ONNX Runtime that was built for the GPU at hand."""
        if self.is_jetson:
            return OTHER_RUNTIME
        return RUNTIME_FOR_THE_GPU

    def tensorrt(self, *, installed: bool = False) -> str:
        """Installs TensorRT, or mends one that is installed."""
        if self.jetson is not None and self.jetson.too_old:
            return NEWER_JETPACK
        if self.is_jetson:
            return INSTALL_JETPACK if installed or self.no_tensorrt is None else self.no_tensorrt[1]
        return self.again("tensorrt") if installed else how_to_get_tensorrt(self.served_cuda)

    def plans(self, flavour: Flavour, reason: str, *, installed: bool) -> tuple[str, str | None]:
        """Why a library that runs plans is not there or does not work, and how to get it.

        Args:
            flavour: The library.
            reason: What was found.
            installed: Whether it is there.
        """
        if flavour is TENSORRT:
            return reason if installed else self.why_no_tensorrt or reason, self.tensorrt(installed=installed)
        if self.is_jetson:
            return f"{flavour.title} is for PCs; a Jetson takes the engine '{TENSORRT.engine}'", None
        return reason, self.again(*flavour.wheels) if installed else self.install(flavour.extra)

    def newer_plans(self, flavour: Flavour) -> str:
        """Gets a library that runs plans and is new enough."""
        return flavour.how_to_update(self.jetson)

    def openvino(self, *, installed: bool = False) -> str:
        """Installs OpenVINO, or mends one that is installed."""
        return self.again("openvino") if installed else self.install("openvino")

    def bindings(self) -> str:
        """Installs what passes memory between Python and CUDA, in the release that the driver serves."""
        return how_to_get_bindings(self.served_cuda, self.jetson)

    def driver(self) -> str:
        """Installs or repairs the GPU's driver."""
        if self.is_jetson:
            return "sudo apt install nvidia-jetpack, then restart"
        return "install NVIDIA's driver (on Ubuntu: sudo ubuntu-drivers install), then restart"
