"""The worker process of the PyTorch baselines and of PyTorch's own matrix products."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mvrec_edge.export.baseline import TorchBaseline, weights_of
from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.measuring.subjects import EngineSubject, Subject
from mvrec_edge.runtime.measuring.worker import serve_parent

__all__ = ["TorchProduct", "main", "open_baseline"]

_SEED = 20


class TorchProduct:
    """The product of two square matrices in PyTorch.

    Args:
        precision: `"fp32"`, `"bf16"`, or `"int8"` with sums in int32.
        threads: CPU threads; None for PyTorch's own choice.

    Raises:
        UsageError: There is no such product.
    """

    device = "cpu"

    def __init__(self, precision: str, threads: int | None) -> None:
        if precision not in ("fp32", "bf16", "int8"):
            raise UsageError(f"there is no product of {precision} to measure")
        if threads is not None:
            torch.set_num_threads(threads)
        self._precision = precision

    def prepare(self, part: str, amount: int) -> Callable[[], object]:
        """`"product"`: matrices of `amount` rows and columns."""
        if part != "product":
            raise UsageError(f"there is no part '{part}' to measure", fix="parts: product")
        generator = torch.Generator().manual_seed(_SEED)
        shape = (amount, amount)
        if self._precision == "int8":
            whole = [torch.randint(-127, 128, shape, generator=generator, dtype=torch.int8) for _ in range(2)]
            return lambda: torch._int_mm(*whole)
        dtype = torch.bfloat16 if self._precision == "bf16" else torch.float32
        left, right = (torch.randn(shape, generator=generator).to(dtype) for _ in range(2))
        return lambda: torch.mm(left, right)

    def close(self) -> None:
        """Nothing is held."""


def open_baseline(request: dict[str, Any], verified: Callable[[], None]) -> Subject:
    """Opens a baseline, or a matrix product."""
    threads = request.get("threads")
    if request["kind"] == "torch product":
        return TorchProduct(request["precision"], threads)
    bundle = Bundle.load(request["bundle"])
    verified()
    checkpoint = request.get("checkpoint")
    weights = weights_of(bundle, None if checkpoint is None else Path(checkpoint))
    engine = TorchBaseline(bundle, weights, way=str(request["provider"]), batch=request["batch"], threads=threads)
    return EngineSubject(engine)


def main() -> None:
    """Serves the parent."""
    serve_parent(open_baseline)


if __name__ == "__main__":
    main()
