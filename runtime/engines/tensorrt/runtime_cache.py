"""What TensorRT for RTX compiled for a plan on this machine, kept between runs in the user's cache folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.engines.tensorrt.plan_keys import RuntimeCacheKey, system_name
from mvrec_edge.runtime.engines.tensorrt.plans import replacing, verified_plan
from mvrec_edge.runtime.errors import IntegrityError, OutputError
from mvrec_edge.runtime.files import atomic_write
from mvrec_edge.runtime.files.file_lock import locked
from mvrec_edge.runtime.files.user_cache import user_cache, user_cache_path

__all__ = ["RuntimeCacheFile"]


class RuntimeCacheFile:
    """The file of one plan, library and GPU. It holds code, and is verified as a plan is.

    Args:
        plan: SHA-256 of the plan, in hexadecimal.
        release: The library's version.
        gpu: The GPU.
        say: Takes a line where the file is not used, or cannot be written.

    Attributes:
        path: Where it lies.
    """

    def __init__(self, plan: str, release: str, gpu: GpuModel, say: Callable[[str], None]) -> None:
        self._key = RuntimeCacheKey(plan, release, gpu.name, gpu.capability, system_name())
        self._say = say
        self.path: Path = user_cache_path() / "plans" / f"{self._key.digest}.jit"

    def read(self) -> bytes:
        """What was kept; nothing where there is none, or where it may have been changed, which is said."""
        try:
            return verified_plan(self._key, self.path) or b""
        except IntegrityError as error:
            self._say(f"kernels are compiled again, because what was kept of them cannot be used: {error}")
            return b""

    def keep(self, data: bytes) -> None:
        """Writes it, with its record. Where that cannot be, the next run compiles again, which is said."""
        try:
            user_cache("plans")
            with locked(self.path), replacing(self._key, self.path), atomic_write(self.path) as stream:
                stream.write(data)
        except OutputError as error:
            self._say(f"compiled kernels are not kept for the next run: {error}")
