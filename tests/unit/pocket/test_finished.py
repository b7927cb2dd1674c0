"""The finished bundle that is shipped is whole, and is what the export would make of the shipped weights today."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.pocket import POCKET_BUNDLE, POCKET_PRECISIONS, POCKET_WEIGHTS, copy_pocket, finished
from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.bundle.golden import Golden
from mvrec_edge.runtime.engines import open_engine
from mvrec_edge.runtime.errors import IntegrityError, OutputError
from mvrec_edge.runtime.files import sha256_file

#: What the package may take in all.
MOST_BYTES = 25_000_000


def test_it_is_made_of_the_weights_beside_it() -> None:
    bundle = Bundle.load(POCKET_BUNDLE)
    assert bundle.precisions == POCKET_PRECISIONS
    assert (bundle.weights.name, bundle.weights.sha256) == (POCKET_WEIGHTS.name, sha256_file(POCKET_WEIGHTS))
    assert all(graph.within_limits for graph in bundle.manifest.graphs)
    assert sum(path.stat().st_size for path in POCKET_BUNDLE.parent.rglob("*") if path.is_file()) < MOST_BYTES


def test_it_answers_here_as_where_it_was_exported() -> None:
    pytest.importorskip("onnxruntime")
    bundle = Bundle.load(POCKET_BUNDLE)
    golden = Golden.of(bundle)
    with open_engine("onnxruntime", bundle) as engine:
        answers = engine.encode(golden.views)
    np.testing.assert_allclose(answers, golden.reference, rtol=0, atol=1e-5 * np.linalg.norm(golden.reference[0]))


def test_it_is_what_the_export_makes_today(tmp_path: Path) -> None:
    """Where this fails, the weights or the export have changed: `make pocket`."""
    pytest.importorskip("torch", reason="the export stage needs PyTorch")
    import onnx

    from training.finish import finish

    fresh, shipped = finish(out=tmp_path / "fresh.bundle"), Bundle.load(POCKET_BUNDLE)
    assert fresh.architecture == shipped.architecture
    assert fresh.weights == shipped.weights
    for precision in POCKET_PRECISIONS:
        graphs = [onnx.load(bundle.graph(precision), load_external_data=False) for bundle in (fresh, shipped)]
        operators = [Counter(node.op_type for node in graph.graph.node) for graph in graphs]
        assert operators[0] == operators[1]
        assert graphs[0].opset_import == graphs[1].opset_import
        files = [bundle.path / bundle.manifest.graph(precision).weights for bundle in (fresh, shipped)]
        assert files[0].read_bytes() == files[1].read_bytes()
        records = [bundle.manifest.graph(precision) for bundle in (fresh, shipped)]
        assert records[0].file == records[1].file
        assert [row.kind for row in records[0].checks] == [row.kind for row in records[1].checks]
    golden = [Golden.of(bundle) for bundle in (fresh, shipped)]
    np.testing.assert_array_equal(golden[0].views, golden[1].views)
    # Products are summed in another order by other processors.
    np.testing.assert_allclose(golden[0].reference, golden[1].reference, rtol=0, atol=1e-4)


def test_a_copy_is_the_same_to_the_byte(tmp_path: Path) -> None:
    copy = copy_pocket(tmp_path / "a.bundle")
    for path in POCKET_BUNDLE.iterdir():
        assert (copy.path / path.name).read_bytes() == path.read_bytes()
    assert copy.fingerprint() == Bundle.load(POCKET_BUNDLE).fingerprint()


def test_what_is_there_is_replaced_only_when_asked_for(tmp_path: Path) -> None:
    copy_pocket(tmp_path / "a.bundle")
    with pytest.raises(OutputError, match="exists already"):
        copy_pocket(tmp_path / "a.bundle")
    copy_pocket(tmp_path / "a.bundle", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.bundle"]


def test_a_damaged_package_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = Path(shutil.copytree(POCKET_BUNDLE, tmp_path / "shipped.bundle"))
    data = bytearray((damaged / "encoder.fp32.weights").read_bytes())
    data[100] ^= 1
    (damaged / "encoder.fp32.weights").write_bytes(data)
    monkeypatch.setattr(finished, "POCKET_BUNDLE", damaged)
    with pytest.raises(IntegrityError, match="hash differs"):
        copy_pocket(tmp_path / "a.bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["shipped.bundle"]
