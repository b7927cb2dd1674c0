"""One change of a support cache: read, change, compare, show, write; the same for every command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mvrec_edge.cli.console import count_bar, say, show_json
from mvrec_edge.cli.support.shared_options import ChangeOptions
from mvrec_edge.runtime.wording import counted

if TYPE_CHECKING:
    from mvrec_edge.calib.changes import Changed, Comparison, Proposal, Reading
    from mvrec_edge.runtime import SupportCache

__all__ = ["change_cache"]

_MOST_READINGS = 20


def change_cache(path: Path, change: Callable[[SupportCache], Changed | None], options: ChangeOptions) -> None:
    """Changes a cache, one change at a time, and keeps the version before.

    Args:
        path: The cache.
        change: The change; other changes of the cache wait for it. None where there is nothing to change, which it has
            said.
        options: How.

    Raises:
        RegressionError: Instances read rightly before would be misread, and it was not forced; nothing is written.
    """
    from mvrec_edge.calib.changes import propose
    from mvrec_edge.calib.fitting.schedule_fitting import left_out
    from mvrec_edge.runtime import SupportCache
    from mvrec_edge.runtime.support.versions import SupportVersions

    # A cache that is not there is said to be missing before anything is made beside it.
    SupportCache.load(path)
    versions = SupportVersions(path, options.keep)
    with versions.change(lambda: say("another change of this cache is under way: waiting for it")):
        before = SupportCache.load(path)
        changed = change(before)
        if changed is None:
            if options.as_json:
                nothing = {"change": None, "instances": len(before.labels), "written": False, "kept_as": None}
                show_json({"cache": str(path), **nothing})
            return
        say("fitting the changed cache again and checking it ...")
        total = len(before.labels) + len(changed.cache.labels)
        total += 0 if before.schedule is None else len(left_out(changed.cache))
        with count_bar("checking", total, "instances") as advance:
            proposal = propose(before, changed, anew=options.refit, progress=advance)
        for line in (proposal.summary, *proposal.notes, *_compared(proposal.comparison, changed.renamed)):
            say(line)
        kept = None
        try:
            if not options.force:
                _check(proposal)
            if not options.dry_run:
                kept = versions.write(proposal.cache)
        finally:
            if options.as_json:
                record = {
                    "cache": str(path),
                    **proposal.to_dict(),
                    "instances": len(proposal.cache.labels),
                    "written": kept is not None,
                    "kept_as": kept,
                }
                show_json(record)
    classes = ", ".join(f"{name} {count}" for name, count in proposal.cache.counts.items())
    instances = counted(len(proposal.cache.labels), "instance")
    if options.dry_run:
        say(f"nothing is written (--dry-run); the cache would have {instances} ({classes})")
    elif kept is None:
        say(f"{path}: nothing is written, because the cache would stay the same")
    else:
        say(f"{path}: {instances} ({classes}); before: {path.name}.{kept}")


def _check(proposal: Proposal) -> None:
    from mvrec_edge.runtime.errors import RegressionError

    try:
        proposal.check()
    except RegressionError as error:
        raise RegressionError(error.what, where=error.where, fix=f"{error.fix}, or give --force") from error


def _compared(comparison: Comparison, renamed: Mapping[str, str]) -> list[str]:
    """The comparison in lines; classes that were renamed are compared by what they were called before."""
    right = [sum(count for count, _ in counts.values()) for counts in (comparison.before, comparison.after)]
    of = [sum(total for _, total in counts.values()) for counts in (comparison.before, comparison.after)]
    if not any(of):
        return ["the change could not be checked: every class has a single instance or image, so none can be left out"]
    lines = [f"read rightly when left out: {right[0]} of {of[0]} before, {right[1]} of {of[1]} now"]
    for name, after in comparison.after.items():
        # A class that was renamed is the same class.
        before = comparison.before.get(renamed.get(name, name), (0, 0))
        if before != after:
            lines.append(f"  {name}: {before[0]} of {before[1]} before, {after[0]} of {after[1]} now")
    lines += _readings("now misread", comparison.newly_misread)
    lines += _readings("now read rightly", comparison.newly_right)
    lines += _readings("new, and misread by the others (is the label right?)", comparison.new_misread)
    return lines


def _readings(title: str, readings: tuple[Reading, ...]) -> list[str]:
    lines = [
        f"{title}: {reading.instance} {reading.source} ({reading.label}, read as {reading.read_as})"
        for reading in readings[:_MOST_READINGS]
    ]
    if len(readings) > _MOST_READINGS:
        lines.append(f"{title}: {len(readings) - _MOST_READINGS} more")
    return lines
