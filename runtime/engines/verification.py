"""Whether this machine computes what the export did: the golden views of a bundle, run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.bundle import Bundle, Golden, limits_of
from mvrec_edge.runtime.engines import open_engine
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError, MvrecEdgeError

__all__ = ["Verdict", "verify_bundle"]


@dataclass(frozen=True)
class Verdict:
    """What came of one graph on one engine.

    Attributes:
        engine: The engine, with its provider after a colon.
        precision: The graph's precision.
        device: What it ran on; empty where it did not run.
        cosine: Smallest cosine between what this machine answers to a golden view and what the same graph answered
            when it was exported; None where it did not run.
        reference_cosine: Smallest cosine to the PyTorch module in float32.
        limit: What `cosine` must reach.
        reason: Why it did not run; empty where it did.
    """

    engine: str
    precision: str
    device: str = ""
    cosine: float | None = None
    reference_cosine: float | None = None
    limit: float = 0.0
    reason: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the limit is kept; None where it did not run."""
        return None if self.cosine is None else self.cosine >= self.limit


def verify_bundle(
    bundle: Bundle,
    engines: Sequence[tuple[str, str | None]],
    precisions: Sequence[str] | None = None,
    *,
    threads: int | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Verdict]:
    """Runs the golden views through engines.

    The limit is that of the precision's certificate: the certificate says how far the graph is from float32, and this
    says that the machine runs that graph.

    Args:
        bundle: A verified bundle.
        engines: Pairs of an engine's name and ONNX Runtime's provider or None.
        precisions: Which graphs; by default all.
        threads: CPU threads.
        say: Takes a line where opening an engine takes long.
        progress: Called with 1 after each graph on each engine.

    Yields:
        A verdict for each engine and graph, as soon as it is there.

    Raises:
        IntegrityError: The bundle has no golden views, they do not fit it, or a file was changed.
    """
    golden = Golden.of(bundle)
    for name, provider in engines:
        for precision in precisions or bundle.precisions:
            words = name if provider is None else f"{name}:{provider}"
            limit = limits_of(precision).cosine
            try:
                with open_engine(
                    name, bundle, precision=precision, provider=provider, threads=threads, say=say
                ) as engine:
                    answers = engine.encode(golden.views)
                    device = engine.device
            except IntegrityError:
                # A changed file is no answer of the machine.
                raise
            except MvrecEdgeError as error:
                yield Verdict(words, precision, limit=limit, reason=str(error))
            else:
                yield Verdict(
                    words,
                    precision,
                    device,
                    cosine=_worst_cosine(answers, golden.embeddings[precision]),
                    reference_cosine=_worst_cosine(answers, golden.reference),
                    limit=limit,
                )
            progress(1)


def _worst_cosine(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> float:
    a, b = left.astype(np.float64), right.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    if not norms.all():
        raise EnvironmentUnfitError("an embedding is zero", fix="export the bundle again")
    return float(((a * b).sum(axis=1) / norms).min())
