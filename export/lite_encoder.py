"""EfficientNet-Lite0 as an encoder of views: its last feature map, averaged where the mask is.

The network is that of Tan and Le (2019) in the variant for small devices, without squeeze-and-excitation and with
ReLU6; the classifier at its end is left out. It has not learned what a mask is: the mask only says which places of the
last feature map count.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from mvrec_edge.export.checkpoint import EncoderWeights
from mvrec_edge.export.views_encoder import ViewsModule
from mvrec_edge.runtime.bundle import LiteArchitecture
from mvrec_edge.runtime.bundle.architecture import LITE_STAGES
from mvrec_edge.runtime.errors import UsageError

__all__ = ["MASK_FLOOR", "LiteViewsEncoder", "lite_shapes"]

# What the network was trained with: a pixel x goes in as (x - 127) / 128.
_MEAN, _DEVIATION = 127.0, 128.0
# Of its batch normalisations.
_EPSILON = 1e-3

#: What a place of the last feature map without any mask counts, where one that the mask covers counts 1 more.
MASK_FLOOR = 0.01


class Convolution(nn.Module):
    """A convolution with the batch normalisation after it folded in, padded as in TensorFlow's "SAME".

    Such padding has more zeros after the image than before where the stride is 2.

    Args:
        kernel: float64 `[out, in, k, k]`.
        bias: float64 `[out]`.
        stride: 1 or 2.
        groups: As many as there are channels where each is convolved by itself.
        clipped: Whether ReLU6 follows.
    """

    def __init__(
        self, kernel: torch.Tensor, bias: torch.Tensor, *, stride: int = 1, groups: int = 1, clipped: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(kernel.float(), requires_grad=False)
        self.bias = nn.Parameter(bias.float(), requires_grad=False)
        self.stride, self.groups, self.clipped = stride, groups, clipped
        # The side of the input is a multiple of the stride.
        padding = max(kernel.shape[-1] - stride, 0)
        self.before, self.after = padding // 2, padding - padding // 2

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """`[N, in, H, W]` to `[N, out, H / stride, W / stride]`."""
        padding = self.before
        if self.before != self.after:
            planes = nn.functional.pad(planes, (self.before, self.after, self.before, self.after))
            padding = 0
        result = nn.functional.conv2d(planes, self.weight, self.bias, self.stride, padding, groups=self.groups)
        return nn.functional.relu6(result) if self.clipped else result


class LiteBlock(nn.Module):
    """Widens, convolves each channel by itself, narrows; adds its input where that has the shape of the output.

    Args:
        tensors: Those of the block, by name.
        stride: 1 or 2.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor], stride: int) -> None:
        super().__init__()
        widened = "_expand_conv.weight" in tensors
        self.widen = Convolution(*_folded(tensors, "_expand_conv", "_bn0")) if widened else None
        kernel, bias = _folded(tensors, "_depthwise_conv", "_bn1")
        self.each = Convolution(kernel, bias, stride=stride, groups=len(kernel))
        narrow, bias = _folded(tensors, "_project_conv", "_bn2")
        self.narrow = Convolution(narrow, bias, clipped=False)
        first = tensors["_expand_conv.weight"].shape[1] if widened else len(kernel)
        self.adds = stride == 1 and first == len(narrow)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """`[N, in, H, W]` to `[N, out, H / stride, W / stride]`."""
        wide = planes if self.widen is None else self.widen(planes)
        result: torch.Tensor = self.narrow(self.each(wide))
        return result + planes if self.adds else result


class LiteViewsEncoder(ViewsModule):
    """Encodes views as they are cut, normalisation and all.

    The mean is taken off before the first convolution, whose padding is zero afterwards and stands for pixels of 127.
    The deviation, a power of two, goes into the convolution's weights, which is exact.

    Args:
        weights: The network's tensors under their official names.

    Raises:
        UsageError: They are of another architecture.
    """

    def __init__(self, weights: EncoderWeights) -> None:
        architecture, tensors = weights.architecture, weights.tensors
        if not isinstance(architecture, LiteArchitecture):
            raise UsageError(f"{architecture.name} is no EfficientNet-Lite", fix="give the weights of 'lite'")
        super().__init__(architecture)
        kernel, bias = _folded(tensors, "_conv_stem", "_bn0")
        self.first = Convolution(kernel / _DEVIATION, bias, stride=2)
        strides = [stage.stride if block == 0 else 1 for stage in LITE_STAGES for block in range(stage.blocks)]
        self.blocks = nn.ModuleList(
            LiteBlock(_within(tensors, f"_blocks.{number}."), stride) for number, stride in enumerate(strides)
        )
        self.last = Convolution(*_folded(tensors, "_conv_head", "_bn1"))
        self.eval()

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        """uint8 `[N, S, S, 4]` (red, green, blue, mask) to float32 `[N, C]`."""
        # Cast first: TensorRT takes uint8 as an input, and into a cast only.
        planes = views.float().permute(0, 3, 1, 2)
        features = self.features(planes[:, :3])
        share = nn.functional.avg_pool2d(planes[:, 3:], self.architecture.image_size // features.shape[-1]) / 255.0
        counts = share + MASK_FLOOR
        # The counts first: the sums stay in their type, float32, where the features are narrower.
        return (counts / counts.sum(dim=(2, 3), keepdim=True) * features).sum(dim=(2, 3))

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """The last feature map: pixels from 0 to 255, float32 `[N, 3, S, S]`, to `[N, C, S / 32, S / 32]`."""
        planes = self.first(image - _MEAN)
        for block in self.blocks:
            planes = block(planes)
        result: torch.Tensor = self.last(planes)
        return result


def lite_shapes(architecture: LiteArchitecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that is used, in the order of the official state dict."""
    shapes: dict[str, tuple[int, ...]] = {}

    def add(convolution: str, norm: str, shape: tuple[int, ...]) -> None:
        shapes[f"{convolution}.weight"] = shape
        shapes.update({f"{norm}.{name}": shape[:1] for name in ("weight", "bias", "running_mean", "running_var")})

    channels = architecture.first_channels
    add("_conv_stem", "_bn0", (channels, 3, 3, 3))
    number = 0
    for stage in LITE_STAGES:
        for _ in range(stage.blocks):
            block, wide = f"_blocks.{number}.", channels * stage.expansion
            if stage.expansion > 1:
                add(f"{block}_expand_conv", f"{block}_bn0", (wide, channels, 1, 1))
            add(f"{block}_depthwise_conv", f"{block}_bn1", (wide, 1, stage.kernel, stage.kernel))
            add(f"{block}_project_conv", f"{block}_bn2", (stage.channels, wide, 1, 1))
            channels, number = stage.channels, number + 1
    add("_conv_head", "_bn1", (architecture.embedding_dim, channels, 1, 1))
    return shapes


def _within(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _folded(tensors: Mapping[str, torch.Tensor], convolution: str, norm: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Kernel and bias of a convolution with its normalisation; in float64, so that folding adds no rounding."""
    scale, shift, mean, variance = (
        tensors[f"{norm}.{name}"].double() for name in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / torch.sqrt(variance + _EPSILON)
    return tensors[f"{convolution}.weight"].double() * factor[:, None, None, None], shift - mean * factor
