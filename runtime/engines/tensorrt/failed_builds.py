"""Builds that failed, remembered beside the plans: an engine that can do without a plan does not build in vain again.

A build takes minutes, and what it fails at does not go away by itself: the key of the plan names graph, library, GPU
and batch sizes. Whoever asks for the plan itself, as `mvrec-edge build` does, has it tried again.
"""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

from mvrec_edge.runtime.engines.tensorrt.plan_keys import PlanKey, PortablePlanKey
from mvrec_edge.runtime.engines.tensorrt.plans import plan_path
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError, OutputError
from mvrec_edge.runtime.files import atomic_write, canonical_json
from mvrec_edge.runtime.files.json_documents import MAX_TEXT, read_json
from mvrec_edge.runtime.files.regular_files import read_bounded
from mvrec_edge.runtime.files.user_cache import made_by_user

__all__ = ["earlier_failure", "forget_failure", "remember_failure"]

_SCHEMA = "mvrec-edge/failed-build/1"
_LARGEST = 1 << 16


def remember_failure(key: PlanKey | PortablePlanKey, error: EnvironmentUnfitError) -> None:
    """Notes why a plan could not be built. Where that cannot be written, the next opening tries again."""
    record = {"schema": _SCHEMA, "key": dataclasses.asdict(key), "reason": error.what[:MAX_TEXT]}
    with contextlib.suppress(OutputError), atomic_write(_path(key)) as stream:
        stream.write(canonical_json(record))


def earlier_failure(key: PlanKey | PortablePlanKey) -> str | None:
    """Why the plan of this very key could not be built; None where nothing is known of that."""
    path = _path(key)
    try:
        if path.is_symlink() or not made_by_user(path):
            return None
        fields = read_json(read_bounded(path, _LARGEST), str(path), schema=_SCHEMA)
        same = dict(fields.object("key").payload) == dataclasses.asdict(key)
        return fields.text("reason") if same else None
    except (OSError, IntegrityError):
        # None of ours, or broken: the build says what is wrong.
        return None


def forget_failure(key: PlanKey | PortablePlanKey) -> None:
    """Takes the note away, since the plan was built."""
    with contextlib.suppress(OSError):
        _path(key).unlink(missing_ok=True)


def _path(key: PlanKey | PortablePlanKey) -> Path:
    return plan_path(key).with_suffix(".failed")
