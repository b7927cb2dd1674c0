"""The encoder that checkpoints and graphs are tried with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mvrec_edge.runtime.bundle import TransformerArchitecture

if TYPE_CHECKING:
    import torch

#: As small as can be traced with all that a block has.
SMALL = TransformerArchitecture(32, 16, 64, 2, 24)


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    """Its weights under the official names; a test may change them."""
    pytest.importorskip("torch", reason="the export stage needs PyTorch")
    from mvrec_edge.export import random_weights

    return random_weights(SMALL, seed=0).tensors
