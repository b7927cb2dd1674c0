"""What every record of a run says about the run, so that a record cut out of its file can be traced."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mvrec_edge.runtime import ClassifySettings, Engine, SupportCache
    from mvrec_edge.runtime.report import AddCommand

__all__ = ["RunFacts"]

# What a run that goes on with a file may have of its own: where its files lie, and what computes.
_MAY_DIFFER = ("cache", "bundle", "engine", "device")


@dataclass(frozen=True)
class RunFacts:
    """The facts of a run; the fields are described in `docs/classify.md`.

    Attributes:
        version: Of mvrec-edge.
        cache: Path of the support cache as it was given.
        cache_digest: Its digest; another one after it was loaded again.
        bundle: Path of the bundle as it was given.
        encoder: Fingerprint of the bundle's graph.
        precision: Of this graph.
        engine: The engine's name; empty before one is open.
        device: What it runs on, in words.
        views: `"all"`, `"auto"` or a number.
        risk: For `"auto"`: the risk; else None.
        budget_ms: The limit in time for each region; None for none.
        reject_rate: The rate that was asked for; None for that of the cache.
        min_area: The smallest defect of a mask that was asked for; None for the default.
        region_input: What the encoder was told about where defects are; None for what the annotations say.
        part: The part that was given for all images; None where none was, and then not in the records.
        recentre: True where the centre follows the line; None where it does not, and then not in the records.
    """

    version: str
    cache: str
    cache_digest: str
    bundle: str
    encoder: str
    precision: str
    engine: str
    device: str
    views: str | int
    risk: float | None
    budget_ms: float | None
    reject_rate: float | None
    min_area: int | None
    region_input: str | None
    part: str | None = None
    recentre: bool | None = None

    @classmethod
    def of(
        cls, cache: SupportCache, settings: ClassifySettings, *, cache_path: object, bundle_path: object, precision: str
    ) -> RunFacts:
        """What is known before an engine is opened.

        Args:
            cache: The support cache.
            settings: How the run classifies.
            cache_path: Where the cache was read from.
            bundle_path: Where the bundle was read from.
            precision: The precision of the graph that will run.
        """
        from mvrec_edge import __version__

        use = settings.view_use(cache)
        return cls(
            version=__version__,
            cache=str(cache_path),
            cache_digest=cache.digest,
            bundle=str(bundle_path),
            encoder=cache.encoder,
            precision=precision,
            engine="",
            device="",
            views=use.views,
            risk=use.risk if use.views == "auto" else None,
            budget_ms=use.budget_ms,
            reject_rate=settings.reject_rate,
            min_area=settings.min_area,
            region_input=settings.region_input,
            part=settings.part,
            recentre=settings.recentre or None,
        )

    def on(self, engine: Engine) -> RunFacts:
        """The same with the engine that runs."""
        return dataclasses.replace(self, engine=engine.name, device=engine.device)

    @property
    def add_command(self) -> AddCommand:
        """What the command that adds one of the regions to the support needs."""
        from mvrec_edge.runtime.report import AddCommand

        return AddCommand(self.cache, self.bundle, self.min_area)

    def to_record(self, cache_digest: str) -> dict[str, Any]:
        """The facts in plain JSON types, of a region that was compared with the cache of this digest."""
        facts = dataclasses.asdict(self) | {"cache_digest": cache_digest}
        # Absent where they are not given, so that such a record is the same as one of an earlier version.
        return {name: value for name, value in facts.items() if name not in ("part", "recentre") or value is not None}

    def differences(self, recorded: Mapping[str, Any]) -> list[str]:
        """What of a record's facts is not as in this run, in words; where a run may differ is not looked at."""
        return [
            f"{name.replace('_', ' ')} {_shown(recorded.get(name))}, not {_shown(value)}"
            for name, value in dataclasses.asdict(self).items()
            if name not in _MAY_DIFFER and recorded.get(name) != value
        ]


def _shown(value: object) -> str:
    if value is None:
        return "none"
    text = str(value)
    # Sixteen signs tell digests apart, and a line with two whole ones is not read.
    return text if len(text) <= 32 else f"{text[:16]}..."
