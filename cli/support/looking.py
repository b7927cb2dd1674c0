"""`mvrec-edge support list|history|rollback`: what is there, what was there, and back to it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mvrec_edge.cli.console import escaped, say, show, show_json
from mvrec_edge.cli.options import CachePath, Json

if TYPE_CHECKING:
    from mvrec_edge.runtime.support.versions import Version

__all__ = ["history", "list_instances", "rollback"]


def list_instances(
    cache: CachePath,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Leave each instance out in turn, with its image, and show the class that the others give it.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """List the instances of a support cache: the number, class (with its part) and source of each.

    Example: mvrec-edge support list line.safetensors --check
    """
    from mvrec_edge.calib.changes import read_left_out
    from mvrec_edge.runtime import SupportCache

    loaded = SupportCache.load(cache)
    parts = [{"part": part} for part in loaded.parts] or [{}] * len(loaded.labels)
    rows: list[dict[str, Any]] = [
        {"instance": place, **part, "class": loaded.class_names[label], "source": source}
        for place, (part, label, source) in enumerate(zip(parts, loaded.labels, loaded.sources, strict=True))
    ]
    if check:
        for row, read_as in zip(rows, read_left_out(loaded), strict=True):
            row["read_as"] = read_as
    if as_json:
        show_json(rows)
        return
    for row, label in zip(rows, loaded.labels, strict=True):
        row["title"] = loaded.class_titles[label]
        row.update({key: escaped(value) for key, value in row.items() if isinstance(value, str)})
    counts = {escaped(name): count for name, count in loaded.counts.items()}
    width = max(len(row["title"]) for row in [*rows, {"title": "class"}])
    longest = max(len(row["source"]) for row in [*rows, {"source": "source"}])
    header = f"{'':>5}  {'class':<{width}}  {'source':<{longest}}"
    show((header + ("  read as" if check else "")).rstrip())
    for row in rows:
        line = f"{row['instance']:>5}  {row['title']:<{width}}  {row['source']:<{longest}}"
        if check:
            only = "(the only one)" if counts[row["title"]] == 1 else "(the only image)"
            line += "  " + (only if row["read_as"] is None else row["read_as"])
            line += "  <- misread" if row["read_as"] not in (None, row["class"]) else ""
        show(line.rstrip())


def history(cache: CachePath, as_json: Json = False) -> None:
    """List the versions of a support cache, with the date, the instances and the digest of each.

    Example: mvrec-edge support history line.safetensors
    """
    from mvrec_edge.runtime import SupportCache
    from mvrec_edge.runtime.support.versions import SupportVersions

    SupportCache.load(cache)
    rows = [_described(version) for version in SupportVersions(cache).history()]
    if as_json:
        show_json(rows)
        return
    for row in rows:
        digest = "" if row["digest"] is None else f", digest {row['digest'][:16]}"
        show(f"{row['version']:<10}  {row['written']}  {row['holds']}{digest}")


def _described(version: Version) -> dict[str, Any]:
    from mvrec_edge.runtime import SupportCache
    from mvrec_edge.runtime.errors import MvrecEdgeError
    from mvrec_edge.runtime.wording import counted

    try:
        loaded = SupportCache.load(version.path)
    except MvrecEdgeError as error:
        holds, digest = f"not usable: {error.what}", None
    else:
        classes = ", ".join(f"{name} {count}" for name, count in loaded.counts.items())
        heads = loaded.head.name if loaded.part_fits is None else counted(len(loaded.part_names), "part")
        holds = f"{counted(len(loaded.labels), 'instance')} ({classes}), {heads}"
        digest = loaded.digest
    written = datetime.datetime.fromtimestamp(version.path.stat().st_mtime).astimezone()
    return {
        "version": version.name,
        "file": str(version.path),
        "written": written.isoformat(sep=" ", timespec="seconds"),
        "holds": holds,
        "digest": digest,
    }


def rollback(
    cache: CachePath,
    to: Annotated[
        int | None,
        typer.Option(
            "--to",
            min=1,
            metavar="N",
            help="Number of the version to go back to, as 'support history' lists it; by default the version "
            "before the last change or rollback.",
        ),
    ] = None,
) -> None:
    """Go back to another version, byte for byte. The present version is kept: a second rollback goes back to it.

    Example: mvrec-edge support rollback line.safetensors
    """
    from mvrec_edge.runtime import SupportCache
    from mvrec_edge.runtime.errors import InputError
    from mvrec_edge.runtime.images.image_files import is_regular_file, why_no_file
    from mvrec_edge.runtime.support.versions import SupportVersions
    from mvrec_edge.runtime.wording import counted

    # The present one may be what is damaged: only its place has to be there.
    if not is_regular_file(cache):
        raise InputError(why_no_file(cache), where=cache, fix="check the path")
    versions = SupportVersions(cache)
    with versions.change(lambda: say("another change of this cache is under way: waiting for it")):
        target, kept = versions.rollback(to)
        loaded = SupportCache.load(cache)
    classes = ", ".join(f"{name} {count}" for name, count in loaded.counts.items())
    again = f"the version before is kept as {cache.name}.{kept}, and another rollback goes back to it"
    say(f"{cache}: version {target} again: {counted(len(loaded.labels), 'instance')} ({classes}); {again}")
