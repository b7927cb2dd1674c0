"""The size of an AlphaCLIP image encoder, as a manifest records it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EncoderArchitecture"]


@dataclass(frozen=True)
class EncoderArchitecture:
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
        size = "" if self.image_size == 224 else f"@{self.image_size}"
        return f"{family}/{self.patch_size}{size}"

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
