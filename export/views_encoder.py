"""The encoder as it is exported: raw uint8 views in, embeddings out. Made to be traced, apart from the model."""

from __future__ import annotations

import torch
from torch import nn

from mvrec_edge.export.encoder import AlphaClipEncoder
from mvrec_edge.runtime.bundle import EncoderArchitecture

__all__ = ["ViewsEncoder", "ViewsModule", "normalise"]

# CLIP's own statistics for the image; AlphaCLIP's for the mask.
_MEAN = (0.48145466, 0.4578275, 0.40821073, 0.5)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711, 0.26)


class ViewsModule(nn.Module):
    """What can be exported: uint8 `[N, S, S, 4]` (red, green, blue, mask) to float32 `[N, C]`.

    Args:
        architecture: The size of the encoder, which says S and C.
    """

    def __init__(self, architecture: EncoderArchitecture) -> None:
        super().__init__()
        self.architecture = architecture


class ViewsEncoder(ViewsModule):
    """Encodes views as they are cut, normalisation and all.

    For a channel, `(x / 255 - mean) / deviation` convolved with `w` is `x` convolved with `w / (255 * deviation)`,
    minus `mean / deviation` times the sum of `w`; exactly so, because the convolution has no padding. Image and
    mask become one convolution over four channels with a bias.

    Args:
        encoder: The encoder; its weights are shared, not copied.
    """

    def __init__(self, encoder: AlphaClipEncoder) -> None:
        super().__init__(encoder.architecture)
        self.encoder = encoder
        # In float64, so that folding adds no rounding of its own.
        weight = torch.cat([encoder.conv1.weight, encoder.conv1_alpha.weight], dim=1).double()
        mean, deviation = torch.tensor(_MEAN).double(), torch.tensor(_DEVIATION).double()
        bias = -(weight.sum(dim=(2, 3)) * (mean / deviation)).sum(dim=1)
        weight = weight / (255.0 * deviation)[:, None, None]
        patch = encoder.architecture.patch_size
        self.embed = nn.Conv2d(4, encoder.architecture.width, patch, patch)
        self.embed.weight = nn.Parameter(weight.float(), requires_grad=False)
        self.embed.bias = nn.Parameter(bias.float(), requires_grad=False)
        self.eval()

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        """uint8 `[N, S, S, 4]` (red, green, blue, mask) to float32 `[N, C]`."""
        # Cast first: TensorRT takes uint8 as an input, and into a cast only.
        return self.encoder.encode_patches(self.embed(views.float().permute(0, 3, 1, 2)))


def normalise(views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalises views the way upstream does.

    Args:
        views: uint8 `[N, S, S, 4]`.

    Returns:
        Image float32 `[N, 3, S, S]` and alpha float32 `[N, 1, S, S]`, as `AlphaClipEncoder` takes them.
    """
    mean, deviation = (torch.tensor(each, device=views.device).reshape(1, 4, 1, 1) for each in (_MEAN, _DEVIATION))
    planes = (views.permute(0, 3, 1, 2).float() / 255.0 - mean) / deviation
    return planes[:, :3], planes[:, 3:]
