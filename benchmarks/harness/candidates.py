"""What is measured: an engine, its provider and a precision; the one place where a candidate is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mvrec_edge.runtime.bundle import PRECISIONS, Bundle
from mvrec_edge.runtime.engines import Engine, engine_names, open_engine
from mvrec_edge.runtime.engines.choice import installed_engines
from mvrec_edge.runtime.engines.engine_registry import AUTO
from mvrec_edge.runtime.errors import UsageError

__all__ = [
    "CUDA_PREFIX",
    "TORCH",
    "EngineCandidate",
    "default_candidates",
    "open_candidate",
    "parse_candidates",
]

#: The engine name of the PyTorch baselines, which no bundle is opened with.
TORCH = "torch"

#: How a PyTorch baseline is named that runs on a GPU.
CUDA_PREFIX = "cuda-"

_MOST_CANDIDATES = 64


@dataclass(frozen=True)
class EngineCandidate:
    """One way to run the encoder.

    Attributes:
        engine: A name from the registry, or `"torch"` for a baseline.
        precision: One of `PRECISIONS`.
        provider: What the engine runs on; None for the engine's own choice. For a baseline: how it is run.
        required: Whether it was asked for by name, so that it is a failure when it does not open.
    """

    engine: str
    precision: str
    provider: str | None = None
    required: bool = False

    @property
    def name(self) -> str:
        """`engine/precision` or `engine:provider/precision`, as `--engine` takes it."""
        provider = "" if self.provider is None else f":{self.provider}"
        return f"{self.engine}{provider}/{self.precision}"

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on a GPU, if it runs at all."""
        if self.engine == TORCH:
            return (self.provider or "").startswith(CUDA_PREFIX)
        return self.engine in ("tensorrt", "tensorrt-rtx") or self.provider in ("cuda", "tensorrt")


def parse_candidates(texts: Sequence[str], precisions: Sequence[str]) -> tuple[EngineCandidate, ...]:
    """Reads candidates from the command line.

    Args:
        texts: Each one or several of `NAME[:PROVIDER][/PRECISION]`, separated by commas.
        precisions: What a name without precision stands for: all of the bundle.

    Returns:
        The candidates in order, each once.

    Raises:
        UsageError: There is no such engine or precision, or nothing is left.
    """
    found: dict[str, EngineCandidate] = {}
    for text in (part.strip() for joined in texts for part in joined.split(",")):
        if not text:
            continue
        left, slash, precision = text.partition("/")
        engine, colon, provider = left.partition(":")
        if engine not in _names():
            note = "; PyTorch is measured with --torch" if engine == TORCH else ""
            raise UsageError(f"there is no engine '{engine}' in '{text}'", fix=f"engines: {', '.join(_names())}{note}")
        if (slash and precision not in PRECISIONS) or (colon and not provider):
            raise UsageError(
                f"'{text}' is not NAME[:PROVIDER][/PRECISION]",
                fix=f"example: {engine}/fp32; precisions: {', '.join(PRECISIONS)}",
            )
        for choice in (precision,) if slash else precisions:
            candidate = EngineCandidate(engine, choice, provider or None, required=True)
            found.setdefault(candidate.name, candidate)
    if not 1 <= len(found) <= _MOST_CANDIDATES:
        raise UsageError(f"1 to {_MOST_CANDIDATES} engines can be measured, not {len(found)}")
    return tuple(found.values())


def default_candidates(precisions: Sequence[str]) -> tuple[EngineCandidate, ...]:
    """Every engine of the registry, and every provider that is installed, with every precision of the bundle."""
    pairs = dict.fromkeys([*((name, None) for name in _names()), *installed_engines()])
    return tuple(EngineCandidate(engine, precision, provider) for engine, provider in pairs for precision in precisions)


def _names() -> tuple[str, ...]:
    return tuple(name for name in engine_names() if name != AUTO)


def open_candidate(candidate: EngineCandidate, bundle: Bundle, *, batch: int, threads: int | None) -> Engine:
    """Opens a candidate.

    Args:
        candidate: Not a PyTorch baseline.
        bundle: A verified bundle.
        batch: Most views that are computed at once.
        threads: CPU threads; None for the engine's own choice.

    Raises:
        MvrecEdgeError: What `open_engine` raises.
    """
    return open_engine(
        candidate.engine,
        bundle,
        precision=candidate.precision,
        provider=candidate.provider,
        batch=batch,
        threads=threads,
    )
