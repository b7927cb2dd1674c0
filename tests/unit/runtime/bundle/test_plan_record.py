"""Plans in a manifest: read field by field, and absent where there are none."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.pocket.finished import copy_pocket
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.bundle import Manifest, PlanRecord
from mvrec_edge.runtime.engines.tensorrt.bundled_plans import bundled_plan, store_plans
from mvrec_edge.runtime.engines.tensorrt.plan_keys import PortablePlanKey
from mvrec_edge.runtime.errors import IntegrityError, LockedError, OutputError
from mvrec_edge.runtime.files import sha256_bytes
from mvrec_edge.runtime.files.file_lock import claimed
from mvrec_edge.runtime.files.json_documents import signed_json

NAME = "encoder.fp32.tensorrt-rtx.plan"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return copy_pocket(tmp_path / "pocket.bundle")


def key(bundle: Bundle, release: str = "1.7.1.116") -> PortablePlanKey:
    graph = bundle.manifest.graph_digest("fp32")
    return PortablePlanKey(graph, "tensorrt-rtx", release, "8.0 and later", "1:27:54")


def test_a_bundle_without_plans_has_the_manifest_that_it_had(bundle: Bundle) -> None:
    written = bundle.manifest.serialise()
    assert "plans" not in json.loads(written)
    assert Manifest.parse(written).plans == ()


def test_a_plan_is_stored_and_replaced(bundle: Bundle) -> None:
    fingerprint = bundle.fingerprint("fp32")
    assert store_plans(bundle, "fp32", {"": (key(bundle), b"first")}) == [bundle.path / NAME]
    for release, data in (("1.7.1.116", b"first"), ("1.8.0", b"second one")):
        store_plans(bundle, "fp32", {"": (key(bundle, release), data)})
        found = Bundle.load(bundle.path)
        assert found.manifest.plans == (PlanRecord(NAME, "fp32", "", **dataclasses.asdict(key(bundle, release))),)
        assert Manifest.parse(found.manifest.serialise()) == found.manifest
        assert bundled_plan(found, found.manifest.plans[0]) == (data, sha256_bytes(data))
        # A plan is no part of what embeddings depend on.
        assert found.fingerprint("fp32") == fingerprint
        assert found.manifest.created_by == bundle.manifest.created_by
    assert not [path.name for path in bundle.path.parent.iterdir() if path != bundle.path]


def test_a_link_stays_a_link(bundle: Bundle, tmp_path: Path) -> None:
    link = tmp_path / "current.bundle"
    link.symlink_to("pocket.bundle")
    assert store_plans(Bundle.load(link), "fp32", {"": (key(bundle), b"plan")}) == [link / NAME]
    assert link.is_symlink()
    assert (bundle.path / NAME).read_bytes() == b"plan"


def test_a_bundle_that_was_exchanged_or_changed_meanwhile_is_left_alone(bundle: Bundle) -> None:
    other = dataclasses.replace(key(bundle), graph="0" * 64)
    with pytest.raises(IntegrityError, match="was exchanged while its plan was built"):
        store_plans(bundle, "fp32", {"": (other, b"plan")})
    weights = bundle.path / "encoder.fp32.weights"
    data = bytearray(weights.read_bytes())
    data[7] ^= 1
    weights.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"encoder\.fp32\.weights: was changed after it was exported"):
        store_plans(bundle, "fp32", {"": (key(bundle), b"plan")})
    assert not (bundle.path / NAME).exists()
    assert not [path.name for path in bundle.path.parent.iterdir() if path != bundle.path]


def lose(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def change(file: Path) -> None:
    file.write_bytes(b"#" * file.stat().st_size)


def link(file: Path) -> None:
    file.rename(file.parent.with_suffix(".plan"))
    file.symlink_to(file.parent.with_suffix(".plan"))


@pytest.mark.parametrize("harm", [lose, cut, change, link])
def test_a_plan_that_is_lost_or_damaged_is_built_again(bundle: Bundle, harm: Callable[[Path], None]) -> None:
    store_plans(bundle, "fp32", {"": (key(bundle), b"plan")})
    harm(bundle.path / NAME)
    with pytest.raises(IntegrityError, match=r"mvrec-edge build BUNDLE --for rtx --into-bundle --precision fp32"):
        Bundle.load(bundle.path)
    opened = Bundle.load(bundle.path, graphs=(), plans=False)
    store_plans(opened, "fp32", {"": (key(bundle), b"plan")})
    whole = Bundle.load(bundle.path)
    assert bundled_plan(whole, whole.manifest.plans[0])[0] == b"plan"


def test_another_plan_that_is_lost_is_left_out(half_bundle_path: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(shutil.copytree(half_bundle_path, tmp_path / "half.bundle"))
    said: list[str] = []
    other = dataclasses.replace(key(bundle), graph=bundle.manifest.graph_digest("fp16"))
    store_plans(bundle, "fp16", {"": (other, b"half")})
    (bundle.path / NAME.replace("fp32", "fp16")).unlink()
    store_plans(bundle, "fp32", {"": (key(bundle), b"plan")}, say=said.append)
    assert [plan.precision for plan in Bundle.load(bundle.path).manifest.plans] == ["fp32"]
    (line,) = said
    assert line.startswith("encoder.fp16.tensorrt-rtx.plan is left out of the bundle, because it ")
    assert line.endswith("--into-bundle --precision fp16)")


def test_all_but_plans_has_to_be_whole(bundle: Bundle) -> None:
    (bundle.path / "encoder.fp32.weights").unlink()
    with pytest.raises(IntegrityError, match=r"encoder\.fp32\.weights: is missing.*export the bundle again"):
        Bundle.load(bundle.path, graphs=(), plans=False)


def test_a_bundle_that_another_process_writes(bundle: Bundle) -> None:
    with claimed(bundle.path), pytest.raises(LockedError):
        store_plans(bundle, "fp32", {"": (key(bundle), b"plan")})


def test_a_place_that_cannot_be_written(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OutputError, match="No space left on device"):
        store_plans(bundle, "fp32", {"": (key(bundle), b"plan")})
    assert Bundle.load(bundle.path).manifest.plans == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"graph": "0" * 64}, "is listed as a plan, but not of a graph of this bundle"),
        ({"precision": "bf16"}, "is listed as a plan, but not of a graph of this bundle"),
        ({"precision": "fp8"}, "precision"),
        ({"library": "tensorrt"}, "library"),
        ({"file": "elsewhere.plan"}, "the file 'elsewhere.plan' is not listed"),
        ({"file": 3}, "file"),
        ({"release": "1" * 65}, "release"),
        ({"capabilities": None}, "capabilities"),
    ],
)
def test_a_record_that_is_not_one_is_refused(bundle: Bundle, change: dict[str, Any], reason: str) -> None:
    store_plans(bundle, "fp32", {"": (key(bundle), b"plan")})
    manifest = bundle.path / "manifest.json"
    payload = json.loads(manifest.read_bytes())
    payload.pop("digest")
    payload["plans"][0] |= change
    manifest.write_bytes(signed_json(payload))
    with pytest.raises(IntegrityError, match=reason):
        Bundle.load(bundle.path)


def test_two_plans_for_one_graph_and_engine(bundle: Bundle) -> None:
    store_plans(bundle, "fp32", {"": (key(bundle), b"plan")})
    manifest = Bundle.load(bundle.path).manifest
    twice = dataclasses.replace(manifest, plans=manifest.plans * 2)
    with pytest.raises(IntegrityError, match="two plans are for one graph and engine"):
        Manifest.parse(twice.serialise())
