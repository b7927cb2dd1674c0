"""Options that the commands of `mvrec-edge support` share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from mvrec_edge.cli.options import Json

__all__ = ["ChangeOptions", "DryRun", "Force", "Keep", "NewClass", "Refit", "check_new_class"]

Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Write the change even if it makes the cache misread instances that it read rightly before."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what the change would do, without writing it.")]
Refit = Annotated[
    bool,
    typer.Option(
        "--refit",
        help="Take the head that 'calibrate --head auto' takes, or train zip-f again; by default the head stays, with "
        "beta and aggregation. Temperature, order of views and the limits for 'unknown' are always fitted again.",
    ),
]
Keep = Annotated[
    int,
    typer.Option(
        "--keep", min=1, help="Number of earlier versions to keep beside the support cache; older ones are removed."
    ),
]


NewClass = Annotated[
    bool,
    typer.Option(
        "--new-class",
        help="Make a new class even if its name is so close to that of a class of the cache that it may be a slip.",
    ),
]


def check_new_class(name: str, known: Sequence[str], *, insist: bool, where: str | None = None) -> None:
    """Refuses a class name that may be a slip for one that is there.

    Args:
        name: The name.
        known: The classes that are there.
        insist: Whether a new class is wanted all the same.
        where: Where the name was read, where it was not typed.

    Raises:
        UsageError: A name that was typed may be a slip.
        SupportError: One that was read may be one.
    """
    from mvrec_edge.calib.changes.close_labels import close_label
    from mvrec_edge.runtime.errors import SupportError, UsageError

    close = None if insist else close_label(name, known)
    if close is not None:
        kind = UsageError if where is None else SupportError
        raise kind(
            f"there is no class '{name}' yet: did you mean '{close}'?",
            where=where,
            fix="give --new-class to make a new class of it",
        )


@dataclass(frozen=True)
class ChangeOptions:
    """How a change is made."""

    force: Force = False
    dry_run: DryRun = False
    refit: Refit = False
    keep: Keep = 20
    as_json: Json = False
