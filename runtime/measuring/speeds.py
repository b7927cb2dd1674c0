"""Measured speeds, kept for this user and machine, so that an engine can be chosen by what it was seen to do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.errors import IntegrityError
from mvrec_edge.runtime.fields import Fields, parse_json
from mvrec_edge.runtime.files import atomic_write, canonical_json, writing
from mvrec_edge.runtime.measuring.candidates import PRECISIONS, TORCH
from mvrec_edge.runtime.measuring.machine import cpu_model

__all__ = ["Speed", "read_speeds", "record_speeds", "speeds_file", "speeds_of"]

_SCHEMA = "mvrec-edge/speeds/1"
_LARGEST_FILE = 1 << 20
_MOST_SPEEDS = 1000
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Speed:
    """How fast a bundle was with one engine.

    Attributes:
        fingerprint: The bundle's, at this precision.
        engine: The engine's name.
        provider: What it ran on; empty for the engine's own choice.
        precision: One of `PRECISIONS`.
        cpu: The processor's name.
        threads: CPU threads; 0 for the engine's own choice.
        batch: Views in the batch that was fastest for each view.
        views_per_second: At that batch, from the median latency.
        date: When, as `YYYY-MM-DD`.
    """

    fingerprint: str
    engine: str
    provider: str
    precision: str
    cpu: str
    threads: int
    batch: int
    views_per_second: float
    date: str

    @property
    def key(self) -> tuple[str, str, str, str, str, int]:
        """What a speed belongs to; a later one takes the place of an earlier one."""
        return self.fingerprint, self.engine, self.provider, self.precision, self.cpu, self.threads


def speeds_file() -> Path:
    """Where speeds are kept: `$MVREC_EDGE_CACHE`, else `$XDG_CACHE_HOME/mvrec-edge`, else `~/.cache/mvrec-edge`."""
    own, shared = os.environ.get("MVREC_EDGE_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own) / "speeds.json"
    return (Path(shared) if shared else Path.home() / ".cache") / "mvrec-edge" / "speeds.json"


def read_speeds(*, fingerprints: Iterable[str] | None = None, path: Path | None = None) -> tuple[Speed, ...]:
    """Reads what was measured on this processor, the fastest first.

    The file is a cache: one that is missing, damaged or of another version holds nothing.

    Args:
        fingerprints: Those of a bundle's precisions; by default any.
        path: Another file than the user's own.
    """
    wanted = None if fingerprints is None else set(fingerprints)
    here = cpu_model()
    found = [
        speed
        for speed in _read(path or speeds_file())
        if speed.cpu == here and (wanted is None or speed.fingerprint in wanted)
    ]
    return tuple(sorted(found, key=lambda speed: -speed.views_per_second))


def record_speeds(speeds: Iterable[Speed], *, path: Path | None = None) -> Path:
    """Adds speeds to the file, in place of earlier ones of the same key; of very many the oldest go.

    Args:
        speeds: What was measured.
        path: Another file than the user's own.

    Returns:
        The file.

    Raises:
        OutputError: It cannot be written.
    """
    path = path or speeds_file()
    merged = {speed.key: speed for speed in _read(path)}
    for speed in speeds:
        # Taken out first, so that what was measured again moves to the end.
        merged.pop(speed.key, None)
        merged[speed.key] = speed
    kept = list(merged.values())[-_MOST_SPEEDS:]
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream:
        stream.write(canonical_json({"schema": _SCHEMA, "speeds": [asdict(speed) for speed in kept]}))
    return path


def speeds_of(record: Mapping[str, Any], bundle: Bundle) -> tuple[Speed, ...]:
    """The speeds in a benchmark's record, without those of PyTorch.

    Args:
        record: What `measure_bundle` returned.
        bundle: The bundle it was measured with.
    """
    speeds = []
    for row in record["candidates"]:
        if row["engine"] == TORCH or row["error"] is not None or not row["cells"]:
            continue
        best = max(row["cells"], key=lambda cell: float(cell["views_per_s"]))
        speeds.append(
            Speed(
                fingerprint=bundle.fingerprint(row["precision"]),
                engine=row["engine"],
                provider=row["provider"] or "",
                precision=row["precision"],
                cpu=record["machine"]["cpu"],
                threads=record["settings"]["threads"] or 0,
                batch=best["batch"],
                views_per_second=best["views_per_s"],
                date=record["machine"]["date"],
            )
        )
    return tuple(speeds)


def _read(path: Path) -> list[Speed]:
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST_FILE + 1)
        if len(data) > _LARGEST_FILE:
            return []
        fields = Fields(parse_json(data, str(path)), str(path))
        if fields.text("schema") != _SCHEMA:
            return []
        return [_speed(Fields(item, str(path))) for item in fields.sequence("speeds", most=_MOST_SPEEDS)]
    except (OSError, IntegrityError):
        return []


def _speed(fields: Fields) -> Speed:
    return Speed(
        fingerprint=fields.text("fingerprint", longest=64),
        engine=fields.text("engine", longest=_LONGEST_NAME),
        provider=fields.text("provider", longest=_LONGEST_NAME),
        precision=fields.choice("precision", *PRECISIONS),
        cpu=fields.text("cpu", longest=_LONGEST_NAME),
        threads=fields.integer("threads", 0, 1 << 16),
        batch=fields.integer("batch", 1, 1 << 20),
        views_per_second=fields.number("views_per_second", 0.0, 1e12),
        date=fields.text("date", longest=32),
    )
