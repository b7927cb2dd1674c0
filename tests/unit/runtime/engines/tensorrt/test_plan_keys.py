"""What plans are built for, and the keys of all that they depend on."""

from __future__ import annotations

import dataclasses

import pytest

from mvrec_edge.runtime.engines.tensorrt import BatchProfile
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT, TENSORRT_RTX
from mvrec_edge.runtime.engines.tensorrt.plan_keys import (
    Capabilities,
    PortablePlanKey,
    RuntimeCacheKey,
    flavour_for,
    plan_key,
)
from mvrec_edge.runtime.errors import UsageError

PROFILE = BatchProfile(1, 27, 54)
PORTABLE = plan_key("a" * 64, "1.7.1.116", Capabilities(), PROFILE)
CACHE = RuntimeCacheKey("a" * 64, "1.7.1.116", "A GPU", "8.6", "Linux x86_64")


def test_a_portable_plan_depends_on_no_gpu_and_no_system() -> None:
    assert PortablePlanKey("a" * 64, "tensorrt-rtx", "1.7.1.116", "8.0 and later", "1:27:54") == PORTABLE
    assert (flavour_for(Capabilities()), flavour_for(GpuModel("Orin", "8.7"))) == (TENSORRT_RTX, TENSORRT)


@pytest.mark.parametrize("key", [PORTABLE, CACHE])
def test_every_field_counts(key: PortablePlanKey | RuntimeCacheKey) -> None:
    others = {dataclasses.replace(key, **{field.name: "other"}).digest for field in dataclasses.fields(key)}
    assert len(others | {key.digest}) == len(dataclasses.fields(key)) + 1


def test_capabilities_have_one_order_and_one_spelling() -> None:
    chosen = Capabilities(("12.0", "8.6", "12.0"))
    assert (chosen.chosen, str(chosen)) == (("8.6", "12.0"), "8.6, 12.0")
    assert chosen == Capabilities(("8.6", "12.0"))
    for one in (chosen, Capabilities()):
        assert Capabilities.parse(str(one)) == one


@pytest.mark.parametrize(
    ("chosen", "capability", "included"),
    [
        ((), "8.0", True),
        ((), "12.1", True),
        ((), "7.5", False),
        (("7.5",), "7.5", True),
        (("8.6",), "8.9", False),
        (("8.6", "8.9"), "8.9", True),
    ],
)
def test_which_gpus_are_included(chosen: tuple[str, ...], capability: str, included: bool) -> None:
    assert Capabilities(chosen).include(capability) == included


@pytest.mark.parametrize("text", ["", "8", "8.", "SM86", "sm_86", "8.6.1", "-8.6", "86", "8,6", "999.9", "nan"])
def test_what_is_no_compute_capability(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a compute capability \(example: --capability 8\.6\)"):
        Capabilities((text,))


def test_not_too_many() -> None:
    with pytest.raises(UsageError, match="at most 16"):
        Capabilities(tuple(f"{number}.0" for number in range(1, 18)))
