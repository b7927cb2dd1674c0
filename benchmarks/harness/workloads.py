"""What a worker process can time: an engine, a matrix product, or the stages around the encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines import Engine
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.wording import counted

__all__ = ["EngineWorkload", "NumpyProduct", "Workload", "noise_views"]

_SEED = 20


class Workload(Protocol):
    """Something that can be run again and again.

    Attributes:
        device: What it runs on, in words.
    """

    @property
    def device(self) -> str:
        """What it runs on, in words."""

    def prepare(self, part: str, amount: int) -> Callable[[], object]:
        """Makes all that a run needs, so that the call returned does nothing but the work.

        Args:
            part: What to run, such as `"encode"`.
            amount: Views in a batch, or the side of a matrix.

        Raises:
            UsageError: There is no such part.
        """

    def close(self) -> None:
        """Frees what it holds."""


class EngineWorkload:
    """Encodes batches of seeded noise; an encoder takes the same time for any pixels.

    Args:
        engine: An open engine; closed with the workload.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._views = noise_views(0, engine.image_size)

    @property
    def device(self) -> str:
        """What the engine really runs on."""
        return self._engine.device

    def prepare(self, part: str, amount: int) -> Callable[[], npt.NDArray[np.float32]]:
        """`"encode"`: a batch of `amount` views; the call returns float32 `[amount, C]`."""
        _check_part(part, "encode")
        if amount > self._engine.batch:
            raise UsageError(
                f"the engine was opened for batches of {counted(self._engine.batch, 'view')}, not {amount}"
            )
        if amount > len(self._views):
            self._views = noise_views(amount, self._engine.image_size)
        views = self._views[:amount]
        return lambda: self._engine.encode(views)

    def close(self) -> None:
        """Closes the engine."""
        self._engine.close()


class NumpyProduct:
    """The product of two square float32 matrices, by the library numpy was built with."""

    device = "cpu"

    def prepare(self, part: str, amount: int) -> Callable[[], object]:
        """`"product"`: matrices of `amount` rows and columns."""
        _check_part(part, "product")
        random = np.random.default_rng(_SEED)
        left, right = (random.standard_normal((amount, amount), dtype=np.float32) for _ in range(2))
        result = np.empty_like(left)
        return lambda: np.matmul(left, right, out=result)

    def close(self) -> None:
        """Nothing is held."""


def noise_views(count: int, size: int) -> npt.NDArray[np.uint8]:
    """The same views in every process, uint8 `[count, size, size, 4]`; fewer are the first of more."""
    random: Any = np.random.default_rng(_SEED)
    return np.asarray(random.integers(0, 256, (count, size, size, 4), dtype=np.uint8))


def _check_part(part: str, known: str) -> None:
    if part != known:
        raise UsageError(f"there is no part '{part}' to measure", fix=f"parts: {known}")
