"""The worker process of the PyTorch baselines and of PyTorch's own matrix products."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mvrec_edge.bench.torch_baseline import TorchBaseline, torch_device, weights_of
from mvrec_edge.bench.worker import serve_parent
from mvrec_edge.bench.workloads import EngineWorkload, Workload
from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.errors import UsageError

__all__ = ["TorchProduct", "main", "open_baseline"]

_SEED = 20


_FLOATS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class TorchProduct:
    """The product of two square matrices in PyTorch.

    Args:
        precision: `"fp32"`, `"fp16"` (on a GPU alone), `"bf16"`, `"int8"` with sums in int32, or `"fp8"` (E4M3, on a
            GPU alone) with results in float16.
        threads: CPU threads; None for PyTorch's own choice.
        on_gpu: Whether it is computed on the GPU.

    Raises:
        UsageError: There is no such product.
        EnvironmentUnfitError: PyTorch finds no GPU.
    """

    def __init__(self, precision: str, threads: int | None, on_gpu: bool = False) -> None:
        if precision not in (*_FLOATS, "int8", "fp8") or (precision in ("fp16", "fp8") and not on_gpu):
            raise UsageError(f"there is no product of {precision} to measure")
        if threads is not None:
            torch.set_num_threads(threads)
        self._precision = precision
        self.device = torch_device(on_gpu=on_gpu)

    def prepare(self, part: str, amount: int) -> Callable[[], object]:
        """`"product"`: matrices of `amount` rows and columns."""
        if part != "product":
            raise UsageError(f"there is no part '{part}' to measure", fix="parts: product")
        left, right = (self._matrix(amount, _SEED + number) for number in range(2))
        ways: dict[str, Callable[..., torch.Tensor]] = {"int8": torch._int_mm, "fp8": _multiply_fp8}
        multiply = ways.get(self._precision, torch.mm)
        if self.device == "cpu":
            return lambda: multiply(left, right)

        def run() -> None:
            multiply(left, right)
            torch.cuda.synchronize()

        return run

    def _matrix(self, side: int, seed: int) -> torch.Tensor:
        generator = torch.Generator(self.device).manual_seed(seed)
        placed: dict[str, Any] = {"generator": generator, "device": self.device}
        if self._precision == "int8":
            return torch.randint(-127, 128, (side, side), dtype=torch.int8, **placed)
        drawn = torch.randn((side, side), **placed)
        return drawn.to(torch.float8_e4m3fn if self._precision == "fp8" else _FLOATS[self._precision])

    def close(self) -> None:
        """Nothing is held."""


def _multiply_fp8(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The product with the second matrix, read as its transpose, which is the layout that the hardware takes."""
    one = torch.ones((), device=left.device)
    result: torch.Tensor = torch._scaled_mm(left, right.t(), scale_a=one, scale_b=one, out_dtype=torch.float16)
    return result


def open_baseline(request: dict[str, Any], verified: Callable[[], None]) -> Workload:
    """Opens a baseline, or a matrix product."""
    threads = request.get("threads")
    if request["kind"] == "torch product":
        return TorchProduct(request["precision"], threads, on_gpu=request.get("on_gpu", False))
    bundle = Bundle.load(request["bundle"])
    verified()
    checkpoint = request.get("checkpoint")
    weights = weights_of(bundle, None if checkpoint is None else Path(checkpoint))
    engine = TorchBaseline(
        bundle,
        weights,
        way=str(request["provider"]),
        batch=request["batch"],
        precision=request.get("precision", "fp32"),
        threads=threads,
    )
    return EngineWorkload(engine)


def main() -> None:
    """Serves the parent."""
    serve_parent(open_baseline)


if __name__ == "__main__":
    main()
