"""What goes into a plan and what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["INPUT", "OUTPUT", "check_tensors"]

#: uint8 `[n, S, S, 4]` and float32 `[n, C]`.
INPUT, OUTPUT = "views", "embedding"


def check_tensors(library: Any, engine: Any, most: tuple[int, int], embedding_dim: int, path: Path) -> None:
    """Checks a plan that was loaded: one with other tensors would read and write where it should not.

    Args:
        library: The module `tensorrt`.
        engine: The plan.
        most: The largest batch, and the side S of a view in pixels.
        embedding_dim: Channels C of an embedding.
        path: Where the plan lies, for the message.

    Raises:
        EnvironmentUnfitError: Its tensors are not those of a bundle's graph.
    """
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    largest, size = most
    if (
        sorted(names) != sorted((INPUT, OUTPUT))
        or engine.get_tensor_mode(INPUT) != library.TensorIOMode.INPUT
        or engine.get_tensor_dtype(INPUT) != library.DataType.UINT8
        or engine.get_tensor_dtype(OUTPUT) != library.DataType.FLOAT
        or tuple(engine.get_tensor_profile_shape(INPUT, 0)[2]) != (largest, size, size, 4)
        or tuple(engine.get_tensor_shape(OUTPUT))[1:] != (embedding_dim,)
    ):
        raise EnvironmentUnfitError(
            "the plan's inputs and outputs are not those of the bundle's graph",
            where=path,
            fix="build it again: mvrec-edge build BUNDLE --force",
        )
