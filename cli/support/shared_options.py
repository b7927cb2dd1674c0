"""Options that the commands of `mvrec-edge support` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from mvrec_edge.cli.options import Json

__all__ = ["ChangeOptions", "DryRun", "Force", "Keep", "Refit"]

Force = Annotated[
    bool, typer.Option("--force", help="Write the change even if instances read rightly before are misread then.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what the change would do, and write nothing.")]
Refit = Annotated[
    bool,
    typer.Option(
        "--refit",
        help="Choose head, beta and aggregation anew by leaving each instance out, or train zip-f again; by default "
        "they stay; what else was fitted on the instances is fitted again either way.",
    ),
]
Keep = Annotated[
    int, typer.Option("--keep", min=1, help="Earlier versions to keep beside the cache; older ones are removed.")
]


@dataclass(frozen=True)
class ChangeOptions:
    """How a change is made."""

    force: Force = False
    dry_run: DryRun = False
    refit: Refit = False
    keep: Keep = 20
    as_json: Json = False
