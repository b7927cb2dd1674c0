"""What goes into a plan and what comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.engines.tensorrt.profile import AnyProfile, CuttingProfile, Shape
from mvrec_edge.runtime.errors import EnvironmentUnfitError
from mvrec_edge.runtime.views.patches import PATCH_INPUTS

__all__ = ["CUT_VIEWS", "EMBEDDING", "Tensor", "check_tensors", "tensors_of"]

#: The outputs: float32 `[n, C]`, and of a plan that cuts views uint8 `[n, S, S, 4]`.
EMBEDDING, CUT_VIEWS = "embedding", "cut_views"


@dataclass(frozen=True)
class Tensor:
    """A tensor of a plan at its largest.

    Attributes:
        dtype: `"uint8"`, `"int32"` or `"float32"`.
        shape: The largest shape.
        is_input: Whether it goes in.
    """

    dtype: str
    shape: Shape
    is_input: bool

    @property
    def count(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)


def tensors_of(profile: AnyProfile, image_size: int, embedding_dim: int) -> dict[str, Tensor]:
    """The tensors of a plan by name, inputs first.

    Args:
        profile: What it is built for.
        image_size: Side S of a view in pixels.
        embedding_dim: Channels C of an embedding.
    """
    cuts = isinstance(profile, CuttingProfile)
    dtypes = {name: dtype for name, dtype, _ in PATCH_INPUTS} if cuts else {"views": "uint8"}
    inputs = {name: Tensor(dtypes[name], shapes[2], True) for name, shapes in profile.shapes(image_size).items()}
    most = profile.views.largest if isinstance(profile, CuttingProfile) else profile.largest
    outputs = {EMBEDDING: Tensor("float32", (most, embedding_dim), False)}
    if cuts:
        outputs[CUT_VIEWS] = Tensor("uint8", (most, image_size, image_size, 4), False)
    return inputs | outputs


def check_tensors(library: Any, engine: Any, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Checks a plan that was loaded: one with other tensors would read and write where it should not.

    Args:
        library: The module `tensorrt`.
        engine: The plan.
        tensors: What it should have, see `tensors_of`.
        path: Where the plan lies, for the message.

    Raises:
        EnvironmentUnfitError: Its tensors are not those of a bundle's graph.
    """
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    dtypes = {"uint8": library.DataType.UINT8, "int32": library.DataType.INT32, "float32": library.DataType.FLOAT}
    fits = sorted(names) == sorted(tensors) and all(
        (engine.get_tensor_mode(name) == library.TensorIOMode.INPUT) == tensor.is_input
        and engine.get_tensor_dtype(name) == dtypes[tensor.dtype]
        and (
            tuple(engine.get_tensor_profile_shape(name, 0)[2]) == tensor.shape
            if tensor.is_input
            else tuple(engine.get_tensor_shape(name))[1:] == tensor.shape[1:]
        )
        for name, tensor in tensors.items()
    )
    if not fits:
        raise EnvironmentUnfitError(
            "the plan's inputs and outputs are not those of the bundle's graph",
            where=path,
            fix="build it again: mvrec-edge build BUNDLE --force",
        )
