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
        precision: `"fp32"`, `"fp16"` (on a GPU alone), `"bf16"`, or `"int8"` with sums in int32.
        threads: CPU threads; None for PyTorch's own choice.
        on_gpu: Whether it is computed on the GPU.

    Raises:
        UsageError: There is no such product.
        EnvironmentUnfitError: PyTorch finds no GPU.
    """

    def __init__(self, precision: str, threads: int | None, on_gpu: bool = False) -> None:
        if precision not in (*_FLOATS, "int8") or (precision == "fp16" and not on_gpu):
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
        multiply = torch._int_mm if self._precision == "int8" else torch.mm
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
        return torch.randn((side, side), **placed).to(_FLOATS[self._precision])

    def close(self) -> None:
        """Nothing is held."""


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
