"""`mvrec-edge support remove|rename|merge`: changes that need no encoder."""

from __future__ import annotations

from typing import Annotated

import typer

from mvrec_edge.cli.completion import complete_class, complete_merged
from mvrec_edge.cli.flattening import flattened
from mvrec_edge.cli.options import CachePath, Json
from mvrec_edge.cli.support.shared_options import ChangeOptions, DryRun, Keep, NewClass, check_new_class

__all__ = ["merge", "remove", "rename"]


@flattened
def remove(
    cache: CachePath,
    instances: Annotated[
        list[str],
        typer.Argument(
            metavar="INSTANCE...",
            help="Numbers or sources of the instances to remove, as 'mvrec-edge support list' shows them.",
        ),
    ],
    writing: ChangeOptions,
) -> None:
    """Remove instances from a support cache; with --force also the last instance of a class, and so the class.

    Example: mvrec-edge support remove line.safetensors 3 17
    """
    from mvrec_edge.calib.changes import find_places, remove_instances
    from mvrec_edge.cli.support.changing import change_cache

    change_cache(
        cache,
        lambda before: remove_instances(before, find_places(before, instances), drop_classes=writing.force),
        writing,
    )


def rename(
    cache: CachePath,
    old: Annotated[
        str, typer.Argument(metavar="OLD", autocompletion=complete_class, help="Present name of the class.")
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="New name of the class.")],
    new_class: NewClass = False,
    dry_run: DryRun = False,
    keep: Keep = 20,
    as_json: Json = False,
) -> None:
    """Rename a class of a support cache.

    Example: mvrec-edge support rename line.safetensors stain oil
    """
    from mvrec_edge.calib.changes import Changed, other_classes, rename_class
    from mvrec_edge.cli.support.changing import change_cache
    from mvrec_edge.runtime import SupportCache

    def change(before: SupportCache) -> Changed:
        changed = rename_class(before, old, new)
        # Another spelling of the class itself is what renaming is for.
        others = [name for name in other_classes(before, old) if name != old]
        check_new_class(new, others, insist=new_class)
        return changed

    change_cache(
        cache,
        change,
        ChangeOptions(dry_run=dry_run, keep=keep, as_json=as_json),
    )


@flattened
def merge(
    cache: CachePath,
    others: Annotated[
        list[str],
        typer.Argument(
            metavar="OTHER...",
            autocompletion=complete_merged,
            help="Support caches whose instances are added, made with the same encoder and views; with --into, "
            "classes of CACHE.",
        ),
    ],
    *,
    into: Annotated[
        str | None,
        typer.Option(
            "--into",
            autocompletion=complete_class,
            metavar="CLASS",
            help="Make the classes OTHER... of CACHE one class of this name; by default OTHER... are support caches.",
            show_default=False,
        ),
    ] = None,
    parts: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            metavar="NAME",
            help="Part, or product, that a support cache is of, so that parts stay apart in CACHE: give it once for "
            "each cache that has no part yet, in their order, CACHE first. By default they become one without parts.",
            show_default=False,
        ),
    ] = None,
    new_class: NewClass = False,
    writing: ChangeOptions,
) -> None:
    """Add the instances of other support caches, or make several classes one.

    Example: mvrec-edge support merge line.safetensors line2.safetensors

    Example: mvrec-edge support merge line.safetensors scratch scuff --into scratch

    Example: mvrec-edge support merge tile.safetensors knob.safetensors --part tile --part knob
    """
    from mvrec_edge.calib.changes import Changed, merge_caches, merge_classes
    from mvrec_edge.cli.support.changing import change_cache
    from mvrec_edge.runtime import SupportCache
    from mvrec_edge.runtime.errors import UsageError

    if into is not None and parts:
        raise UsageError("--into merges classes, --part merges support caches", fix="leave out one of the two")

    def change(before: SupportCache) -> Changed:
        if into is not None:
            changed = merge_classes(before, others, into)
            there = [*before.class_names, *before.class_titles]
            check_new_class(into, [name for name in there if name not in others], insist=new_class)
            return changed
        loaded = [SupportCache.load(other) for other in others]
        if not parts and not before.parts:
            # The classes of another part are others, whatever they are called.
            for path, other in zip(others, loaded, strict=True):
                for name in other.class_names:
                    check_new_class(name, before.class_names, insist=new_class, where=path)
        return merge_caches(before, loaded, parts or ())

    change_cache(cache, change, writing)
