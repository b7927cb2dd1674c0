"""Options that the commands of `mvrec-edge support` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from mvrec_edge.cli.options import Json

__all__ = ["ChangeOptions", "DryRun", "Force", "Keep", "Refit"]

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
        help="Choose head, beta and aggregation again by leaving each instance out in turn, or train zip-f "
        "again; by default they stay. Temperature, order of views and the limits for 'unknown' are always "
        "fitted again.",
    ),
]
Keep = Annotated[
    int,
    typer.Option(
        "--keep", min=1, help="Number of earlier versions to keep beside the support cache; older ones are removed."
    ),
]


@dataclass(frozen=True)
class ChangeOptions:
    """How a change is made."""

    force: Force = False
    dry_run: DryRun = False
    refit: Refit = False
    keep: Keep = 20
    as_json: Json = False
