"""What each engine was measured to take on this machine, kept for `--engine auto`."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass

from mvrec_edge.runtime.engines.processor import read_processor
from mvrec_edge.runtime.errors import IntegrityError, OutputError
from mvrec_edge.runtime.files import atomic_write, canonical_json, sha256_bytes
from mvrec_edge.runtime.files.file_lock import locked
from mvrec_edge.runtime.files.json_documents import read_json
from mvrec_edge.runtime.files.regular_files import read_bounded
from mvrec_edge.runtime.files.user_cache import belongs_to_user, made_by_user, user_cache, user_cache_path

__all__ = ["SpeedKey", "read_speeds", "record_speeds"]

SCHEMA = "mvrec-edge/speeds/1"
_NAME = "speeds.json"
_MOST_ENTRIES = 4096
_SHORTEST, _LONGEST = 1e-9, 1e9
_LARGEST_FILE = 1 << 20
_LIBRARIES = ("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu12-bindings")


@dataclass(frozen=True)
class SpeedKey:
    """What a measured time belongs to.

    Attributes:
        fingerprint: The fingerprint of the embeddings: bundle and precision.
        engine: The engine's name.
        provider: ONNX Runtime's provider; empty for the other engines.
        threads: CPU threads.
        device: The GPU of an engine whose plans run on several; empty for the other engines.
    """

    fingerprint: str
    engine: str
    provider: str
    threads: int
    device: str = ""

    @property
    def digest(self) -> str:
        """The key under which a time is kept; another processor or library version is another key."""
        parts = {
            "fingerprint": self.fingerprint,
            "engine": self.engine,
            "provider": self.provider,
            "threads": self.threads,
            "device": self.device,
            "processor": read_processor().model or platform.processor() or platform.machine(),
            "libraries": [_version(name) for name in _LIBRARIES],
        }
        return sha256_bytes(canonical_json(parts))


def read_speeds(keys: list[SpeedKey]) -> dict[SpeedKey, float]:
    """The milliseconds per view that were measured for some of the keys; a file that is damaged counts as empty."""
    times = _load()
    return {key: times[key.digest] for key in keys if key.digest in times}


def record_speeds(speeds: Mapping[SpeedKey, float]) -> None:
    """Keeps milliseconds per view; a folder that cannot be written is no error, the next run measures again."""
    # One that could not be read again would make the others unreadable, too.
    measured = {key.digest: float(value) for key, value in speeds.items() if _SHORTEST <= value <= _LONGEST}
    with contextlib.suppress(OutputError):
        path = user_cache() / _NAME
        # Another process may keep times of its own between reading and writing.
        with locked(path):
            times = _load() | measured
            kept = dict(list(times.items())[-_MOST_ENTRIES:])
            with atomic_write(path) as stream:
                stream.write(canonical_json({"schema": SCHEMA, "milliseconds_per_view": kept}))


def _load() -> dict[str, float]:
    path = user_cache_path() / _NAME
    try:
        if not (belongs_to_user(path.parent) and made_by_user(path)):
            return {}
        data = read_bounded(path, _LARGEST_FILE)
        times = read_json(data, str(path), schema=SCHEMA).object("milliseconds_per_view")
        return {key: times.number(key, _SHORTEST, _LONGEST) for key in times.payload}
    except (OSError, IntegrityError):
        return {}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
