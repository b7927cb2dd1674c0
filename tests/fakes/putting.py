"""Puts a stand-in plan where the engine looks for one: nothing here builds one."""

from __future__ import annotations

import json
from pathlib import Path

from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.engines.tensorrt.plan_keys import PlanTarget, plan_key
from mvrec_edge.runtime.engines.tensorrt.plans import plan_path, record_plan
from mvrec_edge.runtime.engines.tensorrt.profile import AnyProfile, BatchProfile
from mvrec_edge.runtime.files.user_cache import user_cache

__all__ = ["put_plan"]

_GPU = GpuModel("Fake GPU", "8.7")


def put_plan(
    bundle: Bundle,
    precision: str,
    profile: AnyProfile | None = None,
    *,
    target: PlanTarget = _GPU,
    release: str = "10.3.0",
) -> Path:
    """Writes a plan as the stand-ins take it, a line of JSON and the whole ONNX file, with its record.

    Args:
        bundle: The bundle.
        precision: The precision of the graph.
        profile: Batch sizes; by default those of the engine. Its kind says whether the plan takes views or cuts them.
        target: What it is built for, and so with which library.
        release: The release that this library's stand-in says it is.
    """
    import onnx

    profile = profile or BatchProfile(1, 27, 54)
    shapes = profile.shapes(bundle.architecture.image_size)
    key = plan_key(bundle.manifest.graph_digest(precision, profile.variant), release, target, profile)
    user_cache("plans")
    path = plan_path(key)
    # With the weights beside it, which onnx finds from the path.
    variant = bundle.variant(precision, profile.variant) if profile.variant else None
    whole = onnx.load(bundle.graph(precision) if variant is None else variant[0]).SerializeToString()
    path.write_bytes(json.dumps({"shapes": shapes}).encode() + b"\n" + whole)
    record_plan(key, path)
    return path
