"""Whether this machine computes what the export did: the golden views of a bundle, run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.bundle import Bundle, Golden, limits_of
from mvrec_edge.runtime.engines import open_engine
from mvrec_edge.runtime.engines.engine import Engine
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError, MvrecEdgeError
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.views import ViewPlan, crop_views
from mvrec_edge.runtime.views.patches import cut_patch

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
        cut_difference: Largest difference between views that the engine cut and those of `crop_views`, in steps of 255;
            None where the engine does not cut views.
        cut_cosine: Smallest cosine between the embeddings of views that it cut and of those that `crop_views` cut.
    """

    engine: str
    precision: str
    device: str = ""
    cosine: float | None = None
    reference_cosine: float | None = None
    limit: float = 0.0
    reason: str = ""
    cut_difference: int | None = None
    cut_cosine: float | None = None

    @property
    def passed(self) -> bool | None:
        """Whether the limits are kept; None where it did not run."""
        if self.cosine is None:
            return None
        if self.cut_difference is not None and self.cut_difference > self.cut_limit:
            return False
        return min(self.cosine, 1.0 if self.cut_cosine is None else self.cut_cosine) >= self.limit

    @property
    def cut_limit(self) -> int:
        """The largest difference that views may have: none on a CPU, and 1 of 255 elsewhere."""
        return 0 if self.device.startswith("cpu") else 1


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
            # On a CPU no command uses it, and here it is what shows that the graph is right.
            on_cpu = name == "onnxruntime" and provider in (None, "cpu")
            cuts = True if on_cpu and bundle.manifest.graph(precision).variant("views") else None
            try:
                with open_engine(
                    name,
                    bundle,
                    precision=precision,
                    provider=provider,
                    threads=threads,
                    say=say,
                    views_in_graph=cuts,
                ) as engine:
                    answers = engine.encode(golden.views)
                    device = engine.device
                    difference, cosine = _compare_cutting(engine, golden.views) if engine.cuts_views else (None, None)
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
                    cut_difference=difference,
                    cut_cosine=cosine,
                )
            progress(1)


def _compare_cutting(engine: Engine, golden: npt.NDArray[np.uint8]) -> tuple[int, float]:
    """Views cut by an engine against those of `crop_views`: the largest difference, and the smallest cosine.

    The golden views side by side stand for an image, since a bundle holds no other.
    """
    half = len(golden) // 2
    image = np.concatenate([np.concatenate(list(row), axis=1) for row in (golden[:half], golden[half : 2 * half])])
    height, width = image.shape[:2]
    region = Region.from_box((width // 3, height // 3, width // 2, height // 2), (height, width))
    plan = ViewPlan.by_name("ms", size=engine.image_size)
    pixels = np.ascontiguousarray(image[..., :3])
    wanted = crop_views(pixels, region, plan)
    patch = cut_patch(pixels, region, plan)
    if patch is None:
        raise AssertionError("windows of ms fit into any patch")
    cut = np.zeros_like(wanted)
    embeddings = engine.encode_patches([patch], cut=cut)
    difference = int(np.abs(cut.astype(np.int16) - wanted).max())
    return difference, _worst_cosine(embeddings, engine.encode(wanted))


def _worst_cosine(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> float:
    a, b = left.astype(np.float64), right.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    if not norms.all():
        raise EnvironmentUnfitError("an embedding is zero", fix="export the bundle again")
    return float(((a * b).sum(axis=1) / norms).min())
