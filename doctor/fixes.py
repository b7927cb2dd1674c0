"""The commands that put things right, which differ between a line PC and a Jetson."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mvrec_edge.runtime.installing import install_extra, install_libraries, remove_libraries, replace_libraries

__all__ = ["Fixes"]

_JETSON_RUNTIME = "install the onnxruntime-gpu wheel that is built for this JetPack; the one on PyPI is not for Jetsons"


@dataclass(frozen=True)
class Fixes:
    """Commands for one machine.

    Attributes:
        is_jetson: Whether the machine is a Jetson, where CUDA and TensorRT come with JetPack.
        has_gpu: Whether there is an NVIDIA GPU.
        runtime_wheels: The wheels that ONNX Runtime came in. Installing another one over one of them, or removing
            one of several, would make things worse.
    """

    is_jetson: bool = False
    has_gpu: bool = False
    runtime_wheels: tuple[str, ...] = ()

    def install(self, name: str) -> str:
        """Installs an extra of this package."""
        return install_extra(name)

    def again(self, library: str) -> str:
        """Installs a library that is broken once more."""
        return install_libraries(library, option="--force-reinstall")

    def onnxruntime(self, provider: str) -> str:
        """Gets an ONNX Runtime that has a provider."""
        if len(self.runtime_wheels) > 1:
            return self.mend_onnxruntime()
        if provider == "cpu":
            return self.install("cpu")
        if self.is_jetson:
            return _JETSON_RUNTIME
        return replace_libraries(["onnxruntime"], "gpu")

    def mend_onnxruntime(self) -> str:
        """Puts right an ONNX Runtime that is broken, or of which several are installed."""
        if len(self.runtime_wheels) < 2:
            return self.again(*self.runtime_wheels or ("onnxruntime",))
        if self.is_jetson:
            return f"{remove_libraries(*self.runtime_wheels)}, then {_JETSON_RUNTIME}"
        return replace_libraries(self.runtime_wheels, "gpu" if self.has_gpu else "cpu")

    def one_opencv(self, wheels: Sequence[str]) -> str:
        """Leaves one OpenCV, the one without a display library."""
        return f"{remove_libraries(*wheels)} && {install_libraries('opencv-python-headless!=4.10.0.*')}"

    def cuda_libraries(self, missing: Sequence[str]) -> str:
        """Installs shared libraries that ONNX Runtime misses."""
        if any(name.startswith(("libnvinfer", "libnvonnxparser")) for name in missing):
            return self.tensorrt()
        if self.is_jetson:
            return "sudo apt install nvidia-jetpack"
        return install_libraries("onnxruntime-gpu[cuda,cudnn]")

    def tensorrt(self, *, installed: bool = False) -> str:
        """Installs TensorRT, or mends one that is installed."""
        if self.is_jetson:
            return (
                "sudo apt install nvidia-jetpack, and make the environment with "
                "python3 -m venv --system-site-packages, since TensorRT's Python module comes with JetPack"
            )
        return self.again("tensorrt") if installed else self.install("tensorrt")

    def openvino(self, *, installed: bool = False) -> str:
        """Installs OpenVINO, or mends one that is installed."""
        return self.again("openvino") if installed else self.install("openvino")

    def bindings(self) -> str:
        """Installs what passes memory between Python and CUDA."""
        return install_libraries("cuda-python")

    def driver(self) -> str:
        """Installs or repairs the GPU's driver."""
        if self.is_jetson:
            return "sudo apt install nvidia-jetpack, then restart"
        return "install NVIDIA's driver (on Ubuntu: sudo ubuntu-drivers install), then restart"
