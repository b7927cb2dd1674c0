"""The cache of plans: nothing but the plan of this very key, unchanged, is ever given out."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from mvrec_edge.runtime.engines.tensorrt import BatchProfile
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.engines.tensorrt.plan_keys import PlanKey, plan_key
from mvrec_edge.runtime.engines.tensorrt.plans import (
    built_profiles,
    plan_path,
    record_plan,
    replacing,
    verified_file,
    verified_plan,
)
from mvrec_edge.runtime.errors import IntegrityError
from mvrec_edge.runtime.files import canonical_json, sha256_bytes

KEY = plan_key("a" * 64, "10.3.0", GpuModel("Orin", "8.7"), BatchProfile(1, 27, 54))
PLAN = b"plan" * 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A plan with its record."""
    path = tmp_path / f"{KEY.digest}.plan"
    path.write_bytes(PLAN)
    record_plan(KEY, path)
    return path


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(PlanKey)])
def test_every_part_of_the_key_makes_another_plan(field: str, path: Path) -> None:
    other = dataclasses.replace(KEY, **{field: "another"})
    assert other.digest != KEY.digest
    assert plan_path(other) != plan_path(KEY)
    with pytest.raises(IntegrityError, match=f"was built for another {field}"):
        verified_plan(other, path)


def test_parts_of_a_key_do_not_run_together() -> None:
    keys = [dataclasses.replace(KEY, gpu=gpu, capability=capability) for gpu, capability in [("a", "b"), ("ab", "")]]
    assert keys[0].digest != keys[1].digest


def test_the_key_is_of_this_machine() -> None:
    assert KEY.profile == "1:27:54"
    assert KEY.system
    assert plan_key("a" * 64, "10.3.0", GpuModel("Orin", "8.7"), BatchProfile(1, 27, 54)) == KEY


def test_plans_lie_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path))
    assert plan_path(KEY) == tmp_path / "plans" / f"{KEY.digest}.plan"
    assert list(tmp_path.iterdir()) == []


def test_a_whole_plan_is_given_out(path: Path) -> None:
    assert verified_plan(KEY, path) == PLAN


def test_no_plan_without_a_record(path: Path) -> None:
    path.with_suffix(".json").unlink()
    assert verified_plan(KEY, path) is None


def test_no_plan_with_a_record_alone(path: Path) -> None:
    path.unlink()
    assert verified_plan(KEY, path) is None


@pytest.mark.parametrize("at", [0, 57, len(PLAN) - 1])
def test_a_changed_byte_of_the_plan_is_refused(path: Path, at: int) -> None:
    path.write_bytes(PLAN[:at] + bytes([PLAN[at] ^ 1]) + PLAN[at + 1 :])
    with pytest.raises(IntegrityError, match="was changed after it was built"):
        verified_plan(KEY, path)


@pytest.mark.parametrize("plan", [PLAN[:-1], PLAN + b"x", b""])
def test_a_plan_of_another_length_is_refused(path: Path, plan: bytes) -> None:
    path.write_bytes(plan)
    with pytest.raises(IntegrityError, match="was changed after it was built"):
        verified_plan(KEY, path)


def test_every_changed_byte_of_the_record_is_refused_or_says_the_same(path: Path) -> None:
    record = path.with_suffix(".json")
    whole = record.read_bytes()
    payload = json.loads(whole)
    for at in range(len(whole)):
        for flip in (0x01, 0x20):
            changed = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
            record.write_bytes(changed)
            try:
                answer = verified_plan(KEY, path)
            except IntegrityError:
                continue
            # White space can change without changing what is said.
            assert json.loads(changed) == payload
            assert answer == PLAN


@pytest.mark.parametrize("keep", [0, 1, 100, -3])
def test_a_torn_record_is_refused(path: Path, keep: int) -> None:
    record = path.with_suffix(".json")
    record.write_bytes(record.read_bytes()[:keep])
    with pytest.raises(IntegrityError):
        verified_plan(KEY, path)


@pytest.mark.parametrize("text", [b"[]", b"{}", b"null", b'{"schema": "mvrec-edge/plan/2"}', b"[" * 60_000])
def test_what_is_no_record_is_refused(path: Path, text: bytes) -> None:
    path.with_suffix(".json").write_bytes(text)
    with pytest.raises(IntegrityError):
        verified_plan(KEY, path)


def test_an_oversized_record_is_refused_unread(path: Path) -> None:
    record = path.with_suffix(".json")
    record.write_bytes(record.read_bytes() + b" " * (1 << 16))
    with pytest.raises(IntegrityError, match="is not a plan of this program"):
        verified_plan(KEY, path)


def test_an_oversized_plan_is_refused_unread(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate((1 << 34) + 1)  # sparse: takes no space
    with pytest.raises(IntegrityError, match="is not a plan of this program"):
        verified_plan(KEY, path)


@pytest.mark.parametrize("suffix", [".plan", ".json"])
def test_a_link_is_refused(path: Path, tmp_path: Path, suffix: str) -> None:
    """Whoever can change what it points to could have the plan changed between two looks."""
    file, elsewhere = path.with_suffix(suffix), tmp_path / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    with pytest.raises(IntegrityError, match="is not a plan of this program"):
        verified_plan(KEY, path)


def test_the_record_says_what_the_plan_is(path: Path) -> None:
    record = path.with_suffix(".json").read_bytes()
    assert record == canonical_json(json.loads(record))
    assert json.loads(record)["key"] == dataclasses.asdict(KEY)
    assert json.loads(record)["size"] == len(PLAN)


def test_profiles_of_the_plans_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path))
    assert built_profiles(KEY) == []
    (tmp_path / "plans").mkdir()
    ages = {"1:9:27": 3, "1:27:54": 2, "1:3:9": 1}
    for profile, age in ages.items():
        key = dataclasses.replace(KEY, profile=profile)
        plan_path(key).write_bytes(PLAN)
        record_plan(key, plan_path(key))
        os.utime(plan_path(key).with_suffix(".json"), (1000 - age, 1000 - age))
    for field in ("graph", "tensorrt", "gpu", "capability", "system"):
        other = dataclasses.replace(KEY, profile="1:1:1", **{field: "another"})
        plan_path(other).write_bytes(PLAN)
        record_plan(other, plan_path(other))
    assert [str(profile) for profile in built_profiles(KEY)] == ["1:3:9", "1:27:54", "1:9:27"]
    # A record without its plan, a torn one, one of nonsense and one under a foreign name are passed over.
    plan_path(dataclasses.replace(KEY, profile="1:3:9")).unlink()
    record = plan_path(KEY).with_suffix(".json")
    (tmp_path / "plans" / "foreign.json").write_bytes(record.read_bytes())
    (tmp_path / "plans" / "foreign.plan").write_bytes(PLAN)
    nonsense = dataclasses.replace(KEY, profile="9:3:1")
    plan_path(nonsense).write_bytes(PLAN)
    record_plan(nonsense, plan_path(nonsense))
    record.write_bytes(record.read_bytes()[:-20])
    assert [str(profile) for profile in built_profiles(KEY)] == ["1:9:27"]


@pytest.mark.parametrize("suffix", [".plan", ".json"])
def test_a_plan_of_another_user_is_refused(path: Path, suffix: str) -> None:
    """The folder may have been open to others before its owner closed it."""
    if os.geteuid() != 0:
        pytest.skip("only an administrator can give a file to another user")
    os.chown(path.with_suffix(suffix), 12345, -1)
    with pytest.raises(IntegrityError, match="was made by another user"):
        verified_plan(KEY, path)


def test_a_pipe_in_place_of_a_record_is_passed_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(path.parent / "user"))
    other = plan_path(KEY)
    other.parent.mkdir(parents=True)
    other.write_bytes(PLAN)
    os.mkfifo(other.with_suffix(".json"))
    assert built_profiles(KEY) == []


def test_the_hash_comes_with_the_bytes(path: Path) -> None:
    assert verified_file(KEY, path) == (PLAN, sha256_bytes(PLAN))


def test_what_is_replaced_has_no_record_meanwhile(path: Path) -> None:
    with replacing(KEY, path):
        assert verified_plan(KEY, path) is None
        path.write_bytes(b"new")
        assert verified_plan(KEY, path) is None
    assert verified_plan(KEY, path) == b"new"


def test_what_could_not_be_put_there_has_no_record(path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replacing(KEY, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt
    assert verified_plan(KEY, path) is None
