"""`mvrec-edge inspect`: what a bundle or a support cache holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mvrec_edge.cli.certificates import certificate_lines
from mvrec_edge.cli.console import show, show_json
from mvrec_edge.cli.options import Json

if TYPE_CHECKING:
    from mvrec_edge.runtime import Bundle, SupportCache

__all__ = ["inspect"]


def inspect(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Bundle (a folder) or support cache (a file).")],
    as_json: Json = False,
) -> None:
    """Show what a bundle or a support cache holds, after checking its hashes.

    Example: mvrec-edge inspect line.safetensors
    """
    from mvrec_edge.runtime import Bundle, SupportCache

    description = describe_bundle(Bundle.load(path)) if path.is_dir() else describe_cache(SupportCache.load(path))
    if as_json:
        show_json(description)
        return
    width = max(len(key) for key in description)
    for key, value in description.items():
        lines = value if isinstance(value, list) else [value]
        for place, line in enumerate(lines):
            show(f"{key if place == 0 else '':<{width}}  {line}")


def describe_bundle(bundle: Bundle) -> dict[str, Any]:
    """A bundle in words."""
    architecture = bundle.architecture
    manifest = bundle.manifest
    return {
        "bundle": str(bundle.path),
        "architecture": f"{architecture.name}: {architecture.image_size} px, {architecture.parts}, "
        f"embedding {architecture.embedding_dim}",
        "weights": str(bundle.weights),
        "work": f"{architecture.flops_per_view / 1e9:.1f} GFLOP per view",
        "graphs": [f"{graph.precision}: {', '.join(graph.files)}" for graph in manifest.graphs],
        "plans": [str(plan) for plan in manifest.plans],
        "certificate": [line for graph in manifest.graphs for line in certificate_lines(graph)],
        "checked": [
            f"{graph.precision}, {check.kind}, batch {check.batch}: worst cosine {check.worst_cosine:.8f}, largest "
            f"error {check.largest_error:.1e} of the norm"
            for graph in manifest.graphs
            for check in graph.checks
        ],
        "files": [f"{record.name}  {record.size:,} bytes  sha256 {record.sha256}" for record in manifest.files],
        "fingerprint": [f"{name}: {bundle.fingerprint(name)}" for name in bundle.precisions],
        "created by": manifest.created_by,
    }


def describe_cache(cache: SupportCache) -> dict[str, Any]:
    """A support cache in words."""
    from mvrec_edge.calib.fitting.novelty_fitting import describe_limits
    from mvrec_edge.calib.fitting.review_fitting import describe_review
    from mvrec_edge.runtime.regions.kinds import KIND_WORDS
    from mvrec_edge.runtime.wording import counted

    if cache.parts:
        return _describe_parts(cache)
    count, views, channels = cache.embeddings.shape
    drawn = "all instances" if cache.shots is None else f"{counted(cache.shots, 'shot')}, seed {cache.seed}"
    size = " x ".join((counted(count, "instance"), counted(views, "view"), counted(channels, "channel")))
    return {
        "support cache": f"{size}, float16",
        "classes": [f"{name}: {total}" for name, total in cache.counts.items()],
        "drawn": drawn,
        "learned from": KIND_WORDS.get(cache.region_input, "unknown: outlines, boxes or whole images"),
        "pictures": f"of {counted(sum(map(bool, cache.thumbnails)), 'instance')}, for reports",
        "head": f"{cache.head}, temperature {cache.head.temperature:.3g}",
        "unknown defects": describe_limits(cache),
        **({} if cache.review is None else {"review": describe_review(cache)}),
        "view plan": "unknown" if cache.view_plan is None else str(cache.view_plan),
        "view schedule": "none: the default order" if cache.schedule is None else cache.schedule.describe(),
        "encoder": cache.encoder_name or "unknown",
        "made with": f"bundle fingerprint {cache.encoder or 'unknown'}",
        "fingerprint": cache.fingerprint,
        "digest": cache.digest,
    }


def _describe_parts(cache: SupportCache) -> dict[str, Any]:
    """A support cache of several parts: what is of all of them, and then what is of each."""
    from mvrec_edge.calib.fitting.part_fitting import describe_parts
    from mvrec_edge.calib.fitting.review_fitting import describe_review
    from mvrec_edge.runtime.support.parts import parts_of
    from mvrec_edge.runtime.wording import counted

    count, views, channels = cache.embeddings.shape
    size = " x ".join((counted(count, "instance"), counted(views, "view"), counted(channels, "channel")))
    described: dict[str, Any] = {
        "support cache": f"{size}, float16",
        "parts": describe_parts(cache).removeprefix("parts: ").removeprefix("part: "),
        "pictures": f"of {counted(sum(map(bool, cache.thumbnails)), 'instance')}, for reports",
        "view plan": "unknown" if cache.view_plan is None else str(cache.view_plan),
        "encoder": cache.encoder_name or "unknown",
        "made with": f"bundle fingerprint {cache.encoder or 'unknown'}",
        "fingerprint": cache.fingerprint,
        "digest": cache.digest,
    }
    parts = parts_of(cache)
    limited = any(part.review is not None for part in parts.values())
    for name, part in parts.items():
        own = describe_cache(part)
        if limited:
            # A part without a limit beside one that has it is said as well: its records lack a field.
            own["review"] = describe_review(part)
        described |= {
            f"{name}: {key}": own[key]
            for key in ("classes", "drawn", "learned from", "head", "unknown defects", "review", "view schedule")
            if key in own
        }
    return described
