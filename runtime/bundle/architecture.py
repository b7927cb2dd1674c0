"""The size of an image encoder, as a manifest records it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass

__all__ = ["LITE_STAGES", "EncoderArchitecture", "LiteArchitecture", "LiteStage", "TransformerArchitecture"]


class EncoderArchitecture(ABC):
    """What everything but the export reads of an encoder, whatever it is built of.

    Attributes:
        image_size: Side of the square input in pixels.
        embedding_dim: Channels of the embedding.
    """

    image_size: int
    embedding_dim: int

    @abstractmethod
    def record(self) -> dict[str, int | str]:
        """What a manifest keeps of it: its fields in plain JSON types."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The usual name, such as `ViT-L/14@336`."""

    @property
    @abstractmethod
    def parts(self) -> str:
        """What it is built of, in words."""

    @property
    @abstractmethod
    def flops_per_view(self) -> int:
        """Floating point operations of one view's products and convolutions, a multiply-add counted as two."""


@dataclass(frozen=True)
class TransformerArchitecture(EncoderArchitecture):
    """A vision transformer with an alpha channel; every number can be read off its weights.

    Attributes:
        image_size: Side of the square input in pixels.
        patch_size: Side of a patch in pixels; divides `image_size`.
        width: Channels of the transformer; a multiple of 64, one attention head for every 64.
        layers: Transformer blocks.
        embedding_dim: Channels of the embedding.
    """

    image_size: int
    patch_size: int
    width: int
    layers: int
    embedding_dim: int

    def record(self) -> dict[str, int | str]:
        """What a manifest keeps of it: its fields in plain JSON types."""
        return asdict(self)

    @property
    def heads(self) -> int:
        """Attention heads: one for every 64 channels, as in every CLIP vision transformer."""
        return self.width // 64

    @property
    def tokens(self) -> int:
        """Patches and the class token."""
        return (self.image_size // self.patch_size) ** 2 + 1

    @property
    def name(self) -> str:
        """The usual name, such as `ViT-L/14@336`; smaller ones are named by width and depth."""
        family = {(768, 12): "ViT-B", (1024, 24): "ViT-L"}.get((self.width, self.layers))
        if family is None:
            family = f"ViT-{self.width}x{self.layers}"
        return f"{family}/{self.patch_size}{_at(self.image_size)}"

    @property
    def parts(self) -> str:
        """What it is built of, in words."""
        return f"patch {self.patch_size}, width {self.width}, {self.layers} layers, {self.heads} heads"

    @property
    def flops_per_view(self) -> int:
        """Floating point operations of one view's matrix products, a multiply-add counted as two.

        The last block is counted for the class token's query and MLP only.
        """
        patches, width, tokens = self.tokens - 1, self.width, self.tokens
        embed = 2 * patches * 4 * self.patch_size**2 * width
        attention = 2 * 2 * tokens * tokens * width
        block = 2 * tokens * 12 * width * width + attention
        last = 2 * tokens * 2 * width * width + 2 * 10 * width * width + attention // tokens
        return embed + (self.layers - 1) * block + last + 2 * width * self.embedding_dim


@dataclass(frozen=True)
class LiteStage:
    """Blocks of EfficientNet-Lite that follow each other.

    A block widens its channels (not with a factor of 1), convolves each by itself, and narrows them; its input is added
    where it has the shape of the output.

    Attributes:
        blocks: How many.
        kernel: Side of the kernel.
        stride: Of the first block; the others have 1.
        expansion: By how much a block widens its input.
        channels: Of the output.
    """

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


#: Of EfficientNet-Lite0 (Tan and Le 2019, in the variant without squeeze-and-excitation).
LITE_STAGES = (
    LiteStage(1, 3, 1, 1, 16),
    LiteStage(2, 3, 2, 6, 24),
    LiteStage(2, 5, 2, 6, 40),
    LiteStage(3, 3, 2, 6, 80),
    LiteStage(3, 5, 1, 6, 112),
    LiteStage(4, 5, 2, 6, 192),
    LiteStage(1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class LiteArchitecture(EncoderArchitecture):
    """The convolutional network EfficientNet-Lite0 with a mean over its last feature map that the mask weights.

    Attributes:
        image_size: Side of the square input in pixels; a multiple of `stride`.
        embedding_dim: Channels of the embedding, which are those of the last feature map.
        family: Tells this record from that of a transformer, which has no such field.
    """

    image_size: int = 224
    embedding_dim: int = 1280
    family: str = "EfficientNet-Lite0"

    #: Pixels of the input for each place of the last feature map.
    stride = 32
    #: Channels after the first convolution.
    first_channels = 32

    def record(self) -> dict[str, int | str]:
        """What a manifest keeps of it: its fields in plain JSON types."""
        return asdict(self)

    @property
    def name(self) -> str:
        """The usual name, with the size of the input where it is not 224 pixels."""
        return f"{self.family}{_at(self.image_size)}"

    @property
    def parts(self) -> str:
        """What it is built of, in words."""
        blocks = sum(stage.blocks for stage in LITE_STAGES)
        side = self.image_size // self.stride
        return f"{blocks} convolutional blocks, last feature map {side} x {side}"

    @property
    def flops_per_view(self) -> int:
        """Floating point operations of one view's convolutions, a multiply-add counted as two."""
        side, channels = self.image_size // 2, self.first_channels
        products = side**2 * 3 * 3 * 3 * channels
        for stage in LITE_STAGES:
            for block in range(stage.blocks):
                wide = channels * stage.expansion
                if stage.expansion > 1:
                    products += side**2 * channels * wide
                side //= stage.stride if block == 0 else 1
                products += side**2 * wide * (stage.kernel**2 + stage.channels)
                channels = stage.channels
        return 2 * (products + side**2 * channels * self.embedding_dim)


def _at(image_size: int) -> str:
    return "" if image_size == 224 else f"@{image_size}"
