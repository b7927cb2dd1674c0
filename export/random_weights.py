"""Drawn weights: an encoder that takes as long as a trained one, and knows nothing."""

from __future__ import annotations

import numpy as np
import torch

from mvrec_edge.export.checkpoint import EncoderWeights
from mvrec_edge.export.layout import expected_shapes
from mvrec_edge.export.lite_encoder import lite_shapes
from mvrec_edge.runtime.bundle import EncoderArchitecture, LiteArchitecture, TransformerArchitecture
from mvrec_edge.runtime.errors import UsageError

__all__ = ["NAMED_ARCHITECTURES", "POCKET_ARCHITECTURE", "drawn_weights", "random_weights"]

#: The trained encoder in the package.
POCKET_ARCHITECTURE = TransformerArchitecture(96, 8, 256, 4, 248)

#: Architectures by the names they are known by; `ViT-Ti/16` is a small one for tests, `pocket` that of the trained
#: encoder in the package, `lite` is EfficientNet-Lite0.
NAMED_ARCHITECTURES: dict[str, EncoderArchitecture] = {
    "ViT-L/14": TransformerArchitecture(224, 14, 1024, 24, 768),
    "ViT-L/14@336": TransformerArchitecture(336, 14, 1024, 24, 768),
    "ViT-B/16": TransformerArchitecture(224, 16, 768, 12, 512),
    "ViT-Ti/16": TransformerArchitecture(224, 16, 192, 4, 256),
    "pocket": POCKET_ARCHITECTURE,
    "lite": LiteArchitecture(),
}


def drawn_weights(name: str, seed: int) -> EncoderWeights:
    """Draws weights for an architecture by its name; see `random_weights`.

    Raises:
        UsageError: There is no architecture of that name.
    """
    # An architecture's own name is what a bundle says of it.
    found = {architecture.name: architecture for architecture in NAMED_ARCHITECTURES.values()} | NAMED_ARCHITECTURES
    if name not in found:
        raise UsageError(f"there is no architecture '{name}'", fix="one of " + ", ".join(NAMED_ARCHITECTURES))
    return random_weights(found[name], seed)


def random_weights(architecture: EncoderArchitecture, seed: int) -> EncoderWeights:
    """Draws the weights of an encoder.

    Drawn with numpy's PCG64, so a seed gives the same weights on every machine and under every version of
    PyTorch. The scales of a transformer are those of CLIP's initialisation, which keep the activations of a deep
    transformer in range; the alpha convolution is drawn like the image's, not zero as before AlphaCLIP's training, so
    that the mask has an influence. Those of EfficientNet-Lite keep the variance from layer to layer (He et al. 2015).
    Predictions made with drawn weights mean nothing.

    Args:
        architecture: The encoder's size.
        seed: Any number from 0 on.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    if isinstance(architecture, LiteArchitecture):
        return EncoderWeights(architecture, _lite_tensors(architecture, generator), architecture.name, seed=seed)
    if not isinstance(architecture, TransformerArchitecture):
        raise UsageError(f"no weights can be drawn for {architecture.name}")
    return EncoderWeights(architecture, _transformer_tensors(architecture, generator), architecture.name, seed=seed)


def _lite_tensors(architecture: LiteArchitecture, generator: np.random.Generator) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for name, shape in lite_shapes(architecture).items():
        if len(shape) > 1:
            values = generator.standard_normal(shape, dtype=np.float32)
            values *= np.float32((2 / np.prod(shape[1:])) ** 0.5)
        else:
            # Normalisations that change nothing.
            values = np.full(shape, 1.0 if name.endswith(("weight", "running_var")) else 0.0, np.float32)
        tensors[name] = torch.from_numpy(values)
    return tensors


def _transformer_tensors(
    architecture: TransformerArchitecture, generator: np.random.Generator
) -> dict[str, torch.Tensor]:
    width = architecture.width
    patch_pixels = 4 * architecture.patch_size**2
    depth = (2 * architecture.layers) ** -0.5
    scales = {
        "class_embedding": width**-0.5,
        "positional_embedding": width**-0.5,
        "proj": width**-0.5,
        "conv1.weight": patch_pixels**-0.5,
        "conv1_alpha.weight": patch_pixels**-0.5,
        "attn.in_proj.weight": width**-0.5,
        "attn.out_proj.weight": width**-0.5 * depth,
        "mlp.c_fc.weight": (2 * width) ** -0.5,
        "mlp.c_proj.weight": width**-0.5 * depth,
    }
    tensors: dict[str, torch.Tensor] = {}
    for name, shape in expected_shapes(architecture).items():
        short = name.split(".", 3)[-1] if name.startswith("transformer.") else name
        if short in scales:
            values = generator.standard_normal(shape, dtype=np.float32)
            values *= np.float32(scales[short])
        else:
            # Norms begin as the identity, biases at zero.
            values = np.full(shape, 1.0 if short.endswith("weight") else 0.0, np.float32)
        tensors[name] = torch.from_numpy(values)
    return tensors
