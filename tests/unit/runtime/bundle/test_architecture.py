"""What can be said of an encoder from its size alone."""

from __future__ import annotations

import pytest

from mvrec_edge.runtime.bundle import EncoderArchitecture, LiteArchitecture, TransformerArchitecture

LARGE = TransformerArchitecture(224, 14, 1024, 24, 768)


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        (LARGE, "ViT-L/14"),
        (TransformerArchitecture(336, 14, 1024, 24, 768), "ViT-L/14@336"),
        (TransformerArchitecture(224, 16, 768, 12, 512), "ViT-B/16"),
        (TransformerArchitecture(224, 32, 768, 12, 512), "ViT-B/32"),
        (TransformerArchitecture(224, 16, 192, 4, 256), "ViT-192x4/16"),
        (TransformerArchitecture(56, 14, 1024, 4, 64), "ViT-1024x4/14@56"),
        (LiteArchitecture(), "EfficientNet-Lite0"),
        (LiteArchitecture(64), "EfficientNet-Lite0@64"),
    ],
)
def test_names(architecture: EncoderArchitecture, name: str) -> None:
    assert architecture.name == name


def test_heads_and_tokens() -> None:
    assert (LARGE.heads, LARGE.tokens) == (16, 257)
    assert TransformerArchitecture(336, 14, 1024, 24, 768).tokens == 577


def test_operations_of_a_view() -> None:
    """A ViT-L/14 takes about 162 GFLOP a view with all tokens in all blocks; the last block saves about 4."""
    tokens, width = 257, 1024
    block = 2 * tokens * (3 * width * width + width * width + 8 * width * width) + 2 * 2 * tokens * tokens * width
    whole = 2 * 256 * 4 * 14 * 14 * width + 24 * block + 2 * width * 768
    assert whole == pytest.approx(162e9, rel=0.01)
    # Keys and values of all tokens remain; query, output projection, MLP and attention are one row of 257.
    saved = 2 * (tokens - 1) * 10 * width * width + 2 * 2 * (tokens - 1) * tokens * width
    assert whole - LARGE.flops_per_view == saved


def test_operations_of_efficientnet_lite() -> None:
    """The published figure is 407 million multiply-adds with the classifier's 1.3 million; the authors count more."""
    assert LiteArchitecture().flops_per_view == pytest.approx(2 * 385e6, rel=0.03)
    # All of it is convolution: a quarter of the pixels is a quarter of the work.
    assert LiteArchitecture(448).flops_per_view == 4 * LiteArchitecture(224).flops_per_view


def test_the_parts_in_words() -> None:
    assert LARGE.parts == "patch 14, width 1024, 24 layers, 16 heads"
    assert LiteArchitecture().parts == "16 convolutional blocks, last feature map 7 x 7"
