"""Plans on disk, and what is compiled for them: a local cache under a key of all that they depend on.

They are executable code. So each lies in a folder of this user alone, with a record of its hash that is checked before
a library sees a byte.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from mvrec_edge.runtime.engines.tensorrt.plan_keys import AnyKey, PlanKey, PortablePlanKey
from mvrec_edge.runtime.engines.tensorrt.profile import BatchProfile
from mvrec_edge.runtime.errors import IntegrityError, UsageError
from mvrec_edge.runtime.files import atomic_write, canonical_json, sha256_bytes, sha256_file, writing
from mvrec_edge.runtime.files.json_documents import read_json
from mvrec_edge.runtime.files.regular_files import read_bounded
from mvrec_edge.runtime.files.user_cache import made_by_user, user_cache_path

__all__ = [
    "built_keys",
    "built_profiles",
    "plan_path",
    "record_plan",
    "replacing",
    "verified_file",
    "verified_plan",
]

_LARGEST_RECORD = 1 << 16
_LARGEST_PLAN = 1 << 34

_Key = TypeVar("_Key", bound=PlanKey | PortablePlanKey)


def plan_path(key: PlanKey | PortablePlanKey) -> Path:
    """Where the plan of a key lies, or will lie."""
    return user_cache_path() / "plans" / f"{key.digest}.plan"


def built_keys(key: _Key, *free: str) -> list[_Key]:
    """The keys that there are plans of, the newest first.

    What it says is not checked: whoever loads a plan does that, see `verified_plan`.

    Args:
        key: What the plans depend on.
        free: Fields of the key that may say something else.
    """
    found: list[tuple[int, _Key]] = []
    for record in plan_path(key).parent.glob("*.json"):
        try:
            if not record.with_suffix(".plan").is_file():
                continue
            stored = read_json(read_bounded(record, _LARGEST_RECORD), str(record), schema=_schema(key)).object("key")
            changed: dict[str, Any] = {name: stored.text(name, longest=128) for name in free}
            other = dataclasses.replace(key, **changed)
            if stored.payload == dataclasses.asdict(other) and plan_path(other) == record.with_suffix(".plan"):
                found.append((record.stat().st_mtime_ns, other))
        except (OSError, IntegrityError):
            # It is not ours, or broken; if it is the one that is wanted, loading it says so.
            continue
    return [other for _, other in sorted(found, key=lambda item: (-item[0], item[1].digest))]


def built_profiles(key: PlanKey | PortablePlanKey) -> list[BatchProfile]:
    """The batch sizes that there are plans of, where all else is as in the key; the newest first."""
    profiles = []
    for other in built_keys(key, "profile"):
        with contextlib.suppress(UsageError):
            profiles.append(BatchProfile.parse(other.profile))
    return profiles


def record_plan(key: AnyKey, path: Path) -> None:
    """Writes the record of a file beside it, after the file itself.

    Raises:
        OutputError: It cannot be written.
    """
    record = {
        "schema": _schema(key),
        "key": dataclasses.asdict(key),
        "size": path.stat().st_size,
        "sha256": sha256_file(path),
    }
    with atomic_write(path.with_suffix(".json")) as stream:
        stream.write(canonical_json(record))


@contextlib.contextmanager
def replacing(key: AnyKey, path: Path) -> Iterator[None]:
    """Takes the record of a file away, has the file put there in the block, and writes its record.

    So the new bytes never lie under the old record, whatever ends the process: between the steps there is nothing that
    `verified_plan` would give out.

    Raises:
        OutputError: The old record cannot be removed, or the new one not be written.
    """
    with writing(path):
        path.with_suffix(".json").unlink(missing_ok=True)
    yield
    record_plan(key, path)


def verified_plan(key: AnyKey, path: Path) -> bytes | None:
    """The bytes of a plan or a runtime cache; see `verified_file`."""
    found = verified_file(key, path)
    return None if found is None else found[0]


def verified_file(key: AnyKey, path: Path) -> tuple[bytes, str] | None:
    """A plan or a runtime cache, if it is the one of this key and nobody changed it.

    Args:
        key: What it must depend on.
        path: Where it should lie.

    Returns:
        The bytes and their SHA-256, in hexadecimal; None where there is none.

    Raises:
        IntegrityError: There is one, and its record or its hash says that it is another.
    """
    record = path.with_suffix(".json")
    if not path.is_file() or not record.is_file():
        return None
    if _of_another_user(path) or _of_another_user(record):
        raise IntegrityError("was made by another user", where=path, fix="remove it")
    if path.is_symlink() or record.is_symlink() or _size_of(path) > _LARGEST_PLAN:
        raise IntegrityError(f"is not a {key.kind} of this program", where=path, fix="remove it")
    data = _bytes_of(record, _LARGEST_RECORD, key.kind)
    fields = read_json(data, str(record), schema=_schema(key), again="build it again")
    stored = dict(fields.object("key").payload)
    if stored != dataclasses.asdict(key):
        changed = sorted(name for name, value in dataclasses.asdict(key).items() if stored.get(name) != value)
        raise IntegrityError(f"was built for another {', '.join(changed)}", where=path, fix="build it again")
    size = fields.integer("size", 0, _LARGEST_PLAN)
    # Its size first: of a plan that is longer nothing is read.
    fits = _size_of(path) == size
    plan = _bytes_of(path, size, key.kind) if fits else b""
    digest = sha256_bytes(plan)
    if not fits or digest != fields.text("sha256", longest=64):
        raise IntegrityError("was changed after it was built", where=path, fix="build it again")
    return plan, digest


def _schema(key: AnyKey) -> str:
    # The first plans multiplied float32 as TensorFloat-32.
    return f"mvrec-edge/{key.kind.replace(' ', '-')}/{2 if key.kind == 'plan' else 1}"


def _of_another_user(path: Path) -> bool:
    try:
        return not made_by_user(path)
    except OSError:
        # Removed just now: reading it says so.
        return False


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        # Removed just now: no size that fits.
        return -1


def _bytes_of(path: Path, most: int, kind: str) -> bytes:
    try:
        return read_bounded(path, most)
    except OSError as error:
        raise IntegrityError(
            f"is not a {kind} of this program: {error.strerror or error}", where=path, fix="remove it"
        ) from error
