"""`mvrec-edge export` of checkpoints as training programs leave them, as a user types it."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")

from mvrec_edge.export import random_weights  # noqa: E402
from mvrec_edge.runtime.bundle import Bundle, TransformerArchitecture  # noqa: E402
from tests.e2e.commands import run  # noqa: E402

Tensors = dict[str, "torch.Tensor"]


@pytest.fixture
def tensors() -> Tensors:
    return random_weights(TransformerArchitecture(32, 16, 64, 1, 24), seed=0).tensors


def test_a_wrapped_checkpoint_with_values_of_numpy_is_exported(tensors: Tensors, tmp_path: Path) -> None:
    state = {f"module._orig_mod.{name}": value for name, value in tensors.items()}
    torch.save({"model_state_dict": state, "accuracy": np.float64(0.9), "losses": np.arange(3.0)}, tmp_path / "a.pth")
    run("export", "a.pth", "--out", "a.bundle", cwd=tmp_path)
    bundle = Bundle.load(tmp_path / "a.bundle")
    assert (bundle.weights.name, bundle.architecture.name) == ("a.pth", "ViT-64x1/16@32")


def test_what_is_refused_is_one_line_and_writes_nothing(tensors: Tensors, tmp_path: Path) -> None:
    torch.save({"model": tensors, "ema": {name: value + 1 for name, value in tensors.items()}}, tmp_path / "two.pth")
    torch.save({"model": tensors, "args": argparse.Namespace(lr=0.1)}, tmp_path / "more.pth")
    for name, words in (
        ("two.pth", ("holds 2 encoders", "inside 'model' and inside 'ema'", 'torch.save(c["model"], "one.pth")')),
        ("more.pth", ("was not run: it asks for 'argparse.Namespace'", "only whoever made the file")),
    ):
        result = run("export", name, "--out", "b", code=3, cwd=tmp_path)
        (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        for word in words:
            assert word in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["more.pth", "two.pth"]
